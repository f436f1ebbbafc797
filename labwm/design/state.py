"""What a policy knows, and what it answers. Campaigns and back-tests build the same."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from labwm.schema import Protocol
from labwm.space.questions import Observations, Questions
from labwm.world_model.contract import WorldModel

if TYPE_CHECKING:
    from labwm.design.sources import Source


@dataclass(frozen=True)
class State:
    """Everything a policy may look at.

    Attributes:
        protocol: What an experiment is and what it is wanted for.
        pool: Candidates, one row each; what was measured or is pending may be among
            them, a policy leaves it out by itself.
        pool_sha256: Digest of the pool.
        observed: Every measurement so far, failures included.
        pending: Conditions that were sent, approved or are in doubt, without result.
        n_left: Experiments that the budget still allows.
        n_initial: Experiments to choose without a model first.
        round: Number of this round, from 0.
        seed: Of this round; the same state gives the same choices.
        recipe: Of the model that policies choose by: the one that finds best, which is
            not the one that predicts best.
        is_open: May a policy propose points of the protocol's space that the pool does
            not hold? So where the pool is a draw from a space too large to list.
        sources: Earlier assays that policies with a model lean on, as far as what is
            measured here bears them out.
    """

    protocol: Protocol
    pool: Questions
    pool_sha256: str
    observed: Observations
    pending: Questions
    n_left: int
    n_initial: int
    round: int
    seed: int
    recipe: str = "explore"
    is_open: bool = False
    sources: tuple["Source", ...] = ()


@dataclass(frozen=True)
class Choice:
    """One candidate that a policy chose.

    Attributes:
        row: Row of the pool.
        reason: Why, in a sentence that a chemist reads.
        acquisition: Value of the acquisition function, on the policy's scale.
        propensity: Probability, over the policy's seeds, that this candidate is in the
            batch: 1 if deterministic, None where it has no closed form.
    """

    row: int
    reason: str
    acquisition: float | None
    propensity: float | None


@dataclass(frozen=True)
class Batch:
    """A policy's answer.

    Attributes:
        choices: In the order of preference; distinct rows.
        policy: Name of the policy that chose, for `default` the one it took.
        policy_version: Changes whenever the policy could choose otherwise.
        n_considered: Candidates that were compared.
        model: The model it used, conditioned on all data; None if it used none.
        pool: What the choices are rows of, where the policy searched beyond the state's
            pool: the state's rows come first; None if it did not.
    """

    choices: tuple[Choice, ...]
    policy: str
    policy_version: str
    n_considered: int
    model: WorldModel | None
    pool: Questions | None = None
