"""Broken rules are told in a user's words, not in a validator's."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

import labwm.schema as schema
from labwm.errors import ProtocolError
from labwm.schema import CampaignSpec, parse_protocol
from labwm.schema.broken_rules import rule_of
from labwm.schema.exchange import KeyRequest

PROTOCOL = Path(__file__).parents[3] / "protocols" / "direct_arylation.yaml"


def test_a_bad_name_says_what_a_name_is():
    text = re.sub(r"^name: .*$", 'name: "My assay!"', PROTOCOL.read_text(), flags=re.M)
    with pytest.raises(ProtocolError) as refused:
        parse_protocol(text)
    said = str(refused.value)
    assert "a name starts with a letter" in said
    assert "'My assay!'" in said
    assert "pattern" not in said


def test_a_misspelt_kind_gets_the_nearest_one():
    text = PROTOCOL.read_text().replace("kind: discrete", "kind: discreet", 1)
    with pytest.raises(
        ProtocolError, match="no kind 'discreet'\\. Did you mean 'discre"
    ):
        parse_protocol(text)


def test_an_absent_key_is_named():
    text = re.sub(r"^version: .*\n", "", PROTOCOL.read_text(), flags=re.M)
    with pytest.raises(ProtocolError, match="version: this key is needed and absent"):
        parse_protocol(text)


@pytest.mark.parametrize(
    ("record", "content", "words"),
    [
        (KeyRequest, {"name": "A B"}, "a name here is"),
        (KeyRequest, {"name": 3}, "this must be text"),
        (CampaignSpec, {"name": "x", "protocol": "p"}, "this is 3 to 40"),
        (CampaignSpec, {"name": "abc", "protocol": ""}, "at least 1 characters"),
    ],
)
def test_words_are_found_for(
    record: type[BaseModel], content: dict[str, Any], words: str
):
    with pytest.raises(ValidationError) as refused:
        record.model_validate(content)
    assert words in " ".join(rule_of(problem) for problem in refused.value.errors())


def _patterns(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("pattern"), str):
            yield node["pattern"]
        for value in node.values():
            yield from _patterns(value)
    elif isinstance(node, list):
        for value in node:
            yield from _patterns(value)


def test_every_pattern_of_the_records_has_words():
    records = [
        value
        for value in vars(schema).values()
        if isinstance(value, type) and issubclass(value, BaseModel)
    ]
    found = {p for record in records for p in _patterns(record.model_json_schema())}
    assert found
    for pattern in found:
        problem = {
            "type": "string_pattern_mismatch",
            "msg": "",
            "ctx": {"pattern": pattern},
        }
        assert pattern not in rule_of(problem), pattern
