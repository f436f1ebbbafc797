"""What a person says of a job whose lab cannot tell whether it arrived."""

from typing import Final

from labwm.campaign.access import LOCAL_PERSON, require
from labwm.campaign.batches import NEVER_ARRIVED, Round, rounds_of
from labwm.campaign.books import Books, books
from labwm.campaign.lease import held
from labwm.errors import ConflictError
from labwm.schema import Principal, Scope, SettleRequest
from labwm.store import SubmissionState
from labwm.store.chain import Json

_UNSETTLED: Final = {"submitting", "in_doubt"}


def settle(request: SettleRequest, *, principal: Principal = LOCAL_PERSON) -> str:
    """Settle a job in doubt by a person's word; return what follows, in words.

    `arrived`: its results are waited for. `never_arrived`: the same experiments are
    sent again under a new key. `given_up`: the round closes without them. The person
    asks the lab first: nothing here can check her word, and the ledger keeps it.

    Raises:
        ForbiddenError: If the principal is no person or may not approve.
        NotFoundError: If there is no such campaign.
        ConflictError: If no job of it is in doubt, or another one than named.
        LeaseHeldError: If the campaign is being moved now: it may be settling it.
    """
    require(principal, Scope.APPROVE)
    store = books()
    store.ledger.campaign(request.campaign_id)
    # Under the lease: no mover is between its intent and the lab's answer meanwhile.
    with held(store, request.campaign_id, actor=principal.name) as lease:
        now = _in_doubt(store, request)
        to, detail, follows = _verdict(request, principal)
        with lease.write(store) as w:
            w.move_job(now.submission_key, to, detail)
    return f"round {now.number}: {now.submission_key} {follows}"


def _in_doubt(store: Books, request: SettleRequest) -> Round:
    rounds = rounds_of(store, request.campaign_id)
    unsettled = [past for past in rounds if past.submission in _UNSETTLED]
    wanted = [
        past
        for past in unsettled
        if request.submission_key in {None, past.submission_key}
    ]
    if not wanted:
        asked = request.submission_key or "any job"
        known = ", ".join(past.submission_key for past in unsettled) or "none"
        raise ConflictError(
            f"Only a job in doubt is settled; asked for {asked} of "
            f"{request.campaign_id!r}, in doubt: {known}. Look at `labwm campaign "
            "status`."
        )
    return wanted[-1]


def _verdict(
    request: SettleRequest, principal: Principal
) -> tuple[SubmissionState, Json, str]:
    said: Json = {
        "settled_by": principal.name,
        "verdict": request.verdict,
        "note": request.note,
    }
    if request.verdict == "arrived":
        return SubmissionState.ACCEPTED, said, "arrived; its results are waited for"
    if request.verdict == "never_arrived":
        said |= {"reason": "a person says that it never arrived", NEVER_ARRIVED: True}
        return SubmissionState.FAILED, said, "never arrived; it goes under a new key"
    said |= {"reason": "a person gave it up", NEVER_ARRIVED: False}
    return SubmissionState.FAILED, said, "is given up; its round closes without it"
