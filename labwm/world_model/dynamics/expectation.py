"""What is expected of a curve from its conditions alone.

A curve is a base — the mean of all curves, or a parametric family whose parameters vary
with the conditions — plus a few principal functions. Their scores, the family's
parameters and the noise of a read are readouts of the default world model: a Gaussian
process over the conditions each, whatever kinds of parameters the protocol has. So the
covariance of curves is a sum of products of a kernel over conditions and one over time.

Shapes: `n` curves, `q` questions, `G` knots, `L` principal functions, `c` conditions.

References:
    Higdon et al., JASA 103 (2008) 570: a process per principal score; Bonilla et al.,
    NeurIPS 2007: sums of separable kernels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from labwm.schema import Protocol
from labwm.space.curves import Reads
from labwm.space.questions import Questions
from labwm.world_model.dynamics.coefficients import Coefficients, learn_coefficients
from labwm.world_model.dynamics.families import Family, FamilyFit, fit_family
from labwm.world_model.dynamics.functions import (
    Knots,
    Principal,
    learn_functions,
    principal,
)
from labwm.world_model.dynamics.process import Process

Floats = NDArray[np.float64]

SHARE: Final = 0.9995
"""Of the variance over time that the principal functions hold."""
MOST_SHAPES: Final = 8
SHRINKAGE: Final = 0.15
"""How far the correlations of scores are drawn towards none."""


@dataclass(frozen=True)
class Roughness:
    """What curves do beyond the principal functions, and how sure those are.

    Attributes:
        share: Standard deviation of a smooth function besides, as a share of that of
            the principal part.
        length: Over which that function is alike, as a share of the time.
        noise: Factor of the noise variance: reads of one curve err together.
    """

    share: float
    length: float
    noise: float


@dataclass(frozen=True)
class Prior:
    """What is expected of one curve before any read.

    Attributes:
        mean: At the knots, `G`.
        spread: Standard deviation of each score, `L`.
        noise: Variance of a read.
        learnt: What it follows from.
    """

    mean: Floats
    spread: Floats
    noise: float
    learnt: "Expectation"

    def process(self, rough: Roughness) -> Process:
        """Return the curve as a process on knots."""
        own = self.learnt
        covariance = self.principal_covariance()
        covariance = covariance + self.level(rough) * own.knots.kernel(rough.length)
        return Process(own.knots, self.mean, covariance, rough.noise * self.noise)

    def principal_covariance(self) -> Floats:
        """Return the covariance that the scores give, at the knots, `G x G`."""
        own = self.learnt
        shapes = own.principal.shapes * self.spread
        return shapes @ own.shrunk_correlation @ shapes.T

    def level(self, rough: Roughness) -> float:
        """Return the variance of what curves do beyond the principal functions."""
        variance = np.diag(self.principal_covariance())
        return rough.share**2 * float(np.mean(variance))


@dataclass(frozen=True)
class Base:
    """The family's curve at any conditions.

    Attributes:
        family: Which one.
        span: Time that its shapes are scaled to.
        model: Of its parameters `a`, `b` and the shape, over the conditions.
    """

    family: Family
    span: float
    model: Coefficients

    def at(self, parameters: Floats, knots: Knots) -> Floats:
        """Return curves at the knots, `q x G`, of parameters `q x (2 + k)`."""
        curves = [
            FamilyFit(self.family, self.span, a, b, np.array(shape), 0.0, 0).at(
                knots.at
            )
            for a, b, *shape in parameters.tolist()
        ]
        return np.array(curves).reshape(-1, len(knots))


@dataclass(frozen=True)
class Expectation:
    """Curves by their conditions.

    Attributes:
        knots: Where functions are held.
        base: The family's part; None where the base is the mean curve.
        mean: Added to the base, `G`.
        principal: Functions that scores multiply.
        model: Of the scores and of the logarithm of the noise, over the conditions.
        correlation: Of the scores' left-out errors in stated units, `L x L`.
    """

    knots: Knots
    base: Base | None
    mean: Floats
    principal: Principal
    model: Coefficients
    correlation: Floats

    @property
    def shrunk_correlation(self) -> Floats:
        """Return the correlation, drawn towards scores that err apart, `L x L`."""
        own = np.diag(np.diag(self.correlation))
        return (1.0 - SHRINKAGE) * self.correlation + SHRINKAGE * own

    def of(self, questions: Questions) -> list[Prior]:
        """Return what is expected at each question's conditions."""
        said = self.model.predict(questions)
        scores, noise = said.location[:, :-1], np.exp(said.location[:, -1])
        means = self.mean + scores @ self.principal.shapes.T
        if self.base is not None:
            parameters = self.base.model.predict(questions).location
            means = means + self.base.at(parameters, self.knots)
        return [
            Prior(mean, spread, float(level), self)
            for mean, spread, level in zip(
                means, said.scale[:, :-1], noise, strict=True
            )
        ]


def learn_expectation(
    questions: Questions,
    reads: Sequence[Reads],
    protocol: Protocol,
    knots: Knots,
    family: Family | None,
) -> Expectation:
    """Learn what is expected of curves from their conditions.

    Args:
        questions: Conditions, `n` rows.
        reads: Of each curve.
        protocol: Declares the parameters.
        knots: Where functions are held.
        family: Base of all curves; their mean when None.
    """
    base, left = None, list(reads)
    if family is not None:
        base, expected = _learn_base(questions, reads, protocol, knots, family)
        left = [
            Reads(one.time, one.value - knots.weights(one.time) @ own)
            for one, own in zip(reads, expected, strict=True)
        ]
    functions = learn_functions(left, knots)
    shapes = principal(functions, share=SHARE, most=MOST_SHAPES)
    scores = shapes.scores(functions.values - functions.mean)
    values = np.column_stack([scores, np.log(functions.noise)])
    model = learn_coefficients(questions, values, protocol)
    return Expectation(
        knots, base, functions.mean, shapes, model, _correlation(model, scores)
    )


def _learn_base(
    questions: Questions,
    reads: Sequence[Reads],
    protocol: Protocol,
    knots: Knots,
    family: Family,
) -> tuple[Base, Floats]:
    """Return the base, and what it says of each curve without its conditions."""
    fits = [fit_family(family, one, knots.span) for one in reads]
    # Reads of a flat curve do not tell its shape: that of the others stands in.
    heights = np.array([abs(one.b) for one in fits])
    told = [one.shape for one, h in zip(fits, heights, strict=True)
            if h >= np.median(heights)]  # fmt: skip
    around = np.median(np.array(told), axis=0)
    fits = [fit_family(family, one, knots.span, around=around) for one in reads]
    parameters = np.array([[one.a, one.b, *one.shape] for one in fits])
    model = learn_coefficients(questions, parameters, protocol)
    base = Base(family, knots.span, model)
    return base, base.at(model.location, knots)


def _correlation(scores: Coefficients, values: Floats) -> Floats:
    """Return how the scores' left-out errors go together, in stated units, `L x L`."""
    n = values.shape[1]
    errors = (values - scores.location[:, :n]) / scores.scale[:, :n]
    return errors.T @ errors / len(errors)
