"""Read a protocol from YAML, with errors that point at the line; publish its schema."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from labwm.errors import ProtocolError, UnavailableError, suggest
from labwm.schema.broken_rules import rule_of
from labwm.schema.protocol import Protocol


def read_protocol(path: Path) -> Protocol:
    """Read and check a protocol file.

    Raises:
        UnavailableError: If the file cannot be read.
        ProtocolError: If it is not YAML or breaks a rule; every broken rule is
            listed with its line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UnavailableError(
            f"A protocol is a readable YAML file; got {path}: {error.strerror}. "
            "Check the path."
        ) from error
    except UnicodeDecodeError as error:
        raise ProtocolError(
            f"{path}: a protocol file is UTF-8 text; got other bytes at offset "
            f"{error.start}. Save it as UTF-8."
        ) from error
    return parse_protocol(text, source=str(path))


def parse_protocol(text: str, *, source: str = "protocol") -> Protocol:
    """Parse and check the text of a protocol file; see `read_protocol`."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ProtocolError(
            f"{source}:{line}: a protocol is YAML; {error.problem}. Mend this line."
        ) from error
    except (yaml.YAMLError, ValueError) as error:
        raise ProtocolError(f"{source}:1: a protocol is YAML; got {error}.") from error
    if root is None or not isinstance(root, yaml.MappingNode):
        raise ProtocolError(
            f"{source}:1: a protocol is a mapping with keys such as name, version, "
            f"parameters; got another kind of content. Start from "
            "`labwm protocol init TABLE --target COLUMN`."
        )
    _refuse_repeated_keys(root, source)
    try:
        return Protocol.model_validate(content)
    except ValidationError as error:
        raise ProtocolError(_explain(error, root, source)) from error


def protocol_schema() -> dict[str, Any]:
    """Return the JSON schema that editors complete and check protocol files with."""
    schema = Protocol.model_json_schema(mode="validation")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def dump_protocol(protocol: Protocol) -> str:
    """Return the protocol as YAML that `parse_protocol` reads back equal."""
    content = protocol.model_dump(mode="json", exclude_defaults=True)
    # PyYAML writes U+0085 as it is and reads it back as the end of a line.
    is_readable = "\x85" not in protocol.model_dump_json()
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=is_readable, width=88)


def _refuse_repeated_keys(node: yaml.Node, source: str) -> None:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                raise ProtocolError(
                    f"{source}:{key.start_mark.line + 1}: each key stands once; got "
                    f"{key.value!r} again. Remove one."
                )
            seen.add(key.value)
            _refuse_repeated_keys(value, source)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _refuse_repeated_keys(value, source)


def _explain(error: ValidationError, root: yaml.Node, source: str) -> str:
    lines: list[str] = []
    for problem in error.errors():
        place = [part for part in problem["loc"] if not _is_union_tag(part)]
        dotted = ".".join(str(part) for part in place) or "protocol"
        message = rule_of(problem)
        if problem["type"] == "extra_forbidden":
            known = _known_keys(root, place)
            message = f"unknown key {place[-1]!r}. {suggest(str(place[-1]), known)}"
        elif problem["type"] != "value_error" and not isinstance(
            problem["input"], dict | list
        ):
            message = f"{message}; got {problem['input']!r}."
        lines.append(f"{source}:{_line_of(root, place)}: {dotted}: {message}")
    return "\n".join(lines)


_TAGS = {
    "continuous", "discrete", "categorical", "molecule", "mixture", "context",
    "linear", "exclude", "depends", "cardinality",
}  # fmt: skip


def _is_union_tag(part: int | str) -> bool:
    return part in _TAGS


def _known_keys(root: yaml.Node, place: list[int | str]) -> set[str]:
    """Keys that the record at `place` knows: the union over its possible records."""
    schema = protocol_schema()
    node: Any = schema
    for part in place[:-1]:
        node = _descend(node, part, schema)
    known: set[str] = set()
    for option in _options(node, schema):
        known |= set(option.get("properties", {}))
    return known


def _options(node: Any, schema: dict[str, Any]) -> list[dict[str, Any]]:
    if "$ref" in node:
        return _options(schema["$defs"][node["$ref"].rsplit("/", 1)[1]], schema)
    nested = node.get("oneOf") or node.get("anyOf")
    if nested:
        return [option for choice in nested for option in _options(choice, schema)]
    return [node]


def _descend(node: Any, part: int | str, schema: dict[str, Any]) -> Any:
    for option in _options(node, schema):
        if isinstance(part, int) and "items" in option:
            return option["items"]
        if part in option.get("properties", {}):
            return option["properties"][part]
        if isinstance(option.get("additionalProperties"), dict):
            return option["additionalProperties"]
    return {}


def _line_of(root: yaml.Node, place: list[int | str]) -> int:
    """Line, from 1, of the deepest node on the way to `place` that the file holds."""
    node, line = root, root.start_mark.line
    for part in place:
        found = None
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == str(part):
                    found, line = value, key.start_mark.line
        elif isinstance(node, yaml.SequenceNode) and node.value[int(part) :]:
            found = node.value[int(part)]
            line = found.start_mark.line
        if found is None:
            break
        node = found
    return line + 1
