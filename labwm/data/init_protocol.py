"""Write a first protocol from a table; every guess comes with its reason."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from labwm.data.profile import Kind, Profile, profile
from labwm.data.roles import Guess, roles_of
from labwm.data.table import Table
from labwm.errors import TableError, suggest
from labwm.schema import Protocol

MAX_LEVELS = 12
"""A number with more distinct values counts as continuous."""
MAX_LISTED = 60
"""Names are listed as levels up to this many."""
LOG_RANGE = 100.0

_LESS_IS_BETTER = re.compile(r"cost|loss|error|impurit|waste|overpotential|price|tox")
_SHARE = re.compile(r"yield|conversion|selectivity|purity|\bee\b|recovery|percent|%")


def init_protocol(
    table: Table,
    *,
    target: str | Sequence[str],
    name: str,
    minimise: Sequence[str] = (),
) -> tuple[Protocol, tuple[Guess, ...]]:
    """Guess a protocol from a table: what may be varied, and what is observed.

    Args:
        table: Of experiments, one per row.
        target: Columns that were measured.
        name: Of the protocol.
        minimise: Those targets of which less is better.

    Raises:
        TableError: If a target is absent or not a number, or no column is left that
            could be varied.
    """
    targets = [target] if isinstance(target, str) else list(target)
    headers = [table.find(column) for column in targets]
    wanted_low = {table.find(column) for column in minimise}
    if unknown := sorted(wanted_low - set(headers)):
        raise TableError(
            f"Only a target is minimised; got {unknown[0]!r}. "
            f"{suggest(unknown[0], headers)}"
        )
    guesses: list[Guess] = []
    taken: set[str] = set()
    profiles = [profile(table, h) for h in table.headers if h not in headers]
    parameters = _parameters(table, profiles, taken, guesses)
    if not parameters:
        raise TableError(
            f"A protocol needs a column that can be varied; {table.source} has none "
            f"beside {targets}. " + " ".join(f"{g.about}: {g.reason}." for g in guesses)
        )
    readouts = [
        _readout(profile(table, header), table.names[header], taken, guesses)
        for header in headers
    ]
    n = _replicates(table, parameters, guesses)
    objectives = [
        _objective(readout, header in wanted_low, guesses)
        for readout, header in zip(readouts, headers, strict=True)
    ]
    content = {
        "name": name,
        "version": 1,
        "title": f"Guessed from {Path(table.source).name}",
        "parameters": parameters,
        "readouts": [r | ({"replicates": n} if n > 1 else {}) for r in readouts],
        "objectives": objectives,
        "lab": {"adapter": "replay", "batch_size": 4},
    }
    return Protocol.model_validate(content), tuple(guesses)


def _parameters(
    table: Table, profiles: list[Profile], taken: set[str], guesses: list[Guess]
) -> list[dict[str, Any]]:
    roles = roles_of(profiles)
    guesses += roles.guesses
    kept, labels = roles.kept, roles.labels
    mixture = _mixture(kept, guesses)
    parts = {p.header for p in mixture}
    parameters: list[dict[str, Any]] = []
    if mixture:
        name = _name("mixture", taken)
        content = {
            "name": name,
            "kind": "mixture",
            "parts": [p.header for p in mixture],
        }
        percent = np.nansum([p.numbers[0] for p in mixture]) > 50
        parameters.append(content | {"unit": "percent" if percent else "fraction"})
    for column in kept:
        if column.header in parts:
            continue
        content, reason = _parameter(column, labels.get(column.header))
        stem = re.sub(r"[_\s-]*smiles$", "", table.names[column.header], flags=re.I)
        stem = stem or "molecule"
        parameters.append({"name": _name(stem, taken), **content})
        guesses.append(
            Guess(about=column.header, taken_as=content["kind"], reason=reason)
        )
    return parameters


def _mixture(kept: list[Profile], guesses: list[Guess]) -> list[Profile]:
    """Return the columns that are fractions of one whole."""
    parts = [
        p
        for p in kept
        if p.kind is Kind.NUMBER
        and p.n_missing == 0
        and re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,63}", p.header)
        and np.all(p.numbers >= 0)
        and np.all(p.numbers <= 100)
    ]
    if len(parts) < 3:
        return []
    totals = np.sum([p.numbers for p in parts], axis=0)
    for whole in (1.0, 100.0):
        if np.allclose(totals, whole, rtol=1e-6, atol=0):
            for part in parts:
                reason = (
                    f"with {len(parts) - 1} others it sums to {whole:g} in each row"
                )
                guesses.append(
                    Guess(about=part.header, taken_as="mixture", reason=reason)
                )
            return parts
    return []


def _parameter(column: Profile, label: str | None) -> tuple[dict[str, Any], str]:
    missing = f"; {column.n_missing} rows lack it" if column.n_missing else ""
    if column.kind is Kind.MOLECULE:
        content: dict[str, Any] = {"kind": "molecule", "smiles_column": column.header}
        if label:
            content["label_column"] = label
        return content, column.why + missing
    content = {"kind": "", "column": column.header}
    if column.kind is Kind.PLACE:
        return content | {"kind": "context"}, f"{column.why}; known, not chosen"
    if column.kind is Kind.TEXT:
        content["kind"] = "categorical"
        if len(column.distinct) <= MAX_LISTED:
            content["levels"] = sorted(column.distinct)
        return content, column.why + missing
    if column.unit:
        content["unit"] = column.unit
    return _numeric(column, content, missing)


def _numeric(
    column: Profile, content: dict[str, Any], missing: str
) -> tuple[dict[str, Any], str]:
    values = column.values
    low, high = values[0], values[-1]
    if len(values) <= MAX_LEVELS:
        reason = f"only {len(values)} distinct numbers{missing}"
        return content | {"kind": "discrete", "levels": list(values)}, reason
    content |= {"kind": "continuous", "bounds": [low, high]}
    reason = f"{len(values)} distinct numbers; the bounds are the least and greatest"
    if low > 0 and high / low >= LOG_RANGE:
        content["scale"] = "log"
        reason += f"; they span a factor of {high / low:.0f}, so a log scale"
    return content, reason + missing


def _readout(
    column: Profile, stem: str, taken: set[str], guesses: list[Guess]
) -> dict[str, Any]:
    numbers = column.numbers[~np.isnan(column.numbers)]
    if not len(numbers):
        raise TableError(
            f"A target holds numbers; {column.header!r} has none, such as "
            f"{list(column.distinct[:3])}. Name another column."
        )
    content: dict[str, Any] = {"name": _name(stem, taken), "column": column.header}
    unit = column.unit
    reason = "it is a target"
    if (unit == "percent" or _SHARE.search(column.header.lower())) and unit in {
        None, "percent", "fraction",
    } and numbers.min() >= 0:  # fmt: skip
        unit = unit or ("fraction" if numbers.max() <= 1 else "percent")
        high = 1.0 if unit == "fraction" else 100.0
        n_above = int(np.count_nonzero(numbers > high))
        content["bounds"] = [0.0, high]
        reason += f"; its name and values are those of a share in {unit}"
        if n_above:
            reason += f"; {n_above} values above {high:g} are kept and flagged"
    if unit:
        content["unit"] = unit
    guesses.append(Guess(about=column.header, taken_as="readout", reason=reason))
    return content


def _objective(
    readout: dict[str, Any], is_minimised: bool, guesses: list[Guess]
) -> dict[str, str]:
    name = readout["name"]
    if is_minimised:
        return {"readout": name, "goal": "minimise"}
    reason = "guess; say --minimise if less is better"
    if _LESS_IS_BETTER.search(name.lower()):
        reason = "guess, although its name sounds as if less is better: say --minimise"
    guesses.append(Guess(about=f"goal of {name}", taken_as="maximise", reason=reason))
    return {"readout": name, "goal": "maximise"}


def _replicates(
    table: Table, parameters: list[dict[str, Any]], guesses: list[Guess]
) -> int:
    columns: list[tuple[str, ...]] = []
    for parameter in parameters:
        if parameter["kind"] == "context":
            continue
        headers = parameter.get("parts") or [
            parameter.get("smiles_column") or parameter["column"]
        ]
        columns += [table.cells(header) for header in headers]
    counts = Counter(zip(*columns, strict=True)) if columns else Counter[Any]()
    n_repeated = sum(n > 1 for n in counts.values())
    sizes = set(counts.values())
    is_even = len(sizes) == 1 and n_repeated > 0
    n = sizes.pop() if is_even else 1
    if n_repeated:
        reason = f"{n_repeated} of {len(counts)} conditions were measured repeatedly"
        guesses.append(Guess(about="replicates", taken_as=str(n), reason=reason))
    return n


def _name(stem: str, taken: set[str]) -> str:
    name = re.sub(r"[^A-Za-z0-9]+", "_", stem).strip("_").lower()
    if not name or not name[0].isalpha():
        name = f"x_{name}".rstrip("_")
    name = name[:60]
    n = 1
    unique = name
    while unique in taken:
        n += 1
        unique = f"{name}_{n}"
    taken.add(unique)
    return unique
