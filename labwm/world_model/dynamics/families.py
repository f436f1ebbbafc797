"""Parametric curves: growth with lag, first-order approach, saturation, decay, a line.

Each is `a + b g(u)` with `g` known up to one or two shape parameters and `u` the time
as a share of `span`. For given shape, `a` and `b` follow by least squares in closed
form, so that the shape is searched on a grid that is refined: no start values, no local
optimum (variable projection; Golub & Pereyra, SIAM J. Numer. Anal. 10 (1973) 413).

Shapes: `t` reads, `p` shapes on the grid, `k` shape parameters.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from labwm.space.curves import Reads

Floats = NDArray[np.float64]

N_REFINEMENTS: Final = 8
"""Of the grid around the best shape; each takes six tenths of the step before."""
PRIOR_SD: Final = 1.0
"""Of the shape parameters of one curve around those of all, in their own units."""
LEAST: Final = 1e-10
"""Least squared error, as a share of the squares: reads are never exact."""


@dataclass(frozen=True)
class Family:
    """Curves `a + b g(u; shape)`.

    Attributes:
        name: As `gompertz`.
        grids: First values of each shape parameter, `k` tuples.
        g: Maps `u` (`t`) and shapes (`p x k`) to values, `p x t`.
    """

    name: str
    grids: tuple[tuple[float, ...], ...]
    g: Callable[[Floats, Floats], Floats]

    @property
    def n_parameters(self) -> int:
        """Free numbers of a curve."""
        return 2 + len(self.grids)

    @property
    def first_shapes(self) -> Floats:
        """The grid to start from, `p x k`."""
        return np.array(list(product(*self.grids)), dtype=float)


def _logistic(x: Floats) -> Floats:
    return 0.5 * (1.0 + np.tanh(0.5 * x))


_RATES = tuple(np.log(np.geomspace(0.1, 50.0, 28)).tolist())
_STEEP = tuple(np.log(np.geomspace(2.0, 60.0, 12)).tolist())
_MIDDLES = tuple(np.linspace(-0.2, 1.3, 16).tolist())
_POWERS = tuple(np.log(np.linspace(0.3, 3.0, 8)).tolist())

LINE: Final = Family("line", (), lambda u, s: np.broadcast_to(u, (len(s), len(u))))
FIRST_ORDER: Final = Family(
    "first_order", (_RATES,), lambda u, s: -np.expm1(-np.exp(s[:, :1]) * u)
)
SATURATION: Final = Family(
    "saturation", (_RATES,), lambda u, s: u / (np.exp(-s[:, :1]) + u)
)
LOGISTIC: Final = Family(
    "logistic",
    (_STEEP, _MIDDLES),
    lambda u, s: _logistic(np.exp(s[:, :1]) * (u - s[:, 1:])),
)
GOMPERTZ: Final = Family(
    "gompertz",
    (_STEEP, _MIDDLES),
    lambda u, s: np.exp(
        -np.exp(np.clip(-np.exp(s[:, :1]) * (u - s[:, 1:]), -50.0, 50.0))
    ),
)
STRETCHED: Final = Family(
    "stretched",
    (_RATES, _POWERS),
    lambda u, s: -np.expm1(-((np.exp(s[:, :1]) * u) ** np.exp(s[:, 1:]))),
)
FAMILIES: Final = (LINE, FIRST_ORDER, SATURATION, LOGISTIC, GOMPERTZ, STRETCHED)


@dataclass(frozen=True)
class FamilyFit:
    """A curve of a family.

    Attributes:
        family: Which one.
        span: Time that `u = 1` stands for.
        a, b: Offset and height, in the readout's unit.
        shape: Shape parameters, `k`.
        squares: Sum of the squared errors.
        n_reads: Reads fitted to.
    """

    family: Family
    span: float
    a: float
    b: float
    shape: Floats
    squares: float
    n_reads: int

    def at(self, time: Floats) -> Floats:
        """Return the curve at times, `t`."""
        g = self.family.g(time / self.span, self.shape[None, :])[0]
        return self.a + self.b * g

    @property
    def aic(self) -> float:
        """Akaike's criterion with the noise as one more parameter; less is better."""
        n = self.n_reads
        return n * np.log(self.squares / n) + 2.0 * (self.family.n_parameters + 1)


def fit_family(
    family: Family, reads: Reads, span: float, *, around: Floats | None = None
) -> FamilyFit:
    """Fit a family to the reads of a curve by least squares.

    Args:
        family: The family.
        reads: At least two.
        span: Time that the grids of shapes are scaled to.
        around: Shape to stay close to where the reads do not tell it, `k`.
    """
    shapes = family.first_shapes
    steps = np.array([(grid[-1] - grid[0]) / (len(grid) - 1) for grid in family.grids])
    best = _best(family, reads, span, shapes, around)
    offsets = np.array(list(product((-1.0, -0.5, 0.0, 0.5, 1.0), repeat=len(steps))))
    for _ in range(N_REFINEMENTS if len(steps) else 0):
        best = _best(family, reads, span, best.shape + offsets * steps, around)
        steps = 0.6 * steps
    return best


def _best(
    family: Family, reads: Reads, span: float, shapes: Floats, around: Floats | None
) -> FamilyFit:
    g = family.g(reads.time / span, shapes)
    away = g - g.mean(axis=1, keepdims=True)
    y = reads.value - reads.value.mean()
    squares, width = (away**2).sum(axis=1), float(y @ y)
    is_flat = squares < 1e-12
    b = np.where(is_flat, 0.0, (away @ y) / np.where(is_flat, 1.0, squares))
    floor = LEAST * max(float(reads.value @ reads.value), np.finfo(float).tiny)
    left = np.maximum(width - b**2 * squares, floor)
    loss = len(reads) * np.log(left)
    if around is not None:
        loss = loss + np.sum(((shapes - around) / PRIOR_SD) ** 2, axis=1)
    i = int(np.argmin(loss))
    a = float(reads.value.mean() - b[i] * g[i].mean())
    return FamilyFit(family, span, a, float(b[i]), shapes[i], left[i], len(reads))


def best_by_aic(reads: Reads, span: float) -> FamilyFit:
    """Return the family with the least criterion; each has fewer numbers than reads.

    With two reads that is a level: the line of height zero.
    """
    fits = [
        fit_family(family, reads, span)
        for family in FAMILIES
        if family.n_parameters < len(reads)
    ]
    level = float(reads.value.mean())
    squares = float(np.sum((reads.value - level) ** 2))
    floor = LEAST * max(float(reads.value @ reads.value), np.finfo(float).tiny)
    flat = FamilyFit(
        LINE, span, level, 0.0, np.empty(0), max(squares, floor), len(reads)
    )
    return min([flat, *fits], key=lambda fit: fit.aic)


def best_for_all(reads: Sequence[Reads], span: float) -> Family:
    """Return the family whose summed criterion over curves is least."""
    sums = {
        family.name: sum(fit_family(family, one, span).aic for one in reads)
        for family in FAMILIES
    }
    return min(FAMILIES, key=lambda family: sums[family.name])
