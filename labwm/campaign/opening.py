"""Open a campaign: check everything that can be checked before anything runs."""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

from labwm.campaign import modelling
from labwm.campaign.access import LOCAL_PERSON, require
from labwm.campaign.books import Books, books
from labwm.campaign.dispatch import origin_of
from labwm.campaign.situation import (
    POOL_LIMIT,
    PREPARED,
    Opening,
    pool_bytes,
    read_opening,
)
from labwm.errors import DuplicateError, InvalidInputError, NotFoundError, SpaceError
from labwm.schema import (
    CampaignSpec,
    Measurement,
    Origin,
    Principal,
    Protocol,
    Scope,
    canonical_json,
)
from labwm.space.candidates import candidates
from labwm.space.questions import Questions, observations_from, questions_from
from labwm.space.space import pool_of, with_levels
from labwm.space.stocks import check_levels

Labels = dict[str, dict[str, str]]


@dataclass(frozen=True)
class _Material:
    protocol: Protocol
    pool: Questions
    table: tuple[Measurement, ...] | None
    labels: Labels
    curation: str = ""


def open_campaign(spec: CampaignSpec, *, principal: Principal = LOCAL_PERSON) -> str:
    """Open a campaign and return its identifier, which is its name.

    Opening it again with the same specification changes nothing and returns the same.

    Raises:
        DuplicateError: If the name is taken with another specification, or the
            protocol's version is stored with other content.
        NotFoundError: If no policy has that name.
        InvalidInputError: If protocol, data or pool break a rule; nothing is stored.
    """
    require(principal, Scope.SUBMIT)
    held = books()
    if _is_open(held, spec):
        return spec.name
    material = _gather(spec)
    check_levels(material.protocol, material.labels)
    lab = material.protocol.lab.adapter if spec.lab == "protocol" else spec.lab
    opening = Opening(
        spec=spec,
        protocol_name=material.protocol.name,
        protocol_version=material.protocol.version,
        protocol_sha256=material.protocol.digest(),
        lab=lab,
        origin=origin_of(lab, material.protocol),
        uid=uuid.uuid4().hex[:8],
        pool_sha256=material.pool.digest(),
        pool_object=held.objects.put(pool_bytes(material.pool)),
        table_object=_put_table(held, material.table),
        labels_object=held.objects.put(canonical_json(material.labels)),
        curation=material.curation,
        opened_by=principal.name,
        opened_at=datetime.now(UTC),
    )
    held.ledger.open_campaign(
        spec.name,
        spec,
        material.protocol,
        origins=(opening.origin,),
        actor=principal.name,
        prepared=(PREPARED, opening.model_dump(mode="json")),
    )
    return spec.name


def _is_open(held: Books, spec: CampaignSpec) -> bool:
    try:
        stored = read_opening(held, spec.name).spec
    except NotFoundError:
        return False
    if stored != spec:
        changed = sorted(
            key
            for key, value in spec.model_dump().items()
            if stored.model_dump()[key] != value
        )
        raise DuplicateError(
            f"A campaign's name stands for one specification; {spec.name!r} was opened "
            f"with another {', '.join(changed)}. Take another name, or repeat the "
            "first specification to go on with it."
        )
    return True


def _gather(spec: CampaignSpec) -> _Material:
    from labwm.data.assay import read_assay
    from labwm.data.protocols import load_labels, load_protocol

    protocol = load_protocol(spec.protocol)
    modelling.require_policy(spec.policy, protocol)
    lab = protocol.lab.adapter if spec.lab == "protocol" else spec.lab
    _refuse_unusable(protocol)
    labels = load_labels(spec.protocol)
    if lab in {"replay", "virtual"} and spec.data is None:
        raise InvalidInputError(
            f"The {lab} lab needs a table to {'play' if lab == 'replay' else 'learn'}; "
            "the campaign names none. Set `data` to a catalogue name or a file."
        )
    if spec.data is None:
        pool = candidates(protocol, limit=POOL_LIMIT, seed=spec.seed)
        return _Material(protocol, _refuse_empty(pool), None, labels)
    origin = Origin.REPLAYED if lab == "replay" else Origin.IMPORTED
    assay = read_assay(spec.data, protocol, origin=origin)
    if lab == "virtual":
        modelling.require_learnable(observations_from(protocol, assay.measurements))
    rows = [measurement.conditions for measurement in assay.measurements]
    pool = _refuse_empty(pool_of(questions_from(protocol, rows)))
    for name, known in assay.labels.items():
        labels[name] = labels.get(name, {}) | known
    return _Material(
        with_levels(protocol, pool),
        pool,
        assay.measurements,
        labels,
        assay.curation.text(),
    )


def _refuse_unusable(protocol: Protocol) -> None:
    curves = [r.name for r in protocol.readouts if r.kind == "curve"]
    wanted = {objective.readout for objective in protocol.objectives}
    if unusable := sorted(wanted & set(curves)):
        raise InvalidInputError(
            "A campaign optimises scalar and pass/fail readouts; the objectives of "
            f"{protocol.name!r} name the curves {unusable}. Declare a scalar readout "
            "that summarises the curve."
        )


def _refuse_empty(pool: Questions) -> Questions:
    if not len(pool):
        raise SpaceError("A campaign needs at least one candidate; the pool is empty.")
    return pool


def _put_table(held: Books, table: tuple[Measurement, ...] | None) -> str | None:
    if table is None:
        return None
    return held.objects.put(canonical_json([m.model_dump(mode="json") for m in table]))
