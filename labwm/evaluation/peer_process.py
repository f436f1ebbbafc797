"""The usual path to a Gaussian process on fingerprints: GPyTorch through BoTorch."""

import torch
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from gpytorch.kernels import Kernel, ScaleKernel
from gpytorch.mlls import ExactMarginalLogLikelihood
from torch import Tensor


class TanimotoKernel(Kernel):
    """Tanimoto similarity of rows by their inner products, as GAUCHE has it."""

    has_lengthscale = False

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride] - as GPyTorch's own kernels do
        self, x1: Tensor, x2: Tensor, diag: bool = False, **_: object
    ) -> Tensor:
        """Return similarities, `a x b`, or of equal rows."""
        if diag:
            return torch.ones(x1.shape[:-1], dtype=x1.dtype)
        product = x1 @ x2.transpose(-1, -2)
        square = (x1**2).sum(-1)[..., :, None] + (x2**2).sum(-1)[..., None, :]
        return product / (square - product).clamp_min(1e-12)


def peer_process(x: Tensor, y: Tensor) -> SingleTaskGP:
    """Fit one to `n` rows by marginal likelihood."""
    model = SingleTaskGP(x, y, covar_module=ScaleKernel(TanimotoKernel()))
    fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
    return model
