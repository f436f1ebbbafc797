"""Compare the model's recipe with its challenger by replaying the ledger; promote it.

For each round both recipes are fitted to what was measured before it, and scored on
what was measured in it. Rounds are resampled whole: values of one round share a model.
A challenger that passes every gate is promoted for the use `predict` (see `recipes`);
one gate reads what benches on reference tables say of both (see `references`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from labwm.campaign.batches import rounds_of
from labwm.campaign.books import Books, books
from labwm.campaign.recipes import (
    PROMOTED,
    RECIPES,
    holds,
    last_change,
    record_change,
    was_taken_back,
)
from labwm.campaign.references import last_reference, objection
from labwm.campaign.situation import Situation, read_situation
from labwm.errors import NotEnoughDataError
from labwm.schema import CampaignState, Record
from labwm.scores import share_interval
from labwm.space.questions import Observations

MIN_SCORED: Final = 30
MIN_ROUNDS: Final = 4
N_DRAWS: Final = 2000
"""Resamples of the rounds behind an interval."""
MOST_ROUNDS: Final = 12
"""Rounds that are replayed, the latest ones: each costs two fits."""
LEVEL: Final = 0.9
NEW_SHARE: Final = 1.2
"""A campaign is due for review when its measurements grew by so much since the last."""
REVIEWED: Final = "model.reviewed"
REVIEWER: Final = "review"
"""Who promotes when the gates do, in the ledger."""

Floats = NDArray[np.float64]


class Difference(Record):
    """Challenger minus champion; below zero the challenger is better."""

    mean: float
    low: float
    high: float


class ModelReview(Record):
    """What a review found: the body of the event `model.reviewed`."""

    campaign_id: str
    data_sha256: str
    n_rows: int = 0
    """Measurements that it looked at."""
    champion: str
    challenger: str
    n_scored: int
    n_rounds: int
    verdict: Literal["keep", "promote", "abstain"]
    why: str
    crps: Difference | None = None
    """In standard deviations of what was measured before."""
    log_loss: Difference | None = None
    """In nats."""
    coverage90: tuple[float, float] | None = None
    """Of champion and challenger."""


def review(campaign_id: str) -> ModelReview:
    """Compare recipes on a campaign's own history and record what was found.

    A challenger that passes every gate holds from now on; the event says so, and
    `labwm model rollback` undoes it. The same data and recipe are reviewed once: asked
    again, the stored review is returned.

    Raises:
        NotFoundError: If there is no such campaign.
    """
    store = books()
    situation = read_situation(store, campaign_id)
    if earlier := _same_review(store, situation):
        return earlier
    found = _review(store, situation)
    with store.ledger.visit(campaign_id, actor=REVIEWER) as w:
        w.event(REVIEWED, found.model_dump(mode="json"))
        # A person may have changed the recipe while it was compared: hers holds.
        if found.verdict == "promote" and holds(w, "predict") == found.champion:
            pair = (found.champion, found.challenger)
            record_change(w, PROMOTED, "predict", pair, REVIEWER, found.why)
    return found


def _same_review(store: Books, situation: Situation) -> ModelReview | None:
    reviewed = store.ledger.events(situation.campaign_id, kind=REVIEWED)
    campaign_id = situation.campaign_id
    since = max(last_change(store, campaign_id), last_reference(store, campaign_id))
    if not reviewed or reviewed[-1].seq < since:
        return None
    earlier = ModelReview.model_validate(reviewed[-1].body)
    return earlier if earlier.data_sha256 == situation.data_sha256 else None


def is_due_for_review(campaign_id: str) -> bool:
    """Is it open, and did its data grow enough since its last review?

    A campaign without the scored predictions that a comparison needs is not due.

    Raises:
        NotFoundError: If there is no such campaign.
    """
    store = books()
    if store.ledger.campaign(campaign_id).state is not CampaignState.OPEN:
        return False
    reviewed = store.ledger.events(campaign_id, kind=REVIEWED)
    last = int(reviewed[-1].body.get("n_rows", 0)) if reviewed else 0
    n_rows = store.ledger.n_measured(campaign_id)
    return n_rows >= max(MIN_SCORED, NEW_SHARE * last)


def _review(store: Books, situation: Situation) -> ModelReview:
    champion = situation.recipes["predict"]
    (challenger,) = (name for name in RECIPES if name != champion)
    rounds = _replay(store, situation, (champion, challenger))
    n_scored = sum(len(one.crps) for one in rounds)
    head = {
        "campaign_id": situation.campaign_id,
        "data_sha256": situation.data_sha256,
        "n_rows": len(situation.measurements),
        "champion": champion,
        "challenger": challenger,
        "n_scored": n_scored,
        "n_rounds": len(rounds),
    }
    if n_scored < MIN_SCORED or len(rounds) < MIN_ROUNDS:
        why = (
            f"{n_scored} scored predictions in {len(rounds)} rounds; a comparison "
            f"needs {MIN_SCORED} in {MIN_ROUNDS}. {champion} stays."
        )
        return ModelReview.model_validate(head | {"verdict": "abstain", "why": why})
    found = _judge(rounds, champion, challenger)
    if found["verdict"] == "promote" and (
        but := _objection(store, situation.campaign_id, champion, challenger)
    ):
        found = found | {"verdict": "keep", "why": f"{found['why']} But {but}."}
    return ModelReview.model_validate(head | found)


def _objection(
    store: Books, campaign_id: str, champion: str, challenger: str
) -> str | None:
    if was_taken_back(store, campaign_id, "predict", challenger):
        return "a person rolled it back: only a person promotes it"
    return objection(store, campaign_id, champion, challenger)


@dataclass(frozen=True)
class _Scores:
    """Scores of one round; each array is `q x 2`: champion, challenger."""

    crps: Floats
    log_loss: Floats
    is_inside: Floats


def _judge(
    rounds: Sequence[_Scores], champion: str, challenger: str
) -> dict[str, object]:
    crps = _difference([one.crps for one in rounds])
    log_loss = _difference([one.log_loss for one in rounds])
    inside = np.concatenate([one.is_inside for one in rounds])
    low, high = share_interval(int(inside[:, 1].sum()), len(inside))
    better = crps.high < 0 and log_loss.high < 0
    if not better:
        why = f"{challenger} is not surely better by both scores. {champion} stays."
    elif not low <= LEVEL <= high:
        why = f"{challenger} scores better but its intervals lie. {champion} stays."
    else:
        why = f"{challenger} is better by both scores and its intervals hold."
    return {
        "verdict": "promote" if better and low <= LEVEL <= high else "keep",
        "why": why,
        "crps": crps,
        "log_loss": log_loss,
        "coverage90": (float(inside[:, 0].mean()), float(inside[:, 1].mean())),
    }


def _difference(rounds: Sequence[Floats]) -> Difference:
    sums = np.array([[np.sum(one[:, 1] - one[:, 0]), len(one)] for one in rounds])

    def mean(rows: Floats) -> float:
        return float(rows[:, 0].sum() / rows[:, 1].sum())

    # Rounds are drawn whole: the values of one round share a model and are not
    # independent of each other.
    drawn = np.random.default_rng(0).integers(len(sums), size=(N_DRAWS, len(sums)))
    low, high = np.quantile([mean(sums[rows]) for rows in drawn], [0.025, 0.975])
    return Difference(mean=mean(sums), low=float(low), high=float(high))


def _replay(
    store: Books, situation: Situation, recipes: tuple[str, str]
) -> list[_Scores]:
    number = {
        proposal_id: past.index
        for past in rounds_of(store, situation.campaign_id)
        for proposal_id in past.proposal_ids
    }
    # Results of no batch (a person's own) came between rounds: they are left out.
    of_row = np.array(
        [number.get(m.proposal_id or "", -1) for m in situation.measurements]
    )
    scored: list[_Scores] = []
    for now in sorted(set(of_row[of_row > 0].tolist()))[-MOST_ROUNDS:]:
        before = situation.observed.take(np.flatnonzero((of_row >= 0) & (of_row < now)))
        after = situation.observed.take(np.flatnonzero(of_row == now))
        try:
            pair = [_score(situation, recipe, before, after) for recipe in recipes]
        except NotEnoughDataError:
            continue
        if len(pair[0]):
            both = np.stack(pair, axis=-1)  # q x 3 x 2
            scored.append(_Scores(both[:, 0], both[:, 1], both[:, 2]))
    return scored


def _score(
    situation: Situation, recipe: str, before: Observations, after: Observations
) -> Floats:
    """Score one recipe on one round: CRPS, log loss, and inside or not, `q x 3`."""
    from labwm.scores import crps
    from labwm.world_model import fit

    model = fit(before, situation.protocol, recipe=recipe, seed=situation.spec.seed)
    prediction = model.predict(after.questions)
    low, high = prediction.interval(LEVEL)
    rows: list[Floats] = []
    for j in range(len(after.readouts)):
        usable = np.flatnonzero((after.censoring[:, j] == 0) & _known(after, j))
        seen = before.values[(before.censoring[:, j] == 0) & _known(before, j), j]
        scale = float(np.std(seen))
        if not len(usable) or scale == 0.0:
            continue
        told, y = prediction.take(usable), after.values[usable]
        continuous = crps(y[:, j], lambda p, told=told, j=j: told.quantile(p)[:, j])
        filled = np.where(np.isnan(y), told.mean, y)
        inside = (low[usable, j] <= y[:, j]) & (y[:, j] <= high[usable, j])
        rows.append(
            np.column_stack(
                [continuous / scale, -told.log_density(filled)[:, j], inside]
            )
        )
    return np.concatenate(rows) if rows else np.empty((0, 3))


def _known(observed: Observations, j: int) -> NDArray[np.bool_]:
    return np.isfinite(observed.values[:, j])
