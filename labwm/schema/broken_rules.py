"""What a record's validator found wrong, in a user's words: the rule, the remedy."""

from collections.abc import Callable, Mapping
from typing import Any

from labwm.errors import suggest

_PATTERNS = {
    r"^[A-Za-z][A-Za-z0-9_-]{0,63}$": (
        "a name starts with a letter and holds letters, digits, '_' and '-', 64 at "
        "most (other words go into `title`)"
    ),
    r"^[a-z0-9][a-z0-9-]{2,39}$": (
        "this is 3 to 40 of a-z, 0-9 and '-', and starts with a letter or a digit"
    ),
    r"^[a-z0-9][a-z0-9._@-]{1,63}$": (
        "a name here is 2 to 64 of a-z, 0-9, '.', '_', '@' and '-', and starts with a "
        "letter or a digit"
    ),
    r"^[a-z0-9][a-z0-9-]{7,63}$": "a key is 8 to 64 of a-z, 0-9 and '-'",
    r"^\s*[0-9]*\.?[0-9]+\s*(s|min|h|d)\s*$": (
        "a duration is a number and s, min, h or d, such as '30 min'"
    ),
    r"^\s*[0-9]*\.?[0-9]+([eE][-+]?[0-9]+)?\s*[A-Za-zµμ%°].*$": (
        "a quantity is a number and a unit, such as '250 mg'"
    ),
    r"^[A-Z]{1,2}[1-9][0-9]?$": (
        "a place on a plate is its row's letter and its column's number, such as B7"
    ),
    r"^[0-9a-f]{64}$": "a SHA-256 digest is 64 of 0-9 and a-f",
}
"""What the patterns of the records mean; a test holds that none is left out."""

_Words = Callable[[Mapping[str, Any]], str]

_RULES: dict[str, _Words] = {
    "missing": lambda context: "this key is needed and absent. Add it",
    "string_pattern_mismatch": lambda context: _PATTERNS.get(
        context["pattern"], f"the text must match {context['pattern']}"
    ),
    "union_tag_invalid": lambda context: _choice(
        context["tag"], context["expected_tags"].replace("'", "").split(", ")
    ),
    "union_tag_not_found": lambda context: (
        f"the key {context['discriminator'].strip(chr(39))!r} says which kind this is "
        "and is absent. Add it"
    ),
    "literal_error": lambda context: f"it must be one of {context['expected']}",
    "enum": lambda context: f"it must be one of {context['expected']}",
    "float_parsing": lambda context: "this must be a number",
    "float_type": lambda context: "this must be a number",
    "finite_number": lambda context: "this must be a finite number",
    "int_parsing": lambda context: "this must be a whole number",
    "int_type": lambda context: "this must be a whole number",
    "int_from_float": lambda context: "this must be a whole number",
    "string_type": lambda context: (
        "this must be text. Quote it where YAML or JSON reads something else"
    ),
    "bool_parsing": lambda context: "this must be true or false",
    "bool_type": lambda context: "this must be true or false",
    "dict_type": lambda context: "this must be a mapping of keys to values",
    "model_type": lambda context: "this must be a mapping of keys to values",
    "model_attributes_type": lambda context: "this must be a mapping of keys to values",
    "tuple_type": lambda context: "this must be a list",
    "list_type": lambda context: "this must be a list",
    "too_short": lambda context: (
        f"this list needs at least {context['min_length']}; it has "
        f"{context['actual_length']}"
    ),
    "too_long": lambda context: (
        f"this list holds at most {context['max_length']}; it has more"
    ),
    "string_too_short": lambda context: (
        f"this text needs at least {context['min_length']} characters"
    ),
    "string_too_long": lambda context: (
        f"this text holds at most {context['max_length']} characters"
    ),
    "greater_than": lambda context: f"this must be above {_bound(context['gt'])}",
    "greater_than_equal": lambda context: (
        f"this must be {_bound(context['ge'])} or more"
    ),
    "less_than": lambda context: f"this must be below {_bound(context['lt'])}",
    "less_than_equal": lambda context: f"this must be {_bound(context['le'])} or less",
    "extra_forbidden": lambda context: "this key is unknown. Remove it",
    "json_invalid": lambda context: f"this is not JSON: {context.get('error', '')}",
}


def rule_of(problem: Mapping[str, Any]) -> str:
    """Return the rule that a value breaks, in words, without the value.

    Args:
        problem: One entry of pydantic's `ValidationError.errors()`. A kind that has no
            words here keeps pydantic's.
    """
    words = _RULES.get(problem["type"])
    if words is None:
        return str(problem["msg"]).removeprefix("Value error, ")
    return words(problem.get("ctx", {}))


def _bound(value: object) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def _choice(met: str, known: list[str]) -> str:
    return f"there is no kind {met!r}. {suggest(met, known)}"
