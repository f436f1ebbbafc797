# ruff: noqa: D102 - the names of tests are sentences
"""What every lab must do, whoever stands behind it: one suite, each claim proved.

Subclass `LabConformance`, give the fixture `kit`, and inherit the tests. A capability
that a lab does not claim is not tested. Workers and submitters are real processes.
"""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from labwm.errors import (
    DuplicateError,
    LabError,
    NotFoundError,
    UnsupportedError,
)
from labwm.labs import ComputingLab
from labwm.schema import (
    JobState,
    Status,
)
from labwm.testing.faults import start, wait_until
from labwm.testing.lab_faults import FAULTS, FaultyLab, carry_through
from labwm.testing.lab_kit import KEY, LabKit


def submit_to(kit: LabKit, key: str, answer: Path | None = None) -> None:
    """Submit a job; write what was said where somebody looks."""
    try:
        said = str(kit.open().submit(kit.job(key)).is_duplicate)
    except LabError:
        said = "refused"
    if answer is not None:
        answer.write_text(said)


def _refuse(kit: LabKit, key: str, answer: Path) -> None:
    answer.write_text(kit.open().refuse(key).state)


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
        claims(kit, "query_by_key")
        lab = kit.open()
        assert lab.status(KEY).state is JobState.UNKNOWN
        with pytest.raises(NotFoundError, match=KEY):
            lab.collect(KEY)
        if lab.capabilities.cancel:
            with pytest.raises(NotFoundError, match=KEY):
                lab.cancel(KEY)

    def test_what_is_no_key_names_nothing(self, kit: LabKit):
        claims(kit, "query_by_key", "refuse_key")
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
        claims(kit, "dedup_by_key")
        lab = kit.open()
        lab.submit(kit.job())
        with pytest.raises(DuplicateError, match=KEY):
            lab.submit(kit.job(conditions=kit.conditions[:2]))
        assert lab.status(KEY).n_wells == len(kit.conditions)

    def test_of_four_processes_that_submit_one_starts_the_job(
        self, kit: LabKit, tmp_path: Path
    ):
        claims(kit, "dedup_by_key")
        answers = [tmp_path / f"answer-{i}" for i in range(4)]
        processes = [start(submit_to, kit, KEY, answer) for answer in answers]
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
        if lab.capabilities.query_by_key:
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
        claims(kit, "refuse_key", "query_by_key")
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
        claims(kit, "refuse_key", "query_by_key")
        lab = kit.open()
        lab.submit(kit.job())
        assert lab.refuse(KEY).state is JobState.ACCEPTED
        assert lab.submit(kit.job()).is_duplicate

    def test_submit_and_refuse_at_once_leave_either_a_job_or_a_refusal(
        self, kit: LabKit, tmp_path: Path
    ):
        claims(kit, "refuse_key", "query_by_key")
        for i in range(8):
            key, said = f"race-key-{i}", tmp_path / f"said-{i}"
            processes = [
                start(submit_to, kit, key, said),
                start(_refuse, kit, key, tmp_path / f"refused-{i}"),
            ]
            for process in processes:
                process.join()
            has_job = said.read_text() == "False"
            state = kit.open().status(key).state
            assert state is (JobState.ACCEPTED if has_job else JobState.UNKNOWN)
            assert (tmp_path / f"refused-{i}").read_text() == state

    @pytest.mark.parametrize("seed", [1])
    def test_through_faults_of_every_kind_a_job_is_one_and_whole(
        self, kit: LabKit, seed: int
    ):
        claims(kit, "dedup_by_key", "query_by_key")
        faulty, job = FaultyLab(kit.open, seed=seed), kit.job()
        n_worked = 0

        def work() -> None:
            nonlocal n_worked
            n_worked += kit.work_off(1)

        results = carry_through(faulty, job, work=work)
        assert sum(faulty.n_done.values()) >= 3
        assert n_worked == len(job.wells)
        assert tuple(results[key] for key in sorted(results)) == kit.open().collect(KEY)

    @pytest.mark.slow
    @pytest.mark.parametrize("fault", FAULTS)
    def test_through_one_kind_of_fault_at_every_second_call_a_job_is_one_and_whole(
        self, kit: LabKit, fault: str
    ):
        claims(kit, "dedup_by_key", "query_by_key")
        n_worked = n_happened = 0

        def work() -> None:
            nonlocal n_worked
            n_worked += kit.work_off(1)

        for seed in range(3):
            job = kit.job(f"fault-key-{seed}", kit.conditions[:3])
            faulty = FaultyLab(kit.open, faults=(fault,), seed=seed, share=0.5)
            results = carry_through(faulty, job, work=work)
            assert len(results) == 3
            n_happened += faulty.n_done.get(fault, 0)
        assert n_worked == 9
        assert n_happened >= 1

    def test_what_is_not_declared_is_refused_by_name(self, kit: LabKit):
        lab = kit.open()
        can = lab.capabilities.model_dump()
        lab.submit(kit.job())
        calls: dict[str, Callable[[], object]] = {
            "cancel": lambda: lab.cancel(KEY),
            "refuse_key": lambda: lab.refuse("never-sent-1"),
            "query_by_key": lambda: lab.status("never-sent-1"),
        }
        for name, call in calls.items():
            if not can[name]:
                with pytest.raises(UnsupportedError, match=name):
                    call()
        assert isinstance(lab, ComputingLab) == can["computes"]
        if not can["partial_results"]:
            kit.work_off(2)
            assert lab.collect(KEY) == ()
        kit.work_off()
        assert len(lab.collect(KEY)) == len(kit.conditions)

    def test_it_says_without_being_asked_that_there_are_results(self, kit: LabKit):
        claims(kit, "push")
        heard = kit.heard
        assert heard is not None, "a lab that pushes is heard: give `heard`"
        kit.open().submit(kit.job())
        assert heard() == []
        kit.work_off(2)
        wait_until(lambda: len(heard()) > 0)
        n_before = len(heard())
        kit.work_off()
        wait_until(lambda: len(heard()) > n_before)
        assert set(heard()) == {KEY}
        assert len(heard()) <= len(kit.conditions)
        assert len(kit.open().collect(KEY)) == len(kit.conditions)
