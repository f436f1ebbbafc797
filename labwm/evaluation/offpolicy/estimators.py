"""Four ways to value experiments that another policy chose.

The value of a policy is the mean outcome of the experiments that it chose: a finite
population, so that the truth is known exactly where a table answers.
Shapes: `N` rows of the pool, `n` rows learnt from, `k` experiments of the policy.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import t as student_t

from labwm.evaluation.lookup import Lookup
from labwm.evaluation.offpolicy.propensity import (
    LEAST_OVERLAP,
    effective_number,
    propensities,
)
from labwm.evaluation.prediction_powered import (
    LEVEL,
    Estimate,
    prediction_powered,
    real_only,
)
from labwm.world_model import GaussianProcessModel, Surrogate
from labwm.world_model.joint import JointPosterior
from labwm.world_model.world import keys_of

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Knowledge:
    """What was learnt from one log.

    Attributes:
        lookup: The table; only its pool is looked at here.
        model: Learnt from the log's rows.
        logged: Rows of the pool that were learnt from, length `n`.
        sees_outcomes: Did the log's choice depend on the outcomes themselves?
        support: How close each row of the pool is to the log, `N`.
    """

    lookup: Lookup = field(repr=False)
    model: GaussianProcessModel = field(repr=False)
    logged: Rows
    sees_outcomes: bool
    support: Floats = field(repr=False)

    @cached_property
    def joint(self) -> JointPosterior:
        """The pool's joint posterior."""
        return self.model.joint(self.lookup.pool)

    @cached_property
    def said(self) -> Floats:
        """Expected outcome of each row of the pool, within declared bounds, `N`."""
        mean = self.joint.stated.mean[:, 0]
        bounds = self.lookup.protocol.readouts[0].bounds
        return mean if bounds is None else np.clip(mean, *bounds)

    @cached_property
    def chance(self) -> Floats:
        """Estimated propensity of the log's behaviour, `N`."""
        return propensities(self.lookup.pool, self.logged)

    @cached_property
    def left_out(self) -> tuple[Rows, Floats]:
        """Rows learnt from, and what each missed by when predicted from the others."""
        (own,) = self.model.surrogates
        assert isinstance(own, Surrogate)  # logs are small
        inverse = torch.cholesky_inverse(own.factor)
        # Rasmussen & Williams 2006, eq. 5.12: y_i - mu_i = [K^-1 y]_i / [K^-1]_ii.
        missed = own.scale * (own.weights / inverse.diagonal()).numpy()
        row_of = {key: i for i, key in enumerate(keys_of(self.lookup.pool))}
        return np.array([row_of[key] for key in self.model.keys[0]]), missed


@dataclass(frozen=True)
class Policy:
    """What another policy chose, and the part of it that was measured.

    Attributes:
        rows: Row of the pool of each experiment, length `k`.
        measured: Places of the experiments that were measured, a random part.
        outcomes: Of each of those.
    """

    rows: Rows
    measured: Rows
    outcomes: Floats


def direct(known: Knowledge, policy: Policy) -> Estimate:
    """Return the model's own mean, with the interval of its joint posterior.

    Experiments of a policy err together: their covariance counts. Nothing of the policy
    needs to be measured, and nothing corrects a model that is wrong there.
    """
    joint = known.joint
    share = np.bincount(policy.rows, minlength=len(joint)) / len(policy.rows)
    drawn = share @ joint.factors[0]
    noise = share * joint.stated.aleatoric[:, 0]
    sd = float(np.sqrt(drawn @ drawn + noise @ noise))
    sd *= joint.stated.calibration[0].moments()[1]
    value = float(share @ known.said)
    half = float(ndtri((1 + LEVEL) / 2)) * sd
    return Estimate(value, value - half, value + half)


def doubly_robust(known: Knowledge, policy: Policy) -> Estimate:
    """Return the model's mean plus the weighted errors on the log.

    Errors are of rows predicted from the others; weights are ratios of estimated
    propensities, scaled to add up to one. Vacuous where the effective number of
    experiments is below `LEAST_OVERLAP`, or where the log's behaviour saw outcomes: no
    propensity that conditions tell is right then.

    Reference:
        Dudík, Langford & Li, ICML 2011, arXiv 1103.4601.
    """
    rows, missed = known.left_out
    chance = propensities(known.lookup.pool, policy.rows)
    weight = (chance / known.chance)[rows]
    weight = weight / weight.sum()
    effective = effective_number(weight)
    correction = float(weight @ missed)
    value = float(known.said[policy.rows].mean()) + correction
    if known.sees_outcomes or effective < LEAST_OVERLAP:
        return Estimate(value, -np.inf, np.inf, is_vacuous=True)
    spread = float(np.sqrt(np.sum(weight**2 * (missed - correction) ** 2)))
    half = float(student_t.isf((1 - LEVEL) / 2, effective - 1.0)) * spread
    return Estimate(value, value - half, value + half)


def powered(known: Knowledge, policy: Policy) -> Estimate:
    """Return the model's mean, corrected by the part that was measured."""
    said = known.said[policy.rows]
    return prediction_powered(policy.outcomes, said[policy.measured], said)


def measured_only(known: Knowledge, policy: Policy) -> Estimate:
    """Return the mean of the part that was measured; the model says nothing."""
    del known
    return real_only(policy.outcomes, len(policy.rows))


ESTIMATORS: Final[Mapping[str, Callable[[Knowledge, Policy], Estimate]]] = {
    "direct": direct,
    "doubly_robust": doubly_robust,
    "prediction_powered": powered,
    "real_only": measured_only,
}
