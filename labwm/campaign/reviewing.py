"""Compare the model's recipe with its challenger by replaying the ledger.

For each round both recipes are fitted to what was measured before it, and scored on
what was measured in it. Rounds are resampled whole: values of one round share a model.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from labwm.campaign.batches import rounds_of
from labwm.campaign.books import Books, books
from labwm.campaign.situation import Situation, read_situation
from labwm.errors import NotEnoughDataError
from labwm.schema import Record
from labwm.scores import share_interval
from labwm.space.questions import Observations

MIN_SCORED: Final = 30
MIN_ROUNDS: Final = 4
N_DRAWS: Final = 2000
"""Resamples of the rounds behind an interval."""
MOST_ROUNDS: Final = 12
"""Rounds that are replayed, the latest ones: each costs two fits."""
LEVEL: Final = 0.9
RECIPES: Final = ("default", "explore")
REVIEWED: Final = "model.reviewed"

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

    The same data is reviewed once: asked again, the stored review is returned.

    Raises:
        NotFoundError: If there is no such campaign.
    """
    store = books()
    situation = read_situation(store, campaign_id)
    for event in store.ledger.events(campaign_id, kind=REVIEWED):
        earlier = ModelReview.model_validate(event.body)
        if earlier.data_sha256 == situation.data_sha256:
            return earlier
    found = _review(store, situation)
    with store.ledger.visit(campaign_id, actor="review") as w:
        w.event(REVIEWED, found.model_dump(mode="json"))
    return found


def _review(store: Books, situation: Situation) -> ModelReview:
    cards = store.ledger.model_cards(situation.campaign_id)
    champion = cards[-1][1].recipe if cards else RECIPES[0]
    (challenger,) = (name for name in RECIPES if name != champion)
    rounds = _replay(store, situation, (champion, challenger))
    n_scored = sum(len(one.crps) for one in rounds)
    head = {
        "campaign_id": situation.campaign_id,
        "data_sha256": situation.data_sha256,
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
    return ModelReview.model_validate(head | _judge(rounds, champion, challenger))


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


def review_note(found: ModelReview) -> str:
    """Tell a review in Markdown."""
    lines = [
        f"# Model of {found.campaign_id}: {found.verdict}",
        "",
        found.why,
        "",
        f"Champion **{found.champion}**, challenger **{found.challenger}**; "
        f"{found.n_scored} predictions scored in {found.n_rounds} rounds, each by "
        "models fitted to what was measured before. Data sha256 "
        f"`{found.data_sha256[:12]}`.",
        "",
    ]
    if found.crps and found.log_loss and found.coverage90:
        lines += [
            "| challenger minus champion | mean | 95 % interval |",
            "|---|---|---|",
        ]
        for name, one in (
            ("CRPS [standard deviations]", found.crps),
            ("log loss [nats]", found.log_loss),
        ):
            lines.append(
                f"| {name} | {one.mean:.3g} | {one.low:.3g} to {one.high:.3g} |"
            )
        own, other = found.coverage90
        lines += [
            "",
            f"90 % intervals held {own:.2f} (champion) and {other:.2f} (challenger).",
            "",
        ]
    return "\n".join(lines)
