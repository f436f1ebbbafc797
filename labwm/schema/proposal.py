"""Candidates, and the proposals that policies and agents make of them."""

from pydantic import AwareDatetime, Field

from labwm.schema.measurement import Conditions
from labwm.schema.prediction import PredictedReadout
from labwm.schema.record import Record, Sha256
from labwm.schema.stock import is_none


class Candidate(Record):
    """Conditions that could be tried, with the name that people know them by."""

    conditions: Conditions
    label: str | None = None


class StoredPrediction(Record):
    """What a model expected of some conditions before the result was known."""

    id: str
    campaign_id: str
    conditions: Conditions
    readouts: dict[str, PredictedReadout]
    support: float | None = Field(default=None, ge=0, le=1)
    """1 close to the data, 0 far from all of it."""
    # Left out where there is none: predictions of before it keep their digest.
    success: float | None = Field(default=None, ge=0, le=1, exclude_if=is_none)
    """Probability that the experiment gives a value at all; None where not stated."""
    model_sha256: Sha256
    data_sha256: Sha256
    made_at: AwareDatetime


class Proposal(Record):
    """A candidate somebody wants measured, why, and what was expected of it."""

    id: str
    campaign_id: str
    round: int = Field(ge=0)
    rank: int = Field(ge=0)
    candidate: Candidate
    proposer: str
    """Principal that proposed it: a person, an agent, or the campaign's policy."""
    policy: str
    policy_version: str
    reason: str
    acquisition: float | None = None
    """Value of the acquisition function, on the policy's own scale."""
    propensity: float | None = Field(default=None, gt=0, le=1)
    """Probability, over the policy's seeds, of this candidate in the batch: 1 if
    deterministic; None where it has no closed form, and for people and agents."""
    n_considered: int = Field(ge=1)
    """Candidates that were compared."""
    seed: int
    pool_sha256: Sha256
    data_sha256: Sha256
    model_sha256: Sha256 | None = None
    """None where the policy used no model."""
    prediction_id: str | None = None
