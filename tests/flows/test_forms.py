"""The forms of the deployments, as Prefect's page builds them from their schemas."""

import re
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from prefect.deployments.runner import RunnerDeployment

from flows.campaign import run_campaign
from flows.serve import deployments
from labwm.design.propose import POLICIES
from labwm.schema import CampaignSpec
from labwm.schema.campaign import PolicyName

pytestmark = [pytest.mark.filterwarnings("ignore::DeprecationWarning")]

FILLED_IN = {"name": "by-hand", "protocol": "direct_arylation"}
"""What a person must type: fields without a default."""
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


def untouched(name: str, field: Schema, root: Schema) -> Any:
    """Return what the form submits for a field that nobody touched but had to fill."""
    inner = resolved(field, root)
    if "default" in field:
        return field["default"]
    if "properties" in inner:
        parts = inner["properties"].items()
        return {part: untouched(part, one, root) for part, one in parts}
    return FILLED_IN[name]


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


def test_the_untouched_campaign_form_equals_the_defaults_of_the_record():
    (deployment,) = (one for one in deployments() if one.name == "campaign")
    schema = schema_of(deployment)
    submitted = untouched("", schema, schema)
    assert submitted == {
        "spec": CampaignSpec.model_validate(FILLED_IN).model_dump(mode="json")
    }
    assert run_campaign.validate_parameters(submitted) == {
        "spec": CampaignSpec.model_validate(FILLED_IN)
    }


def test_deployments_without_a_campaign_ask_for_nothing():
    for deployment in deployments():
        if deployment.name != "campaign":
            assert schema_of(deployment)["properties"] == {}


def test_the_form_offers_every_policy():
    assert get_args(PolicyName) == tuple(POLICIES)


@pytest.mark.parametrize("deployment", served())
def test_every_deployment_says_what_it_does_and_runs_from_a_module(deployment):
    assert len(deployment.description) > 40
    assert "labwm" in deployment.tags
    assert len(deployment.tags) == 2
    assert re.fullmatch(r"flows\.\w+\.\w+", deployment.entrypoint)
