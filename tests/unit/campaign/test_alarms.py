"""Surprise and drift freeze a campaign, and a person lets it go on."""

import dataclasses
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest

from labwm import campaign, settings
from labwm.campaign.alarms import (
    EARLY,
    RECENT,
    REFUSALS,
    SURPRISES,
    WINDOW,
    alarms_in,
)
from labwm.campaign.books import books
from labwm.campaign.doorbell import rung_at
from labwm.campaign.learning import Scored
from labwm.errors import ConflictError, ForbiddenError, InvalidInputError, LabError
from labwm.labs.registry import ADAPTERS, Adapter
from labwm.schema import (
    Acknowledgement,
    CampaignSpec,
    Job,
    Origin,
    PredictedReadout,
    Principal,
    PrincipalKind,
    Scope,
    WaitsFor,
)
from labwm.testing.robot import robot
from tests.crash.mover import PROTOCOL as BOIL
from tests.crash.station import KINDS, Station

ADA = Principal(name="ada", kind=PrincipalKind.PERSON, scopes=(Scope.APPROVE,))
ROBOT = Principal(name="robot", kind=PrincipalKind.SERVICE, scopes=(Scope.SUBMIT,))


def scored(number: int, *, error: float = 0.0, probability: float = 0.5) -> Scored:
    """A value that lies `error` half widths of its interval from the middle."""
    measured = 50.0 + 10.0 * error
    stated = PredictedReadout(
        location=measured - 6.0 * NormalDist().inv_cdf(probability),
        epistemic=6.0,
        aleatoric=0.0,
        mean=50.0,
        sd=6.0,
        low90=40.0,
        high90=60.0,
    )
    return Scored(
        proposal_id=f"p{number}",
        readout="yield",
        round=number // 4,
        predicted=50.0,
        low90=40.0,
        high90=60.0,
        measured=measured,
        stated=stated,
        is_first=True,
    )


def honest(n: int, *, seed: int = 0) -> list[Scored]:
    places = np.random.default_rng(seed).uniform(size=n)
    return [scored(i, probability=float(place)) for i, place in enumerate(places)]


def test_honest_predictions_ring_no_alarm():
    assert alarms_in(honest(200)) == ()
    assert alarms_in([]) == ()


def test_several_values_far_outside_their_interval_are_a_surprise():
    rows = honest(EARLY + 10)
    for i in range(SURPRISES):
        assert alarms_in(rows) == ()
        rows.append(scored(40 + i, error=3.5))
    (alarm,) = alarms_in(rows)
    assert alarm.kind == "surprise"
    assert "3 of the last 13 values of yield" in alarm.why
    assert [a.kind for a in alarms_in(rows, since=10)] == ["surprise"]
    assert alarms_in(rows, since=11) == ()
    assert alarm.proposal_ids == ("p40", "p41", "p42")


@pytest.mark.parametrize("error", [1.5, -2.9], ids=["just outside", "within a width"])
def test_values_near_their_interval_are_no_surprise(error: float):
    rows = [scored(i, error=error) for i in range(EARLY + RECENT)]
    assert alarms_in(rows) == ()


def test_surprises_of_long_ago_and_of_replicates_do_not_count():
    far = [scored(i, error=4.0) for i in range(SURPRISES)]
    assert alarms_in(honest(EARLY) + far + honest(RECENT)) == ()
    again = [dataclasses.replace(one, is_first=False) for one in far]
    assert alarms_in(honest(EARLY) + again) == ()


def test_what_the_first_models_say_is_no_surprise():
    assert alarms_in([scored(i, error=4.0) for i in range(EARLY)]) == ()


@pytest.mark.parametrize("side", ["above", "below"])
def test_values_that_move_to_one_side_of_their_predictions_are_a_drift(side: str):
    place = 0.999 if side == "above" else 0.001
    moved = [scored(100 + i, probability=place) for i in range(WINDOW)]
    (alarm,) = alarms_in(honest(3 * WINDOW) + moved)
    assert alarm.kind == "drift"
    assert f"lie {side} what was predicted" in alarm.why
    assert alarms_in(honest(WINDOW - 1) + moved) == ()


def test_a_model_that_was_off_from_the_start_does_not_drift():
    assert alarms_in([scored(i, probability=0.9) for i in range(60)]) == ()


class Instrument:
    """What people measure with; `offset` is what it is wrong by [s]."""

    offset = 0.0

    def __call__(self, row: dict[str, str]) -> dict[str, str]:
        seconds = 3e5 * float(row["volume [L]"]) / float(row["power [W]"])
        return {"time [s]": f"{seconds + self.offset:.1f}"}


@pytest.fixture
def by_hand(kettle: Path) -> CampaignSpec:
    """A campaign whose experiments people do, without approvals."""
    path = kettle / "kettle.yaml"
    adapter = (
        "{adapter: folder, settings: {settle_seconds: 0}, batch_size: 4, "
        "approval: {real: never}}"
    )
    text = path.read_text().replace("{adapter: replay, batch_size: 4}", adapter)
    path.write_text(text)
    return CampaignSpec(
        name="by-hand", protocol=str(path), budget=200, seed=3, policy="random"
    )


def measure_rounds(n: int, instrument: Instrument) -> WaitsFor:
    """Advance and measure until so many rounds were measured, or a person is asked."""
    folder = settings.lab_folder("folder") / "by-hand"
    for _ in range(n):
        if (found := waits_for()) is WaitsFor.PERSON:
            return found
        robot(folder, instrument)
    return waits_for()


def waits_for() -> WaitsFor:
    while (step := campaign.advance("by-hand")).is_moving:
        pass
    return step.waits_for


def test_a_campaign_whose_instrument_broke_is_frozen_until_a_person_lets_it_go_on(
    by_hand: CampaignSpec,
):
    campaign.open_campaign(by_hand)
    instrument = Instrument()
    assert measure_rounds(5, instrument) is WaitsFor.LAB
    assert campaign.status("by-hand").frozen is None
    instrument.offset = 4000.0
    assert measure_rounds(3, instrument) is WaitsFor.PERSON
    frozen = campaign.status("by-hand")
    assert "outside their 90 % interval" in str(frozen.frozen)
    assert frozen.summary.waits_for is WaitsFor.PERSON
    assert f"**Frozen until a person looks**: {frozen.frozen}" in campaign.round_note(
        "by-hand"
    )
    sent = [batch.submission_key for batch in frozen.batches]
    assert waits_for() is WaitsFor.PERSON
    assert [b.submission_key for b in campaign.status("by-hand").batches] == sent
    assert len(books().ledger.events("by-hand", kind="campaign.frozen")) == 1

    for principal, note, error in (
        (ROBOT, "all is well", ForbiddenError),
        (ADA, "  ", InvalidInputError),
    ):
        with pytest.raises(error):
            campaign.unfreeze("by-hand", note=note, principal=principal)
    before = rung_at()
    campaign.unfreeze("by-hand", note="the balance was new", principal=ADA)
    assert rung_at() > before
    with pytest.raises(ConflictError, match="is not frozen"):
        campaign.unfreeze("by-hand", note="again", principal=ADA)
    (event,) = books().ledger.events("by-hand", kind="campaign.unfrozen")
    assert (event.actor, event.body["note"]) == ("ada", "the balance was new")

    # What froze it counts no more.
    assert waits_for() is WaitsFor.LAB
    assert campaign.status("by-hand").frozen is None
    assert "by-hand: " in "".join(campaign.verify_database())


class Locked(Station):
    """A lab that refuses what it is sent until somebody opens it."""

    is_open = False

    def submit(self, job: Job) -> Acknowledgement:
        if not Locked.is_open:
            raise LabError("The bench is locked; got a job. Fetch the key.")
        return super().submit(job)


def test_a_lab_that_refuses_every_job_asks_a_person_and_spends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    adapter = Adapter(
        Origin.MEASURED,
        KINDS["deduplicates"],
        lambda folder, protocol, table: Locked("locked", KINDS["deduplicates"], folder),
    )
    monkeypatch.setitem(ADAPTERS, "locked", adapter)  # type: ignore[arg-type]
    monkeypatch.setattr(Locked, "is_open", False)
    path = tmp_path / "locked.yaml"
    path.write_text(BOIL.format(lab="locked", approval="never"))
    campaign.open_campaign(
        CampaignSpec(name="by-hand", protocol=str(path), policy="random", budget=6)
    )
    assert waits_for() is WaitsFor.PERSON
    stood = campaign.status("by-hand")
    assert len(stood.batches) == REFUSALS
    assert f"failed {REFUSALS} rounds in a row" in str(stood.frozen)
    assert "The bench is locked" in str(stood.frozen)
    assert stood.summary.n_measured == 0
    assert waits_for() is WaitsFor.PERSON
    assert len(campaign.status("by-hand").batches) == REFUSALS

    monkeypatch.setattr(Locked, "is_open", True)
    campaign.unfreeze("by-hand", note="the key was found", principal=ADA)
    for _ in range(20):  # the station does one step of its work each time it is asked
        if waits_for() is WaitsFor.DONE:
            break
    assert campaign.status("by-hand").summary.n_measured == 6
