"""The virtual lab: one world of a model behind the seam of labs."""

from pathlib import Path

import numpy as np
import pytest

from labwm.errors import ConflictError, LabError, NotEnoughDataError, ProtocolError
from labwm.labs import ComputingLab, SpoolLab
from labwm.schema import Job, Origin, Protocol, Status, Value, Well
from labwm.space.questions import Observations, questions_from
from labwm.testing.linear_model import LinearModel, fit_linear
from labwm.virtual_lab import build_virtual_lab
from labwm.virtual_lab import lab as lab_module
from tests.unit.virtual_lab.tasks import LEVELS, observations, protocol


@pytest.fixture(autouse=True)
def _nothing_learnt_before():
    lab_module._learnt.clear()


def virtual(folder: Path, *, seed: int = 0, rows: Observations | None = None, **kw):
    rows = observations() if rows is None else rows
    return build_virtual_lab(
        rows, protocol(**kw), folder=folder, seed=seed, learn=fit_linear
    )


def ask(lab: SpoolLab, wells: list[Well], key: str = "the-first-job", **kw: object):
    what = protocol(**kw)
    job = Job(
        submission_key=key,
        campaign_id="c",
        round=0,
        lab="virtual",
        protocol_name=what.name,
        protocol_version=what.version,
        protocol_sha256=what.digest(),
        wells=tuple(wells),
    )
    lab.submit(job)
    lab.work()
    return [result.readouts for result in lab.collect(key)]


def wells(xs: list[float], replicate: int = 0) -> list[Well]:
    return [
        Well(name=f"w{i}", proposal_id="p", conditions={"x": x}, replicate=replicate)
        for i, x in enumerate(xs)
    ]


def test_it_is_a_computing_lab_of_virtual_origin(tmp_path: Path):
    lab = virtual(tmp_path / "lab")
    assert isinstance(lab, ComputingLab)
    assert lab.origin is Origin.VIRTUAL
    assert lab.name == "virtual"


def test_it_plays_the_world_of_its_seed(tmp_path: Path):
    world = fit_linear(observations(), protocol()).draw_world(5)
    answers = ask(virtual(tmp_path, seed=5), wells(LEVELS))
    questions = questions_from(protocol(), [{"x": x} for x in LEVELS])
    expected = world.outcome(questions, np.zeros(len(LEVELS), dtype=int))
    got = [[answer["y"].value, answer["z"].value] for answer in answers]
    np.testing.assert_allclose(got, expected)


def test_another_seed_is_another_world_and_another_replicate_another_value(
    tmp_path: Path,
):
    one = ask(virtual(tmp_path / "0", seed=0), wells([3.0]))
    other = ask(virtual(tmp_path / "1", seed=1), wells([3.0]))
    again = ask(virtual(tmp_path / "0", seed=0), wells([3.0]), "the-second-job")
    replicate = ask(virtual(tmp_path / "0"), wells([3.0], 1), "the-third-job")
    assert one == again
    assert one != other
    assert one != replicate


def test_a_rebuilt_lab_goes_on_in_the_same_world(tmp_path: Path):
    lab = virtual(tmp_path)
    first = ask(lab, wells([1.0, 2.0]))
    lab_module._learnt.clear()  # as after a crash
    rebuilt = virtual(tmp_path)
    assert rebuilt.instrument.digest == lab.instrument.digest
    assert ask(rebuilt, wells([1.0, 2.0]), "the-second-job") == first


def test_the_default_model_is_rebuilt_as_the_same_world(tmp_path: Path):
    def ask_anew(key: str) -> list[dict[str, Value]]:
        lab_module._learnt.clear()  # as after a crash
        rows = observations(12)
        lab = build_virtual_lab(rows, protocol(), folder=tmp_path, seed=2)
        return ask(lab, wells(LEVELS), key)

    first = ask_anew("the-first-job")
    assert ask_anew("the-second-job") == first
    # It learnt that y grows by one per step.
    slope = np.polyfit(LEVELS, [answer["y"].value for answer in first], 1)[0]
    assert slope == pytest.approx(1.0, abs=0.5)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"seed": 1}, "seed"),
        ({"rows": observations(5)}, "observations_sha256"),
        ({"title": "another"}, "protocol_sha256"),
    ],
    ids=["seed", "rows", "protocol"],
)
def test_a_folder_belongs_to_one_world(tmp_path: Path, changes: dict, named: str):
    virtual(tmp_path)
    with pytest.raises(ConflictError, match=f"got another {named}"):
        virtual(tmp_path, **changes)


def test_a_model_that_answers_otherwise_is_refused(tmp_path: Path):
    ask(virtual(tmp_path), wells([1.0]))
    lab_module._learnt.clear()

    def fit_linear(rows: Observations, what: Protocol, seed: int) -> LinearModel:
        return fit_otherwise(rows.take(np.arange(len(rows) - 1)), what, seed)

    fit_linear.__qualname__ = "fit_linear"
    changed = build_virtual_lab(
        observations(), protocol(), folder=tmp_path, seed=0, learn=fit_linear
    )
    with pytest.raises(ConflictError, match="never changes"):
        ask(changed, wells([1.0]), "the-second-job")
    assert changed.collect("the-second-job") == ()


def test_too_little_to_learn_from_fails_no_well(tmp_path: Path):
    def learn(rows: Observations, what: Protocol, seed: int) -> LinearModel:
        raise NotEnoughDataError("A model needs measurements; got none.")

    lab = build_virtual_lab(
        observations(), protocol(), folder=tmp_path, seed=0, learn=learn
    )
    with pytest.raises(NotEnoughDataError):
        ask(lab, wells([1.0]))
    assert lab.collect("the-first-job") == ()


fit_otherwise = fit_linear


def test_experiments_fail_as_often_as_they_did(tmp_path: Path):
    lab = virtual(tmp_path, rows=observations(4, n_failed=1))
    answers = ask(lab, many())
    failed = [a for a in answers if a["y"].status is Status.FAILED]
    assert abs(len(failed) / 120 - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 120)
    assert all(a["z"].status is Status.FAILED and a["z"].reason for a in failed)
    assert ask(lab, many(), "the-second-job") == answers


def many() -> list[Well]:
    return [
        Well(name=f"w{r}-{x}", proposal_id="p", conditions={"x": x}, replicate=r)
        for r in range(10)
        for x in LEVELS
    ]


def test_limits_censor_and_bounds_flag(tmp_path: Path):
    readouts = [
        {"name": "y", "unit": "g", "detection_limit": {"below": 2.0, "above": 8.0}},
        {"name": "z", "bounds": [-10, 0]},
    ]
    answers = ask(
        virtual(tmp_path, readouts=readouts), wells(LEVELS), readouts=readouts
    )
    assert answers[0]["y"] == Value(value=2.0, status=Status.BELOW)
    assert answers[11]["y"] == Value(value=8.0, status=Status.ABOVE)
    assert answers[5]["y"].status is Status.OK
    assert answers[11]["z"].status is Status.OUT_OF_BOUNDS
    assert answers[11]["z"].value < -10


def test_a_well_without_conditions_and_a_curve_are_refused(tmp_path: Path):
    lab = virtual(tmp_path / "a")
    empty = Well(name="w", proposal_id="p", conditions={})
    with pytest.raises(LabError, match="states its conditions"):
        ask(lab, [empty])
    with pytest.raises(LabError, match=r"'q'.*Well 'w' holds it"):
        ask(lab, [empty.model_copy(update={"conditions": {"q": 1.0}})])
    over = {"name": "z", "kind": "curve", "over": {"name": "t"}}
    with pytest.raises(ProtocolError, match="got the curve 'z'"):
        virtual(tmp_path / "b", readouts=[{"name": "y"}, over])
