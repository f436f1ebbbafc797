"""Saving and loading: the same predictions to the last bit, and nothing else taken."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from labwm.errors import (
    DuplicateError,
    IntegrityError,
    InvalidInputError,
    UnavailableError,
)
from labwm.schema import Status
from labwm.world_model import fit, load_model, save_model
from labwm.world_model.tree import from_tree, to_tree
from tests.unit.world_model.assays import dose_assay, dose_questions, two_numbers


@pytest.mark.parametrize("recipe", ["default", "explore"])
def test_a_loaded_model_says_the_same_to_the_last_bit(
    assay, recipe: str, tmp_path: Path
):
    observations, protocol, questions = assay
    model = fit(observations, protocol, recipe=recipe)
    save_model(model, tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    before, after = model.predict(questions), loaded.predict(questions)
    for name in ("location", "epistemic", "aleatoric", "is_vacuous"):
        assert np.array_equal(getattr(before, name), getattr(after, name)), name
    assert np.array_equal(before.quantile(0.95), after.quantile(0.95))
    assert np.array_equal(model.support(questions), loaded.support(questions))
    assert loaded.card == model.card
    assert loaded.observations.digest() == model.observations.digest()


def test_a_loaded_model_goes_on_learning_and_drawing_as_before(assay, tmp_path: Path):
    observations, protocol, questions = assay
    model = fit(observations, protocol)
    save_model(model, tmp_path)
    loaded = load_model(tmp_path)
    drawn, again = model.draw_world(3), loaded.draw_world(3)
    assert np.array_equal(drawn.truth(questions), again.truth(questions))
    more = observations.take([0, 1])
    grown, regrown = model.condition_on(more), loaded.condition_on(more)
    assert np.array_equal(
        grown.predict(questions).location, regrown.predict(questions).location
    )
    errors = {model.card.readouts[0]: np.array([3.0, -2.0])}
    assert (
        model.under_feedback(errors).calibration
        == loaded.under_feedback(errors).calibration
    )


def test_limits_and_failures_survive(tmp_path: Path):
    rows = dose_assay(12)
    values, censoring = rows.values.copy(), rows.censoring.copy()
    statuses = rows.statuses.copy()
    censoring[0], statuses[0] = 1, Status.ABOVE
    values[1], statuses[1] = np.nan, Status.FAILED
    rows = replace(rows, values=values, censoring=censoring, statuses=statuses)
    model = fit(rows, two_numbers())
    save_model(model, tmp_path)
    loaded = load_model(tmp_path)
    assert loaded.observations.is_failed.tolist() == rows.is_failed.tolist()
    asked = dose_questions(5, seed=8)
    assert np.array_equal(model.predict(asked).mean, loaded.predict(asked).mean)


def test_a_folder_holds_one_model(tmp_path: Path):
    model = fit(dose_assay(8), two_numbers())
    save_model(model, tmp_path)
    with pytest.raises(DuplicateError, match="has one already"):
        save_model(model, tmp_path)


def test_load_refuses_an_absent_model(tmp_path: Path):
    with pytest.raises(UnavailableError, match=r"model\.json cannot be read"):
        load_model(tmp_path)


def test_load_refuses_absent_arrays(saved: Path):
    (saved / "arrays.safetensors").unlink()
    with pytest.raises(UnavailableError, match=r"arrays\.safetensors cannot be read"):
        load_model(saved)


def _other_number(content: dict) -> None:
    content["model"]["fields"]["surrogates"][0]["fields"]["scale"] = 3.0


def _other_data(content: dict) -> None:
    content["data_sha256"] = "0" * 64


@pytest.mark.parametrize(
    "change", [_other_number, _other_data], ids=["a number", "the data's hash"]
)
def test_load_refuses_a_changed_record(saved: Path, change: Callable[[dict], None]):
    content = json.loads((saved / "model.json").read_bytes())
    change(content)
    (saved / "model.json").write_text(json.dumps(content))
    with pytest.raises(IntegrityError, match="the model has the sha256"):
        load_model(saved)


def test_load_refuses_changed_arrays(saved: Path):
    data = bytearray((saved / "arrays.safetensors").read_bytes())
    data[-1] ^= 1
    (saved / "arrays.safetensors").write_bytes(bytes(data))
    with pytest.raises(IntegrityError, match="the arrays has the sha256"):
        load_model(saved)


def test_load_refuses_what_is_no_json(saved: Path):
    (saved / "model.json").write_text("model")
    with pytest.raises(IntegrityError, match=r"model\.json is JSON"):
        load_model(saved)


def test_load_refuses_another_version(saved: Path):
    content = json.loads((saved / "model.json").read_bytes())
    content["labwm_version"] = "0.0.0"
    (saved / "model.json").write_text(json.dumps(content))
    with pytest.raises(InvalidInputError, match=r"got 0\.0\.0"):
        load_model(saved)


def test_load_notices_that_another_model_was_put_in_its_place(tmp_path: Path):
    mine = save_model(fit(dose_assay(8), two_numbers()), tmp_path / "a")
    theirs = save_model(fit(dose_assay(9), two_numbers()), tmp_path / "b")
    assert load_model(tmp_path / "b", sha256=theirs).card.n_rows == 9
    with pytest.raises(IntegrityError, match="the model that was asked for"):
        load_model(tmp_path / "b", sha256=mine)


def test_a_file_names_only_parts_of_a_model():
    with pytest.raises(IntegrityError, match="got 'Popen'"):
        from_tree({"part": "Popen", "fields": {}}, {})
    with pytest.raises(TypeError, match="known parts only"):
        to_tree(object(), {})


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A folder with a small model."""
    save_model(fit(dose_assay(8), two_numbers()), tmp_path)
    return tmp_path
