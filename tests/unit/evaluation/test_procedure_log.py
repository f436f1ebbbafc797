"""A log of procedures goes on where it was stopped."""

import fcntl
from pathlib import Path

import pytest

from labwm.data.procedures import read_procedures, references_of
from labwm.errors import ConflictError, InvalidInputError, TableError
from labwm.evaluation.procedure_log import (
    LogSettings,
    choose_molecules,
    make_log,
)

ONE = LogSettings(n_episodes=1)


def free_of_time(path: Path) -> list:
    return [
        [outcome.model_copy(update={"seconds": 0.0}) for outcome in episode.outcomes]
        for episode in read_procedures(path)
    ]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("log") / "log.jsonl"
    assert make_log(path, ("CO", "CC"), ONE) == 4
    return path


def test_a_log_holds_a_reference_and_random_operations(whole: Path):
    episodes = read_procedures(whole)
    assert [episode.policy for episode in episodes] == ["reference", "behaviour"] * 2
    assert set(references_of(episodes)) == {"CO", "CC"}
    assert len(episodes[1].outcomes) == 9


def test_a_run_that_was_killed_goes_on_to_the_same_log(whole: Path, tmp_path: Path):
    cut = tmp_path / "cut.jsonl"
    content = whole.read_bytes()
    cut.write_bytes(content[: len(content) - 200])
    assert make_log(cut, ("CO", "CC"), ONE) == 1
    assert free_of_time(cut) == free_of_time(whole)
    assert make_log(cut, ("CO", "CC"), ONE) == 0


def test_one_process_writes_at_a_time(whole: Path):
    with whole.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(ConflictError, match="another"):
            make_log(whole, ("CO",), ONE)


def test_a_line_that_is_no_episode_is_named(whole: Path, tmp_path: Path):
    broken = tmp_path / "broken.jsonl"
    lines = whole.read_bytes().splitlines(keepends=True)
    broken.write_bytes(lines[0] + lines[1].replace(b'"prune"', b'"plume"'))
    if b"plume" not in broken.read_bytes():
        broken.write_bytes(lines[0] + b'{"smiles": "C"}\n')
    with pytest.raises(TableError, match=r"broken\.jsonl:2: a line of a log"):
        read_procedures(broken)
    with pytest.raises(TableError, match="which is none"):
        read_procedures(tmp_path / "absent.jsonl")


def test_a_packed_log_is_read_only(tmp_path: Path):
    packed = tmp_path / "log.jsonl.gz"
    with pytest.raises(InvalidInputError, match="read only"):
        make_log(packed, ("CO",), ONE)
    packed.write_bytes(b"not packed")
    with pytest.raises(TableError, match="gzip"):
        read_procedures(packed)


def test_molecules_are_distinct_small_and_those_left_out_are_named():
    kept, refused = choose_molecules(
        ["OCC", "CCO", "C", "CCCCCC", "[Na+].[Cl-]"], n=9, max_heavy=4
    )
    assert kept == ("CCO",)
    assert list(refused) == ["[Na+].[Cl-]"]
    with pytest.raises(InvalidInputError, match="heavy atoms"):
        choose_molecules(["C"], n=1, max_heavy=4)
