"""Declared kinetics: concentrations over time by ordinary differential equations.

Concentrations are in one unit of amount per volume, times in one unit of time; rate
constants follow from the two. Shapes: `t` times, `c` species, `m` readouts.

References:
    Michaelis & Menten, Biochem. Z. 49 (1913) 333; Arrhenius, Z. Phys. Chem. 4 (1889)
    226; LSODA: Petzold, SIAM J. Sci. Stat. Comput. 4 (1983) 136.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from labwm.errors import InvalidInputError, suggest
from labwm.schema import Conditions

Floats = NDArray[np.float64]

GAS_CONSTANT: Final = 8.314462618e-3
"""In kJ/(mol K)."""
ZERO_CELSIUS: Final = 273.15


@dataclass(frozen=True)
class Constant:
    """A rate constant, and how it grows with the temperature.

    Attributes:
        value: At the reference temperature.
        energy: Activation energy in kJ/mol; 0 for none.
        reference: Temperature that `value` holds at, in degC.
    """

    value: float
    energy: float = 0.0
    reference: float = 25.0

    def at(self, celsius: float) -> float:
        """Return the constant at a temperature, after Arrhenius."""
        inverse = 1.0 / (ZERO_CELSIUS + self.reference) - 1.0 / (ZERO_CELSIUS + celsius)
        return self.value * float(np.exp(self.energy / GAS_CONSTANT * inverse))


@dataclass(frozen=True)
class MassAction:
    """Rate: the constant times the concentration of everything that is consumed."""

    constant: Constant


@dataclass(frozen=True)
class MichaelisMenten:
    """Rate: `turnover * enzyme * substrate / (half + substrate)`.

    Attributes:
        enzyme, substrate: Names of species.
        turnover: Per time.
        half: Concentration of the substrate at half the greatest rate.
    """

    enzyme: str
    substrate: str
    turnover: Constant
    half: float


@dataclass(frozen=True)
class Reaction:
    """A step that turns species into others.

    Attributes:
        consumes, makes: Species to how many of them.
        rate: How fast.
    """

    consumes: Mapping[str, int]
    makes: Mapping[str, int]
    rate: MassAction | MichaelisMenten


@dataclass(frozen=True)
class Mechanism:
    """A scheme of reactions, and what is read of it.

    Attributes:
        reactions: One after another; their species are all there are.
        start: Species to its first concentration, or to the name of the condition that
            says it; 0 for species that are not named.
        observed: Readout to the weight of each species in it.
        noise_sd: Readout to the standard deviation of a read.
        temperature: Condition that holds it, in degC; 25 degC without one.

    Raises:
        InvalidInputError: If a species is named that no reaction has.
    """

    reactions: tuple[Reaction, ...]
    start: Mapping[str, float | str]
    observed: Mapping[str, Mapping[str, float]]
    noise_sd: Mapping[str, float]
    temperature: str | None = None

    def __post_init__(self) -> None:
        named = [*self.start, *(s for own in self.observed.values() for s in own)]
        for reaction in self.reactions:
            if isinstance(reaction.rate, MichaelisMenten):
                named += [reaction.rate.enzyme, reaction.rate.substrate]
        for species in named:
            if species not in self.species:
                raise InvalidInputError(
                    "A mechanism's species take part in its reactions; got "
                    f"{species!r}. {suggest(species, self.species)}"
                )

    @property
    def species(self) -> tuple[str, ...]:
        """Names in order of first appearance, `c`."""
        names: dict[str, None] = {}
        for reaction in self.reactions:
            names |= dict.fromkeys([*reaction.consumes, *reaction.makes])
            if isinstance(reaction.rate, MichaelisMenten):
                names[reaction.rate.enzyme] = None
        return tuple(names)

    @property
    def readouts(self) -> tuple[str, ...]:
        """Names of what is read, `m`."""
        return tuple(self.observed)

    def course(
        self, conditions: Conditions, until: float
    ) -> Callable[[Floats], Floats]:
        """Return readouts, `t x m`, as a function of times from 0 to `until`.

        Raises:
            InvalidInputError: If a condition that the mechanism needs is absent.
        """
        from scipy.integrate import solve_ivp

        start = [self._amount(self.start.get(s, 0.0), conditions) for s in self.species]
        celsius = self._amount(self.temperature or 25.0, conditions)
        rate, change = self._rates(celsius), self._changes()
        solved = solve_ivp(
            lambda _, amounts: change @ rate(amounts),
            (0.0, until),
            np.array(start),
            method="LSODA",
            dense_output=True,
            rtol=1e-7,
            atol=1e-9 * max(1.0, *start),
        )
        solution = solved.sol
        assert solution is not None  # asked for by `dense_output`
        weights = np.array(
            [[own.get(s, 0.0) for s in self.species] for own in self.observed.values()]
        )
        return lambda times: (weights @ solution(np.clip(times, 0.0, until))).T

    def _amount(self, said: float | str, conditions: Conditions) -> float:
        if not isinstance(said, str):
            return float(said)
        value = conditions.get(said)
        if not isinstance(value, int | float):
            raise InvalidInputError(
                f"The mechanism takes {said!r} from the conditions, as a number; got "
                f"{value!r}. {suggest(said, conditions)}"
            )
        return float(value)

    def _changes(self) -> Floats:
        columns = [
            [r.makes.get(s, 0) - r.consumes.get(s, 0) for s in self.species]
            for r in self.reactions
        ]
        return np.array(columns, dtype=float).T

    def _rates(self, celsius: float) -> Callable[[Floats], Floats]:
        place = {name: i for i, name in enumerate(self.species)}
        laws: list[Callable[[Floats], float]] = []
        for reaction in self.reactions:
            rate = reaction.rate
            if isinstance(rate, MassAction):
                used = [(place[s], n) for s, n in reaction.consumes.items()]
                laws.append(_mass_action(rate.constant.at(celsius), used))
            else:
                pair = place[rate.enzyme], place[rate.substrate]
                laws.append(_enzyme(rate.turnover.at(celsius), rate.half, pair))
        return lambda amounts: np.array([law(amounts) for law in laws])


def _mass_action(k: float, used: list[tuple[int, int]]) -> Callable[[Floats], float]:
    return lambda amounts: float(k * np.prod([amounts[i] ** n for i, n in used]))


def _enzyme(k: float, half: float, pair: tuple[int, int]) -> Callable[[Floats], float]:
    e, s = pair
    return lambda amounts: float(k * amounts[e] * amounts[s] / (half + amounts[s]))
