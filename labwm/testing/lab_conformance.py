# ruff: noqa: D102 - the names of tests are sentences
"""What every lab must do, whoever stands behind it: one suite, each claim proved.

Subclass `LabConformance`, give the fixture `kit`, and inherit the tests. A capability
that a lab does not claim is not tested. Workers and submitters are real processes.
"""

from hashlib import sha256
from pathlib import Path

import pytest

from labwm.errors import DuplicateError, LabError, NotFoundError
from labwm.schema import (
    JobState,
    Status,
    WellResult,
)
from labwm.testing.faults import kill, killed_at, run, start, wait_until
from labwm.testing.lab_kit import KEY, LabKit, computing


def _submit(kit: LabKit, key: str, answer: Path | None = None) -> None:
    try:
        said = str(kit.open().submit(kit.job(key)).is_duplicate)
    except LabError:
        said = "refused"
    if answer is not None:
        answer.write_text(said)


def _refuse(kit: LabKit, key: str, answer: Path) -> None:
    answer.write_text(kit.open().refuse(key).state)


def _work(kit: LabKit) -> None:
    kit.slow().work()


def _work_at_once(kit: LabKit) -> None:
    computing(kit).work()


def claims(kit: LabKit, *names: str) -> None:
    """Skip the test of a capability that the lab does not claim."""
    can = kit.open().capabilities.model_dump()
    for name in names:
        if not can[name]:
            pytest.skip(f"does not claim {name}")


class LabConformance:
    """What every lab must do; inherit from this and give `kit`."""

    @pytest.fixture
    def kit(self) -> LabKit:
        """Return a lab on an empty folder, and what it can measure."""
        raise NotImplementedError

    def test_an_unknown_key_is_unknown(self, kit: LabKit):
        lab = kit.open()
        assert lab.status(KEY).state is JobState.UNKNOWN
        with pytest.raises(NotFoundError, match=KEY):
            lab.collect(KEY)
        with pytest.raises(NotFoundError, match=KEY):
            lab.cancel(KEY)

    def test_what_is_no_key_names_nothing(self, kit: LabKit):
        lab = kit.open()
        lab.submit(kit.job())
        for name in ("", "..", "../conformance-0001", KEY + "/job.json", "A" * 12):
            assert lab.status(name).state is JobState.UNKNOWN
            with pytest.raises(NotFoundError):
                lab.collect(name)
            with pytest.raises(LabError, match="8 to 64"):
                lab.refuse(name)

    def test_a_job_is_accepted_measured_and_collected(self, kit: LabKit):
        lab, job = kit.open(), kit.job()
        acknowledgement = lab.submit(job)
        assert acknowledgement.submission_key == KEY
        assert not acknowledgement.is_duplicate
        assert lab.status(KEY).state is JobState.ACCEPTED
        assert lab.collect(KEY) == ()
        assert kit.work_off() == len(job.wells)
        status = lab.status(KEY)
        assert status.state is JobState.FINISHED
        assert (status.n_done, status.n_wells) == (len(job.wells), len(job.wells))
        results = lab.collect(KEY)
        assert [r.well for r in results] == [well.name for well in job.wells]
        for result in results:
            assert result.origin is lab.origin
            assert set(result.readouts) == set(kit.protocol.readout_names)
            assert all(v.status is Status.OK for v in result.readouts.values())
        assert lab.collect(KEY) == results == kit.open().collect(KEY)
        assert kit.work_off() == 0

    def test_the_same_key_again_starts_nothing(self, kit: LabKit):
        claims(kit, "dedup_by_key")
        first = kit.open().submit(kit.job())
        again = kit.open().submit(kit.job())
        assert again.is_duplicate
        assert again.external_id == first.external_id
        assert kit.work_off() == len(kit.conditions)
        assert kit.open().submit(kit.job()).is_duplicate
        assert kit.work_off() == 0

    def test_the_same_key_with_another_content_is_refused(self, kit: LabKit):
        lab = kit.open()
        lab.submit(kit.job())
        with pytest.raises(DuplicateError, match=KEY):
            lab.submit(kit.job(conditions=kit.conditions[:2]))
        assert lab.status(KEY).n_wells == len(kit.conditions)

    def test_of_four_processes_that_submit_one_starts_the_job(
        self, kit: LabKit, tmp_path: Path
    ):
        answers = [tmp_path / f"answer-{i}" for i in range(4)]
        processes = [start(_submit, kit, KEY, answer) for answer in answers]
        for process in processes:
            process.join()
        said = sorted(answer.read_text() for answer in answers)
        assert said == ["False", "True", "True", "True"]
        assert kit.open().status(KEY).n_wells == len(kit.conditions)

    def test_what_it_cannot_measure_is_refused_before_any_work(self, kit: LabKit):
        lab, job = kit.open(), kit.job()
        with pytest.raises(LabError):
            lab.submit(kit.job(conditions=(*kit.conditions[:1], kit.impossible)))
        with pytest.raises(LabError, match="elsewhere"):
            lab.submit(job.model_copy(update={"lab": "elsewhere"}))
        with pytest.raises(LabError, match="protocol"):
            lab.submit(job.model_copy(update={"protocol_sha256": "0" * 64}))
        assert lab.status(KEY).state is JobState.UNKNOWN
        assert kit.work_off() == 0

    def test_equal_conditions_and_replicate_give_equal_values(self, kit: LabKit):
        lab = kit.open()
        lab.submit(kit.job("first-key", kit.conditions[:3]))
        lab.submit(kit.job("second-key", kit.conditions[:3][::-1]))
        kit.work_off()
        first, second = lab.collect("first-key"), lab.collect("second-key")
        assert [r.readouts for r in first] == [r.readouts for r in second[::-1]]

    def test_a_well_without_value_is_a_result_and_the_job_goes_on(self, kit: LabKit):
        if kit.failing is None:
            pytest.skip("nothing fails in this lab")
        lab = kit.open()
        lab.submit(kit.job(conditions=(kit.failing, kit.conditions[0])))
        assert kit.work_off() == 2
        assert lab.status(KEY).state is JobState.FINISHED
        failed, measured = lab.collect(KEY)
        for value in failed.readouts.values():
            assert value.status is Status.FAILED
            assert value.reason
            assert value.value is None
        assert all(v.status is Status.OK for v in measured.readouts.values())

    def test_some_results_come_before_all_and_stay(self, kit: LabKit):
        claims(kit, "partial_results")
        lab = kit.open()
        lab.submit(kit.job())
        assert kit.work_off(2) == 2
        status, early = lab.status(KEY), lab.collect(KEY)
        assert status.state in {JobState.ACCEPTED, JobState.RUNNING}
        assert status.n_done == len(early) == 2
        assert kit.work_off() == len(kit.conditions) - 2
        late = lab.collect(KEY)
        assert {r.canonical_json() for r in early} <= {r.canonical_json() for r in late}
        assert lab.status(KEY).state is JobState.FINISHED

    def test_raw_bytes_of_a_result_are_kept_and_do_not_depend_on_when_it_is_asked_for(
        self, kit: LabKit
    ):
        kept: dict[str, bytes] = {}

        def keep(raw: bytes) -> str:
            kept[sha256(raw).hexdigest()] = raw
            return sha256(raw).hexdigest()

        lab = kit.open()
        lab.submit(kit.job())
        kit.work_off(2)
        early = {r.well: r.raw_sha256 for r in lab.collect(KEY, keep=keep)}
        kit.work_off()
        late = {r.well: r.raw_sha256 for r in lab.collect(KEY, keep=keep)}
        assert early.items() <= late.items()
        assert set(late.values()) == set(kept)
        for well, digest in late.items():
            assert well.encode() in kept[digest or ""]

    def test_cancel_in_the_middle_keeps_results_and_starts_nothing(self, kit: LabKit):
        claims(kit, "cancel", "partial_results")
        lab = kit.open()
        lab.submit(kit.job())
        kit.work_off(2)
        assert lab.cancel(KEY).state is JobState.CANCELLED
        assert kit.work_off() == 0
        assert len(lab.collect(KEY)) == 2

    def test_cancel_before_work_starts_nothing_and_after_it_changes_nothing(
        self, kit: LabKit
    ):
        claims(kit, "cancel")
        lab = kit.open()
        lab.submit(kit.job("first-key", kit.conditions[:1]))
        assert lab.cancel("first-key").state is JobState.CANCELLED
        assert lab.cancel("first-key").state is JobState.CANCELLED
        lab.submit(kit.job("second-key", kit.conditions[:1]))
        assert kit.work_off() == 1
        assert lab.collect("first-key") == ()
        assert lab.cancel("second-key").state is JobState.FINISHED

    def test_a_refused_key_is_never_accepted(self, kit: LabKit):
        claims(kit, "refuse_key")
        lab = kit.open()
        assert lab.refuse(KEY).state is JobState.UNKNOWN
        assert lab.refuse(KEY).state is JobState.UNKNOWN
        with pytest.raises(LabError, match="refused"):
            kit.open().submit(kit.job())
        assert lab.status(KEY).state is JobState.UNKNOWN
        with pytest.raises(NotFoundError):
            lab.collect(KEY)
        assert kit.work_off() == 0

    def test_refusing_the_key_of_a_job_leaves_the_job(self, kit: LabKit):
        claims(kit, "refuse_key")
        lab = kit.open()
        lab.submit(kit.job())
        assert lab.refuse(KEY).state is JobState.ACCEPTED
        assert lab.submit(kit.job()).is_duplicate

    def test_submit_and_refuse_at_once_leave_either_a_job_or_a_refusal(
        self, kit: LabKit, tmp_path: Path
    ):
        claims(kit, "refuse_key")
        for i in range(8):
            key, said = f"race-key-{i}", tmp_path / f"said-{i}"
            processes = [
                start(_submit, kit, key, said),
                start(_refuse, kit, key, tmp_path / f"refused-{i}"),
            ]
            for process in processes:
                process.join()
            has_job = said.read_text() == "False"
            state = kit.open().status(key).state
            assert state is (JobState.ACCEPTED if has_job else JobState.UNKNOWN)
            assert (tmp_path / f"refused-{i}").read_text() == state


class LocalLabConformance(LabConformance):
    """For labs that keep their jobs where the caller can be killed at each step."""

    def test_submit_killed_at_any_step_leaves_no_job_or_a_whole_one(self, kit: LabKit):
        step, states = 0, set[JobState]()
        while killed_at(step, kit.folder, _submit, kit, f"killed-at-{step:02d}"):
            key, lab = f"killed-at-{step:02d}", kit.open()
            state = lab.status(key).state
            states.add(state)
            again = lab.submit(kit.job(key))
            assert again.is_duplicate == (state is JobState.ACCEPTED)
            assert lab.status(key).n_wells == len(kit.conditions)
            step += 1
        assert states == {JobState.UNKNOWN, JobState.ACCEPTED}


class ComputingLabConformance(LocalLabConformance):
    """For labs on the spool, whose `work` can be watched and killed."""

    def test_work_tells_every_well_that_it_finished(self, kit: LabKit):
        lab = computing(kit)
        lab.submit(kit.job())
        told: list[WellResult] = []
        assert lab.work(progress=told.append) == len(kit.conditions)
        assert sorted(told, key=lambda r: r.well) == list(lab.collect(KEY))

    def test_what_was_submitted_twice_is_measured_once(self, kit: LabKit):
        kit.open().submit(kit.job())
        kit.open().submit(kit.job())
        kit.slow().work()
        kit.open().submit(kit.job())
        assert kit.slow().work() == 0
        assert set(kit.noted("start").values()) == {1}

    def test_no_time_left_starts_no_well(self, kit: LabKit):
        lab = computing(kit)
        lab.submit(kit.job())
        assert lab.work(limit=0.0) == 0
        assert lab.status(KEY).state is JobState.ACCEPTED

    def test_results_appear_while_the_job_runs_and_stay(self, kit: LabKit):
        lab = computing(kit)
        lab.submit(kit.job())
        worker = start(_work, kit)
        wait_until(lambda: lab.status(KEY).n_done > 0)
        status, early = lab.status(KEY), lab.collect(KEY)
        assert status.state is JobState.RUNNING
        assert 0 < len(early) < len(kit.conditions)
        worker.join()
        late = lab.collect(KEY)
        assert len(late) == len(kit.conditions)
        assert {r.canonical_json() for r in early} <= {r.canonical_json() for r in late}

    def test_two_workers_measure_nothing_twice(self, kit: LabKit):
        kit.open().submit(kit.job("first-key", kit.conditions[:3]))
        kit.open().submit(kit.job("second-key", kit.conditions[:3]))
        workers = [start(_work, kit), start(_work, kit)]
        for worker in workers:
            worker.join()
        computing(kit).work()
        # Both jobs name their wells alike: once for each job.
        assert set(kit.noted("start").values()) == {2}

    def test_cancel_keeps_what_was_measured(self, kit: LabKit):
        lab = computing(kit)
        lab.submit(kit.job())
        worker = start(_work, kit)
        wait_until(lambda: lab.status(KEY).n_done > 0)
        assert lab.cancel(KEY).state in {JobState.RUNNING, JobState.CANCELLED}
        wait_until(lambda: lab.status(KEY).state is not JobState.RUNNING)
        assert lab.status(KEY).state is JobState.CANCELLED
        results = lab.collect(KEY)
        assert 0 < len(results) < len(kit.conditions)
        worker.join()
        assert lab.work() == 0
        assert lab.collect(KEY) == results
        assert set(kit.noted("end")) == {result.well for result in results}

    def test_a_killed_worker_loses_no_result_and_repeats_none(self, kit: LabKit):
        lab = computing(kit)
        lab.submit(kit.job())
        worker = start(_work, kit)
        wait_until(lambda: lab.status(KEY).n_done >= 2)
        kill(worker)
        before = lab.collect(KEY)
        assert 2 <= len(before) < len(kit.conditions)
        assert lab.status(KEY).state is JobState.ACCEPTED
        n_missing = len(kit.conditions) - len(before)
        assert kit.slow().work() == n_missing
        after = lab.collect(KEY)
        assert [r.well for r in after] == [well.name for well in kit.job().wells]
        kept = {result.well: result for result in before}
        assert {r.well: r for r in after if r.well in kept} == kept
        # Only a well in work when the kill came may have been started again.
        assert all(kit.noted("start")[well] == 1 for well in kept)

    def test_work_killed_at_any_step_leaves_whole_results_only(self, kit: LabKit):
        job = kit.job(conditions=kit.conditions[:2])
        kit.open().submit(job)
        step = 0
        n_before = 0
        while killed_at(step, kit.folder, _work_at_once, kit):
            results = kit.open().collect(KEY)
            assert len(results) >= n_before
            n_before, step = len(results), step + 1
        lab = computing(kit)
        assert lab.status(KEY).state is JobState.FINISHED
        assert [r.well for r in lab.collect(KEY)] == ["A1", "A2"]
        assert run(_work_at_once, kit) == 0
