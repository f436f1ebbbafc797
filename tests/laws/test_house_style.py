"""The house keeps its own rules where no linter does."""

import ast
import re
from pathlib import Path

import pytest

from tests.conftest import ROOT

MODULES = [
    path
    for folder in ("labwm", "flows")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if "versions" not in path.parts
]
BANNED = re.compile(r"(^|_)(samples?|sampled|helpers?|utils?)(_|$)")
NO_ROOMS = {"common", "helpers", "manager", "misc", "utils"}
THEIRS = {"min_samples_leaf"}
"""Names that another library gave."""


def names_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    found = {path.stem}
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                found.add(name.lower())
            case ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store()):
                found.add(name.lower())
    return found - THEIRS


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_is_one_idea_in_the_words_of_the_glossary(path: Path):
    assert len(path.read_text().splitlines()) <= 400
    assert path.stem not in NO_ROOMS
    assert not [name for name in names_in(path) if BANNED.search(name)]


@pytest.mark.parametrize(
    "path",
    [path for path in MODULES if path.name == "__init__.py"],
    ids=lambda p: str(p.parent.relative_to(ROOT)),
)
def test_every_room_says_in_a_line_what_lives_there(path: Path):
    said = ast.get_docstring(ast.parse(path.read_text()))
    assert said
    assert len(said.splitlines()[0]) <= 84


def test_architecture_is_one_screen_and_decisions_at_most_a_page():
    docs = ROOT / "docs"
    assert len((docs / "architecture.md").read_text().splitlines()) <= 85
    for path in (docs / "decisions").glob("*.md"):
        text = path.read_text()
        assert len(text.splitlines()) <= 50, path.name
        for part in ("**Context.**", "**Decision.**", "**Consequences.**"):
            assert part in text, path.name
