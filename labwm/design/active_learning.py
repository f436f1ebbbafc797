"""Policy `active_learning`: what teaches most about the whole pool, good or bad.

Shapes: `c` candidates compared, `p` rows of the pool to learn about, `k` objectives.
"""

import numpy as np
from numpy.typing import NDArray

from labwm.design.candidates import Rows
from labwm.design.modelled import log_probability_of_success
from labwm.design.posterior import latent, objective_columns
from labwm.design.reasons import predicted
from labwm.design.start import Ready, ready_or_start
from labwm.design.state import Batch, Choice, State
from labwm.space.questions import Questions, concatenate

NAME = "active_learning"
VERSION = "2"
MAX_COMPARED = 768
"""Candidates compared, in larger pools drawn by the seed."""
N_LEARNT = 256
"""Rows of the pool whose uncertainty counts, drawn by the seed."""

Floats = NDArray[np.float64]


def active_learning(state: State, n: int) -> Batch:
    """Choose the batch that most reduces the mean variance over the pool.

    Each choice is the best given those before; the variance that remains has a closed
    form, whatever is measured. Objectives count in shares of their own variance.
    Pending experiments count as measured; what may fail teaches less by that chance.

    Reference:
        Seo et al., IJCNN 2000, active learning Cohn: integrated posterior variance.
    """
    ready = ready_or_start(state, n)
    if isinstance(ready, Batch):
        return ready
    rng = np.random.default_rng(state.seed)
    everything = np.arange(len(state.pool))
    learnt = rng.choice(everything, min(N_LEARNT, len(everything)), replace=False)
    designs = [
        _reducing(state, ready, _some(rng, group), learnt, n)
        for group in ready.candidates.fitting(n)
    ]
    rows, shares = max(designs, key=lambda design: sum(design[1]))
    beliefs = predicted(state, ready, rows)
    return Batch(
        choices=tuple(
            Choice(
                row,
                f"removes {share:.1%} of the variance over the pool that choices "
                f"before it leave; {belief}",
                share,
                None,
            )
            for row, share, belief in zip(rows, shares, beliefs, strict=True)
        ),
        policy=NAME,
        policy_version=VERSION,
        n_considered=len(ready.candidates.rows),
        model=ready.model,
    )


def _some(rng: np.random.Generator, rows: Rows) -> Rows:
    if len(rows) <= MAX_COMPARED:
        return rows
    return np.sort(rng.choice(rows, MAX_COMPARED, replace=False))


def _reducing(
    state: State, ready: Ready, group: Rows, learnt: Rows, n: int
) -> tuple[list[int], list[float]]:
    asked = concatenate(
        [state.pool.take(group), state.pending, state.pool.take(learnt)]
    )
    c, n_pending = len(group), len(state.pending)
    covariance, noise = _posterior(state, ready, asked)
    chance = np.exp(
        log_probability_of_success(ready.model.predict(state.pool.take(group)))
    )
    for i in range(c, c + n_pending):
        _condition(covariance, noise, i)
    rows: list[int] = []
    shares: list[float] = []
    left = np.ones(c, dtype=bool)
    for _ in range(min(n, c)):
        towards = covariance[:, :c, c + n_pending :]
        own = np.einsum("kii->ki", covariance[:, :c, :c]) + noise[:, :c]
        removed = np.sum(towards**2, axis=2) / np.maximum(own, 1e-300)
        total = np.einsum("kpp->k", covariance[:, c + n_pending :, c + n_pending :])
        share = np.mean(removed / np.maximum(total, 1e-300)[:, None], axis=0) * chance
        i = int(np.argmax(np.where(left, share, -1.0)))
        rows.append(int(group[i]))
        shares.append(float(np.clip(share[i], 0.0, 1.0)))
        left[i] = False
        _condition(covariance, noise, i)
    return rows, shares


def _posterior(state: State, ready: Ready, asked: Questions) -> tuple[Floats, Floats]:
    """Return covariances, `k x q x q`, and the noise variance of measuring, `k x q`."""
    found = latent(ready.model, state.protocol, asked, seed=state.seed)
    columns = np.stack([found.covariance_with(i) for i in range(len(asked))])
    prediction = ready.model.predict(asked)
    wanted = objective_columns(state.protocol)
    noise = prediction.aleatoric_sd[:, wanted].T ** 2
    return np.moveaxis(columns, 2, 0).copy(), noise


def _condition(covariance: Floats, noise: Floats, i: int) -> None:
    for k in range(len(covariance)):
        column = covariance[k, :, i].copy()
        variance = column[i] + noise[k, i]
        if variance > 0:
            covariance[k] -= np.outer(column, column) / variance
