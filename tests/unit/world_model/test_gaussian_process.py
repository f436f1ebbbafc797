"""The core against independent computations: GPyTorch, brute force, integration."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.optimize import check_grad
from scipy.stats import norm

from labwm.errors import InvalidInputError
from labwm.world_model import fit, marginal_likelihood
from labwm.world_model.censoring import site
from labwm.world_model.encoding import build_encoder
from labwm.world_model.evidence_loss import Evidence, EvidenceLoss
from labwm.world_model.hyper_prior import HyperPrior, n_groups_of
from labwm.world_model.kernel import MEAN_VARIANCE, minmax
from labwm.world_model.leave_one_out import leave_one_out
from labwm.world_model.linear_algebra import cholesky
from labwm.world_model.marginal_likelihood import minimise_loss
from labwm.world_model.molecules import counts_of
from labwm.world_model.structure import LIBRARY, NUMERIC, REACTION
from labwm.world_model.surrogate import condition
from labwm.world_model.training import rows_of
from labwm.world_model.world import keys_of
from tests.unit.world_model.assays import (
    MOLECULES,
    dose_assay,
    dose_questions,
    library,
    library_assay,
    reaction,
    reaction_assay,
    two_numbers,
)


# Its import compiles with `torch.jit.script`, which torch has deprecated.
@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
def test_the_posterior_is_that_of_gpytorch():
    import gpytorch

    observations, asked = dose_assay(40), dose_questions(30, seed=8)
    (own,) = fit(observations, two_numbers()).surrogates
    matern = gpytorch.kernels.ScaleKernel(
        gpytorch.kernels.MaternKernel(nu=2.5, ard_num_dims=2)
    )
    matern.base_kernel.lengthscale = own.kernel.lengthscales[own.kernel.groups]
    matern.outputscale = own.kernel.signal_variance
    mean = gpytorch.kernels.ConstantKernel()
    mean.constant = torch.tensor(MEAN_VARIANCE)
    kernel = (matern + mean).double()
    x, xs = own.inputs.dense, own.encode(asked).dense
    covariance = kernel(x).to_dense() + torch.diag(own.noise)
    cross = kernel(xs, x).to_dense()
    expected_mean = cross @ torch.linalg.solve(covariance, own.targets)
    expected = kernel(xs).to_dense() - cross @ torch.linalg.solve(covariance, cross.T)
    found_mean, variance = own.mean_and_variance(own.encode(asked))
    joint = own.covariance(own.encode(asked), own.encode(asked))
    torch.testing.assert_close(found_mean, expected_mean.detach(), rtol=0, atol=1e-5)
    torch.testing.assert_close(joint, expected.detach(), rtol=0, atol=1e-5)
    torch.testing.assert_close(variance, joint.diagonal(), rtol=0, atol=1e-9)


def test_minmax_is_that_of_dense_counts():
    from labwm.chem.fingerprints import count_fingerprints

    smiles = [*MOLECULES[:12], MOLECULES[3]]
    dense = count_fingerprints(smiles, "atom_pair").toarray()
    low = np.minimum(dense[:, None], dense[None]).sum(-1)
    high = np.maximum(dense[:, None], dense[None]).sum(-1)
    # Ethane and its like have no atom pair of their own: none here has none.
    counts = counts_of(smiles, "atom_pair")
    np.testing.assert_allclose(minmax(counts, counts), low / high, rtol=1e-6)
    some = counts.take(torch.tensor([12, 0, 0, 7]))
    np.testing.assert_allclose(
        minmax(some, counts), (low / high)[[12, 0, 0, 7]], rtol=1e-6
    )


def test_molecules_without_any_environment_are_alike_and_unlike_others():
    counts = counts_of(["", "", "CCO"], "ecfp4")
    expected = [[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    np.testing.assert_allclose(minmax(counts, counts), expected)


@pytest.mark.parametrize(
    ("protocol", "observations", "structure"),
    [
        (two_numbers(), dose_assay(12), NUMERIC[0]),
        (library(), library_assay(12), LIBRARY[0]),
        (reaction(), reaction_assay(12), REACTION[1]),
    ],
    ids=["numbers", "library", "reaction"],
)
def test_the_gradient_of_the_evidence_is_that_of_its_values(
    protocol, observations, structure
):
    encoder = build_encoder(protocol, [observations.questions], structure.features)
    y = torch.from_numpy(observations.values[:, 0])
    evidence = Evidence(
        encoder.encode(observations.questions),
        (y - y.mean()) / y.std(),
        torch.tensor([1.0, 2.0, 3.0] * 4, dtype=torch.float64),
        scatter=1.5,
        n_scatter=12,
    )
    loss = EvidenceLoss(evidence, structure, encoder.groups)
    prior = HyperPrior(structure, n_groups_of(encoder.groups))

    def value(theta: np.ndarray) -> float:
        t = torch.from_numpy(theta)
        return loss(t)[0] + prior.penalty(t)[0]

    def gradient(theta: np.ndarray) -> np.ndarray:
        t = torch.from_numpy(theta)
        return (loss(t)[1] + prior.penalty(t)[1]).numpy()

    rng = np.random.default_rng(0)
    start = prior.start().numpy() + 0.3 * rng.normal(size=len(prior.start()))
    size = np.linalg.norm(gradient(start))
    assert check_grad(value, gradient, start) < 1e-4 * size


def test_many_rows_searched_on_a_few_first_settle_where_all_of_them_do():
    observations = dose_assay(400)
    encoder = build_encoder(two_numbers(), [observations.questions], "names")
    y = torch.from_numpy(observations.values[:, 0])
    rows = encoder.encode(observations.questions)
    ones = torch.ones(400, dtype=torch.float64)
    evidence = Evidence(rows, (y - y.mean()) / y.std(), ones, 0.0, 0)
    loss = EvidenceLoss(evidence, NUMERIC[0], encoder.groups)
    prior = HyperPrior(NUMERIC[0], n_groups_of(encoder.groups))
    values = []
    for few in (100, 400):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(marginal_likelihood, "FEW_ROWS", few)
            theta = minimise_loss(loss).theta
        values.append(loss(theta)[0] + prior.penalty(theta)[0])
    assert values[0] < values[1] + 0.5


def test_replicates_put_together_have_the_evidence_of_their_rows():
    x = torch.rand(6, 1, generator=torch.Generator().manual_seed(0)).double()
    y = torch.tensor([0.1, 0.5, -0.2, 0.3, 0.9, -0.4], dtype=torch.float64)
    rows = _inputs(x[[0, 0, 0, 1, 2, 2]])
    groups = torch.zeros(1, dtype=torch.int64)
    apart = Evidence(rows, y, torch.ones(6, dtype=torch.float64), 0.0, 0)
    means = torch.stack([y[:3].mean(), y[3], y[4:].mean()])
    scatter = float(((y[:3] - means[0]) ** 2).sum() + ((y[4:] - means[2]) ** 2).sum())
    counts = torch.tensor([3.0, 1.0, 2.0], dtype=torch.float64)
    together = Evidence(_inputs(x[:3]), means, counts, scatter, 3)
    first, second = (
        torch.tensor(theta, dtype=torch.float64)
        for theta in ([-1.0, 0.2, -2.0], [0.5, -0.7, -3.0])
    )
    differences = [
        EvidenceLoss(apart, NUMERIC[0], groups)(theta)[0]
        - EvidenceLoss(together, NUMERIC[0], groups)(theta)[0]
        for theta in (first, second)
    ]
    # Equal up to a constant that no hyperparameter changes.
    assert differences[0] == pytest.approx(differences[1], abs=1e-9)


def _inputs(dense: torch.Tensor):
    from labwm.world_model.inputs import Inputs

    return Inputs(dense)


def test_leaving_one_out_in_closed_form_is_leaving_it_out(assay):
    observations, protocol, _ = assay
    (own,) = fit(observations, protocol).surrogates
    rows = rows_of(observations, 0, keys_of(observations.questions))
    left_out = leave_one_out(own, rows)
    for i in (0, 7, 19):
        kept = torch.tensor([j for j in range(len(own.targets)) if j != i])
        without = condition(
            own.encoder,
            own.kernel,
            (own.inputs.take(kept), own.targets[kept], own.noise[kept]),
            units=(own.location, own.scale),
            noise_variance=own.noise_variance,
        )
        mean, variance = without.mean_and_variance(own.inputs.take(torch.tensor([i])))
        (value,) = np.flatnonzero(rows.group == i)
        expected = own.location + own.scale * float(mean[0])
        assert left_out.location[value] == pytest.approx(expected, abs=1e-6)
        sd = own.scale * math.sqrt(float(variance[0]))
        assert left_out.epistemic[value] == pytest.approx(sd, rel=1e-5)


def test_appending_rows_is_conditioning_on_all_of_them(assay):
    observations, protocol, questions = assay
    (own,) = fit(observations, protocol).surrogates
    half = torch.arange(10)
    rest = torch.arange(10, len(own.targets))
    first = condition(
        own.encoder,
        own.kernel,
        (own.inputs.take(half), own.targets[half], own.noise[half]),
        units=(own.location, own.scale),
        noise_variance=own.noise_variance,
    )
    grown = first.append(own.inputs.take(rest), own.targets[rest], own.noise[rest])
    asked = own.encode(questions)
    for found, expected in zip(
        grown.mean_and_variance(asked), own.mean_and_variance(asked), strict=True
    ):
        torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-9)


def test_a_matrix_that_is_not_positive_definite_is_refused():
    with pytest.raises(InvalidInputError, match="must be positive definite"):
        cholesky(torch.full((3, 3), math.nan, dtype=torch.float64))
    with pytest.raises(InvalidInputError, match="got one of 2 rows"):
        cholesky(torch.tensor([[1.0, 2.0], [2.0, 1.0]], dtype=torch.float64))


@pytest.mark.parametrize("side", [-1.0, 1.0], ids=["below", "above"])
@pytest.mark.parametrize("bound", [-1.5, 0.3, 2.0])
def test_a_limit_gives_the_moments_of_its_integral(side: float, bound: float):
    mean, variance, noise = 0.4, 0.8, 0.1
    target, spread = (
        float(part[0])
        for part in site(
            *(torch.tensor([v], dtype=torch.float64) for v in (mean, variance, bound)),
            torch.tensor([side], dtype=torch.float64),
            noise,
        )
    )
    found_variance = 1.0 / (1.0 / variance + 1.0 / spread)
    found_mean = found_variance * (mean / variance + target / spread)

    def density(f: float) -> float:
        likelihood = norm.cdf(side * (f - bound) / math.sqrt(noise))
        return norm.pdf(f, mean, math.sqrt(variance)) * likelihood

    mass = quad(density, -8, 8)[0]
    expected = quad(lambda f: f * density(f), -8, 8)[0] / mass
    square = quad(lambda f: (f - expected) ** 2 * density(f), -8, 8)[0] / mass
    assert found_mean == pytest.approx(expected, abs=1e-6)
    assert found_variance == pytest.approx(square, rel=1e-5)
