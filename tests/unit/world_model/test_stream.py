"""The streaming posterior against the one in double precision, and features on disk."""

import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from labwm.errors import MoleculeError
from labwm.world_model import GaussianProcessModel, fit, molecules, stream
from labwm.world_model.count_table import count_table
from labwm.world_model.feature_store import store_path
from labwm.world_model.inputs import Inputs
from labwm.world_model.marginals import MANY_ROWS, POOL
from labwm.world_model.molecules import counts_of, descriptors_of
from labwm.world_model.stream import TOLERANCE, PosteriorStream
from labwm.world_model.surrogate import Surrogate
from tests.unit.world_model.assays import (
    MOLECULES,
    dose_assay,
    dose_questions,
    two_numbers,
)

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


@pytest.mark.parametrize("device", DEVICES)
def test_the_streamed_posterior_is_the_exact_one_to_a_ten_thousandth(assay, device):
    observations, protocol, asked = assay
    (own,) = fit(observations, protocol).surrogates
    assert isinstance(own, Surrogate)
    inputs = own.encode(asked)
    expected_mean, expected = own.mean_and_variance(inputs)
    mean, variance = PosteriorStream(own, device)(inputs)
    torch.testing.assert_close(mean, expected_mean, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(variance, expected, rtol=1e-4, atol=0)


def _many_doses() -> GaussianProcessModel:
    return fit(dose_assay(MANY_ROWS, noise=0.1), two_numbers())


def test_a_pool_is_predicted_as_its_questions_are_one_by_one():
    model = _many_doses()
    pool = dose_questions(2 * POOL + 100, seed=7)
    whole = model.predict(pool)
    assert "stream" in vars(model.surrogates[0])
    few = [0, 1, POOL - 1, POOL, 2 * POOL + 99]
    alone = model.predict(pool.take(few))
    size = np.maximum(alone.sd, np.abs(alone.mean))
    assert np.all(np.abs(whole.mean[few] - alone.mean) < TOLERANCE * size)
    np.testing.assert_allclose(
        whole.epistemic_sd[few], alone.epistemic_sd, rtol=TOLERANCE
    )
    np.testing.assert_allclose(
        model.support(pool)[few], model.support(pool.take(few)), rtol=TOLERANCE
    )


def test_a_pool_is_ranked_as_in_double_precision():
    model = _many_doses()
    pool = dose_questions(POOL, seed=8)
    exact = np.concatenate(
        [model.predict(pool.take([*range(a, a + 64)])).mean for a in range(0, POOL, 64)]
    )[:, 0]
    found = model.predict(pool).mean[:, 0]
    # Exactly the same order, but for pairs that differ by less than the tolerance.
    ordered = exact[np.argsort(found)]
    assert np.all(np.diff(ordered) > -2 * TOLERANCE * np.abs(exact).max())
    assert np.argmax(found) == np.argmax(exact)


def test_a_pool_is_read_one_block_at_a_time_and_nothing_of_it_is_kept():
    (own,) = _many_doses().surrogates
    assert isinstance(own, Surrogate)
    given: list[weakref.ref[Inputs]] = []

    def pool() -> Iterator[Inputs]:
        for seed in range(4):
            block = own.encode(dose_questions(64, seed=seed))
            given.append(weakref.ref(block))
            yield block

    for i, (mean, variance) in enumerate(own.stream.over(pool())):
        assert len(given) == i + 1
        assert len(mean) == len(variance) == 64
        # The block before this one is gone.
        assert all(one() is None for one in given[:-1])


def test_single_precision_is_left_where_it_is_not_enough(
    monkeypatch: pytest.MonkeyPatch,
):
    (own,) = _many_doses().surrogates
    assert isinstance(own, Surrogate)
    inputs = own.encode(dose_questions(100, seed=9))
    expected = own.mean_and_variance(inputs)
    monkeypatch.setattr(stream, "TOLERANCE", 1e-12)
    found = PosteriorStream(own)(inputs)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_a_question_that_was_measured_keeps_its_small_variance():
    observations = dose_assay(40, noise=0.001)
    (own,) = fit(observations, two_numbers()).surrogates
    assert isinstance(own, Surrogate)
    inputs = own.encode(observations.questions)
    _, expected = own.mean_and_variance(inputs)
    _, variance = PosteriorStream(own)(inputs)
    torch.testing.assert_close(variance, expected, rtol=1e-4, atol=0)


def test_a_large_molecule_is_compared_in_single_precision():
    # Two thousand tokens and more have no exact sum in half precision.
    tokens = torch.arange(5000) * 256
    table = count_table(tokens, torch.tensor([0, 5000]))
    assert table.common.dtype == torch.float32
    common = table.common_with(tokens[:4999], torch.tensor([0, 4999]))
    assert common.item() == 4999.0


def _forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(molecules, "_cache", {})


def test_features_are_read_from_disk_by_another_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("LABWM_HOME", str(tmp_path))
    _forget(monkeypatch)
    first = counts_of(MOLECULES, "ecfp4")
    described = descriptors_of(MOLECULES, is_quick=True)
    _forget(monkeypatch)

    def refuse(*_: object) -> None:
        raise AssertionError("computed again")

    monkeypatch.setattr(molecules, "_computed", refuse)
    again = counts_of(MOLECULES, "ecfp4")
    torch.testing.assert_close(again.tokens, first.tokens)
    np.testing.assert_array_equal(descriptors_of(MOLECULES, is_quick=True), described)


def test_a_damaged_file_of_features_is_computed_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    from labwm.chem.fingerprints import featuriser

    monkeypatch.setenv("LABWM_HOME", str(tmp_path))
    _forget(monkeypatch)
    first = counts_of(MOLECULES, "torsion")
    store_path(featuriser()).write_bytes(b"no database")
    _forget(monkeypatch)
    torch.testing.assert_close(counts_of(MOLECULES, "torsion").tokens, first.tokens)


def test_nothing_is_written_where_there_is_no_home(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("LABWM_HOME", str(tmp_path / "absent"))
    _forget(monkeypatch)
    counts_of(MOLECULES, "ecfp4")
    assert not (tmp_path / "absent").exists()


def test_what_is_no_molecule_is_refused_and_not_remembered(
    monkeypatch: pytest.MonkeyPatch,
):
    _forget(monkeypatch)
    with pytest.raises(MoleculeError):
        counts_of(["CCO", "C1CC"], "ecfp4")
    assert len(counts_of(["CCO", ""], "ecfp4").sizes) == 2
