"""The forms of the deployments, as Prefect's page builds them from their schemas."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, get_args

import pytest
import yaml
from prefect.deployments.runner import RunnerDeployment

from flows.backtest import backtest_policy
from flows.campaign import run_campaign
from flows.models import retrain
from flows.screen import screen
from flows.serve import deployments
from labwm.design.propose import POLICIES
from labwm.schema import CampaignSpec
from labwm.schema.campaign import PolicyName
from labwm.schema.flow_forms import BacktestForm, RetrainForm, ScreenForm
from tests.conftest import ROOT

pytestmark = [pytest.mark.filterwarnings("ignore::DeprecationWarning")]

FILLED_IN = {
    "campaign": {"name": "by-hand", "protocol": "direct_arylation"},
    "backtest": {"data": "direct_arylation"},
    "retrain": {},
    "screen": {"campaign": "dyes", "pool": "pool.smi"},
}
"""What a person must type, by deployment: fields without a default."""
FORMS = [
    pytest.param("campaign", run_campaign, "spec", CampaignSpec, id="campaign"),
    pytest.param("backtest", backtest_policy, "form", BacktestForm, id="backtest"),
    pytest.param("retrain", retrain, "form", RetrainForm, id="retrain"),
    pytest.param("screen", screen, "form", ScreenForm, id="screen"),
]
WITHOUT_UNIT = {"seed"}
SIMPLE = {"string", "integer", "number", "boolean"}

Schema = dict[str, Any]


def served() -> list[Any]:
    return [pytest.param(one, id=one.name) for one in deployments()]


def schema_of(deployment: RunnerDeployment) -> Schema:
    schema = deployment._parameter_openapi_schema
    assert schema is not None
    return schema.model_dump()


def resolved(field: Schema, root: Schema) -> Schema:
    if "$ref" in field:
        return root["definitions"][field["$ref"].rpartition("/")[2]]
    return field


def untouched(name: str, field: Schema, root: Schema, typed: dict[str, str]) -> Any:
    """Return what the form submits for a field that nobody touched but had to fill."""
    inner = resolved(field, root)
    if "default" in field:
        return field["default"]
    if "properties" in inner:
        parts = inner["properties"].items()
        return {part: untouched(part, one, root, typed) for part, one in parts}
    return typed[name]


def fields(schema: Schema, root: Schema) -> Iterator[tuple[str, Schema, bool]]:
    """Return every leaf of a form: its name, its schema, and whether it is required."""
    for name, field in schema.get("properties", {}).items():
        inner = resolved(field, root)
        if inner.get("properties"):
            yield from fields(inner, root)
        else:
            yield name, field | inner, name in schema.get("required", ())


@pytest.mark.parametrize("deployment", served())
def test_every_field_is_shown_as_a_chemist_can_read_it(deployment):
    schema = schema_of(deployment)
    for name, field, is_required in fields(schema, schema):
        made_up = name.replace("_", " ").title()  # what pydantic writes by itself
        assert "_" not in name or field["title"] != made_up
        assert field.get("description"), name
        assert not re.search(r"[`*#<>]|\]\(", field["description"]), name
        # A default_factory is not in the schema: the form would submit nothing.
        assert is_required or "default" in field, name
        kinds = {one["type"] for one in field.get("anyOf", [field])} - {"null"}
        assert len(kinds) == 1, f"{name} is a toggle between {kinds}"
        assert kinds <= SIMPLE, f"{name} would be a box for JSON"
        if kinds <= {"integer", "number"} and name not in WITHOUT_UNIT:
            assert re.search(r" \[.+\]$", field["title"]), f"{name} names no unit"


@pytest.mark.parametrize(("name", "flow", "argument", "record"), FORMS)
def test_an_untouched_form_equals_the_defaults_of_its_record(
    name, flow, argument, record
):
    (deployment,) = (one for one in deployments() if one.name == name)
    schema = schema_of(deployment)
    submitted = untouched("", schema, schema, FILLED_IN[name])
    expected = record.model_validate(FILLED_IN[name])
    assert submitted == {argument: expected.model_dump(mode="json")}
    assert flow.validate_parameters(submitted) == {argument: expected}


def test_every_deployment_with_a_form_is_compared_with_its_record():
    asking = {one.name for one in deployments() if schema_of(one)["properties"]}
    assert asking == set(FILLED_IN)


def test_the_form_offers_every_policy():
    assert get_args(PolicyName) == tuple(POLICIES)


@pytest.mark.parametrize("deployment", served())
def test_every_deployment_says_what_it_does_and_runs_from_a_module(deployment):
    assert len(deployment.description) > 40
    assert "labwm" in deployment.tags
    assert len(deployment.tags) == 2
    assert re.fullmatch(r"flows\.\w+\.\w+", deployment.entrypoint)


def test_the_file_for_work_pools_deploys_what_is_served():
    content = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    served = {one.name: one for one in deployments()}
    pools = ("process", "docker", "kubernetes")
    found = {one["name"]: one for one in content["deployments"]}
    assert set(found) == {f"{pool}-{name}" for pool in pools for name in served}
    for name, one in found.items():
        pool, _, flow = name.partition("-")
        same = served[flow]
        assert one["work_pool"]["name"] == f"labwm-{pool}"
        assert (one["entrypoint"], one["tags"]) == (same.entrypoint, same.tags)
        assert one["pull"] == []
        schedules = [schedule.schedule for schedule in same.schedules or []]
        assert [shown(schedule) for schedule in one.get("schedules", [])] == [
            (getattr(s, "cron", None), getattr(s, "interval", None)) for s in schedules
        ]
        assert ("concurrency_limit" in one) == bool(schedules)


def shown(schedule: dict[str, Any]) -> tuple[str | None, timedelta | None]:
    seconds = schedule.get("interval")
    return schedule.get("cron"), None if seconds is None else timedelta(seconds=seconds)
