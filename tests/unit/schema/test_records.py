"""Every record is frozen, strict, and round-trips with one digest."""

import inspect
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import labwm.schema
from labwm.schema import (
    CampaignSpec,
    Change,
    Conditions,
    DiscreteParameter,
    Job,
    LevelCost,
    Measurement,
    Protocol,
    Record,
    Status,
    Value,
    canonical_json,
    sha256_of,
)

RECORDS = [
    record
    for _, record in inspect.getmembers(labwm.schema, inspect.isclass)
    if issubclass(record, Record) and record is not Record
]
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
NAMES = st.from_regex(r"\A[A-Za-z][A-Za-z0-9_-]{0,8}\Z")


@st.composite
def protocols(draw: st.DrawFn) -> Protocol:
    names = draw(st.lists(NAMES, min_size=5, max_size=5, unique=True))
    low, high = sorted(draw(st.lists(NUMBERS, min_size=2, max_size=2, unique=True)))
    texts = st.lists(st.text(max_size=5), min_size=1, max_size=4, unique=True)
    return Protocol.model_validate(
        {
            "name": draw(NAMES),
            "version": draw(st.integers(1, 99)),
            "title": draw(st.text(max_size=20)),
            "parameters": [
                {"name": names[0], "kind": "continuous", "bounds": [low, high]},
                {"name": names[1], "kind": "categorical", "levels": draw(texts)},
                {
                    "name": names[2],
                    "kind": "discrete",
                    "levels": draw(st.lists(NUMBERS, min_size=1, unique=True)),
                    "change": draw(st.sampled_from(list(Change))),
                },
            ],
            "readouts": [{"name": names[3]}, {"name": names[4], "unit": "percent"}],
            "objectives": [{"readout": names[3], "goal": "minimise"}],
            "costs": {"per_batch": {"amount": 1, "duration": "4 h"}},
        }
    )


@given(protocols())
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_protocol_round_trips_through_json_and_yaml(protocol: Protocol):
    text = protocol.model_dump_json()
    assert Protocol.model_validate_json(text) == protocol
    again = labwm.schema.parse_protocol(labwm.schema.dump_protocol(protocol))
    assert again == protocol
    assert again.digest() == protocol.digest()


def test_a_label_that_yaml_takes_for_the_end_of_a_line_round_trips():
    text = (
        "{name: a, version: 1, parameters: [{name: p, kind: categorical, "
        'levels: ["x\\N", "x"]}], readouts: [{name: r}], '
        "objectives: [{readout: r, goal: maximise}]}"
    )
    protocol = labwm.schema.parse_protocol(text)
    assert "x\x85" in protocol.parameters[0].levels
    assert labwm.schema.parse_protocol(labwm.schema.dump_protocol(protocol)) == protocol


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_a_record_is_frozen_and_refuses_unknown_keys(record: type[Record]):
    assert record.model_config.get("frozen") is True
    assert record.model_config.get("extra") == "forbid"
    with pytest.raises(ValidationError, match="no_such_key"):
        record.model_validate({"no_such_key": 1})


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_a_record_has_a_json_schema_of_its_own(record: type[Record]):
    schema = json.loads(json.dumps(record.model_json_schema()))
    if "$ref" in schema:  # a record that holds records of its own kind
        schema = schema["$defs"][schema["$ref"].rpartition("/")[2]]
    assert schema["additionalProperties"] is False
    assert set(schema["properties"]) >= {
        name for name, field in record.model_fields.items() if field.is_required()
    }


@given(
    st.dictionaries(NAMES, NUMBERS | st.text(max_size=5), max_size=4),
    st.dictionaries(NAMES, NUMBERS, max_size=3),
    st.integers(0, 9),
)
def test_a_measurement_round_trips(
    conditions: Conditions, values: dict[str, float], replicate: int
):
    found = Measurement(
        conditions=conditions,
        readouts={name: Value(value=value) for name, value in values.items()},
        origin=labwm.schema.Origin.MEASURED,
        replicate=replicate,
    )
    again = Measurement.model_validate_json(found.model_dump_json())
    assert again == found
    assert again.digest() == found.digest()
    assert Measurement.model_validate(json.loads(found.canonical_json())) == found


def test_equal_values_have_equal_bytes_whatever_their_order():
    assert canonical_json({"b": 1.5, "a": "β"}) == canonical_json({"a": "β", "b": 1.5})
    assert sha256_of({"a": 1}) != sha256_of({"a": 2})
    with pytest.raises(ValueError, match="Out of range"):
        canonical_json({"a": float("nan")})


def test_nan_is_not_a_value():
    with pytest.raises(ValidationError):
        Value(value=float("nan"))
    with pytest.raises(ValidationError, match="needs a number"):
        Value(status=Status.BELOW)


def test_a_record_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        Value(value=1.0).value = 2.0  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("30 min", 1800.0), ("1.5h", 5400.0), ("2 d", 172800.0), ("3 s", 3.0), (7, 7.0)],
)
def test_a_duration_is_read_in_seconds(written: object, seconds: float):
    cost = LevelCost.model_validate({"stock": 1, "lead_time": written})
    assert cost.lead_time == seconds


def test_levels_that_repeat_are_refused():
    with pytest.raises(ValidationError, match="more than once"):
        DiscreteParameter(name="a", kind="discrete", levels=(1.0, 1.0))


def test_wells_of_a_job_have_names_of_their_own():
    well = {"name": "A1", "proposal_id": "p", "conditions": {}}
    with pytest.raises(ValidationError, match="its own name"):
        Job.model_validate(
            {
                "submission_key": "key-0001",
                "campaign_id": "c",
                "round": 0,
                "lab": "virtual",
                "protocol_name": "p",
                "protocol_version": 1,
                "protocol_sha256": "0" * 64,
                "wells": [well, well],
            }
        )


@pytest.mark.parametrize("name", ["A", "ab", "-abc", "a b c", "x" * 41])
def test_a_campaign_name_keeps_to_its_pattern(name: str):
    with pytest.raises(ValidationError):
        CampaignSpec(name=name, protocol="p")
