"""Cholesky factors that do not fail silently, on the number of threads that pays."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import scipy.linalg  # noqa: F401 - its BLAS must be loaded before it is looked for
import torch
from threadpoolctl import ThreadpoolController
from torch import Tensor

from labwm.errors import InvalidInputError

JITTERS = (0.0, 1e-10, 1e-8, 1e-6, 1e-4)
SMALL = 500
"""Below this many rows, starting a second thread costs more than it saves."""
WHOLE = 256
"""Triangles up to this size are inverted as a whole; larger ones by products."""


def cholesky(matrix: Tensor) -> Tensor:
    """Return the lower Cholesky factor, adding as little to the diagonal as works.

    Raises:
        InvalidInputError: If `matrix` is not positive definite, or holds NaN.
    """
    scale = matrix.diagonal().mean()
    for jitter in JITTERS:
        shifted = matrix
        if jitter:
            shifted = matrix + jitter * scale * torch.eye(len(matrix)).to(matrix)
        factor, failed = torch.linalg.cholesky_ex(shifted)
        if not failed and bool(torch.isfinite(factor.diagonal()).all()):
            return factor
    raise InvalidInputError(
        f"A covariance must be positive definite; got one of {len(matrix)} rows that "
        f"stays singular with {JITTERS[-1]} of its diagonal added. Check the data for "
        "values that are not finite."
    )


def inverse_of_factor(factor: Tensor) -> Tensor:
    """Return the inverse of a lower Cholesky factor, `n x n`, by halves."""
    n = len(factor)
    if n <= WHOLE:
        eye = torch.eye(n, dtype=factor.dtype)
        return torch.linalg.solve_triangular(factor, eye, upper=False)
    first, last = slice(0, n // 2), slice(n // 2, n)
    inverse = torch.zeros_like(factor)
    inverse[first, first] = inverse_of_factor(factor[first, first])
    inverse[last, last] = inverse_of_factor(factor[last, last])
    corner = factor[last, first] @ inverse[first, first]
    torch.mm(inverse[last, last], corner.neg_(), out=inverse[last, first])
    return inverse


@contextmanager
def threads_for(n: int) -> Iterator[None]:
    """Use one thread while `n` rows are few, in torch and in SciPy's BLAS.

    On two busy cores a second thread made a fit to 50 rows ten times slower.
    """
    if n >= SMALL or torch.get_num_threads() == 1:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with _blas().limit(limits=1):
            yield
    finally:
        torch.set_num_threads(before)


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController().select(internal_api="openblas")
