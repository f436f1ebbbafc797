# ruff: noqa: D102 - the names of tests are sentences
"""What labs must do whose callers and workers can be killed at each step.

Workers and submitters are real processes, and really killed.
"""

from labwm.schema import JobState, WellResult
from labwm.testing.faults import kill, killed_at, run, start, wait_until
from labwm.testing.lab_conformance import LabConformance, submit_to
from labwm.testing.lab_kit import KEY, LabKit, computing


def _work(kit: LabKit) -> None:
    kit.slow().work()


def _work_at_once(kit: LabKit) -> None:
    computing(kit).work()


def _collect(kit: LabKit) -> None:
    kit.open().collect(KEY)


class LocalLabConformance(LabConformance):
    """For labs that keep their jobs where the caller can be killed at each step."""

    def test_submit_killed_at_any_step_leaves_no_job_or_a_whole_one(self, kit: LabKit):
        step, states = 0, set[JobState]()
        while killed_at(step, kit.folder, submit_to, kit, f"killed-at-{step:02d}"):
            key, lab = f"killed-at-{step:02d}", kit.open()
            state = lab.status(key).state
            states.add(state)
            again = lab.submit(kit.job(key))
            assert again.is_duplicate == (state is JobState.ACCEPTED)
            assert lab.status(key).n_wells == len(kit.conditions)
            step += 1
        assert states == {JobState.UNKNOWN, JobState.ACCEPTED}

    def test_collect_killed_at_any_step_loses_and_repeats_nothing(self, kit: LabKit):
        kit.open().submit(kit.job(conditions=kit.conditions[:2]))
        assert kit.work_off() == 2
        step = 0
        while killed_at(step, kit.folder, _collect, kit):
            step += 1
        results = kit.open().collect(KEY)
        assert [(r.well, r.revision) for r in results] == [
            (well.name, 0) for well in kit.job(conditions=kit.conditions[:2]).wells
        ]
        assert kit.open().status(KEY).state is JobState.FINISHED
        assert kit.open().status(KEY).message == ""


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
