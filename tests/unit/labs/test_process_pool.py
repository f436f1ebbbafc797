"""Wells measured in processes that can be killed."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from labwm.errors import UnavailableError
from labwm.labs.process_pool import ProcessPool
from labwm.schema import Status, Value, Well
from labwm.testing.faults import kill, start, wait_until
from labwm.testing.instruments import (
    COUNTS_THREADS,
    DIES,
    FORGETS,
    HANGS,
    IS_ABSENT,
    RAISES,
    Counting,
    Meeting,
    Square,
)


def wells(*xs: float) -> list[Well]:
    return [
        Well(name=f"w{i}", proposal_id="p", conditions={"x": x})
        for i, x in enumerate(xs)
    ]


def measure(*xs: float, n_workers: int = 2, seconds: float = 20.0) -> dict[str, Value]:
    pool = ProcessPool(n_workers, seconds)
    outcomes = pool(Square(), wells(*xs))
    return {well.name: outcome.readouts["y"] for well, outcome in outcomes}


def children() -> set[int]:
    path = Path(f"/proc/self/task/{os.getpid()}/children")
    return {int(pid) for pid in path.read_text().split()}


def test_every_well_is_measured_once_and_no_process_is_left():
    before = children()
    values = measure(*range(1, 8))
    assert values == {
        f"w{i}": Value(value=float(x * x)) for i, x in enumerate(range(1, 8))
    }
    assert children() <= before


def test_an_instrument_says_how_long_it_worked_or_the_clock_does():
    _, outcome = next(ProcessPool(1, 20.0)(Square(), wells(2.0)))
    assert outcome.duration == 0.5
    _, outcome = next(ProcessPool(1, 20.0)(Square(), wells(RAISES)))
    assert 0 <= outcome.duration < 5


@pytest.mark.parametrize(
    ("x", "reason"),
    [
        (RAISES, "ZeroDivisionError: as asked"),
        (DIES, "died twice on this well: exit status -11"),
        (FORGETS, r"measures \['y'\]; got \[\]"),
    ],
    ids=["raises", "dies", "forgets"],
)
def test_what_breaks_on_a_well_fails_this_well_only(x: float, reason: str):
    values = measure(1.0, x, 2.0)
    assert values["w0"] == Value(value=1.0)
    assert values["w2"] == Value(value=4.0)
    assert values["w1"].status is Status.FAILED
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(values["w1"].reason)


def test_a_well_over_the_limit_is_stopped_and_the_others_go_on():
    started = time.monotonic()
    values = measure(HANGS, 1.0, 2.0, n_workers=1, seconds=1.0)
    assert time.monotonic() - started < 10
    assert values["w0"].status is Status.FAILED
    assert values["w0"].reason == "A well takes at most 1 s; it was stopped."
    assert [values["w1"].value, values["w2"].value] == [1.0, 4.0]


def test_a_process_killed_from_outside_costs_no_well():
    before = children()
    outcomes = ProcessPool(1, 20.0)(Square(), wells(1.0, 2.0, 3.0))
    next(outcomes)
    (child,) = children() - before
    os.kill(child, signal.SIGKILL)
    wait_until(lambda: "\nState:\tZ" in Path(f"/proc/{child}/status").read_text())
    assert [outcome.readouts["y"].value for _, outcome in outcomes] == [4.0, 9.0]


def test_an_absent_instrument_stops_the_work_and_fails_no_well():
    before = children()
    with pytest.raises(UnavailableError, match="must be there; got none"):
        measure(1.0, IS_ABSENT)
    with pytest.raises(UnavailableError, match="must start; got one that does not"):
        list(ProcessPool(1, 20.0)(Square(is_broken=True), wells(1.0)))
    assert children() <= before


def test_closing_early_ends_the_processes_in_the_middle_of_a_well():
    before = children()
    outcomes = ProcessPool(2, 60.0)(Square(), wells(1.0, HANGS))
    next(outcomes)
    assert len(children() - before) == 2
    outcomes.close()
    assert children() <= before


def test_wells_are_taken_only_when_a_process_is_free():
    taken: list[str] = []

    def lazily() -> Iterator[Well]:
        for well in wells(1.0, 2.0, 3.0, 4.0):
            taken.append(well.name)
            yield well

    outcomes = ProcessPool(1, 20.0)(Square(), lazily())
    next(outcomes)
    assert taken == ["w0"]
    outcomes.close()


def test_wells_are_measured_side_by_side(tmp_path: Path):
    outcomes = list(ProcessPool(2, 60.0)(Meeting(tmp_path, 2), wells(1.0, 2.0)))
    assert [outcome.readouts["y"].value for _, outcome in outcomes] == [2.0, 2.0]


def test_each_process_computes_on_one_thread(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert measure(COUNTS_THREADS)["w0"].value == 1.0


def test_a_start_that_takes_too_long_is_an_absent_instrument():
    pool = ProcessPool(1, 20.0, seconds_to_start=0.0)
    with pytest.raises(UnavailableError, match="no start within 0 s"):
        list(pool(Square(), wells(1.0)))


def test_it_ends_with_the_process_that_started_it(tmp_path: Path):
    note = tmp_path / "pid"
    process = start(_hang_in_a_child, note)
    wait_until(lambda: note.exists() and note.read_text() != "")
    child = int(note.read_text())
    kill(process)
    # It ends after the well in work, which takes 2 s.
    wait_until(lambda: not Path(f"/proc/{child}/exe").exists(), seconds=10)


def _hang_in_a_child(note: Path) -> None:
    counting = Counting(Square(), note.with_suffix(".log"), 2.0)
    before = children()
    outcomes = ProcessPool(1, 60.0)(counting, wells(1.0, 2.0, 3.0))
    next(outcomes)
    (child,) = children() - before
    note.write_text(str(child))
    list(outcomes)
