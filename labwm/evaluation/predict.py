"""Score models on rows that they did not see."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from labwm import scores
from labwm.errors import InvalidInputError, NotFoundError, suggest
from labwm.evaluation.baselines import Marginal, known_values, predictor
from labwm.evaluation.lookup import Lookup, lookup_from
from labwm.evaluation.machine import peak_mb
from labwm.evaluation.splits import Split, random_splits, read_splits
from labwm.evaluation.table import BenchTable, Row, summarise, versions
from labwm.schema import Measurement, Protocol

Floats = NDArray[np.float64]
Progress = Callable[[str, int, int], None]

COMMAND = "labwm bench predict"
DEFAULT_MODELS = ("default", "random_forest", "mean")
LEVEL = 0.9


@dataclass(frozen=True)
class PredictSettings:
    """What is compared.

    Attributes:
        models: Names of predictors, each once.
        split: `random`, or a file with the columns `row, fold, role`.
        seeds: Random splits; a file has its own folds.
        readout: Which readout is scored; that of the first objective when None.
    """

    models: tuple[str, ...] = DEFAULT_MODELS
    split: str = "random"
    seeds: int = 10
    readout: str | None = None

    def __post_init__(self) -> None:
        if self.seeds < 1:
            raise InvalidInputError(
                f"A comparison needs at least one split; got seeds={self.seeds}. Ask "
                "for 1 or more."
            )


def bench_predict(
    protocol: Protocol,
    measurements: Sequence[Measurement],
    settings: PredictSettings,
    *,
    data: str = "",
    progress: Progress | None = None,
) -> BenchTable:
    """Fit every model on every split and score what it predicts of the rest.

    Rows without an uncensored number of the readout are neither learnt from by the
    baselines nor scored. Intervals are over splits.

    Raises:
        NotFoundError: If a model or the readout is unknown.
        UnavailableError: If the split file does not exist.
        TableError: If the split file breaks a rule.
        NotEnoughDataError: If the table is too small.
    """
    for name in settings.models:
        predictor(name)
    readout = _readout(protocol, settings.readout)
    lookup = lookup_from(protocol, measurements)
    splits = _splits(lookup, settings)
    rows: list[Row] = []
    for i, name in enumerate(settings.models):
        found: dict[tuple[str, str], list[float]] = {}
        for s, split in enumerate(splits):
            for metric, value in _score(lookup, split, name, readout, seed=s).items():
                found.setdefault((metric, split.name), []).append(value)
            if progress:
                n_done = i * len(splits) + s + 1
                progress(
                    f"{name}, {split.name}", n_done, len(splits) * len(settings.models)
                )
        rows += [summarise(name, m, at, values) for (m, at), values in found.items()]
    return BenchTable(
        command=COMMAND,
        data=data,
        data_sha256=lookup.sha256,
        seeds=settings.seeds,
        settings={
            "split": settings.split,
            "readout": readout,
            "protocol": protocol.name,
            "n_rows": len(lookup.observed),
        },
        versions=versions(),
        rows=tuple(rows),
    )


def scored(y: Floats, y_train: Floats, marginal: Marginal) -> dict[str, float]:
    """Return every score of predictions of `y`, by the metric's name."""
    low, high = (marginal.quantile((1 + side * LEVEL) / 2) for side in (-1, 1))
    log_density, cdf = marginal.log_density(y), marginal.cdf(y)
    return {
        "rmse": scores.rmse(y, marginal.mean),
        "mae": scores.mae(y, marginal.mean),
        "r2": scores.r2(y, marginal.mean),
        "spearman": scores.spearman(y, marginal.mean),
        "nlpd": scores.nlpd(log_density),
        "msll": scores.msll(log_density, y, y_train) if np.ptp(y_train) else np.nan,
        "crps": float(np.mean(scores.crps(y, marginal.quantile))),
        "coverage90": scores.coverage(y, low, high),
        "interval_score90": float(
            np.mean(scores.interval_score(y, low, high, level=LEVEL))
        ),
        "miscalibration_area": scores.miscalibration_area(cdf),
        "ence": scores.ence(y, marginal.mean, marginal.sd),
    }


def _score(
    lookup: Lookup, split: Split, name: str, readout: str, *, seed: int
) -> dict[str, float]:
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
    questions = test.questions.take(rows)
    marginal = predictor(name)(train, questions, lookup.protocol, readout, seed)
    seconds = time.perf_counter() - start
    found = scored(y, y_train, marginal)
    found["seconds"] = seconds
    found["peak_mb"] = peak_mb()
    return found


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
    if settings.split == "random":
        return random_splits(lookup.replicates, settings.seeds)
    return read_splits(Path(settings.split), len(lookup.observed))
