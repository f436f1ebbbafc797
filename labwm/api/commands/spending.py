"""`labwm campaign trim|budget|supply`: what a person allows to be spent."""

import os
import uuid

from labwm import campaign
from labwm.api.access import principal_with
from labwm.api.commands.decisions import Digest, waiting_batch
from labwm.api.terminal import Json, out, write_json
from labwm.errors import InvalidInputError
from labwm.schema import (
    ApprovalRequest,
    BudgetRequest,
    CampaignStatus,
    Principal,
    SupplyRequest,
)


def trim(
    name: str, keep: str, *, digest: Digest = None, note: str = "", json: Json = None
) -> int:
    """Leave experiments out of the batch that waits, and approve the rest: one act.

    Args:
        name: Name of the campaign.
        keep: Numbers of the experiments that stay, as `approve` lists them: 1,3-5.
        note: Kept with the decision.
    """
    batch = waiting_batch(name, digest)
    request = ApprovalRequest(
        campaign_id=name,
        content_sha256=batch.content_sha256,
        decision="trim",
        keep=tuple(batch.proposals[i].id for i in _numbers(keep, len(batch.proposals))),
        note=note,
    )
    principal = _person()
    decided = campaign.decide(request, principal=principal)
    write_json(json, decided)
    out.print(
        f"Round {decided.round + 1}: {len(decided.proposals)} of "
        f"{len(batch.proposals)} experiments are approved by {principal.name}; digest "
        f"{decided.content_sha256[:16]}. Go on with: labwm campaign advance {name}",
        markup=False,
    )
    return 0


def budget(name: str, experiments: int, *, note: str, json: Json = None) -> int:
    """Raise the budget of a campaign to so many experiments in all.

    Args:
        name: Name of the campaign.
        experiments: In all, with what was spent before.
        note: Why; kept in the chain of the campaign.
    """
    request = BudgetRequest(campaign_id=name, budget=experiments, note=note)
    _show(campaign.raise_budget(request, principal=_person()), json)
    return 0


def supply(
    name: str,
    stock: str,
    amount: str,
    *,
    note: str,
    key: str | None = None,
    json: Json = None,
) -> int:
    """Say that more of a stock is there.

    Args:
        name: Name of the campaign.
        stock: As the protocol names it: `enzyme`, or `ligand XPhos` for a level.
        amount: What came in: `250 mg`, or a number of wells.
        note: Kept in the chain of the campaign.
        key: The same key again adds nothing; a new one when not given.
    """
    request = SupplyRequest(
        campaign_id=name,
        stock=stock,
        amount=amount,
        note=note,
        idempotency_key=key or uuid.uuid4().hex,
    )
    _show(campaign.supply(request, principal=_person()), json)
    return 0


def _show(now: CampaignStatus, json: Json) -> None:
    write_json(json, now)
    for one in now.accounts:
        out.print(
            f"{one.account}: {one.free:g} {one.unit} free, {one.reserved:g} reserved, "
            f"{one.used:g} used",
            markup=False,
        )


def _numbers(text: str, n: int) -> list[int]:
    """Return the places, from 0, that a list such as `1,3-5` names."""
    places: set[int] = set()
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        try:
            low, high = int(first), int(last or first)
        except ValueError:
            low = high = 0
        if not 1 <= low <= high <= n:
            raise InvalidInputError(
                f"Experiments are named by their numbers from 1 to {n}; got {part!r}. "
                "Write for example 1,3-5."
            )
        places |= set(range(low - 1, high))
    return sorted(places)


def _person() -> Principal:
    secret = os.environ.get("LABWM_KEY")
    return principal_with(secret) if secret else campaign.LOCAL_PERSON
