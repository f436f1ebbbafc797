"""Priors of hyperparameters, on the logarithms that are searched.

`theta` holds the logarithms of the lengthscales of the dense columns, of the weights of
the terms, of the widths of the Matérn terms, and of the noise variance.
"""

import math
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from labwm.world_model.structure import Structure

NOISE_CENTRE: Final = {"wide": -4.0, "chen": -4.0, "explore": -5.0}
NOISE_SPREAD: Final = {"wide": 2.0, "chen": 1.0, "explore": 0.7}
WIDTH_CENTRE: Final = math.log(1.5)
WEIGHT_SPREAD: Final = 1.5


def n_groups_of(groups: Tensor) -> int:
    """Return how many lengthscales the dense columns have."""
    return int(groups.max()) + 1 if len(groups) else 0


def smooth_terms(structure: Structure) -> list[int]:
    """Return the terms that have a width of their own."""
    return [i for i, term in enumerate(structure.terms) if term.kind == "matern"]


@dataclass(frozen=True)
class HyperPrior:
    """Log density of `theta` up to a constant.

    With `chen` lengthscales follow Gamma(2 L, 2) and weights Gamma(L, 1), where
    `L = 0.4 sqrt(g) + 4` grows with the number `g` of lengthscales: long lengthscales
    and a large variance keep a search from settling too soon. With `wide` their
    logarithms are normal. `explore` is `chen` with little noise: long lengthscales
    otherwise let a few early values be taken for noise, and the search settles.

    Reference:
        Chen et al., ChemRxiv 10.26434/chemrxiv.10001986; BayBE's preset of that name.
    """

    structure: Structure
    n_groups: int

    @property
    def _chen(self) -> float:
        return 0.4 * math.sqrt(max(self.n_groups, 1)) + 4.0

    @property
    def _length_centre(self) -> float:
        return math.log(0.5 * math.sqrt(max(self.n_groups, 1)))

    @property
    def _weight_centre(self) -> float:
        return -math.log(len(self.structure.terms))

    def start(self) -> Tensor:
        """Return a typical `theta`."""
        length, weight = self._length_centre, self._weight_centre
        if self.structure.prior != "wide":
            length = weight = math.log(self._chen)
        parts = [length] * self.n_groups + [weight] * len(self.structure.terms)
        parts += [WIDTH_CENTRE] * len(smooth_terms(self.structure))
        parts += [NOISE_CENTRE[self.structure.prior]]
        return torch.tensor(parts, dtype=torch.float64)

    def penalty(self, theta: Tensor) -> tuple[float, Tensor]:
        """Return the negative log density and its gradient."""
        g, t = self.n_groups, len(self.structure.terms)
        centre = self.start()
        spread = torch.ones_like(theta)
        spread[g : g + t] = WEIGHT_SPREAD
        spread[-1] = NOISE_SPREAD[self.structure.prior]
        distance = (theta - centre) / spread
        values, gradient = 0.5 * distance**2, distance / spread
        if self.structure.prior != "wide":
            for part, shape, rate in (
                (slice(0, g), 2 * self._chen, 2.0),
                (slice(g, g + t), self._chen, 1.0),
            ):
                scaled = rate * theta[part].exp()
                values[part] = scaled - (shape - 1) * theta[part]
                gradient[part] = scaled - (shape - 1)
        return float(values.sum()), gradient
