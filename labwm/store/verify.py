"""Folding a campaign again from its chain, and comparing everything with it."""

from collections.abc import Iterable
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, select

from labwm.errors import IntegrityError
from labwm.schema import Job
from labwm.store import accounts, queries
from labwm.store.chain import BLOCK, Json, walk_chain
from labwm.store.content import (
    CONTENTS,
    JOBS,
    OBSERVATIONS,
    PREDICTIONS,
    PROPOSALS,
    Content,
    Reservation,
    digest_of_records,
    well_rows,
)
from labwm.store.lineage import use_rows
from labwm.store.machine_tables import moves, states
from labwm.store.machines import MACHINES, NEW, Machine
from labwm.store.moves import Move, Subject, digest_of_moves, parse
from labwm.store.observations import dataset_sha256, latest, retracted_slots
from labwm.store.opening import opening_body
from labwm.store.tables import (
    model_uses,
    observation_slots,
    wells,
)
from labwm.store.tallies import count_all, read_tally, with_experiments
from labwm.store.verify_beside import fault_beside
from labwm.store.views import CampaignView, Verified

Claims = dict[int, tuple[str, Json]]
"""Kind and body of each event that covers rows, by its number."""


def verify_campaign(connection: Connection, campaign_id: str) -> Verified:
    """Walk the chain, then check every row that it covers and every present state.

    Checked: numbers without a gap, digests and links; each record against its own
    digest, its columns, and the digest in its event; each step against its event,
    the step before and the machine; present states, current observations and accounts
    against the fold.

    Raises:
        NotFoundError: If there is no such campaign.
        IntegrityError: At the first thing that does not match.
    """
    view = queries.campaign(connection, campaign_id)
    claims: Claims = {}
    seq = -1
    for seq, kind, body in walk_chain(connection, campaign_id):
        if seq == 0:
            claims[0] = (kind, parse(body))
        elif kind == "moved" or any(kind == content.kind for content in CONTENTS):
            claims[seq] = (kind, parse(body))
    _verify_opening(view, claims)
    n_records = sum(
        _verify_content(connection, campaign_id, c, claims) for c in CONTENTS
    )
    _verify_wells(connection, campaign_id)
    _verify_uses(connection, campaign_id)
    n_moves = sum(_verify_machine(connection, campaign_id, m, claims) for m in MACHINES)
    n_measured = _verify_slots(connection, campaign_id)
    _verify_accounts(connection, campaign_id)
    if fault := fault_beside(connection, campaign_id):
        raise _refuse(campaign_id, fault)
    return Verified(
        campaign_id=campaign_id,
        n_events=seq + 1,
        head_sha256=queries.head_sha256(connection, campaign_id),
        n_records=n_records,
        n_moves=n_moves,
        n_measured=n_measured,
        dataset_sha256=dataset_sha256(connection, campaign_id),
    )


def _refuse(campaign_id: str, what: str) -> IntegrityError:
    return IntegrityError(
        f"What is stored matches the chain of its campaign; {what} of {campaign_id!r} "
        "does not. Restore a backup: the ledger was altered from outside."
    )


def _verify_opening(campaign: CampaignView, claims: Claims) -> None:
    expected = (
        "opened",
        opening_body(campaign.spec, campaign.protocol_sha256, campaign.origins),
    )
    if claims.get(0) != expected:
        raise _refuse(campaign.id, "the campaign's own row")


def _verify_content(
    connection: Connection, campaign_id: str, content: Content, claims: Claims
) -> int:
    table = content.table
    query = (
        select(table)
        .where(table.c.campaign_id == campaign_id)
        .order_by(table.c.event_seq)
        .execution_options(yield_per=BLOCK)
    )
    n_rows, covered = 0, set[int]()
    with connection.execute(query) as rows:
        for seq, group in groupby(rows.mappings(), key=lambda row: row["event_seq"]):
            digests = [_verified_digest(campaign_id, content, dict(r)) for r in group]
            claim = {"n": len(digests), "sha256": digest_of_records(digests)}
            if claims.get(seq) != (content.kind, claim):
                raise _refuse(campaign_id, f"table {table.name!r} under event {seq}")
            n_rows += len(digests)
            covered.add(seq)
    _refuse_uncovered(campaign_id, content.kind, covered, claims)
    return n_rows


def _verified_digest(campaign_id: str, content: Content, row: dict[str, Any]) -> str:
    record = content.record.model_validate_json(row["body"])
    if content.row(campaign_id, row["event_seq"], record) != row:
        raise _refuse(campaign_id, f"{row[content.key]!r} in {content.table.name!r}")
    return row["sha256"]


def _refuse_uncovered(
    campaign_id: str, kind: str, covered: set[int], claims: Claims
) -> None:
    claimed = {seq for seq, (claimed_kind, _) in claims.items() if claimed_kind == kind}
    if missing := sorted(claimed - covered):
        raise _refuse(campaign_id, f"event {missing[0]} ({kind}: its rows are gone)")


def _verify_wells(connection: Connection, campaign_id: str) -> None:
    planned = connection.scalars(
        select(JOBS.table.c.body).where(JOBS.table.c.campaign_id == campaign_id)
    )
    for body in planned.all():
        job: Job = Reservation.model_validate_json(body).job
        stored = connection.execute(
            select(wells).where(wells.c.submission_key == job.submission_key)
        ).mappings()
        by_name = {row["well"]: dict(row) for row in stored}
        if by_name != {row["well"]: row for row in well_rows(job)}:
            raise _refuse(campaign_id, f"the wells of job {job.submission_key!r}")


def _verify_uses(connection: Connection, campaign_id: str) -> None:
    """Compare what names each model with what the predictions and proposals say."""
    expected: set[tuple[str, str, str]] = set()
    for content in (PREDICTIONS, PROPOSALS):
        query = select(content.table.c.body).where(
            content.table.c.campaign_id == campaign_id
        )
        records = map(content.record.model_validate_json, connection.scalars(query))
        for row in use_rows(campaign_id, records):  # pyright: ignore[reportArgumentType]
            expected.add((row["model_id"], row["kind"], row["id"]))
    table = model_uses.c
    query = select(table.model_id, table.kind, table.id).where(
        table.campaign_id == campaign_id
    )
    if {tuple(row) for row in connection.execute(query)} != expected:
        raise _refuse(campaign_id, "table 'model_uses'")


def _verify_machine(
    connection: Connection, campaign_id: str, machine: Machine, claims: Claims
) -> int:
    table = moves[machine.name]
    rows = connection.execute(
        select(table)
        .where(table.c.campaign_id == campaign_id)
        .order_by(table.c.event_seq)
    ).mappings()
    folded: dict[Subject, tuple[int, str, Json]] = {}
    n_moves, covered = 0, set[int]()
    for seq, group in groupby(rows, key=lambda row: row["event_seq"]):
        taken = [_move_of(machine, row) for row in group]
        kind, body = claims.get(seq, ("", {}))
        expected = {"machine": machine.name, "n": len(taken)}
        expected["sha256"] = digest_of_moves(taken)
        if kind != "moved" or body | expected != body:
            raise _refuse(campaign_id, f"table {table.name!r} under event {seq}")
        for step in taken:
            _fold(campaign_id, machine, step, folded)
        n_moves += len(taken)
        covered.add(seq)
    own = {s: c for s, c in claims.items() if c[1].get("machine") == machine.name}
    _refuse_uncovered(campaign_id, "moved", covered, own)
    if folded != _stored_states(connection, campaign_id, machine):
        raise _refuse(campaign_id, f"table {states[machine.name].name!r}")
    return n_moves


def _move_of(machine: Machine, row: Any) -> Move:
    subject = tuple(row[column] for column in machine.subject)
    detail = parse(row["detail"])
    return Move(subject, row["step"], row["from_state"], row["to_state"], detail)


def _fold(
    campaign_id: str,
    machine: Machine,
    step: Move,
    folded: dict[Subject, tuple[int, str, Json]],
) -> None:
    last, state, detail = folded.get(step.subject, (-1, NEW, {}))
    follows = step.step == last + 1 and step.from_state == state
    if not follows or (state, step.to_state) not in machine.legal:
        name = "/".join(step.subject)
        raise _refuse(campaign_id, f"step {step.step} of {machine.name} {name!r}")
    folded[step.subject] = (step.step, step.to_state, detail | step.detail)


def _stored_states(
    connection: Connection, campaign_id: str, machine: Machine
) -> dict[Subject, tuple[int, str, Json]]:
    table, log = states[machine.name], moves[machine.name]
    first = (log.c.step == 0) & (log.c.campaign_id == campaign_id)
    for column in machine.subject:
        first &= log.c[column] == table.c[column]
    rows = connection.execute(select(table).join(log, first)).mappings()
    return {
        tuple(row[column] for column in machine.subject): (
            row["step"],
            row["state"],
            parse(row["detail"]),
        )
        for row in rows
    }


_DECIDE = (
    "slot",
    "revision",
    "measured_at",
    "id",
    "raw_sha256",
    "body",
    "job_key",
    "well",
    "proposal_id",
)


def _verify_accounts(connection: Connection, campaign_id: str) -> None:
    """Compare each account that the campaign entered into with its entries."""
    for shelf, account in accounts.entered_by(connection, campaign_id):
        stored = accounts.standing(connection, shelf, account)
        if stored != accounts.sums(connection, shelf, account):
            raise _refuse(campaign_id, f"account {account!r}")


def _verify_slots(connection: Connection, campaign_id: str) -> int:
    table = OBSERVATIONS.table
    rows = connection.execute(
        select(*(table.c[name] for name in _DECIDE))
        .where(table.c.campaign_id == campaign_id)
        .order_by(table.c.slot)
    ).mappings()
    retracted = retracted_slots(connection, [campaign_id])
    found = with_experiments(connection, rows)
    folded = {
        slot: (last["id"], last["experiment"])
        for slot, group in groupby(found, key=lambda row: row["slot"])
        if slot not in retracted
        for last in [latest(group)]
    }
    stored: Iterable[Any] = connection.execute(
        select(observation_slots).where(observation_slots.c.campaign_id == campaign_id)
    )
    if folded != {row.slot: (row.observation_id, row.experiment) for row in stored}:
        raise _refuse(campaign_id, "table 'observation_slots'")
    if count_all(connection, campaign_id) != read_tally(connection, campaign_id):
        raise _refuse(campaign_id, "table 'tallies'")
    return len(folded)
