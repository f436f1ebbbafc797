"""The long table that every bench writes: one row per name, metric and place."""

import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib.metadata import version

import numpy as np

from labwm import __version__
from labwm.evaluation.bootstrap import mean_interval
from labwm.schema import canonical_json

_PACKAGES = ("numpy", "scipy", "scikit-learn", "torch", "gpytorch", "botorch", "rdkit")


@dataclass(frozen=True)
class Row:
    """One figure.

    Attributes:
        name: Of the policy, model or arm.
        metric: What is stated.
        at: Where: experiments spent, round, split; None where there is no place.
        mean: Over the seeds; None where it is not defined.
        low: Lower end of the 95 % interval; None where there is none.
        high: Upper end.
        n: Seeds that gave a value; 0 for a figure in closed form.
        data: Table that it is of, where a bench ran on several; None for the only one.
    """

    name: str
    metric: str
    at: float | str | None
    mean: float | None
    low: float | None
    high: float | None
    n: int
    data: str | None = None


@dataclass(frozen=True)
class BenchTable:
    """Result of one bench command.

    Attributes:
        command: As `labwm bench optimize`.
        data: Name or path of the table.
        data_sha256: Digest of its measurements.
        seeds: Number of seeds.
        settings: What else decides the figures: batch, budget, split.
        versions: Of labwm, Python and the packages that compute.
        rows: The figures.
    """

    command: str
    data: str
    data_sha256: str
    seeds: int
    settings: dict[str, str | int | float | bool]
    versions: dict[str, str]
    rows: tuple[Row, ...]

    def to_json(self) -> bytes:
        """Return the table as JSON."""
        content = asdict(self)
        content["rows"] = [_content(row) for row in self.rows]
        return canonical_json(content)

    def get(self, name: str, metric: str, at: float | str | None = None) -> Row | None:
        """Return the row of that name, metric and place, if there is one."""
        for row in self.rows:
            if (row.name, row.metric, row.at) == (name, metric, at):
                return row
        return None


def _content(row: Row) -> dict[str, object]:
    content = asdict(row)
    if row.data is None:
        del content["data"]
    return content


def row_of(
    name: str,
    metric: str,
    at: float | str | None,
    mean: float,
    interval: tuple[float, float],
    n: int,
) -> Row:  # fmt: skip
    """Return the row of a mean whose interval is known."""
    low, high = interval
    return Row(name, metric, at, _plain(mean), _plain(low), _plain(high), n)


def summarise(
    name: str, metric: str, at: float | str | None, values: Iterable[float]
) -> Row:
    """Return the row of one value per seed, with its bootstrap interval."""
    array = np.array(list(values), dtype=float)
    mean, low, high = mean_interval(array)
    n = int(np.sum(~np.isnan(array)))
    return Row(name, metric, at, _plain(mean), _plain(low), _plain(high), n)


def exact(name: str, metric: str, at: float | str | None, value: float) -> Row:
    """Return the row of a figure in closed form."""
    return Row(name, metric, at, _plain(value), _plain(value), _plain(value), 0)


def versions() -> dict[str, str]:
    """Return the versions of everything that decides a figure."""
    found = {name: version(name) for name in _PACKAGES}
    return {"labwm": __version__, "python": platform.python_version(), **found}


def _plain(value: float) -> float | None:
    # JSON has no NaN, and a missing number alone is no state: it is null.
    return None if np.isnan(value) else float(value)
