"""Score models of curves on curves that they did not see.

| metric | meaning |
|---|---|
| crps | at 0.25: of the last read, seen the first quarter; at 0: of all reads, seen none; at 1, 2, 4, 8: of the read so many after the first quarter |
| coverage90 | share inside the 90 % interval, same places |
| mae | mean distance from the point forecast, same places |
| crps_saved | share of a baseline's CRPS that the model saves, seed by seed; at `BASELINE/PLACE` |
| surprise | of a series, at its conditions: deviations above the median series |
| seconds | to learn, and to forecast every curve asked about |
"""  # noqa: E501 a table

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from labwm.errors import InvalidInputError, NotEnoughDataError, NotFoundError, suggest
from labwm.evaluation.curve_forecasts import (
    BASELINES,
    LEVELS,
    Asked,
    Forecaster,
    Said,
    baseline_forecaster,
    model_forecaster,
)
from labwm.evaluation.table import BenchTable, Row, summarise, versions
from labwm.schema import Protocol
from labwm.space.curves import Curves, Reads, curves_from
from labwm.world_model.dynamics import CurveModel, fit_curves, surprising_series
from labwm.world_model.dynamics.left_out import FEWEST_CONDITIONS

Floats = NDArray[np.float64]
Progress = Callable[[str, int, int], None]

COMMAND: Final = "labwm bench dynamics"
DEFAULT: Final = "default"
MODELS: Final = (DEFAULT, *BASELINES)
QUARTER: Final = 0.25
AHEAD: Final = (1, 2, 4, 8)
PLACES: Final[dict[float, Asked]] = {
    0.0: Asked(0.0, None),
    QUARTER: Asked(QUARTER, 0),
    **{float(h): Asked(QUARTER, h) for h in AHEAD},
}
TEST_SHARE: Final = 0.2


@dataclass(frozen=True)
class DynamicsSettings:
    """What is compared.

    Attributes:
        models: Names of predictors, each once.
        split: `condition` keeps curves of equal conditions together, `curve` does not;
            `auto` is `condition` from `FEWEST_CONDITIONS` distinct ones on.
        seeds: Splits to draw.
        readout: Which one; that of the first objective when None.
        series: Conditions that the curves of a series share; then each series is scored
            by how little it fits the others.
    """

    models: tuple[str, ...] = MODELS
    split: Literal["auto", "condition", "curve"] = "auto"
    seeds: int = 5
    readout: str | None = None
    series: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.seeds < 1:
            raise InvalidInputError(
                f"A comparison needs at least one split; got seeds={self.seeds}. Ask "
                "for 1 or more."
            )
        if self.split not in {"auto", "condition", "curve"}:
            raise InvalidInputError(
                "Curves are split by condition or by curve; got "
                f"{self.split!r}. {suggest(self.split, ['condition', 'curve'])}"
            )
        for name in self.models:
            if name not in MODELS:
                raise NotFoundError(
                    f"A model of curves is one of {list(MODELS)}; got {name!r}. "
                    f"{suggest(name, MODELS)}"
                )


@dataclass(frozen=True)
class Shown:
    """What plots need of the first split.

    Attributes:
        model: Learnt from the split's curves.
        asked: Curves that it did not see.
    """

    model: CurveModel
    asked: Curves


@dataclass(frozen=True)
class DynamicsComparison:
    """The figures, and the first split's model and curves where it was compared."""

    table: BenchTable
    shown: Shown | None


def compare_dynamics(
    curves: Curves,
    protocol: Protocol,
    settings: DynamicsSettings,
    *,
    data: str = "",
    progress: Progress | None = None,
) -> DynamicsComparison:
    """Fit each model on every split and score what it says of the curves left out.

    Raises:
        InvalidInputError: If there is no such readout.
        NotEnoughDataError: If there are too few curves.
    """
    tell = progress or (lambda *_: None)
    readout = settings.readout or protocol.objectives[0].readout
    own = _of_one(curves, readout)
    split = _split_of(own, settings)
    figures: dict[tuple[str, str, float], list[float]] = {}
    shown: Shown | None = None
    for seed in range(settings.seeds):
        learnt, asked = split_curves(own, split, seed)
        for i, name in enumerate(settings.models):
            done = seed * len(settings.models) + i
            tell(f"{name}, split {seed}", done, settings.seeds * len(settings.models))
            start = time.perf_counter()
            forecaster, model = _forecaster(name, learnt, protocol)
            if model is not None and shown is None:
                shown = Shown(model, asked)
            for at, question in PLACES.items():
                for metric, value in score_at(forecaster, asked, question).items():
                    figures.setdefault((name, metric, at), []).append(value)
            seconds = time.perf_counter() - start
            figures.setdefault((name, "seconds", np.nan), []).append(seconds)
    table = BenchTable(
        command=COMMAND,
        data=data,
        data_sha256=own.digest(),
        seeds=settings.seeds,
        settings={
            "readout": readout,
            "split": split,
            "n_curves": len(own),
            "n_conditions": own.conditions_of()[1],
        },
        versions=versions(),
        rows=(*_rows(figures, settings.models), *_series_rows(own, protocol, settings)),
    )
    return DynamicsComparison(table, shown)


def _series_rows(
    curves: Curves, protocol: Protocol, settings: DynamicsSettings
) -> Iterator[Row]:
    """Yield how odd each series is, the oddest first."""
    if not settings.series:
        return
    model = fit_curves(curves, protocol, readout=curves.readouts[0])
    for one in surprising_series(model, curves, protocol, settings.series):
        at = ", ".join(f"{name}={value}" for name, value in one.shared.items())
        yield Row(DEFAULT, "surprise", at, one.score, None, None, one.n_curves)


def split_curves(curves: Curves, split: str, seed: int) -> tuple[Curves, Curves]:
    """Return curves to learn from and a fifth to ask about.

    Raises:
        NotEnoughDataError: If there is one group only.
    """
    if split == "condition":
        group, n = curves.conditions_of()
    else:
        group, n = np.arange(len(curves)), len(curves)
    if n < 2:
        raise NotEnoughDataError(
            f"A split by {split} needs two of them; got {n}. Measure more."
        )
    order = np.random.default_rng(seed).permutation(n)
    is_asked = np.isin(group, order[: max(1, round(TEST_SHARE * n))])
    return (
        curves.take(np.flatnonzero(~is_asked)),
        curves.take(np.flatnonzero(is_asked)),
    )


def score_at(forecaster: Forecaster, curves: Curves, asked: Asked) -> dict[str, float]:
    """Return CRPS, coverage and mean distance, each curve counting once.

    Empty where no curve can be asked so.
    """
    rows = []
    reads = curves.reads(curves.readouts[0])
    for own, said in zip(reads, forecaster(curves, asked), strict=True):
        if said is None:
            continue
        value = own.value[asked.of(own)[1]]
        rows.append([
            np.mean(_crps(value, said)),
            np.mean((said.low <= value) & (value <= said.high)),
            np.mean(np.abs(value - said.point)),
        ])  # fmt: skip
    if not rows:
        return {}
    crps, inside, distance = np.mean(rows, axis=0)
    return {"crps": float(crps), "coverage90": float(inside), "mae": float(distance)}


def _crps(value: Floats, said: Said) -> Floats:
    # Twice the pinball loss over levels, as `scores.crps` has it.
    above = value[:, None] - said.quantiles
    return 2.0 * np.mean(above * (LEVELS - (above < 0.0)), axis=1)


def _forecaster(
    name: str, learnt: Curves, protocol: Protocol
) -> tuple[Forecaster, CurveModel | None]:
    if name == DEFAULT:
        return model_forecaster(learnt, protocol)
    return baseline_forecaster(name, learnt), None


def _of_one(curves: Curves, readout: str) -> Curves:
    """Return one readout's curves; those with fewer than three reads cannot be asked.

    Raises:
        NotEnoughDataError: If there are any.
    """
    reads: Sequence[Reads] = curves.reads(readout)
    short = [
        name for name, one in zip(curves.names, reads, strict=True) if len(one) < 3
    ]
    if short:
        raise NotEnoughDataError(
            "A curve whose end is forecast has at least three reads; "
            f"{len(short)} have fewer, the first {short[0]!r}. Take them out of the "
            "table."
        )
    return curves_from(curves.questions, curves.names, readout, reads)


def _split_of(curves: Curves, settings: DynamicsSettings) -> str:
    if settings.split != "auto":
        return settings.split
    _, n = curves.conditions_of()
    return "condition" if n >= FEWEST_CONDITIONS else "curve"


def _rows(
    figures: dict[tuple[str, str, float], list[float]], models: Sequence[str]
) -> list[Row]:
    rows = [
        summarise(name, metric, None if np.isnan(at) else at, values)
        for (name, metric, at), values in figures.items()
    ]
    if DEFAULT not in models:
        return rows
    for name in models:
        for at in PLACES:
            own, other = (
                figures.get((DEFAULT, "crps", at)),
                figures.get((name, "crps", at)),
            )
            if name != DEFAULT and own and other and len(own) == len(other):
                saved = 1.0 - np.array(own) / np.array(other)
                rows.append(summarise(DEFAULT, "crps_saved", f"{name}/{at:g}", saved))
    return rows
