"""Counts of what became of a campaign's experiments: no door counts results again.

Whatever points slots anew counts the experiments that they answer before and after, in
the same transaction, and books the difference. Migrating and verifying count it all.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Any, Final

from sqlalchemy import Connection, Row, func, insert, select, update

from labwm.schema import Status
from labwm.store.chain import BLOCK
from labwm.store.moves import parse
from labwm.store.tables import (
    jobs,
    observation_slots,
    observations,
    predictions,
    proposals,
    tallies,
    wells,
)

ANSWERED: Final = "answered"
"""Proposals with a result that counts, failures included."""
FAILED: Final = "failed"
"""Those of them whose results hold no value at all."""
OWN: Final = "own"
"""Results without a job that count."""
STATED: Final = "stated/"
"""Before a readout: first results with a number that was predicted before."""
INSIDE: Final = "inside/"
"""Before a readout: those of them inside the 90 % interval."""

CONTROL: Final = "control:"
"""Begins what a well of a control answers in place of a proposal."""

_PLAIN = {Status.OK.value, Status.OUT_OF_BOUNDS.value}


def read_tally(connection: Connection, campaign_id: str) -> dict[str, int]:
    """Return the counts of one campaign that are not zero."""
    return read_tallies(connection, campaign_id).get(campaign_id, {})


def read_tallies(
    connection: Connection, campaign_id: str | None = None
) -> dict[str, dict[str, int]]:
    """Return the counts that are not zero, of one campaign or of each."""
    query = select(tallies).where(tallies.c.n != 0)
    if campaign_id is not None:
        query = query.where(tallies.c.campaign_id == campaign_id)
    found: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for owner, what, n in connection.execute(query):
        found[owner][what] = n
    return dict(found)


def with_experiments(
    connection: Connection, rows: Iterable[Mapping[Any, Any]]
) -> list[dict[str, Any]]:
    """Return rows of observations, each with the proposal that it answers.

    That is the proposal that the result names, or what was planned for its well: one
    that was done differently names none.
    """
    found = [dict(row) for row in rows]
    planned: dict[tuple[str, str], str] = {}
    keys = sorted({row["job_key"] for row in found if row["job_key"] is not None})
    for start in range(0, len(keys), BLOCK):
        query = select(wells.c.submission_key, wells.c.well, wells.c.proposal_id).where(
            wells.c.submission_key.in_(keys[start : start + BLOCK])
        )
        planned |= {(key, well): name for key, well, name in connection.execute(query)}
    for row in found:
        name = row["proposal_id"] or planned.get((row["job_key"], row["well"]), CONTROL)
        is_one = row["job_key"] is not None and not name.startswith(CONTROL)
        row["experiment"] = name if is_one else None
    return found


@contextmanager
def keeping_tally(
    connection: Connection,
    campaign_id: str,
    slots: Sequence[str],
    experiments: Collection[str],
) -> Iterator[None]:
    """Book what a block changes: in these slots, which answer these experiments."""
    before = _count(connection, campaign_id, slots, experiments)
    yield
    after = _count(connection, campaign_id, slots, experiments)
    after.subtract(before)
    _book(connection, campaign_id, after)


def count_all(connection: Connection, campaign_id: str) -> dict[str, int]:
    """Count everything again; only what is not zero."""
    counted = _own(connection, campaign_id, None)
    counted += _experiments(connection, campaign_id, None)
    return dict(counted)


def _count(
    connection: Connection,
    campaign_id: str,
    slots: Sequence[str],
    experiments: Collection[str],
) -> Counter[str]:
    counted: Counter[str] = Counter()
    own = [slot for slot in slots if slot.startswith("-/")]
    for start in range(0, len(own), BLOCK):
        counted += _own(connection, campaign_id, own[start : start + BLOCK])
    names = sorted(experiments)
    for start in range(0, len(names), BLOCK):
        counted += _experiments(connection, campaign_id, names[start : start + BLOCK])
    return counted


def _own(
    connection: Connection, campaign_id: str, slots: list[str] | None
) -> Counter[str]:
    table = observation_slots.c
    query = select(func.count()).where(table.campaign_id == campaign_id)
    wanted = table.slot.startswith("-/") if slots is None else table.slot.in_(slots)
    return Counter({OWN: connection.execute(query.where(wanted)).scalar_one()})


def _experiments(
    connection: Connection, campaign_id: str, names: list[str] | None
) -> Counter[str]:
    """Count some experiments, or all, by the results that count."""
    slots = observation_slots.c
    mine = (observations.c.campaign_id == slots.campaign_id) & (
        observations.c.id == slots.observation_id
    )
    chosen = (proposals.c.campaign_id == slots.campaign_id) & (
        proposals.c.id == slots.experiment
    )
    stated = (predictions.c.campaign_id == slots.campaign_id) & (
        predictions.c.id == proposals.c.prediction_id
    )
    query = (
        select(
            slots.experiment,
            observations.c.proposal_id,
            observations.c.body,
            predictions.c.body.label("stated"),
        )
        .select_from(observation_slots)
        .join(observations, mine)
        .join(jobs, jobs.c.submission_key == observations.c.job_key)
        .outerjoin(proposals, chosen)
        .outerjoin(predictions, stated)
        .where(
            slots.campaign_id == campaign_id,
            slots.experiment.is_not(None)
            if names is None
            else slots.experiment.in_(names),
        )
        # The first result is the one that was predicted: as learning scores it.
        .order_by(slots.experiment, jobs.c.round, slots.slot)
    )
    counted: Counter[str] = Counter()
    with connection.execute(query.execution_options(yield_per=BLOCK)) as rows:
        for _, group in groupby(rows, key=lambda row: row.experiment):
            counted += _of_one(list(group))
    return counted


def _of_one(results: Sequence[Row[Any]]) -> Counter[str]:
    said = [parse(row.body)["readouts"] for row in results]
    failed = Status.FAILED.value
    has_failed = all(v["status"] == failed for one in said for v in one.values())
    counted = Counter({ANSWERED: 1, FAILED: int(has_failed)})
    # What was done differently was not predicted.
    as_planned = [i for i, row in enumerate(results) if row.proposal_id is not None]
    if not as_planned or results[first := as_planned[0]].stated is None:
        return counted
    for name, expected in parse(results[first].stated)["readouts"].items():
        value = said[first].get(name)
        if value is None or value["value"] is None or value["status"] not in _PLAIN:
            continue
        is_inside = expected["low90"] <= value["value"] <= expected["high90"]
        counted += Counter({STATED + name: 1, INSIDE + name: int(is_inside)})
    return counted


def _book(connection: Connection, campaign_id: str, change: Counter[str]) -> None:
    changed = {what: n for what, n in change.items() if n}
    if not changed:
        return
    mine = tallies.c.campaign_id == campaign_id
    known = set(connection.scalars(select(tallies.c.what).where(mine)))
    for what, n in changed.items():
        if what in known:
            connection.execute(
                update(tallies)
                .where(mine, tallies.c.what == what)
                .values(n=tallies.c.n + n)
            )
        else:
            row = {"campaign_id": campaign_id, "what": what, "n": n}
            connection.execute(insert(tallies), row)
