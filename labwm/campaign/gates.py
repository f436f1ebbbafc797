"""The gates before spending: each looks at exactly what would be sent, and says why."""

from collections.abc import Callable, Sequence

from labwm.campaign.inventory import lines_of, needs_of
from labwm.campaign.plates import faults_of
from labwm.campaign.situation import Situation
from labwm.campaign.terms import Terms
from labwm.errors import ConflictError, SpaceError
from labwm.schema import (
    GRAIN,
    AccountInfo,
    Change,
    Conditions,
    GateResult,
    Job,
    Origin,
    Proposal,
    Protocol,
)
from labwm.space.membership import check
from labwm.space.stocks import hazards_of, overfull

Accounts = Callable[[Sequence[str]], tuple[AccountInfo, ...]]


def check_job(
    situation: Situation, job: Job, proposals: Sequence[Proposal], *, accounts: Accounts
) -> tuple[GateResult, ...]:
    """Ask every gate but the last, approval, about a job.

    Args:
        situation: Of the campaign.
        job: Exactly what would be sent.
        proposals: What it is to measure.
        accounts: Reads accounts by their shelves.
    """
    lines = lines_of(situation)
    full = [
        f"{well.name}: {fault}"
        for well in job.wells
        if (fault := overfull(situation.protocol, lines, well.conditions))
    ]
    return (
        _gate("validation", _invalid(situation, job, proposals), "in the space"),
        _gate("plate map", faults_of(situation.protocol, job), _map_words(job)),
        _gate(
            "hard to change",
            _changes(situation.protocol, [p.candidate.conditions for p in proposals]),
            "one value each",
        ),
        _gate("volumes", full, "each well holds what goes into it"),
        *_account_gates(situation, job, accounts),
    )


def refuse_failed(gates: Sequence[GateResult]) -> None:
    """Refuse a batch that a gate does not let pass.

    Raises:
        ConflictError: Naming every such gate and why.
    """
    if failed := [f"{gate.gate}: {gate.why}" for gate in gates if not gate.passed]:
        raise ConflictError(
            f"A batch passes every gate before it is put up; {'; '.join(failed)}. "
            "Leave out what does not fit."
        )


def reasons_to_ask(
    situation: Situation | Terms, wells: Sequence[Conditions]
) -> tuple[str, ...]:
    """Return why a person must approve some wells; nothing if the written policy does.

    A hazard asks always, whatever the policy says.
    """
    reasons: list[str] = []
    if policy_of(situation) == "always":
        kind = situation.origin.value
        reasons.append(f"the protocol asks a person about {kind} results")
    if any(_names_hazard(situation.protocol)):
        found = hazards_of(situation.protocol, situation.labels, wells)
        reasons += [f"hazard {hazard}" for hazard in found]
    return tuple(reasons)


def policy_of(situation: Situation | Terms) -> str:
    """Return the written policy about results of the campaign's origin."""
    approval = situation.protocol.lab.approval
    return {
        Origin.MEASURED: approval.real,
        Origin.IMPORTED: approval.real,
        Origin.COMPUTED: approval.computed,
        Origin.REPLAYED: approval.replayed,
        Origin.VIRTUAL: approval.virtual,
    }[situation.origin]


def shares_hard_factors(
    protocol: Protocol, first: Conditions, other: Conditions
) -> bool:
    """Can two experiments be in one batch, as far as hard-to-change factors go?"""
    return not _changes(protocol, [first, other])


def _names_hazard(protocol: Protocol) -> list[bool]:
    levels = [
        level.hazard is not None
        for known in protocol.costs.levels.values()
        for level in known.values()
    ]
    stocks = [stock.hazard is not None for stock in protocol.costs.stocks.values()]
    return levels + stocks


def _gate(gate: str, faults: Sequence[str], fine: str) -> GateResult:
    return GateResult(gate=gate, passed=not faults, why="; ".join(faults) or fine)


def _map_words(job: Job) -> str:
    if job.plate is None:
        return "no plate"
    n_controls = sum(well.control is not None for well in job.wells)
    return (
        f"{len(job.wells)} wells on {job.plate.rows} x {job.plate.columns}, "
        f"{n_controls} of them controls, order drawn with seed {job.plate.seed}"
    )


def _invalid(
    situation: Situation, job: Job, proposals: Sequence[Proposal]
) -> list[str]:
    faults: list[str] = []
    if job.protocol_sha256 != situation.opening.protocol_sha256:
        faults.append("the job follows another version of the protocol")
    by_id = {proposal.id: proposal.candidate.conditions for proposal in proposals}
    for well in job.wells:
        if well.proposal_id is None:
            continue
        if well.conditions != by_id.get(well.proposal_id):
            faults.append(f"{well.name} measures something else than its proposal")
    for conditions in by_id.values():
        try:
            check(situation.protocol, conditions)
        except SpaceError as error:
            faults.append(str(error))
    return faults


def _changes(protocol: Protocol, rows: Sequence[Conditions]) -> list[str]:
    faults: list[str] = []
    for parameter in protocol.chosen_parameters:
        if parameter.change is Change.PER_EXPERIMENT:
            continue
        values = {str(row[parameter.name]) for row in rows if parameter.name in row}
        if len(values) > 1:
            how = parameter.change.value.replace("_", " ")
            faults.append(f"{parameter.name} changes {how}; got {sorted(values)}")
    return faults


def _account_gates(
    situation: Situation, job: Job, accounts: Accounts
) -> tuple[GateResult, ...]:
    needs = needs_of(situation, job)
    found = accounts(sorted({need.shelf for need in needs}))
    free = {(one.shelf, one.account): one.free for one in found}
    short: dict[str, list[str]] = {"inventory": [], "budget": []}
    fine: dict[str, list[str]] = {"inventory": [], "budget": []}
    for need in needs:
        wanted, has = need.amount / GRAIN, free.get((need.shelf, need.account), 0.0)
        words = f"{need.account}: {wanted:g} of {has:g} {need.unit} free"
        gate = "budget" if need.account == "budget" else "inventory"
        (short if wanted > has + 1e-9 else fine)[gate].append(words)
    return tuple(
        _gate(gate, short[gate], "; ".join(fine[gate]) or "nothing is counted")
        for gate in ("inventory", "budget")
    )
