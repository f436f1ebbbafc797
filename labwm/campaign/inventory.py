"""What a batch takes from the budget and from stocks, and what there is of them.

Stocks of a lab that measures are shared by its campaigns of one protocol; those of any
other lab are each campaign's own: to simulate uses up nothing. What a version of a
protocol declares is a count: the first batch under it sets what is there.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from labwm.campaign.situation import Situation
from labwm.campaign.terms import Terms
from labwm.schema import BUDGET, GRAIN, AccountInfo, Conditions, Job, Need, Origin
from labwm.space.questions import Questions
from labwm.space.stocks import StockLine, overfull, stock_lines
from labwm.store import Writer

EXPERIMENTS = "experiments"


def shelf_of(situation: Situation | Terms) -> str:
    """Return whose stocks a campaign takes from."""
    if situation.origin is Origin.MEASURED:
        return f"lab:{situation.opening.lab}/{situation.protocol.name}"
    return situation.campaign_id


def lines_of(situation: Situation | Terms) -> tuple[StockLine, ...]:
    """Return the stocks of a campaign's protocol."""
    costs = situation.protocol.costs
    if not costs.stocks and not costs.levels:
        return ()  # names of molecules are read from an object: only where needed
    return stock_lines(situation.protocol, situation.labels)


def needs_of(situation: Situation, job: Job) -> tuple[Need, ...]:
    """Return what a job takes from the budget and from each stock."""
    n_experiments = len({w.proposal_id for w in job.wells if w.proposal_id})
    needs = [
        Need(
            shelf=situation.campaign_id,
            account=BUDGET,
            unit=EXPERIMENTS,
            amount=n_experiments * GRAIN,
        )
    ]
    wells = [well.conditions for well in job.wells]
    for line in lines_of(situation):
        if taken := line.taken_by_all(wells):
            needs.append(
                Need(
                    shelf=shelf_of(situation),
                    account=line.name,
                    unit=line.unit,
                    amount=max(1, round(taken * GRAIN)),
                )
            )
    return tuple(needs)


def stock_up(w: Writer, situation: Situation) -> None:
    """Enter the budget, and what the protocol says is there; once each."""
    budget = (situation.campaign_id, BUDGET)
    if not any(a.account == BUDGET for a in w.accounts([situation.campaign_id])):
        left = max(0, situation.budget - situation.n_spent)
        w.count(budget, left, EXPERIMENTS, key="opened", note="as the campaign opened")
    version = f"{situation.protocol.name} version {situation.protocol.version}"
    key = situation.opening.protocol_sha256[:16]
    for line in lines_of(situation):
        account = (shelf_of(situation), line.name)
        w.count(account, line.amount, line.unit, key=key, note=f"by {version}")


def accounts_of(situation: Situation | Terms) -> tuple[AccountInfo, ...]:
    """Return how the budget and the stocks stand, as far as they were entered."""
    shelves = sorted({situation.campaign_id, shelf_of(situation)})
    names = {BUDGET, *(line.name for line in lines_of(situation))}
    found = situation.books.ledger.accounts(shelves)
    return tuple(account for account in found if account.account in names)


def free_stocks(situation: Situation) -> dict[str, float]:
    """Return what is free of each stock, by name, in its unit."""
    declared = {line.name: line.amount for line in lines_of(situation)}
    if not declared:
        return {}
    key = situation.opening.protocol_sha256[:16]
    entered = {
        account.account: account.free
        for account in accounts_of(situation)
        if account.account in declared
        and situation.books.ledger.has_count(shelf_of(situation), account.account, key)
    }
    return declared | entered


def first_that_fit(
    situation: Situation, rows: Sequence[Conditions], *, before: Sequence[Conditions]
) -> tuple[list[int], list[str]]:
    """Choose the experiments that what is there suffices for, the first first.

    Args:
        situation: Of the campaign.
        rows: Experiments, in the order of preference.
        before: Experiments that are in the batch already.

    Returns:
        Indices of those that fit, and for each other one why it does not.
    """
    lines, free = lines_of(situation), free_stocks(situation)
    each = situation.protocol.n_replicates
    wells = [*_controls(situation), *(row for row in before for _ in range(each))]
    fit: list[int] = []
    why: list[str] = []
    for i, row in enumerate(rows):
        more = [*wells, *[row] * each]
        short = [
            f"{line.name}: {line.taken_by_all(more):g} {line.unit} needed, "
            f"{free[line.name]:g} {line.unit} free{_lead(line)}"
            for line in lines
            if line.taken_by(row) and line.taken_by_all(more) > free[line.name] + 1e-9
        ]
        if full := overfull(situation.protocol, lines, row):
            short.append(full)
        if short:
            why.append("; ".join(short))
        else:
            fit.append(i)
            wells = more
    return fit, why


def _lead(line: StockLine) -> str:
    if line.lead_time is None:
        return ""
    return f", ordering takes {line.lead_time / 86400:g} d"


def _controls(situation: Situation) -> list[Conditions]:
    plate = situation.protocol.plate
    return [
        control.conditions
        for control in (plate.controls if plate else ())
        for _ in range(control.n_wells)
    ]


def possible(situation: Situation) -> NDArray[np.intp] | None:
    """Return the rows of the pool that there is enough for, alone; None for all."""
    lines = lines_of(situation)
    if not lines:
        return None
    pool: Questions = situation.pool
    free, each = free_stocks(situation), situation.protocol.n_replicates
    controls = {line.name: line.taken_by_all(_controls(situation)) for line in lines}

    def is_possible(row: Conditions) -> bool:
        return overfull(situation.protocol, lines, row) is None and all(
            line.taken_by_all([row] * each) + controls[line.name]
            <= free[line.name] + 1e-9
            for line in lines
            if line.taken_by(row)
        )

    kept = [i for i, row in enumerate(pool.rows()) if is_possible(row)]
    return None if len(kept) == len(pool) else np.array(kept, dtype=np.intp)
