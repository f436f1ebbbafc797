"""A back-test spread over a task runner by name gives what it gives in one process."""

import importlib.util
import json
import sys

import pytest

from flows.backtest import backtest_policy
from flows.screen import screen
from flows.task_runners import task_runner
from labwm import campaign, settings
from labwm.campaign.pool_screening import screen_pool
from labwm.errors import InvalidInputError, UnavailableError
from labwm.evaluation.backtest import Plan
from labwm.evaluation.optimize import OptimizeSettings, bench_optimize
from labwm.schema import CampaignSpec
from labwm.schema.flow_forms import BacktestForm, ScreenForm
from labwm.schema.screening import ScreenRequest
from tests.conftest import skip_or_fail
from tests.flows.test_flows import artifacts

pytestmark = [
    pytest.mark.prefect,
    pytest.mark.xdist_group("prefect"),
    pytest.mark.usefixtures("prefect_server"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture
def form(kettle) -> BacktestForm:
    return BacktestForm(
        data=str(kettle / "kettle.csv"),
        protocol=str(kettle / "kettle.yaml"),
        policy="space_filling",
        budget=12,
        seeds=6,
    )


def in_one_process(form: BacktestForm) -> list[dict[str, object]]:
    from labwm.data.assay import read_assay
    from labwm.data.protocols import load_protocol

    rules = load_protocol(str(form.protocol))
    table = bench_optimize(
        rules,
        read_assay(form.data, rules).measurements,
        OptimizeSettings(Plan(4, form.budget), ("space_filling", "random"), form.seeds),
    )
    return [
        {"name": row.name, "metric": row.metric, "at": row.at, "mean": row.mean}
        for row in table.rows
        if row.mean is not None and row.metric not in MEASURED_ANEW
    ]


DYES = """
name: dyes
version: 1
parameters: [{name: dye, kind: molecule, smiles_column: smiles}]
readouts: [{name: signal}]
objectives: [{readout: signal, goal: maximise}]
lab: {adapter: replay, batch_size: 6}
"""
MEASURED_ANEW = {"seconds_per_recommendation", "peak_mb"}


def shown(form: BacktestForm) -> list[dict[str, object]]:
    assert backtest_policy(form, return_state=True).name == "Done"
    latest = max(artifacts("backtest"), key=lambda one: str(one.created))
    return [
        {key: row[key] for key in ("name", "metric", "at", "mean")}
        for row in json.loads(str(latest.data))
        if row["metric"] not in MEASURED_ANEW
    ]


def test_threads_give_what_one_process_gives(form: BacktestForm):
    assert shown(form) == in_one_process(form)
    (summary,) = artifacts("backtest-summary")
    assert "| space_filling | 12 |" in str(summary.data)


@pytest.mark.slow  # a cluster of two processes, each of which loads the libraries
def test_a_local_dask_cluster_gives_what_one_process_gives(form: BacktestForm):
    if importlib.util.find_spec("prefect_dask") is None:
        skip_or_fail("labwm[dask] is not installed")
    on_dask = form.model_copy(update={"runner": "dask"})
    assert shown(on_dask) == in_one_process(form)


@pytest.fixture
def dyes(tmp_path) -> ScreenForm:
    """A campaign on molecules that measured its table, and a pool of two blocks."""
    (tmp_path / "dyes.yaml").write_text(DYES)
    known = ["C" * n + tail for n in range(1, 5) for tail in ("O", "N", "C(=O)O")]
    rows = [f"{smiles},{len(smiles)}" for smiles in known]
    (tmp_path / "dyes.csv").write_text("\n".join(["smiles,signal", *rows, ""]))
    pool = [f"{'C' * n}{tail}" for n in range(1, 26) for tail in ("F", "S", "C#N")]
    pool = [smiles for smiles in pool for _ in range(30)]
    (tmp_path / "pool.smi").write_text("\n".join([*pool, "not-a-molecule", ""]))
    campaign.open_campaign(
        CampaignSpec(
            name="dyes",
            protocol=str(tmp_path / "dyes.yaml"),
            data=str(tmp_path / "dyes.csv"),
            policy="random",
            budget=12,
        )
    )
    while campaign.advance("dyes").is_moving:
        pass
    return ScreenForm(campaign="dyes", pool=str(tmp_path / "pool.smi"), n=4)


def screened(form: ScreenForm) -> list[dict[str, object]]:
    state = screen(form, return_state=True)
    assert (state.name, state.message) == ("Done", "4 of 2251 molecules listed")
    (latest, *_) = artifacts("screen-dyes")
    return json.loads(str(latest.data))


def test_a_pool_screened_by_threads_gives_what_one_process_gives(dyes: ScreenForm):
    request = ScreenRequest(pool=dyes.pool, campaign_id="dyes", n=4)
    alone = screen_pool(request, folder=settings.home() / "alone")
    assert screened(dyes) == [one.model_dump(mode="json") for one in alone.listed]
    (counts,) = artifacts("screen-dyes-counts")
    assert "| unreadable | 1 |" in str(counts.data)
    assert "2251 rows" in str(counts.data)


def test_threads_have_no_address():
    with pytest.raises(InvalidInputError, match="have no address"):
        task_runner("threads", workers=2, address="tcp://10.0.0.1:8786")


@pytest.mark.parametrize("name", ["dask", "ray"])
def test_a_task_runner_whose_package_is_absent_says_what_to_install(name, monkeypatch):
    monkeypatch.setitem(sys.modules, f"prefect_{name}", None)
    with pytest.raises(UnavailableError, match=rf"pip install labwm\[{name}\]"):
        task_runner(name, workers=2)
