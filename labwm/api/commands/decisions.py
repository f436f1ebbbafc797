"""`labwm campaign approve|reject|settle|unfreeze`: what only a person decides."""

from typing import Annotated, Literal

from cyclopts import Parameter

from labwm import campaign
from labwm.api.access import this_person
from labwm.api.commands.campaigns import conditions_line
from labwm.api.terminal import Json, is_interactive, out, table, write_json
from labwm.errors import ConflictError, InvalidInputError, NotFoundError
from labwm.schema import ApprovalRequest, BatchInfo, SettleRequest

Digest = Annotated[
    str | None,
    Parameter(help="Digest of the batch that you looked at, or its first 8 letters."),
]


def approve(
    name: str, *, digest: Digest = None, note: str = "", json: Json = None
) -> int:
    """Approve the batch that waits, as the holder of LABWM_KEY or as this person.

    Args:
        name: Name of the campaign.
        note: Kept with the decision.
    """
    return _decide("approve", name, digest, note, json)


def reject(
    name: str, *, digest: Digest = None, note: str = "", json: Json = None
) -> int:
    """Reject the batch that waits, as the holder of LABWM_KEY or as this person.

    Args:
        name: Name of the campaign.
        note: Kept with the decision.
    """
    return _decide("reject", name, digest, note, json)


def unfreeze(name: str, *, note: str, json: Json = None) -> int:
    """Let a campaign go on that was frozen by results far from their predictions.

    Args:
        name: Name of the campaign.
        note: What you found; kept with the decision.
    """
    principal = this_person()
    lifted = campaign.unfreeze(name, note=note, principal=principal)
    write_json(json, lifted)
    out.print(
        f"{name} goes on, by {principal.name}. It was frozen because {lifted.why}.",
        markup=False,
    )
    return 0


def settle(
    name: str,
    verdict: Literal["arrived", "never-arrived", "given-up"],
    *,
    key: str | None = None,
    note: str = "",
) -> int:
    """Say what became of a job in doubt, after asking the lab.

    Args:
        name: Name of the campaign.
        verdict: `arrived` waits for its results; `never-arrived` sends the same
            experiments again under a new key; `given-up` closes the round without them.
        key: Submission key of the job; the last one in doubt when not given.
        note: Kept with the decision.
    """
    request = SettleRequest.model_validate(
        {
            "campaign_id": name,
            "verdict": verdict.replace("-", "_"),
            "submission_key": key,
            "note": note,
        }
    )
    out.print(campaign.settle(request, principal=this_person()), markup=False)
    return 0


def _decide(
    decision: Literal["approve", "reject"],
    name: str,
    digest: str | None,
    note: str,
    json: Json,
) -> int:
    principal = this_person()
    batch = waiting_batch(name, digest)
    _show(batch)
    if digest is None and not _agrees(decision, name, batch):
        out.print("Nothing was decided.")
        return 1
    request = ApprovalRequest(
        campaign_id=name,
        content_sha256=batch.content_sha256,
        decision=decision,
        note=note,
    )
    decided = campaign.decide(request, principal=principal)
    write_json(json, decided)
    out.print(
        f"Round {decided.round + 1} is {decided.approval} by {principal.name}. "
        f"Go on with: labwm campaign advance {name}",
        markup=False,
    )
    return 0


def waiting_batch(name: str, digest: str | None) -> BatchInfo:
    """Return the batch that waits for a decision, or the one with this digest."""
    waiting = [b for b in campaign.status(name).batches if b.approval == "awaiting"]
    if not waiting:
        raise ConflictError(
            f"A decision needs a batch that waits for one; {name!r} has none. See "
            f"`labwm campaign status {name}`."
        )
    if digest is None:
        return waiting[-1]
    if len(digest) < 8:
        raise InvalidInputError(
            f"A digest is named by 8 letters or more; got {digest!r}. Copy it from "
            f"`labwm campaign approve {name}`."
        )
    for batch in waiting:
        if batch.content_sha256.startswith(digest):
            return batch
    raise NotFoundError(
        f"A decision names the digest of a waiting batch; none of {name!r} starts with "
        f"{digest[:12]!r}. It may have changed since you looked: look again."
    )


def _show(batch: BatchInfo) -> None:
    table(
        *("", "conditions", "proposed by", "reason"),
        title=f"Round {batch.round + 1}: {len(batch.proposals)} experiments",
        rows=[
            (i + 1, conditions_line(p.candidate.conditions), p.proposer, p.reason)
            for i, p in enumerate(batch.proposals)
        ],
    )
    for why in batch.asks:
        out.print(f"asks because {why}", markup=False)
    for gate in batch.gates:
        passed = "passed" if gate.passed else "HOLDS"
        out.print(f"{gate.gate}: {passed}: {gate.why}", markup=False)
    if batch.cost:
        out.print(f"costs {batch.cost:g} {batch.currency or ''}", markup=False)
    out.print(f"digest {batch.content_sha256}", markup=False)


def _agrees(decision: str, name: str, batch: BatchInfo) -> bool:
    if not is_interactive():
        raise InvalidInputError(
            "Without a terminal to ask at, a decision names what it is on; got no "
            f"digest. Repeat with: labwm campaign {decision} {name} --digest "
            f"{batch.content_sha256[:16]}"
        )
    return out.input(f"{decision.capitalize()} this batch? [y/N] ").lower() == "y"
