"""Score models on rows that they did not see."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from labwm.design.features import features
from labwm.errors import InvalidInputError, NotFoundError, suggest
from labwm.evaluation.baselines import known_values, predictor
from labwm.evaluation.chances import Chances, chance_rows, chances_of
from labwm.evaluation.forecasts import Forecasts, forecasts_of
from labwm.evaluation.learning_curve import exponent_rows, size_splits
from labwm.evaluation.lookup import Lookup, lookup_from
from labwm.evaluation.machine import peak_mb
from labwm.evaluation.score_table import score_rows
from labwm.evaluation.side_scores import noise_scores, with_limits
from labwm.evaluation.split_files import read_splits
from labwm.evaluation.splits import (
    Split,
    group_splits,
    random_splits,
    replicate_splits,
    scaffold_splits,
    time_splits,
)
from labwm.evaluation.table import BenchTable, Row, versions
from labwm.schema import Measurement, Protocol

Floats = NDArray[np.float64]
Progress = Callable[[str, int, int], None]

COMMAND = "labwm bench predict"
DEFAULT_MODELS = ("default", "tanimoto_gp", "random_forest", "mean")


@dataclass(frozen=True)
class PredictSettings:
    """What is compared.

    Attributes:
        models: Names of predictors, each once.
        split: `random`, `scaffold`, `time`, `group`, `replicates`, `sizes`, or a file
            with the columns `row, fold, role`.
        seeds: Splits to draw; a file has its own folds.
        readout: Which readout is scored; that of the first objective when None.
        by: Parameter that a scaffold, time or group split goes by.
    """

    models: tuple[str, ...] = DEFAULT_MODELS
    split: str = "random"
    seeds: int = 10
    readout: str | None = None
    by: str | None = None

    def __post_init__(self) -> None:
        if self.seeds < 1:
            raise InvalidInputError(
                f"A comparison needs at least one split; got seeds={self.seeds}. Ask "
                "for 1 or more."
            )
        if self.by is not None and self.split not in {"scaffold", "time", "group"}:
            raise InvalidInputError(
                "Scaffold, time and group splits go by a parameter; got "
                f"by={self.by!r} with the split {self.split!r}. Leave `by` out."
            )


@dataclass(frozen=True)
class Comparison:
    """The figures of a comparison and what they were computed from.

    Attributes:
        table: The figures.
        said: Forecasts by model and split, one per seed.
        readout: That was scored.
        unit: Of the readout.
    """

    table: BenchTable
    said: dict[tuple[str, str], list[Forecasts]]
    readout: str
    unit: str | None


def bench_predict(
    protocol: Protocol,
    measurements: Sequence[Measurement],
    settings: PredictSettings,
    *,
    data: str = "",
    progress: Progress | None = None,
) -> BenchTable:
    """Fit every model on every split and score what it predicts of the rest.

    Raises:
        NotFoundError: If a model or the readout is unknown.
        SpaceError: If the split needs a parameter that there is not.
        UnavailableError: If the split file does not exist.
        TableError: If the split file breaks a rule.
        NotEnoughDataError: If the table is too small.
    """
    return compare(protocol, measurements, settings, data=data, progress=progress).table


def compare(
    protocol: Protocol,
    measurements: Sequence[Measurement],
    settings: PredictSettings,
    *,
    data: str = "",
    progress: Progress | None = None,
) -> Comparison:
    """Fit every model on every split; return the figures and every forecast.

    Rows without an uncensored number of the readout are neither learnt from by the
    baselines nor scored. Intervals are over splits; where there is one split, over its
    rows. Raises what `bench_predict` does.
    """
    for name in settings.models:
        predictor(name)
    readout = _readout(protocol, settings.readout)
    lookup = lookup_from(protocol, measurements)
    splits = _splits(lookup, settings)
    place = features(lookup.protocol, lookup.observed.questions)
    rows: list[Row] = []
    said: dict[tuple[str, str], list[Forecasts]] = {}
    for i, name in enumerate(settings.models):
        results: list[_Result] = []
        for s, split in enumerate(splits):
            results.append(_result(lookup, split, (name, readout), place, seed=s))
            if progress:
                n_done = i * len(splits) + s + 1
                progress(
                    f"{name}, {split.name}", n_done, len(splits) * len(settings.models)
                )
        for at in dict.fromkeys(split.name for split in splits):
            own = [r for r in results if r.at == at]
            said[name, at] = [r.said for r in own]
            rows += score_rows(
                name, at, said[name, at], [r.y_train for r in own],
                [r.others for r in own],
            )  # fmt: skip
            rows += chance_rows(name, at, [r.chances for r in own if r.chances])
        rows += exponent_rows(name, {a: f for (m, a), f in said.items() if m == name})
    table = BenchTable(
        command=COMMAND,
        data=data,
        data_sha256=lookup.sha256,
        seeds=settings.seeds,
        settings={
            "split": settings.split,
            "by": settings.by or "",
            "readout": readout,
            "protocol": protocol.name,
            "n_rows": len(lookup.observed),
        },
        versions=versions(),
        rows=tuple(rows),
    )
    return Comparison(table, said, readout, protocol.readout(readout).unit)


@dataclass(frozen=True)
class _Result:
    at: str
    said: Forecasts
    y_train: Floats
    chances: Chances | None
    others: dict[str, float]


def _result(
    lookup: Lookup, split: Split, asked: tuple[str, str], place: Floats, *, seed: int
) -> _Result:
    name, readout = asked
    train = lookup.observed.take(split.train)
    test = lookup.observed.take(split.test)
    rows, y = known_values(test, readout)
    _, y_train = known_values(train, readout)
    if len(rows) < 2 or len(y_train) < 2:
        raise InvalidInputError(
            f"A split needs at least two known values of {readout!r} on each side; got "
            f"{len(y_train)} to learn from and {len(rows)} to score in "
            f"{split.name!r}. Choose another split."
        )
    start = time.perf_counter()
    marginal = predictor(name)(train, test.questions, lookup.protocol, readout, seed)
    seconds = time.perf_counter() - start
    return _Result(
        at=split.name,
        said=forecasts_of(y, marginal.take(rows), place[split.test[rows]]),
        y_train=y_train,
        chances=chances_of(train, test, marginal.success),
        others={
            "seconds": seconds,
            "peak_mb": peak_mb(),
            **with_limits(test, readout, marginal),
            **noise_scores(test, rows, y, marginal),
        },
    )


def _readout(protocol: Protocol, name: str | None) -> str:
    if name is None:
        return protocol.objectives[0].readout
    if name not in protocol.readout_names:
        raise NotFoundError(
            f"A readout is declared by the protocol; got {name!r}. "
            f"{suggest(name, protocol.readout_names)}"
        )
    return name


def _splits(lookup: Lookup, settings: PredictSettings) -> list[Split]:
    match settings.split:
        case "random":
            return random_splits(lookup.replicates, settings.seeds)
        case "scaffold":
            return scaffold_splits(lookup, settings.seeds, by=settings.by)
        case "time":
            return time_splits(lookup, settings.seeds, by=settings.by)
        case "group":
            return group_splits(lookup, settings.seeds, by=settings.by)
        case "sizes":
            return size_splits(lookup.replicates, settings.seeds)
        case "replicates":
            return replicate_splits(lookup, settings.seeds)
    return read_splits(Path(settings.split), len(lookup.observed))
