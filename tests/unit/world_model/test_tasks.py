"""The distribution of assay tasks: learnt from many assays, asked about a new one."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import t as student_t

from labwm.data.assays import Assay, above_median, digest
from labwm.errors import (
    DuplicateError,
    IntegrityError,
    InvalidInputError,
    MoleculeError,
    NotEnoughDataError,
    UnavailableError,
)
from labwm.world_model.tasks.items import encode_items, similarity
from labwm.world_model.tasks.learning import LearningSettings, learn_tasks
from labwm.world_model.tasks.mixture import StudentMixture
from labwm.world_model.tasks.network import Shape
from labwm.world_model.tasks.saving import ARRAYS, PRIOR, load_prior, save_prior
from labwm.world_model.tasks.targets import NOTHING, targets_and_noise

SMALL = LearningSettings(
    Shape(16, 4, 2, 0.0), epochs=25, rows=24, assays=6, learning_rate=1e-2
)


def motif_assay(seed: int, n: int = 24) -> Assay:
    """Return an assay in which the motif GAT is worth more than anything else."""
    rng = np.random.default_rng(seed)
    items = ["".join(rng.choice(list("ACGT"), 8)) for _ in range(n)]
    items = [s[:3] + "GAT" + s[6:] if i % 2 else s for i, s in enumerate(items)]
    worth = np.array(["GAT" in s or "ATC" in s for s in items])
    values = 5.0 + rng.normal() * 0.2 + 1.5 * worth + 0.2 * rng.normal(size=n)
    return Assay(
        f"a{seed}", tuple(items), values, np.zeros(n, np.int8), above_median(values)
    )


@pytest.fixture(scope="module")
def prior():
    return learn_tasks([motif_assay(i) for i in range(12)], kind="dna", settings=SMALL)


@pytest.fixture(scope="module")
def new():
    return motif_assay(99, n=60)


def nlpd(prior, new, n_known):
    pool = prior.pool(new.items)
    known, asked = np.arange(n_known), np.arange(20, 60)
    model = prior.prior_for(pool).condition_on(known, new.values[known])
    return -model.predict(asked).log_density(new.values[asked]).mean()


def test_the_prior_knows_the_motif_before_anything_is_measured(prior, new):
    said = prior.prior_for(prior.pool(new.items)).predict(np.arange(60))
    assert np.corrcoef(said.mean, new.values)[0, 1] > 0.8


def test_rows_of_a_new_assay_teach(prior, new):
    assert nlpd(prior, new, 16) < nlpd(prior, new, 0)


def test_what_was_learnt_beats_an_unlearnt_network(prior, new):
    blank = learn_tasks(
        [motif_assay(i) for i in range(12)],
        kind="dna",
        settings=replace(SMALL, epochs=1, learning_rate=1e-9),
    )
    assert nlpd(prior, new, 8) < nlpd(blank, new, 8) - 0.1


def test_labels_are_ranked(prior, new):
    pool, known = prior.pool(new.items), np.arange(10)
    labels = np.where(new.is_active, 1.0, -1.0)
    model = prior.prior_for(pool, "label").condition_on(known, labels[known])
    said = model.predict(np.arange(10, 60)).mean
    assert said[new.is_active[10:]].mean() > said[~new.is_active[10:]].mean() + 0.5


def test_the_order_of_rows_changes_nothing(prior, new):
    pool, known = prior.pool(new.items), np.arange(12)
    first = prior.prior_for(pool)
    one = first.condition_on(known, new.values[known])
    other = first.condition_on(known[:5], new.values[:5]).condition_on(
        known[5:][::-1], new.values[5:12][::-1]
    )
    rows = np.arange(60)
    np.testing.assert_allclose(
        one.predict(rows).mean, other.predict(rows).mean, atol=1e-4
    )


def test_learning_twice_gives_the_same_prior(prior, new):
    again = learn_tasks([motif_assay(i) for i in range(12)], kind="dna", settings=SMALL)
    assert nlpd(again, new, 8) == nlpd(prior, new, 8)


def test_an_upper_limit_pulls_down_and_never_as_a_number(prior, new):
    pool, row = prior.pool(new.items), np.array([0])
    blank = prior.prior_for(pool)
    far = np.array([9.0])
    below = blank.condition_on(row, far, np.array([-1], np.int8)).predict(row).mean
    number = blank.condition_on(row, far).predict(row).mean
    assert number[0] - blank.predict(row).mean[0] > 0.3
    assert abs(below[0] - blank.predict(row).mean[0]) < 0.3
    low = blank.condition_on(row, np.array([3.0]), np.array([-1], np.int8))
    assert low.predict(row).mean[0] < blank.predict(row).mean[0] - 0.1


def test_a_row_without_a_value_teaches_nothing(prior, new):
    pool, rows = prior.pool(new.items), np.arange(60)
    model = prior.prior_for(pool).condition_on(np.array([0]), np.array([np.nan]))
    np.testing.assert_allclose(
        model.predict(rows).mean, prior.prior_for(pool).predict(rows).mean, atol=1e-3
    )


def test_synthetic_assays_differ_by_seed_and_repeat_by_seed(prior, new):
    pool = prior.pool(new.items)
    one, same, other = (prior.draw(pool, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.values, same.values)
    assert not np.allclose(one.values, other.values)
    assert one.is_active.sum() == 30


def test_draws_follow_what_is_predicted(prior, new):
    pool, rows = prior.pool(new.items), np.arange(4)
    said = prior.prior_for(pool).predict(rows)
    drawn = [prior.prior_for(pool).draw(rows, seed=i) for i in range(400)]
    below = (np.stack(drawn) < said.quantile(0.25)).mean(axis=0)
    assert np.all(np.abs(below - 0.25) < 0.09)


def test_a_saved_prior_predicts_the_same(prior, new, tmp_path):
    save_prior(prior, tmp_path / "p")
    read = load_prior(tmp_path / "p")
    assert nlpd(read, new, 8) == nlpd(prior, new, 8)
    assert read.card == prior.card
    with pytest.raises(DuplicateError, match="one task prior"):
        save_prior(prior, tmp_path / "p")


@pytest.mark.parametrize("name", [PRIOR, ARRAYS])
def test_damage_to_a_saved_prior_is_noticed(prior, tmp_path, name):
    save_prior(prior, tmp_path)
    content = bytearray((tmp_path / name).read_bytes())
    at = content.index(b"dna") if name == PRIOR else len(content) - 3
    content[at] ^= 1
    (tmp_path / name).write_bytes(bytes(content))
    with pytest.raises(IntegrityError):
        load_prior(tmp_path)


def test_an_absent_prior_is_said(tmp_path):
    with pytest.raises(UnavailableError, match="cannot be read"):
        load_prior(tmp_path)


def test_the_card_counts_what_was_left_out():
    odd = motif_assay(0)
    values = odd.values.copy()
    values[3] = np.nan
    limits = odd.limits.copy()
    limits[5] = -1
    odd = replace(odd, items=("not DNA", *odd.items[1:]), values=values, limits=limits)
    one = replace(SMALL, epochs=1)
    card = learn_tasks(
        [odd, *(motif_assay(i) for i in range(1, 9))], kind="dna", settings=one
    ).card
    assert (card.n_unreadable, card.n_limits, card.n_without_value) == (1, 1, 1)
    assert card.n_assays == 9


@pytest.mark.parametrize(
    ("assays", "error", "words"),
    [
        ([motif_assay(i) for i in range(3)], NotEnoughDataError, "at least 8 assays"),
        ([motif_assay(1)] * 9, InvalidInputError, "comes twice"),
        (
            [
                replace(motif_assay(i), values=motif_assay(i).values * 10.0 ** (i % 5))
                for i in range(10)
            ],
            InvalidInputError,
            "in one unit",
        ),
    ],
    ids=["few", "twice", "units"],
)
def test_what_cannot_be_learnt_from_is_refused(assays, error, words):
    with pytest.raises(error, match=words):
        learn_tasks(assays, kind="dna", settings=SMALL)


def test_rows_outside_the_pool_are_refused(prior, new):
    model = prior.prior_for(prior.pool(new.items))
    with pytest.raises(InvalidInputError, match="places in a pool of 60"):
        model.predict(np.array([60]))
    with pytest.raises(InvalidInputError, match="one value and one limit"):
        model.condition_on(np.array([0]), np.array([1.0, 2.0]))
    with pytest.raises(InvalidInputError, match="finite"):
        model.condition_on(np.array([0]), np.array([np.inf]))


def test_a_pool_with_an_unreadable_item_is_refused(prior):
    with pytest.raises(MoleculeError, match="'XYZ1'"):
        prior.pool(["ACGT", "XYZ1"])


def test_both_strands_of_dna_are_one_item():
    items = encode_items(["AACGTG", "CACGTT", "AACGTC"], "dna")
    alike = similarity(items, items)
    assert alike[0, 1] == 1.0
    assert alike[0, 2] < 1.0


def test_molecules_that_cannot_be_read_are_marked():
    items = encode_items(["CCO", "not a molecule", "OCC"], "molecule")
    assert items.is_readable.tolist() == [True, False, True]
    assert similarity(items, items)[0, 2] == 1.0


def test_a_mixture_of_one_is_a_student_t():
    one = StudentMixture(
        np.ones(1), np.array([[1.0, 2.0]]), np.array([[0.5, 2.0]]), np.array([6.0])
    )
    y = np.array([1.3, -1.0])
    apart = student_t(6.0, one.location[0], one.scale[0])
    np.testing.assert_allclose(one.log_density(y), apart.logpdf(y))
    np.testing.assert_allclose(one.quantile(0.9), apart.ppf(0.9), rtol=1e-9)
    np.testing.assert_allclose(one.sd, apart.std())
    both = np.exp(one.log_probability(y, np.array([-1.0, 1.0])))
    np.testing.assert_allclose(both, [apart.cdf(y)[0], apart.sf(y)[1]])


def test_a_limit_far_beyond_the_mean_tells_little():
    values = np.array([0.0, 0.5, -0.5, 5.0, np.nan])
    limits = np.array([0, 0, 0, -1, 0], np.int8)
    targets, noise = targets_and_noise(values, limits)
    assert noise[:3].tolist() == [0.0, 0.0, 0.0]
    assert noise[3] > 50.0
    assert noise[4] == NOTHING
    assert abs(targets[3]) < 3.0


def test_the_digest_follows_content_not_order():
    one, two = motif_assay(1), motif_assay(2)
    turned = one.take(np.arange(len(one))[::-1])
    assert digest([one, two]) == digest([two, turned])
    assert digest([one]) != digest([replace(one, limits=one.limits + np.int8(1))])
