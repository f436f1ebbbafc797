"""Gaussian processes of several assays and kinds at once, their scales integrated out.

Shapes: `t` assays, `n` rows learnt from, `q` rows asked about, `d` features, `k` kinds.

With `s ~ InverseGamma(a, a b)` and `y ~ N(m, s (K + noise))` the evidence of `y` is a
multivariate Student-t and every prediction a Student-t of `2 a + n` degrees of freedom:
an assay's scale is not known from a few rows, and predictions say so.

Reference:
    Rasmussen & Williams 2006, section 2.2; Shah, Wilson & Ghahramani, AISTATS 2014,
    arXiv 1402.4306, for the Student-t process.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from labwm.world_model.tasks.network import TaskNetwork

LEAST_SHAPE = 0.5
"""Of the inverse gamma distribution of an assay's scale."""
JITTER = 1e-5


@dataclass(frozen=True)
class Batch:
    """Rows of several assays, padded to one length.

    Attributes:
        features: `t x n x d`.
        means: Of one output, `t x n x k`.
        similarity: MinMax similarity of items, `t x n x n`.
        targets: `t x n`.
        noise: Variance of each target beyond the kind's own, `t x n`.
        is_row: False where a row is padding, `t x n`.
    """

    features: Tensor
    means: Tensor
    similarity: Tensor
    targets: Tensor
    noise: Tensor
    is_row: Tensor


@dataclass(frozen=True)
class Kinds:
    """Hyperparameters of one output, one of each per kind.

    Attributes:
        relevance: Of each feature, `k x d`.
        likeness: Weight of the similarity, length `k`.
        offset: Variance of an assay's own offset, length `k`.
        noise: Variance of one measurement, length `k`.
        shape: Of the scale's inverse gamma distribution, length `k`.
        rate: Of the same, length `k`.
        log_share: Logarithm of how many assays are of each kind, length `k`.
    """

    relevance: Tensor
    likeness: Tensor
    offset: Tensor
    noise: Tensor
    shape: Tensor
    rate: Tensor
    log_share: Tensor


@dataclass(frozen=True)
class Conditioned:
    """What some rows say of each kind.

    Attributes:
        log_evidence: Of the rows, with the kind's share, `t x k`.
        factor: Lower Cholesky factor, `t x k x n x n`.
        whitened: The factor's inverse times the residuals, `t x k x n`.
        shape: Of the scale's posterior, `t x k`.
        rate: Of the same, `t x k`.
    """

    log_evidence: Tensor
    factor: Tensor
    whitened: Tensor
    shape: Tensor
    rate: Tensor


def kinds_of(network: TaskNetwork, output: int) -> Kinds:
    """Return the hyperparameters of one output."""
    shape = network.log_shape[output].exp() + LEAST_SHAPE
    return Kinds(
        network.log_relevance[output].exp(),
        network.log_likeness[output].exp(),
        network.log_offset[output].exp(),
        network.log_noise[output].exp(),
        shape,
        shape * network.log_scale[output].exp(),
        torch.log_softmax(network.log_share[output], -1),
    )


def covariance(kinds: Kinds, a: Tensor, b: Tensor, similarity: Tensor) -> Tensor:
    """Return each kind's covariance without noise, `t x k x a x b`."""
    linear = torch.einsum("tnd,kd,tmd->tknm", a, kinds.relevance, b)
    like = kinds.likeness[:, None, None] * similarity[:, None]
    return linear + like + kinds.offset[:, None, None]


def variance(kinds: Kinds, features: Tensor) -> Tensor:
    """Return each kind's prior variance without noise, `k x q`."""
    linear = kinds.relevance @ (features**2).T
    return linear + (kinds.likeness + kinds.offset)[:, None]


def condition(kinds: Kinds, batch: Batch) -> Conditioned:
    """Return what rows say of each kind; costs `t k n**3`."""
    real = batch.is_row[:, None].to(batch.features.dtype)
    matrix = covariance(kinds, batch.features, batch.features, batch.similarity)
    noise = kinds.noise[:, None] + batch.noise[:, None] + JITTER
    diagonal = torch.where(batch.is_row[:, None], noise, torch.ones_like(noise))
    matrix = matrix * real[..., None] * real[..., None, :] + torch.diag_embed(diagonal)
    factor = torch.linalg.cholesky(matrix)
    residual = (batch.targets[:, None] - batch.means.transpose(1, 2)) * real
    white = torch.linalg.solve_triangular(factor, residual[..., None], upper=False)
    white = white[..., 0]
    half = 0.5 * (white * white).sum(-1)
    n = batch.is_row.sum(-1)[:, None]
    shape, rate = kinds.shape + 0.5 * n, kinds.rate + half
    evidence = (
        torch.lgamma(shape)
        - torch.lgamma(kinds.shape)
        - factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        - 0.5 * n * (math.log(2 * math.pi) + kinds.rate.log())
        - shape * torch.log1p(half / kinds.rate)
    )
    return Conditioned(evidence + kinds.log_share, factor, white, shape, rate)
