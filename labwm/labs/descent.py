"""L-BFGS on a molecule's energy, with short steps and no line search.

A line search that tries long steps pushes atoms into each other, where a semi-empirical
energy has no bottom. Shapes: `a` atoms.

Reference:
    Nocedal & Wright, Numerical Optimization, 2006, alg. 7.4 (the two-loop recursion).
"""

from collections import deque
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CONVERGED: Final = 0.5
"""Largest component of the gradient at which a descent ends, kcal/mol/ångström."""
LONGEST: Final = 0.1
"""Most that an atom moves in a step, ångström."""
STIFFNESS: Final = 1600.0
"""First guess of the curvature, kcal/mol/ångström**2: that of a stiff bond."""
MEMORY: Final = 20
"""Steps that the curvature is learnt from."""


class Descent:
    """Where a descent stands; `positions` are `a x 3`, ångström."""

    def __init__(self, positions: Floats) -> None:
        """Start at a structure."""
        self.positions = positions.copy()
        self._moves: deque[tuple[Floats, Floats]] = deque(maxlen=MEMORY)
        self._last: tuple[Floats, Floats] | None = None

    def step(self, gradient: Floats) -> bool:
        """Move by one step, or stay and return False where the gradient vanishes.

        Args:
            gradient: At `positions`, `a x 3`, kcal/mol/ångström.
        """
        self._remember(gradient)
        if np.abs(gradient).max() < CONVERGED:
            return False
        direction = -self._solved(gradient.ravel()).reshape(-1, 3)
        longest = float(np.linalg.norm(direction, axis=1).max())
        self._last = (self.positions.copy(), gradient.copy())
        self.positions = self.positions + direction * min(1.0, LONGEST / longest)
        return True

    def _remember(self, gradient: Floats) -> None:
        if self._last is None:
            return
        moved = (self.positions - self._last[0]).ravel()
        changed = (gradient - self._last[1]).ravel()
        if moved @ changed > 1e-9:  # else the curvature along the move is not positive
            self._moves.append((moved, changed))

    def _solved(self, gradient: Floats) -> Floats:
        """Return the gradient divided by the curvature that was learnt."""
        rest = gradient.copy()
        shares: list[float] = []
        for moved, changed in reversed(self._moves):
            share = float(moved @ rest / (moved @ changed))
            rest = rest - share * changed
            shares.append(share)
        rest = rest / STIFFNESS
        for (moved, changed), share in zip(self._moves, reversed(shares), strict=True):
            rest = rest + moved * (share - float(changed @ rest / (moved @ changed)))
        return rest
