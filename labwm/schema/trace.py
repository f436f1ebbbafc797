"""Where something comes from, and what rests on it."""

from typing import Literal

from pydantic import Field

from labwm.schema.record import Record

TraceKind = Literal[
    "prediction", "proposal", "batch", "job", "well", "result", "model", "raw"
]
"""What can be asked about."""


class TraceNode(Record):
    """One thing on the way, and what it leads to."""

    kind: str
    id: str
    says: dict[str, str | float | int | bool | None] = {}
    """What is known of it, in the order to read."""
    parts: tuple["TraceNode", ...] = ()
    n_more: int = Field(default=0, ge=0)
    """Parts beyond those that are listed."""


class TraceRequest(Record):
    """Ask where something comes from and what rests on it."""

    id: str = Field(min_length=1, max_length=300)
    """Prediction, proposal, job, `JOB/WELL`, or the digest of a result, a model or raw
    bytes; of a digest the first 8 letters do."""
    campaign_id: str | None = None
    """Where equal names stand in several campaigns."""
    limit: int = Field(default=20, ge=1, le=1000)
    """Most parts of one thing that are listed."""


class Trace(Record):
    """The answer in one call."""

    asked: str
    kind: TraceKind
    id: str
    campaign_id: str
    rests_on: TraceNode
    """The thing itself; its parts are what it rests on."""
    reached: tuple[TraceNode, ...]
    """What rests on it: models, and what they predicted and chose."""
