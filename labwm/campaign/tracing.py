"""Provenance in one call: what a thing rests on, and what rests on it."""

from collections.abc import Callable
from typing import Final

from labwm.campaign.access import LOCAL_PERSON, require
from labwm.campaign.books import books
from labwm.campaign.trace_nodes import Trail
from labwm.errors import ConflictError, NotFoundError
from labwm.schema import (
    Measurement,
    Principal,
    Proposal,
    Scope,
    StoredPrediction,
    Trace,
    TraceNode,
    TraceRequest,
)
from labwm.store.tallies import CONTROL
from labwm.store.tracing import Found

_NEAR: Final = 2
"""Results listed of each job that a model learnt from."""


def trace(request: TraceRequest, *, principal: Principal = LOCAL_PERSON) -> Trace:
    """Say where something comes from, down to raw bytes, and what rests on it.

    Raises:
        ForbiddenError: If the principal may not read.
        NotFoundError: If nothing has this name.
        ConflictError: If several things have it.
    """
    require(principal, Scope.READ)
    store = books()
    with store.ledger.tracing() as tracer:
        found = _only(tracer.find(request.id.strip(), request.campaign_id), request)
        trail = Trail(store, tracer, found.campaign_id, request.limit)
        rests_on, reached = _FOLLOW[found.kind](trail, found.id)
    return Trace(
        asked=request.id,
        kind=found.kind,  # pyright: ignore[reportArgumentType]
        id=found.id,
        campaign_id=found.campaign_id,
        rests_on=rests_on,
        reached=reached,
    )


def _only(found: tuple[Found, ...], request: TraceRequest) -> Found:
    if not found:
        raise NotFoundError(
            "A trace starts from a prediction, proposal, job, JOB/WELL, or from 8 or "
            "more letters of the digest of a result, model or raw bytes; nothing is "
            f"called {request.id[:80]!r}. See `labwm campaign status NAME`."
        )
    first, *others = found
    if others:
        met = ", ".join(f"{one.kind} {one.id} of {one.campaign_id}" for one in found)
        raise ConflictError(
            f"A trace starts from one thing; {request.id!r} is {met}. Give more of the "
            "digest, or name the campaign."
        )
    return first


Both = tuple[TraceNode, tuple[TraceNode, ...]]


def _prediction(trail: Trail, name: str) -> Both:
    citing = trail.tracer.citing(trail.campaign_id, name, trail.limit)
    reached = tuple(_chosen(trail, each) for each in citing)
    return _stated(trail, name), reached


def _proposal(trail: Trail, name: str) -> Both:
    return _grounded(trail, name), _done(trail, name)


def _batch(trail: Trail, name: str) -> Both:
    batch = trail.tracer.batch(name)
    node = TraceNode(
        kind="batch",
        id=name,
        says={"content_sha256": batch.content_sha256, "state": batch.state.value},
        parts=(*trail.approvals(name), trail.protocol(batch.job)),
    )
    return node, ()


def _job(trail: Trail, name: str) -> Both:
    wells, n_wells = trail.tracer.wells_in(name, trail.limit)
    node = _sent(trail, name)
    results = [_done_there(trail, f"{name}/{well}") for well in wells]
    rest = TraceNode(
        kind="wells", id=name, parts=tuple(results), n_more=n_wells - len(results)
    )
    return node, (rest,)


def _well(trail: Trail, place: str) -> Both:
    results = trail.tracer.results_at(*place.split("/"))
    models = tuple(model for name in results for model in _learnt(trail, name))
    return _done_there(trail, place), models


def _done_there(trail: Trail, place: str) -> TraceNode:
    """Return a well with its results, its job, and what was planned for it."""
    key, well = place.split("/")
    results = trail.tracer.results_at(key, well)
    planned = trail.tracer.planned(key, well)
    grounds: tuple[TraceNode, ...] = ()
    if planned is not None and not planned.startswith(CONTROL):
        grounds = (_grounded(trail, planned),)
    return TraceNode(
        kind="well",
        id=place,
        says={"results": len(results)},
        parts=(*(trail.result(name) for name in results), _sent(trail, key), *grounds),
    )


def _result(trail: Trail, name: str) -> Both:
    found: Measurement = trail.tracer.result(trail.campaign_id, name).record
    node = trail.result(name)
    if found.job_key is not None:
        node = _with(node, _sent(trail, found.job_key))
    if found.proposal_id is not None:
        node = _with(node, _grounded(trail, found.proposal_id))
    return node, _learnt(trail, name)


def _model(trail: Trail, name: str) -> Both:
    return _fitted(trail, name), (_used(trail, name),)


def _raw(trail: Trail, sha256: str) -> Both:
    names, n_results = trail.tracer.results_of_raw(
        trail.campaign_id, sha256, trail.limit
    )
    results = [trail.result(name) for name in names]
    read = TraceNode(
        kind="results",
        id=sha256,
        parts=tuple(results),
        n_more=n_results - len(results),
    )
    return trail.raw(sha256), (read, *_learnt(trail, names[0]))


_FOLLOW: Final[dict[str, Callable[[Trail, str], Both]]] = {
    "prediction": _prediction,
    "proposal": _proposal,
    "batch": _batch,
    "job": _job,
    "well": _well,
    "result": _result,
    "model": _model,
    "raw": _raw,
}


def _with(node: TraceNode, *parts: TraceNode) -> TraceNode:
    return node.model_copy(update={"parts": (*node.parts, *parts)})


def _stated(trail: Trail, name: str) -> TraceNode:
    """Return a prediction with the model that made it."""
    stated: StoredPrediction = trail.tracer.prediction(trail.campaign_id, name).record
    return _with(trail.prediction(name), _fitted(trail, stated.model_sha256))


def _fitted(trail: Trail, name: str) -> TraceNode:
    """Return a model with the jobs that it learnt from, the latest first."""
    return trail.once("model", name, lambda: _make_fitted(trail, name))


def _make_fitted(trail: Trail, name: str) -> TraceNode:
    tracer, campaign_id = trail.tracer, trail.campaign_id
    if not tracer.has_model(campaign_id, name):
        return TraceNode(kind="model", id=name, says={"card": "not stored"})
    trained = tracer.model(campaign_id, name)
    keys, n_jobs = tracer.jobs_before(campaign_id, trained.as_of, trail.limit)
    learnt = TraceNode(
        kind="learnt from",
        id=f"{n_jobs} jobs",
        parts=tuple(_learnt_from(trail, key, trained.as_of) for key in keys),
        n_more=n_jobs - len(keys),
    )
    return _with(trail.model(trained), learnt)


def _learnt_from(trail: Trail, key: str, as_of: int) -> TraceNode:
    """Return a job with some of its results that counted after an event."""
    tracer = trail.tracer
    wells, n_wells = tracer.wells_in(key, min(_NEAR, trail.limit))
    shown = [
        trail.result(name)
        for well in wells
        for name in tracer.results_at(key, well)
        if any(
            start <= as_of and (end is None or as_of < end)
            for start, end in tracer.counted(trail.campaign_id, name)
        )
    ]
    node = _with(_sent(trail, key), *shown)
    return node.model_copy(update={"n_more": n_wells - len(wells)})


def _sent(trail: Trail, key: str) -> TraceNode:
    """Return a job with who approved it and the protocol that it follows."""
    return trail.once("job", key, lambda: _make_sent(trail, key))


def _make_sent(trail: Trail, key: str) -> TraceNode:
    view = trail.tracer.job(key)
    return TraceNode(
        kind="job",
        id=key,
        says={
            "lab": view.job.lab,
            "state": view.state.value,
            "external_id": view.external_id,
            "content_sha256": view.job.content_sha256,
            "at": view.moved_at,
        },
        parts=(*trail.approvals(view.batch_id), trail.protocol(view.job)),
    )


def _grounded(trail: Trail, name: str) -> TraceNode:
    """Return a proposal with what it rests on."""
    return _with(trail.proposal(name), *_grounds(trail, name))


def _grounds(trail: Trail, name: str) -> tuple[TraceNode, ...]:
    """Return what a proposal rests on: its prediction, or its model alone."""
    one: Proposal = trail.tracer.proposal(trail.campaign_id, name).record
    if one.prediction_id is not None:
        return (_stated(trail, one.prediction_id),)
    return (_fitted(trail, one.model_sha256),) if one.model_sha256 else ()


def _chosen(trail: Trail, name: str) -> TraceNode:
    """Return a proposal with what was done of it."""
    return _with(trail.proposal(name), *_done(trail, name))


def _done(trail: Trail, proposal_id: str) -> tuple[TraceNode, ...]:
    """Return the jobs and results that a proposal led to."""
    done: list[TraceNode] = []
    for key, well in trail.tracer.wells_of(proposal_id):
        results = [trail.result(one) for one in trail.tracer.results_at(key, well)]
        place = TraceNode(kind="well", id=f"{key}/{well}", parts=tuple(results))
        done.append(_with(place, _sent(trail, key)))
    return tuple(done)


def _learnt(trail: Trail, name: str) -> tuple[TraceNode, ...]:
    """Return every model that learnt from a result, with what it justified."""
    tracer, campaign_id = trail.tracer, trail.campaign_id
    models: list[TraceNode] = []
    for span in tracer.counted(campaign_id, name):
        for model in tracer.models_of(campaign_id, span):
            trained = tracer.model(campaign_id, model)
            if trail.could_read(name, trained):
                used = _used(trail, model)
                models.append(_with(trail.model(trained), *used.parts))
    return tuple(models)


def _used(trail: Trail, model: str) -> TraceNode:
    """Return the predictions and proposals that name a model."""
    return trail.once("used", model, lambda: _make_used(trail, model))


def _make_used(trail: Trail, model: str) -> TraceNode:
    parts: list[TraceNode] = []
    for kind in ("prediction", "proposal"):
        names, n_names = trail.tracer.uses(trail.campaign_id, model, kind, trail.limit)
        if n_names:
            listed = tuple(TraceNode(kind=kind, id=name) for name in names)
            parts.append(
                TraceNode(
                    kind=f"{kind}s",
                    id=f"{n_names} in all",
                    parts=listed,
                    n_more=n_names - len(names),
                )
            )
    return TraceNode(kind="used", id=model, parts=tuple(parts))
