"""How error falls with the number of rows: `error = a * n ** -exponent`.

Shapes: `k` sizes, `s` seeds.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from labwm.errors import NotEnoughDataError
from labwm.evaluation.forecasts import Forecasts
from labwm.evaluation.splits import Rows, Split, random_splits
from labwm.evaluation.table import Row, row_of, summarise

Floats = NDArray[np.float64]

SIZES: Final = tuple(
    round(10 ** (power / 2)) for power in range(4, 13)
)  # 100, 316, 1,000, … 1,000,000
METRICS: Final = ("rmse", "crps")
_SIZE_OF: Final = "n="


def size_splits(groups: Sequence[Rows], n: int) -> list[Split]:
    """Return `n` random splits, each learnt from in nested parts of growing size.

    A part of `k` conditions is named `n=k`; all of a seed's parts are asked about the
    same fifth. The last part is everything that is learnt from.

    Args:
        groups: Rows of the table that have the same conditions, `N` arrays.
        n: Number of random splits, with the seeds 0, 1, …

    Raises:
        NotEnoughDataError: If there are not at least two sizes.
    """
    splits: list[Split] = []
    for seed, whole in enumerate(random_splits(groups, n)):
        learnt = set(whole.train.tolist())
        members = [group for group in groups if group[0] in learnt]
        sizes = [k for k in SIZES if 1.5 * k <= len(members)] + [len(members)]
        if len(sizes) < 2:
            raise NotEnoughDataError(
                f"A learning curve needs at least {round(1.5 * SIZES[0] / 0.8)} "
                f"different conditions; got {len(groups)}. Add rows, or split at "
                "random."
            )
        order = np.random.default_rng([seed, 1]).permutation(len(members))
        for k in sizes:
            train = np.sort(np.concatenate([members[i] for i in order[:k]]))
            splits.append(Split(f"{_SIZE_OF}{k}", train, whole.test))
    return splits


def exponent_rows(name: str, said: Mapping[str, Sequence[Forecasts]]) -> list[Row]:
    """Return by which power of the rows each error falls; larger is better.

    The interval is over seeds; for one seed it is that of the fitted line's slope, and
    none where the line has only two points.

    Args:
        name: Of the model.
        said: For each size, `n=k`, one forecast per seed.
    """
    sizes = [at for at in said if at.startswith(_SIZE_OF)]
    if len(sizes) < 2:
        return []
    n = np.log([float(at.removeprefix(_SIZE_OF)) for at in sizes])
    rows = []
    for metric in METRICS:
        errors = np.array([[_error(one, metric) for one in said[at]] for at in sizes])
        rows.append(_row(name, f"{metric}_exponent", n, np.log(errors)))
    return rows


def _error(said: Forecasts, metric: str) -> float:
    if metric == "crps":
        return float(said.crps.mean())
    return float(np.sqrt(np.mean((said.y - said.mean) ** 2)))


def _row(name: str, metric: str, n: Floats, errors: Floats) -> Row:
    """Return the row of a slope; `n` has the length `k`, `errors` is `k x s`."""
    x = n - n.mean()
    slopes = -(x @ errors) / (x @ x)
    if len(slopes) > 1:
        return summarise(name, metric, "n", slopes)
    slope, half = float(slopes[0]), np.nan
    if len(n) > 2:
        left = errors[:, 0] - errors[:, 0].mean() + slope * x
        half = 1.96 * float(np.sqrt(left @ left / (len(n) - 2) / (x @ x)))
    return row_of(name, metric, "n", slope, (slope - half, slope + half), 1)
