"""What flows are asked for besides campaigns; Prefect's pages show these fields."""

from typing import Annotated, Literal

from pydantic import Field

from labwm.schema.campaign import PolicyName
from labwm.schema.record import Record

RunnerName = Literal["threads", "dask", "ray"]
"""What runs the parts of a flow at the same time."""

Runner = Annotated[
    RunnerName,
    Field(
        title="Task runner",
        description="What works on the parts at the same time: threads of this "
        "process, or a Dask or Ray cluster",
    ),
]
Workers = Annotated[
    int,
    Field(
        title="Workers [number]",
        ge=1,
        le=1024,
        description="Of the threads, or of the local cluster that is started",
    ),
]
ClusterAddress = Annotated[
    str | None,
    Field(
        title="Address of a cluster",
        description="Of a Dask or Ray cluster that runs already; a local one is "
        "started when not given",
    ),
]


class RetrainForm(Record):
    """Which campaigns' models are reviewed."""

    only_due: bool = Field(
        default=False,
        title="Only campaigns with enough new data",
        description="Leave out those that grew by less than a fifth since the last "
        "review; the others are reviewed whenever they have any new data",
    )


class ScreenForm(Record):
    """A pool of molecules, screened with what a campaign has taught."""

    campaign: str = Field(
        title="Campaign",
        min_length=1,
        description="Its measurements and its protocol are used",
    )
    pool: str = Field(
        title="Pool of molecules",
        min_length=1,
        description="File of SMILES, CSV, TSV or Parquet that every worker can read",
    )
    column: str | None = Field(
        default=None,
        title="Column of the SMILES",
        description="Found by its name when not given",
    )
    n: int = Field(
        default=96,
        title="Short-list [molecules]",
        ge=1,
        le=100_000,
        description="Molecules that add most together",
    )
    alerts: Literal["refuse", "allow"] = Field(
        default="refuse",
        title="Substructures that interfere with assays",
        description="What happens to molecules that have one (PAINS)",
    )
    min_support: float = Field(
        default=0.0,
        title="Least support [share]",
        ge=0,
        le=1,
        description="How close a molecule must be to what was measured, from 0 to 1",
    )
    runner: Runner = "threads"
    workers: Workers = 2
    address: ClusterAddress = None


class BacktestForm(Record):
    """A policy on a table that is known in full, against random choices."""

    data: str = Field(
        title="Data set or table",
        min_length=1,
        description="Catalogue name or file; the whole table is known",
    )
    protocol: str | None = Field(
        default=None,
        title="Protocol",
        description="Name or file; the catalogue's protocol of the data when not given",
    )
    policy: PolicyName = Field(
        default="default",
        title="Policy",
        description="Compared with choosing at random",
    )
    budget: int = Field(
        default=40,
        title="Budget [experiments]",
        ge=1,
        le=100_000,
        description="Experiments of each campaign",
    )
    batch_size: int | None = Field(
        default=None,
        title="Batch size [experiments]",
        ge=1,
        le=10_000,
        description="The protocol's batch size when not given",
    )
    seeds: int = Field(
        default=20,
        title="Repetitions [campaigns]",
        ge=1,
        le=1000,
        description="Campaigns of each policy, with seeds 0, 1, 2 and so on",
    )
    runner: Runner = "threads"
    workers: Workers = 2
    address: ClusterAddress = None
