"""Do intervals hold where a policy went because of what the model said?

Campaigns are played on tables; every interval is stated before its point is measured.
All ways to state one are scored on the same points: the policy's choices depend on
none of them.

Shapes: `p` points, one readout of one experiment each.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from labwm.design.candidates import changed_freely
from labwm.design.propose import propose, require_policy
from labwm.errors import InvalidInputError
from labwm.evaluation.backtest import Errors, Plan, state_of
from labwm.evaluation.lookup import Lookup, lookup_from
from labwm.evaluation.table import BenchTable, Row, versions
from labwm.schema import Measurement, Prediction, Protocol
from labwm.scores import share_interval

Floats = NDArray[np.float64]
Progress = Callable[[str, int, int], None]
Bounds = tuple[float, float]

COMMAND: Final = "labwm bench feedback"
LEVEL: Final = 0.9
ACI_STEP: Final = 0.05
"""How far one miss moves the level of adaptive conformal inference."""


@dataclass(frozen=True)
class FeedbackSettings:
    """How campaigns are played.

    Attributes:
        plan: Batch and budget.
        policy: That chooses.
        seeds: Campaigns on each table.
    """

    plan: Plan
    policy: str = "default"
    seeds: int = 10

    def __post_init__(self) -> None:
        if self.seeds < 1:
            raise InvalidInputError(
                f"A back-test needs at least one campaign; got seeds={self.seeds}. Ask "
                "for 1 or more."
            )


@dataclass(frozen=True)
class Point:
    """One measured value and what was known before it.

    Attributes:
        table: Name of the table.
        seed: Campaign.
        round: In which it was chosen, from 0.
        error: `(measured - location) / scale` of the prediction.
        residuals: Of the rows learnt from, each unseen by the model that predicts it.
        errors: Of the same campaign's earlier predictions, in the order they came.
        is_vacuous: Did the model say that it knows no more than its prior?
    """

    table: str
    seed: int
    round: int
    error: float
    residuals: Floats
    errors: Floats
    is_vacuous: bool


def bench_feedback(
    tables: Sequence[tuple[str, Protocol, Sequence[Measurement]]],
    settings: FeedbackSettings,
    *,
    progress: Progress | None = None,
) -> BenchTable:
    """State coverage and width of several kinds of intervals, by round and by table.

    Args:
        tables: Name, protocol and measurements of each.
        settings: Batch, budget, policy and campaigns.
        progress: Told after each campaign.

    Raises:
        NotFoundError: If the policy is unknown.
        NotEnoughDataError: If a table is too small.
        InvalidInputError: If no campaign stated any prediction.
    """
    require_policy(settings.policy)
    points: list[Point] = []
    digests: list[str] = []
    n_all = len(tables) * settings.seeds
    for i, (name, protocol, measurements) in enumerate(tables):
        lookup = lookup_from(changed_freely(protocol), measurements)
        digests.append(lookup.sha256)
        plan = settings.plan.within(len(lookup))
        for seed in range(settings.seeds):
            points += play(name, lookup, plan, settings.policy, seed)
            if progress:
                progress(f"{name}, seed {seed}", i * settings.seeds + seed + 1, n_all)
    if not points:
        raise InvalidInputError(
            "Intervals are stated from the second round on by a policy with a model; "
            f"got none of {settings.policy!r}. Ask for a larger budget or another "
            "policy."
        )
    return BenchTable(
        command=COMMAND,
        data=", ".join(name for name, _, _ in tables),
        data_sha256="+".join(digests),
        seeds=settings.seeds,
        settings={
            "policy": settings.policy,
            "batch": settings.plan.batch,
            "budget": settings.plan.budget,
        },
        versions=versions(),
        rows=tuple(score_points(points)),
    )


def play(name: str, lookup: Lookup, plan: Plan, policy: str, seed: int) -> list[Point]:
    """Play one campaign and return its points, those with a prediction and a number."""
    measured: list[int] = []
    points: list[Point] = []
    errors = Errors()
    number = 0
    while len(measured) < plan.budget:
        state = state_of(lookup, plan, measured, number=number, seed=seed)
        n = min(plan.batch, plan.budget - len(measured))
        batch = propose(state, n=n, policy=policy)
        chosen = [choice.row for choice in batch.choices]
        new = [lookup.measure(row, seed=seed) for row in chosen]
        if batch.model is not None:
            said = batch.model.predict(lookup.pool.take(chosen))
            values = np.where(
                lookup.observed.censoring[new] == 0, lookup.observed.values[new], np.nan
            )
            residuals = _residuals(batch.model)
            points += _points((name, seed, number), said, values, residuals, errors)
            errors.add(said, values)
        measured += new
        number += 1
    return points


def _residuals(model: object) -> tuple[Floats, ...]:
    from labwm.world_model import GaussianProcessModel

    if not isinstance(model, GaussianProcessModel):
        raise InvalidInputError(
            "Intervals under feedback come from a model that keeps its residuals; got "
            f"{type(model).__name__}. Choose a policy with the default model."
        )
    return model.residuals


def _points(
    place: tuple[str, int, int],
    said: Prediction,
    values: Floats,
    residuals: tuple[Floats, ...],
    errors: Errors,
) -> list[Point]:
    standardised = (values - said.location) / said.scale
    earlier = errors.so_far()
    return [
        Point(
            *place,
            error=float(standardised[i, j]),
            residuals=residuals[j],
            errors=earlier.get(name, np.empty(0)),
            is_vacuous=bool(said.is_vacuous[i, j]),
        )
        for i in range(len(said))
        for j, name in enumerate(said.readouts)
        if not np.isnan(standardised[i, j])
    ]


def calibrated(residuals: Floats, errors: Floats) -> Bounds:
    """Return labwm's interval for exchangeable questions."""
    from labwm.world_model.calibration import fit_calibration

    del errors
    g = fit_calibration(residuals)
    return float(g.forward(ndtri(0.05))), float(g.forward(ndtri(0.95)))


def under_feedback(residuals: Floats, errors: Floats) -> Bounds:
    """Return labwm's interval for questions that a policy chose."""
    from labwm.world_model.calibration import fit_feedback_calibration

    g = fit_feedback_calibration(residuals, errors)
    return float(g.forward(ndtri(0.05))), float(g.forward(ndtri(0.95)))


def conformal(residuals: Floats, errors: Floats) -> Bounds:
    """Return the conformal interval that takes new points to be like the old ones.

    Reference:
        Vovk, Gammerman & Shafer, Algorithmic Learning in a Random World, 2005.
    """
    del errors
    reach = _upper(np.abs(residuals), LEVEL)
    return -reach, reach


def adaptive(residuals: Floats, errors: Floats) -> Bounds:
    """Return the interval of adaptive conformal inference over the campaign's points.

    The level follows the misses so far, and the earlier errors join the residuals.

    Reference:
        Gibbs & Candes, NeurIPS 2021, arXiv 2106.00170, eq. 2.
    """
    scores = np.abs(residuals)
    level = LEVEL
    for error in np.abs(errors):
        missed = error > _upper(scores, level)
        level = float(np.clip(level + ACI_STEP * (missed - (1 - LEVEL)), 0.0, 1.0))
        scores = np.append(scores, error)
    reach = _upper(scores, level)
    return -reach, reach


METHODS: Final[dict[str, Callable[[Floats, Floats], Bounds]]] = {
    "calibrated": calibrated,
    "under_feedback": under_feedback,
    "conformal": conformal,
    "adaptive_conformal": adaptive,
}


def _upper(scores: Floats, level: float) -> float:
    """Return the conformal quantile: infinite where too few scores can promise it."""
    rank = int(np.ceil(level * (len(scores) + 1)))
    return float(np.sort(scores)[rank - 1]) if 1 <= rank <= len(scores) else np.inf


def score_points(points: Sequence[Point]) -> list[Row]:
    """Return coverage, vacuous share and width by round and table, and of all."""
    rows: list[Row] = []
    plain = _bounds(points, calibrated)
    for name, method in METHODS.items():
        own = _Scored(points, _bounds(points, method), plain)
        rows += own.rows(name, "all", np.ones(len(points), bool))
        rounds = np.array([point.round for point in points])
        for number in np.unique(rounds):
            rows += own.rows(name, f"round {number}", rounds == number)
        tables = np.array([point.table for point in points])
        for table in dict.fromkeys(tables):
            rows += own.rows(name, str(table), tables == table)
        shares = [own.share(rounds == number) for number in np.unique(rounds)]
        rows.append(_row(name, "worst_round_coverage90", "all", min(shares), points))
    return rows


def _bounds(
    points: Sequence[Point], method: Callable[[Floats, Floats], Bounds]
) -> NDArray[np.float64]:
    # Points of one batch share residuals and errors: one map for all of them.
    known: dict[tuple[int, int], Bounds] = {}
    found = []
    for point in points:
        key = (id(point.residuals), len(point.errors))
        if key not in known:
            known[key] = method(point.residuals, point.errors)
        found.append(known[key])
    return np.array(found)


class _Scored:
    def __init__(self, points: Sequence[Point], bounds: Floats, plain: Floats):
        error = np.array([point.error for point in points])
        self._inside = (bounds[:, 0] <= error) & (error <= bounds[:, 1])
        width = bounds[:, 1] - bounds[:, 0]
        self._ratio = width / (plain[:, 1] - plain[:, 0])
        said = np.array([point.is_vacuous for point in points])
        self._vacuous = said | ~np.isfinite(width)

    def share(self, which: NDArray[np.bool_]) -> float:
        return float(self._inside[which].mean())

    def rows(self, name: str, at: str, which: NDArray[np.bool_]) -> list[Row]:
        n = int(which.sum())
        n_inside = int(self._inside[which].sum())
        low, high = share_interval(n_inside, n)
        ratio = float(np.median(self._ratio[which]))
        return [
            Row(name, "coverage90", at, n_inside / n, low, high, n),
            _row(name, "vacuous_share", at, float(self._vacuous[which].mean()), which),
            _row(name, "width_ratio", at, ratio if np.isfinite(ratio) else None, which),
        ]


def _row(
    name: str, metric: str, at: str, value: float | None, which: Sequence | NDArray
) -> Row:
    n = int(np.sum(which)) if isinstance(which, np.ndarray) else len(which)
    return Row(name, metric, at, value, None, None, n)
