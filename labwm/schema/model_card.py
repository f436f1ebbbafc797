"""What a model is, what it learnt from, and how far it can be trusted."""

from pydantic import AwareDatetime, Field

from labwm.schema.record import Record, Sha256


class Metric(Record):
    """One score of one readout, with its interval where one was computed."""

    readout: str
    name: str
    value: float
    low: float | None = None
    high: float | None = None
    n: int = Field(ge=0)
    how: str
    """How it was obtained, for example `leave-one-out`."""


class ModelCard(Record):
    """The record that goes with every fitted model."""

    recipe: str
    """Name of the recipe: kernel family, priors, features, calibration."""
    labwm_version: str
    protocol_name: str
    protocol_version: int
    readouts: tuple[str, ...]
    units: tuple[str | None, ...]
    n_rows: int = Field(ge=0)
    n_failed: int = Field(default=0, ge=0)
    data_sha256: Sha256
    structure: dict[str, str] = {}
    """Chosen structure for each readout, in words."""
    hyperparameters: dict[str, float] = {}
    metrics: tuple[Metric, ...] = ()
    is_split_identified: bool = False
    """Do replicates tell epistemic from aleatoric uncertainty?"""
    notes: tuple[str, ...] = ()
    fitted_at: AwareDatetime | None = None
