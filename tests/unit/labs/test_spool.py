"""The spool beyond what every lab must do."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from labwm.errors import InDoubtError, IntegrityError, LabError, UnavailableError
from labwm.labs import SpoolLab
from labwm.labs.durable import STAGED, publish, sweep
from labwm.labs.instrument import run_in_process
from labwm.labs.lease import is_held, lease
from labwm.schema import Job, JobState, Origin, Status, Well
from labwm.testing.instruments import IS_ABSENT, RAISES, Square

KEY = "the-first-job"


def spool(folder: Path, **changes: object) -> SpoolLab:
    lab = SpoolLab(
        "square", Origin.COMPUTED, folder, "0" * 64, Square(), run_in_process
    )
    return replace(lab, **changes)


def job(*xs: float, key: str = KEY) -> Job:
    return Job(
        submission_key=key,
        campaign_id="c",
        round=0,
        lab="square",
        protocol_name="p",
        protocol_version=1,
        protocol_sha256="0" * 64,
        wells=tuple(
            Well(name=f"w{i}", proposal_id="p", conditions={"x": x})
            for i, x in enumerate(xs)
        ),
    )


def test_jobs_are_worked_off_in_the_order_of_acceptance(tmp_path: Path):
    lab = spool(tmp_path)
    for i, key in enumerate(("zzzzzzzz", "aaaaaaaa", "mmmmmmmm")):
        lab.submit(job(1.0, key=key))
        os.utime(tmp_path / key / "job.json", (i, i))
    seen: list[str] = []
    lab.work(progress=lambda result: seen.append(result.submission_key))
    assert seen == ["zzzzzzzz", "aaaaaaaa", "mmmmmmmm"]


def test_a_job_waits_for_the_instrument_that_it_was_accepted_for(tmp_path: Path):
    first, second = spool(tmp_path), spool(tmp_path, instrument=Square(digest="two"))
    first.submit(job(2.0))
    assert second.work() == 0
    assert "another" not in first.status(KEY).message
    status = second.status(KEY)
    assert status.state is JobState.ACCEPTED
    assert "accepted for an instrument with other settings" in status.message
    assert first.work() == 1
    assert second.collect(KEY) == first.collect(KEY)
    assert second.status(KEY).state is JobState.FINISHED


def test_an_exception_fails_its_well_and_the_job_goes_on(tmp_path: Path):
    lab = spool(tmp_path)
    lab.submit(job(RAISES, 3.0))
    assert lab.work() == 2
    failed, measured = lab.collect(KEY)
    assert failed.readouts["y"].status is Status.FAILED
    assert failed.readouts["y"].reason == "ZeroDivisionError: as asked"
    assert measured.readouts["y"].value == 9.0


def test_an_absent_instrument_fails_no_well_and_the_next_work_goes_on(tmp_path: Path):
    lab = spool(tmp_path)
    lab.submit(job(1.0, IS_ABSENT, 2.0))
    with pytest.raises(UnavailableError):
        lab.work()
    assert [r.well for r in lab.collect(KEY)] == ["w0"]
    assert lab.status(KEY).state is JobState.ACCEPTED
    broken = spool(tmp_path, instrument=Square(is_broken=True))
    with pytest.raises(UnavailableError):
        broken.work()
    assert len(lab.collect(KEY)) == 1


def test_who_stops_the_work_keeps_what_was_done(tmp_path: Path):
    lab = spool(tmp_path)
    lab.submit(job(1.0, 2.0, 3.0))

    def stop(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lab.work(progress=stop)
    assert len(lab.collect(KEY)) == 1
    assert not is_held(tmp_path / KEY / "lease")
    assert lab.work() == 2


def test_a_disk_that_fails_leaves_the_submission_in_doubt(tmp_path: Path):
    folder = tmp_path / "lab"
    folder.write_text("a file where the folder should be")
    with pytest.raises(InDoubtError, match="Submit the same key again"):
        spool(folder).submit(job(1.0))
    folder.unlink()
    assert not spool(folder).submit(job(1.0)).is_duplicate


@pytest.mark.parametrize("name", ["job.json", "results/00000"])
def test_a_file_that_was_changed_is_named(tmp_path: Path, name: str):
    lab = spool(tmp_path)
    lab.submit(job(1.0))
    lab.work()
    (tmp_path / KEY / name).write_text("{}")
    ask = lab.collect if name != "job.json" else lab.status
    with pytest.raises(IntegrityError, match=name):
        ask(KEY)


def test_a_job_for_another_lab_is_refused(tmp_path: Path):
    with pytest.raises(LabError, match="got 'square' at 'round'"):
        spool(tmp_path, name="round").submit(job(1.0))


def test_a_published_name_keeps_its_first_content(tmp_path: Path):
    assert publish(tmp_path / "a", b"first")
    assert not publish(tmp_path / "a", b"second")
    assert (tmp_path / "a").read_bytes() == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_sweeping_removes_what_was_given_up_and_nothing_else(tmp_path: Path):
    old, new, other = (tmp_path / n for n in (f"{STAGED}1", f"{STAGED}2", "kept"))
    for folder in (old, new, other):
        folder.mkdir()
        (folder / "file").write_text("x")
    os.utime(old, (0, 0))
    sweep(tmp_path, older_than=60.0)
    assert {path.name for path in tmp_path.iterdir()} == {new.name, other.name}


def test_one_at_a_time_has_the_lease_and_the_file_says_who(tmp_path: Path):
    path = tmp_path / "lease"
    assert not is_held(path)
    with lease(path) as is_mine:
        assert is_mine
        assert is_held(path)
        with lease(path) as is_mine_too:
            assert not is_mine_too
        assert is_held(path)
        assert json.loads(path.read_text())["pid"] == os.getpid()
    assert not is_held(path)
    with lease(path) as is_mine:
        assert is_mine


def test_a_job_that_is_still_being_stored_is_not_worked_on(tmp_path: Path):
    lab = spool(tmp_path)
    staged = tmp_path / f"{STAGED}0123"
    staged.mkdir()
    (staged / "job.json").write_text("{}")
    assert lab.work() == 0
