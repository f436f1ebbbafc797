"""A lost acknowledgement is settled by what the lab can say, else by a person."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from labwm import campaign, settings
from labwm.api.cli import run
from labwm.campaign import dispatch
from labwm.campaign.books import books
from labwm.campaign.results import UNPLANNED
from labwm.errors import (
    ConflictError,
    ForbiddenError,
    InDoubtError,
    LabError,
)
from labwm.labs.registry import ADAPTERS, Adapter
from labwm.schema import (
    CampaignSpec,
    Job,
    Origin,
    Principal,
    PrincipalKind,
    Scope,
    SettleRequest,
    Step,
    WaitsFor,
    WellResult,
)
from labwm.store import SubmissionState
from tests.crash.mover import PROTOCOL, queue
from tests.crash.station import KINDS, Station, effects, register, times_done


@dataclass(frozen=True)
class DeadLine(Station):
    """No submission arrives, and nobody hears that it did not."""

    def submit(self, job: Job):
        raise InDoubtError(f"The line is dead; {job.submission_key!r} may be there.")


@dataclass(frozen=True)
class Choosy(Station):
    """Does the job, loses the acknowledgement, and then finds it impossible."""

    def submit(self, job: Job):
        if effects(self.path):
            raise LabError("The fume hood is closed; got a job.")
        super().submit(job)
        raise InDoubtError("The line went dead.")


@dataclass(frozen=True)
class Generous(Station):
    """Also measures a well that nobody asked for."""

    origin_said: Origin = Origin.MEASURED

    def collect(self, submission_key: str, **_: object):
        results = super().collect(submission_key)
        extra = [
            WellResult.model_validate(
                r.model_dump() | {"well": "extra", "origin": self.origin_said}
            )
            for r in results[:1]
        ]
        return (*results, *extra)


Start = Callable[..., CampaignSpec]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Open a campaign at a lab and queue its experiments."""
    kept = dict(ADAPTERS)
    register()

    def opened(lab: str, kind: type[Station] | None = None, **more) -> CampaignSpec:
        if kind is not None:
            ADAPTERS[lab] = Adapter(  # type: ignore[index]
                Origin.MEASURED,
                KINDS[lab],
                lambda folder, *_: kind(lab, KINDS[lab], folder, **more),
            )
        path = tmp_path / "kettle.yaml"
        path.write_text(PROTOCOL.format(lab=lab, approval="never"))
        spec = CampaignSpec(name="boil", protocol=str(path), budget=8)
        campaign.open_campaign(spec)
        queue(spec)
        return spec

    yield opened
    ADAPTERS.clear()  # type: ignore[attr-defined]
    ADAPTERS.update(kept)  # type: ignore[attr-defined]


def until_it_waits() -> Step:
    while (step := campaign.advance("boil")).waits_for in {
        WaitsFor.NOTHING,
        WaitsFor.LAB,
    }:
        pass
    return step


def effects_path(lab: str) -> Path:
    return settings.lab_folder(lab) / "boil" / "effects.jsonl"


def test_where_nobody_can_tell_a_person_is_asked(start: Start):
    start("mute")
    step = until_it_waits()
    assert step.waits_for is WaitsFor.PERSON
    assert "labwm campaign settle boil" in step.did
    assert campaign.status("boil").summary.waits_for is WaitsFor.PERSON
    assert run(["campaign", "settle", "boil", "arrived", "--note", "rang them"]) == 0
    assert until_it_waits().waits_for is WaitsFor.DONE
    assert set(times_done(effects_path("mute")).values()) == {1}
    details = [view.detail for view in books().ledger.jobs("boil")]
    assert [d.get("note") for d in details] == [None, "rang them"]
    assert campaign.status("boil").summary.n_measured == 8


def test_what_never_arrived_is_sent_under_a_new_key(start: Start):
    start("mute", DeadLine)
    assert until_it_waits().waits_for is WaitsFor.PERSON
    campaign.settle(SettleRequest(campaign_id="boil", verdict="never_arrived"))
    campaign.advance("boil")
    first, second = books().ledger.jobs("boil")
    assert first.state is SubmissionState.FAILED
    assert second.job.submission_key == first.job.submission_key + "-a1"
    assert second.job.content_sha256 == first.job.content_sha256
    assert second.batch_id == first.batch_id
    campaign.verify_database()


def test_a_lab_that_refuses_keys_needs_no_person(start: Start):
    start("refuses", DeadLine)
    # It never arrives, whatever the key: each key is refused, and a new one is made.
    for _ in range(8):
        assert campaign.advance("boil").waits_for is not WaitsFor.PERSON
    kept = books().ledger.jobs("boil")
    assert len(kept) > 1
    assert {view.batch_id for view in kept} == {kept[0].batch_id}
    lines = effects(effects_path("refuses"))
    assert {line["what"] for line in lines} == {"refused"}


def test_a_job_that_is_given_up_closes_its_round(start: Start):
    start("mute", DeadLine)
    until_it_waits()
    assert run(["campaign", "settle", "boil", "given-up"]) == 0
    assert until_it_waits().waits_for is WaitsFor.PERSON
    assert len(campaign.status("boil").batches) == 2


@pytest.mark.parametrize(
    "kind", [PrincipalKind.AGENT, PrincipalKind.SERVICE], ids=lambda k: k.value
)
def test_only_a_person_settles(start: Start, kind: PrincipalKind):
    start("mute", DeadLine)
    until_it_waits()
    who = Principal(name="bot", kind=kind, scopes=(Scope.APPROVE,))
    request = SettleRequest(campaign_id="boil", verdict="arrived")
    with pytest.raises(ForbiddenError, match="Only a person"):
        campaign.settle(request, principal=who)


def test_only_what_is_in_doubt_is_settled(start: Start):
    start("deduplicates")
    assert until_it_waits().waits_for is WaitsFor.DONE
    request = SettleRequest(campaign_id="boil", verdict="never_arrived")
    with pytest.raises(ConflictError, match="in doubt: none"):
        campaign.settle(request)


def test_a_lab_that_forgot_an_accepted_job_is_not_sent_it_again(start: Start):
    start("deduplicates")
    while not effects_path("deduplicates").exists():
        campaign.advance("boil")
    effects_path("deduplicates").unlink()
    step = until_it_waits()
    # The same key would be a second job: its promise to know it is broken.
    assert step.waits_for is WaitsFor.PERSON
    assert not effects_path("deduplicates").exists()
    assert campaign.status("boil").summary.waits_for is WaitsFor.PERSON


def test_a_refusal_after_doubt_is_believed_only_if_the_lab_knows_no_job(start: Start):
    start("deduplicates", Choosy)
    while campaign.status("boil").summary.n_measured < 4:
        campaign.advance("boil")
    (first,) = books().ledger.jobs("boil")
    assert first.state is SubmissionState.FINISHED
    assert len(effects(effects_path("deduplicates"))) >= 1


def test_a_result_that_nobody_planned_is_kept_once_and_measures_nothing(start: Start):
    start("answers", Generous)
    while not books().ledger.events("boil", kind=UNPLANNED):
        campaign.advance("boil")
    for _ in range(3):
        campaign.advance("boil")
    kept = books().ledger.events("boil", kind=UNPLANNED)
    digests = [event.body["sha256"] for event in kept]
    assert len(digests) == len(set(digests))
    assert {event.body["result"]["well"] for event in kept} == {"extra"}
    assert not [m for m in books().ledger.measurements("boil") if m.well == "extra"]


def test_results_of_another_origin_than_the_labs_are_refused(start: Start):
    start("answers", Generous, origin_said=Origin.VIRTUAL)
    with pytest.raises(LabError, match="are measured; got virtual"):
        until_it_waits()
    assert books().ledger.measurements("boil") == ()


def test_the_dispatcher_knows_which_labs_need_a_person(start: Start):
    settled = {name: dispatch.settles_doubt(name) for name in KINDS}
    assert settled == {
        "deduplicates": True,
        "refuses": True,
        "answers": False,
        "mute": False,
    }
