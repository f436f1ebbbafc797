"""What a screen of a pool is asked for and answers."""

from typing import Literal

from pydantic import Field, model_validator

from labwm.schema.model_card import ModelCard
from labwm.schema.record import Record, Sha256


class Window(Record):
    """Least and greatest value of a property of molecules; both are allowed."""

    property: str
    low: float
    high: float


class ScreenRequest(Record):
    """Screen a pool of molecules with what a table or a campaign has taught."""

    pool: str
    """File of SMILES, CSV, TSV or Parquet."""
    column: str | None = None
    """Column of the SMILES; found by its name when not given."""
    campaign_id: str | None = None
    """Campaign whose measurements and protocol are used, or:"""
    data: str | None = None
    """a table, with `protocol`."""
    protocol: str | None = None
    n: int = Field(default=96, ge=1)
    windows: tuple[Window, ...] = ()
    alerts: Literal["refuse", "allow"] = "refuse"
    """What happens to substructures that interfere with assays (PAINS)."""
    min_support: float = Field(default=0.0, ge=0, le=1)
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _has_one_source(self) -> "ScreenRequest":
        if (self.campaign_id is None) == (self.data is None):
            raise ValueError(
                "a screen learns from a campaign or from a table; got "
                f"{'neither' if self.data is None else 'both'}. Name one"
            )
        return self


class ScreenedMolecule(Record):
    """One molecule of a short-list, in the order of preference."""

    smiles: str
    """Standardised."""
    label: str
    row: int
    """Of the pool, from 0."""
    expected_gain: float
    """Over the best known and the molecules before it."""
    reason: str


class ScreenAnswer(Record):
    """A short-list, and what became of every row of the pool."""

    request: ScreenRequest
    pool_sha256: Sha256
    folder: str
    """Of the codes of all rows, block by block."""
    listed: tuple[ScreenedMolecule, ...]
    n_read: int
    counts: dict[str, int]
    """Reason code to rows; they sum to `n_read`."""
    is_exact: bool
    """Would choosing from every molecule that passed have given the same?"""
    model: ModelCard
