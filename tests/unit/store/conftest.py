"""Ledgers on both databases, and a small campaign in them."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psycopg
import pytest

from labwm.schema import (
    CampaignSpec,
    Candidate,
    Job,
    Measurement,
    ModelCard,
    Origin,
    Proposal,
    Protocol,
    StoredPrediction,
    Value,
    Well,
    parse_protocol,
)
from labwm.store import ApprovalState, Ledger, SubmissionState
from labwm.store.machine_tables import metadata
from labwm.store.machines import MACHINES
from labwm.store.tables import VERSION_TABLE
from tests.conftest import skip_or_fail
from tests.postgres import PostgresServer, binaries, running_postgres

PROTOCOL = """\
name: kettle
version: 1
parameters:
  - {name: power, kind: continuous, unit: W, bounds: [500, 2500]}
readouts:
  - {name: seconds, unit: s}
objectives:
  - {readout: seconds, goal: minimise}
lab: {adapter: replay}
"""
SHA = "0" * 64
CAMPAIGN = "boil"
CARD = ModelCard(
    recipe="default",
    labwm_version="0.1",
    protocol_name="kettle",
    protocol_version=1,
    readouts=("seconds",),
    units=("s",),
    n_rows=8,
    data_sha256=SHA,
)
SPEC = CampaignSpec(name=CAMPAIGN, protocol="kettle", budget=8)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    folder = binaries()
    if folder is None:
        skip_or_fail("PostgreSQL is not installed (Debian: postgresql)")
        return
    with running_postgres(folder) as server:
        yield server


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with an empty ledger, to copy: migrating each time would be slow."""
    path = tmp_path_factory.mktemp("template") / "ledger.db"
    Ledger.open(f"sqlite:///{path}").close()
    return path


@pytest.fixture(scope="session")
def postgres_ledger(postgres_server: PostgresServer) -> str:
    """A database with a ledger that each test leaves empty."""
    url = postgres_server.new_database()
    Ledger.open(url).close()
    return url


def empty_postgres(url: str) -> None:
    """Empty the ledger in PostgreSQL, past the triggers that refuse it."""
    kept = {f"{machine.name}_legal" for machine in MACHINES} | {VERSION_TABLE}
    tables = sorted(set(metadata.tables) - kept)
    with psycopg.connect(url) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(f"TRUNCATE {', '.join(tables)}")


DATABASES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]


@pytest.fixture(params=DATABASES)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Address of a database without tables, of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    url = server.new_database()
    yield url
    server.drop_database(url)


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Address of a database with an empty ledger, of each kind."""
    if request.param == "sqlite":
        path = tmp_path / "ledger.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    address: str = request.getfixturevalue("postgres_ledger")
    yield address
    empty_postgres(address)


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    opened = Ledger.open(url)
    yield opened
    opened.close()


@pytest.fixture
def protocol() -> Protocol:
    return parse_protocol(PROTOCOL)


@pytest.fixture
def campaign(ledger: Ledger, protocol: Protocol) -> str:
    """A campaign whose data set admits replayed results only."""
    return open_campaign(ledger, protocol, CAMPAIGN)


def open_campaign(ledger: Ledger, protocol: Protocol, name: str) -> str:
    ledger.open_campaign(name, SPEC, protocol, origins=[Origin.REPLAYED], actor="ada")
    return name


def proposal(
    name: str, *, round: int = 0, prediction_id: str | None = None
) -> Proposal:
    return Proposal(
        id=name,
        campaign_id=CAMPAIGN,
        round=round,
        rank=0,
        candidate=Candidate(conditions={"power": 1000.0}),
        proposer="policy:random",
        policy="random",
        policy_version="1",
        reason="first",
        n_considered=10,
        seed=1,
        pool_sha256=SHA,
        data_sha256=SHA,
        prediction_id=prediction_id,
    )


def prediction(name: str) -> StoredPrediction:
    return StoredPrediction.model_validate(
        {
            "id": name,
            "campaign_id": CAMPAIGN,
            "conditions": {"power": 1000.0},
            "readouts": {
                "seconds": {
                    "location": 400.0,
                    "epistemic": 30.0,
                    "aleatoric": 10.0,
                    "mean": 400.0,
                    "sd": 31.6,
                    "low90": 348.0,
                    "high90": 452.0,
                    "unit": "s",
                }
            },
            "model_sha256": SHA,
            "data_sha256": SHA,
            "made_at": "2026-01-02T03:04:05Z",
        }
    )


def job(
    key: str = "boil-round-0",
    *,
    wells: Sequence[str] = ("a1", "a2"),
    power: float = 1e3,
) -> Job:
    return Job(
        submission_key=key,
        campaign_id=CAMPAIGN,
        round=0,
        lab="replay",
        protocol_name="kettle",
        protocol_version=1,
        protocol_sha256=SHA,
        wells=tuple(
            Well(name=well, proposal_id=f"p-{well}", conditions={"power": power})
            for well in wells
        ),
    )


def measurement(
    well: str | None = "a1",
    value: float | None = 300.0,
    *,
    key: str | None = "boil-round-0",
    **changes: object,
) -> Measurement:
    outcome = Value(value=value) if value is not None else Value(status="failed")
    return Measurement.model_validate(
        {
            "conditions": {"power": 1000.0},
            "readouts": {"seconds": outcome},
            "origin": Origin.REPLAYED,
            "job_key": key,
            "well": well,
        }
        | changes
    )


@pytest.fixture
def approved(ledger: Ledger, campaign: str) -> Callable[..., Job]:
    """Draft and approve a batch for a job."""

    def approve(key: str = "boil-round-0", **changes: object) -> Job:
        asked = job(key, **changes)  # type: ignore[arg-type]
        with ledger.visit(campaign, actor="ada") as w:
            w.add_batch(key, asked, proposer="ada")
            w.move_approval(key, ApprovalState.AWAITING)
        with ledger.visit(campaign, actor="grace") as w:
            w.move_approval(key, ApprovalState.APPROVED, {"note": "go"})
        return asked

    return approve


@pytest.fixture
def sent(ledger: Ledger, campaign: str, approved: Callable[..., Job]) -> Job:
    """A job of two wells that the lab accepted."""
    asked = approved()
    with ledger.visit(campaign, actor="advance") as w:
        w.reserve_job(asked.submission_key, asked)
        w.move_job(asked.submission_key, SubmissionState.SUBMITTING)
        w.move_job(
            asked.submission_key, SubmissionState.ACCEPTED, {"external_id": "lab-7"}
        )
    return asked
