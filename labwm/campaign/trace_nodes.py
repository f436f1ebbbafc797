"""Single things as nodes of a trace: what is known of each, in the order to read."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from labwm.campaign.amendments import AMENDED, Reading
from labwm.campaign.books import Books
from labwm.errors import IntegrityError, NotFoundError
from labwm.schema import (
    Amendment,
    Conditions,
    Job,
    Measurement,
    Proposal,
    StoredPrediction,
    TraceNode,
    Value,
)
from labwm.store.content import slot_of
from labwm.store.tracing import Stored, Tracer, Trained

Says = dict[str, str | float | int | bool | None]


@dataclass(frozen=True)
class Trail:
    """What making nodes depends on."""

    books: Books
    tracer: Tracer
    campaign_id: str
    limit: int
    made: dict[tuple[str, str], TraceNode] = field(
        default_factory=dict[tuple[str, str], TraceNode], repr=False
    )
    """Nodes that many wells share: their job, their model."""

    def once(self, kind: str, name: str, make: Callable[[], TraceNode]) -> TraceNode:
        """Return a node, made when it is first asked for."""
        if (kind, name) not in self.made:
            self.made[kind, name] = make()
        return self.made[kind, name]

    def prediction(self, name: str) -> TraceNode:
        """Return a prediction as it was stored, before any result."""
        found = self.tracer.prediction(self.campaign_id, name)
        stated: StoredPrediction = found.record
        says: Says = {"conditions": conditions_line(stated.conditions)}
        for readout, one in stated.readouts.items():
            shown = f"{one.mean:.4g}, 90 % in [{one.low90:.4g}, {one.high90:.4g}]"
            says[readout] = f"{shown} {one.unit or ''}".strip()
        says |= {"support": stated.support, "data_sha256": stated.data_sha256}
        return TraceNode(kind="prediction", id=name, says=says | _when(found))

    def proposal(self, name: str) -> TraceNode:
        """Return a proposal: who or what chose it, why, and with which seed."""
        found = self.tracer.proposal(self.campaign_id, name)
        one: Proposal = found.record
        says: Says = {
            "conditions": conditions_line(one.candidate.conditions),
            "proposer": one.proposer,
            "policy": f"{one.policy} version {one.policy_version}",
            "reason": one.reason,
            "seed": one.seed,
            "propensity": one.propensity,
            "n_considered": one.n_considered,
            "pool_sha256": one.pool_sha256,
            "data_sha256": one.data_sha256,
        }
        return TraceNode(kind="proposal", id=name, says=says | _when(found))

    def model(self, trained: Trained) -> TraceNode:
        """Return a model by its card."""
        card = trained.card
        says: Says = {
            "recipe": card.recipe,
            "labwm": card.labwm_version,
            "n_rows": card.n_rows,
            "n_failed": card.n_failed,
            "data_sha256": card.data_sha256,
            "protocol": f"{card.protocol_name} version {card.protocol_version}",
            "fitted_to": f"what counted after event {trained.as_of}"
            + ("" if trained.is_exact else " at the latest (not recorded)"),
            "at": trained.at,
        }
        return TraceNode(kind="model", id=trained.id, says=says)

    def protocol(self, job: Job) -> TraceNode:
        """Return the version of the protocol that a job follows."""
        return TraceNode(
            kind="protocol",
            id=f"{job.protocol_name} version {job.protocol_version}",
            says={"sha256": job.protocol_sha256},
        )

    def approvals(self, batch_id: str) -> tuple[TraceNode, ...]:
        """Return who decided on a batch, when, and by which rule."""
        found: list[TraceNode] = []
        for state, detail, actor, at in self.tracer.approval(batch_id):
            if state in {"drafted", "awaiting"}:
                continue
            kept = ("content_sha256", "rule", "written_in", "note", "why")
            says: Says = {name: str(detail[name]) for name in kept if detail.get(name)}
            says |= {"by": str(detail.get("by") or actor), "at": at}
            if detail.get("auto_approved"):
                says["by"] = "the protocol's written policy"
            if detail.get("self_approved"):
                says["self_approved"] = True
            found.append(TraceNode(kind="approval", id=state, says=says))
        return tuple(found)

    def result(self, name: str) -> TraceNode:
        """Return a result with what people said of it, and its raw bytes."""
        found = self.tracer.result(self.campaign_id, name)
        one: Measurement = found.record
        slot = slot_of(one)
        counts = self.tracer.counts_now(self.campaign_id, slot) == name
        says: Says = {
            **{readout: _value(value) for readout, value in one.readouts.items()},
            "conditions": conditions_line(one.conditions),
            "origin": one.origin.value,
            "replicate": one.replicate,
            "revision": one.revision,
            "counts": counts,
        }
        if one.measured_at is not None:
            says["measured_at"] = one.measured_at.isoformat()
        said = [
            TraceNode(
                kind="retracted" if kept.record.is_retracted else "counts again",
                id=kept.record.slot,
                says={
                    "by": kept.record.by,
                    "reason": kept.record.reason,
                    "at": kept.at,
                },
            )
            for kept in self.tracer.retractions(self.campaign_id, slot)
        ]
        parts = (self.raw(one.raw_sha256), *said, *self._typed(name))
        return TraceNode(kind="result", id=name, says=says | _when(found), parts=parts)

    def raw(self, sha256: str | None) -> TraceNode:
        """Return the raw bytes of a result, and whether they are there."""
        if sha256 is None:
            why = "the lab gave no bytes: it computes, or a person typed the result"
            return TraceNode(kind="raw", id="none", says={"why": why})
        if sha256 not in self._kept:
            self._kept[sha256] = self._bytes(sha256)
        return TraceNode(kind="raw", id=sha256, says=self._kept[sha256])

    @cached_property
    def _kept(self) -> dict[str, Says]:
        """What was found of raw bytes: one file often holds many wells."""
        return {}

    def _bytes(self, sha256: str) -> Says:
        try:
            content = self.books.objects.get(sha256)
        except NotFoundError:
            return {"is_stored": False}
        except IntegrityError:
            return {"is_stored": True, "is_damaged": True}
        return {"is_stored": True, "n_bytes": len(content)}

    def _typed(self, name: str) -> tuple[TraceNode, ...]:
        return tuple(
            TraceNode(
                kind="amendment",
                id=str(amendment.number),
                says={
                    "what": taken.what,
                    "by": amendment.by,
                    "reason": amendment.reason,
                },
            )
            for _, amendment in self._amended
            for taken in amendment.results
            if taken.observation_id == name
        )

    @cached_property
    def _amended(self) -> list[tuple[int, Amendment]]:
        """The campaign's amendments, each with the number of its event."""
        ledger = self.books.ledger
        return [
            (event.seq, Amendment.model_validate(event.body))
            for event in ledger.events(self.campaign_id, kind=AMENDED)
        ]

    @cached_property
    def _readings(self) -> dict[int, Reading]:
        """How results are read after each number of amendments."""
        return {}

    def could_read(self, name: str, trained: Trained) -> bool:
        """Could a model's version of the protocol read a result?"""
        made = [one for seq, one in self._amended if seq <= trained.as_of]
        if not made:
            return True
        if len(made) not in self._readings:
            last = made[-1].after
            protocol = self.books.ledger.protocol(last.name, last.version)
            self._readings[len(made)] = Reading(tuple(made), protocol)
        reading = self._readings[len(made)]
        found: Measurement = self.tracer.result(self.campaign_id, name).record
        version = None
        if found.job_key is not None:
            version = self.tracer.job(found.job_key).job.protocol_version
        return isinstance(reading.read(name, found, version), Measurement)


def conditions_line(conditions: Conditions) -> str:
    """Return conditions on one line."""
    shown = [
        f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in conditions.items()
    ]
    return ", ".join(shown)


def _value(value: Value) -> str:
    sign = {"below": "<", "above": ">"}.get(value.status.value, "")
    if value.value is None:
        return value.status.value + (f": {value.reason}" if value.reason else "")
    return f"{sign}{value.value:.6g}"


def _when(found: Stored) -> Says:
    return {"at": found.at, "by": found.actor}
