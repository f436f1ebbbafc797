"""`labwm up` without a network, on PostgreSQL, and with a worker of a pool."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from tests.api.site import Site, until
from tests.api.test_launch import rounds_sent, small_spec
from tests.api.up import Launched, launched_in
from tests.conftest import ROOT, skip_or_fail
from tests.postgres import binaries, running_postgres

pytestmark = [
    pytest.mark.slow,  # each starts servers of its own
    pytest.mark.timeout(300),
    pytest.mark.prefect,
    pytest.mark.xdist_group("prefect"),
]


@pytest.mark.postgres
def test_a_campaign_runs_with_everything_on_postgresql(desk: Site):
    if (folder := binaries()) is None:
        skip_or_fail("PostgreSQL is not installed")
    server = running_postgres(folder)
    ledger, prefect = server.new_database(), server.new_database()
    settings = {
        "LABWM_DATABASE_URL": ledger,
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": prefect.replace(
            "postgresql://", "postgresql+asyncpg://"
        ),
    }
    with launched_in(desk, **settings) as launched:
        launched.wait_until_ready()
        check_a_campaign(launched, "on-postgres")
        until(lambda: launched.runs("advance", "SCHEDULED"), seconds=90, what="cron")
    assert not (desk.folder / "home" / "ledger.db").exists()
    assert not (desk.folder / "home" / "prefect" / "prefect.db").exists()
    for url, table in ((ledger, "events"), (prefect, "flow_run")):
        with psycopg.connect(url) as connection:
            (n,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone() or ()
        assert n > 0


def test_up_works_without_a_network(desk: Site):
    alone = ["unshare", "--map-root-user", "--net", "sh", "-c"]
    lo_up = 'ip link set lo up && exec "$@"'
    probe = subprocess.run(
        [*alone, lo_up, "sh", "true"], capture_output=True, check=False
    )
    if probe.returncode:
        skip_or_fail(f"no network can be taken away here: {probe.stderr.decode()}")
    # Its ports answer in its own network only: what it says is all that is seen.
    with launched_in(desk, *alone, lo_up, "sh") as launched:
        launched.wait_until_ready()
        for title in ("Prefect (runs", "Deployments:", "Campaigns, approvals"):
            assert title in launched.text


def test_a_worker_of_a_process_pool_runs_a_campaign(desk: Site):
    with launched_in(desk) as launched:
        launched.wait_until_ready()
        with working(launched):
            name, folder = "by-worker", launched.site.folder
            # A worker runs each flow in a folder of its own: paths are absolute.
            spec = small_spec(name, budget=4) | {
                "protocol": str(folder / "free.yaml"),
                "data": str(folder / "table.csv"),
            }
            run = launched.start("process-campaign", spec=spec)
            state = launched.ended(run)
        assert (state["type"], state["name"]) == ("COMPLETED", "Done"), state
        assert rounds_sent(launched, name) == ["r000"]


def check_a_campaign(launched: Launched, name: str) -> None:
    state = launched.ended(launched.start("campaign", spec=small_spec(name, budget=8)))
    assert (state["type"], state["name"]) == ("COMPLETED", "Done"), state
    assert rounds_sent(launched, name) == ["r000", "r001"]


@contextmanager
def working(launched: Launched) -> Iterator[None]:
    """Deploy `prefect.yaml` for a process pool, and run its worker."""
    site = launched.site
    shutil.copy(ROOT / "prefect.yaml", site.folder)
    environment = {
        **site.environment,
        "PREFECT_API_URL": f"{launched.prefect}/api",
        "PREFECT_HOME": str(site.folder / "worker"),
        "LABWM_PUBLIC_URL": launched.api,
    }

    def prefect(*words: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "prefect", *words],
            cwd=site.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    prefect("work-pool", "create", "--type", "process", "labwm-process")
    prefect("--no-prompt", "deploy", "-n", "*/process-*")
    log = site.folder / "worker.log"
    with log.open("w") as output:
        worker = subprocess.Popen(
            [sys.executable, "-m", "prefect", "worker", "start", "-p", "labwm-process"],
            cwd=site.folder,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield
    finally:
        worker.terminate()
        worker.wait(60)
