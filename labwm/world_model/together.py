"""Several readouts by one process: what one of them tells about another.

The intrinsic model of coregionalisation: the readout is one more input, and readouts
are the more alike the shorter its distance on that input's lengthscale. Readouts that
fall when the others rise enter with the opposite sign; each keeps its own noise. Where
every experiment gave every readout there is next to nothing to win (autokrigeability),
so it is tried where cells are missing, and kept where left-out values become likelier.

Shapes: `n` rows of all readouts together, `m` readouts.

Reference:
    Goovaerts, Geostatistics for Natural Resources Evaluation, 1997, section 6.2;
    Bonilla, Chai & Williams, NeurIPS 2007.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
from torch import Tensor

from labwm.space.questions import Questions
from labwm.world_model.columns import ReadoutColumn
from labwm.world_model.encoding import Encoder
from labwm.world_model.evidence_loss import Evidence
from labwm.world_model.inputs import join
from labwm.world_model.leave_one_out import LeftOut, latent_left_out, left_out_of
from labwm.world_model.marginal_likelihood import maximise_evidence
from labwm.world_model.structure import Structure
from labwm.world_model.surrogate import Surrogate, condition
from labwm.world_model.training import Rows

MAX_ROWS: Final = 1500
"""Rows of all readouts together beyond which it is not tried: it costs `n**3`."""
MARGIN: Final = 3.0
"""Nats of left-out log density, in all, that one process must gain, and that no
readout may lose."""


@dataclass(frozen=True)
class Alone:
    """One readout as it was fitted without the others.

    Attributes:
        surrogate: Its posterior; nothing is censored.
        rows: What it gave.
        structure: Chosen for it.
        left_out: What was said of each value without its experiment.
    """

    surrogate: Surrogate
    rows: Rows
    structure: Structure
    left_out: LeftOut


@dataclass(frozen=True)
class Together:
    """One readout with what the others tell about it.

    Attributes:
        surrogate: Its posterior, which holds the rows of every readout.
        left_out: What is said of each value without the row that gave it.
        keys: Names of all rows, length `n`.
        gain: Left-out log density gained per value, nats.
    """

    surrogate: Surrogate
    left_out: LeftOut
    keys: tuple[bytes, ...]
    gain: float


def fit_together(alone: Sequence[Alone], questions: Questions) -> list[Together] | None:
    """Fit all readouts by one process, if that is worth trying.

    Args:
        alone: Each readout as it was fitted by itself.
        questions: That the rows' `source` counts in.

    Returns:
        One for each readout, or None where it is not tried: fewer than two readouts,
        no missing cell, limits, or too many rows.
    """
    if not _is_worth_trying(alone):
        return None
    base = max(alone, key=lambda one: len(one.rows.mean))
    encoders = [
        replace(
            base.surrogate.encoder,
            dense=(*base.surrogate.encoder.dense, ReadoutColumn(j, len(alone))),
        )
        for j in range(len(alone))
    ]
    signs, ratio = _signs(alone), _noise_ratios(alone)
    inputs = join(
        [
            encoder.encode(questions.take(one.rows.source))
            for encoder, one in zip(encoders, alone, strict=True)
        ]
    )
    targets = torch.cat(
        [sign * one.surrogate.targets for sign, one in zip(signs, alone, strict=True)]
    )
    weight = torch.cat(
        [
            torch.from_numpy(one.rows.n_replicates) / r
            for r, one in zip(ratio, alone, strict=True)
        ]
    )
    chosen = maximise_evidence(
        Evidence(inputs, targets, weight, *_scatter(alone, ratio)),
        base.structure,
        _groups(encoders[0], base.structure, len(alone)),
    )
    shared = condition(
        encoders[0],
        chosen.kernel,
        (inputs, targets, chosen.noise_variance / weight),
        units=(0.0, 1.0),
        noise_variance=chosen.noise_variance,
    )
    views = [
        replace(
            shared,
            encoder=encoder,
            location=one.surrogate.location,
            scale=sign * one.surrogate.scale,
            noise_variance=chosen.noise_variance * r,
        )
        for encoder, one, sign, r in zip(encoders, alone, signs, ratio, strict=True)
    ]
    return _scored(alone, views)


def _groups(encoder: Encoder, structure: Structure, m: int) -> Tensor:
    groups = encoder.groups
    if structure.is_isotropic:
        groups = torch.zeros_like(groups)
        groups[len(groups) - m :] = 1 if len(groups) > m else 0
    return groups


def _scored(alone: Sequence[Alone], views: Sequence[Surrogate]) -> list[Together]:
    mean, variance = latent_left_out(views[0])
    keys = tuple(
        key + b"#%d" % j for j, one in enumerate(alone) for key in one.rows.key
    )
    found, start = [], 0
    for one, own in zip(alone, views, strict=True):
        part = slice(start, start + len(one.rows.mean))
        left_out = left_out_of(own, one.rows, mean[part], variance[part])
        gain = float((left_out.log_density() - one.left_out.log_density()).mean())
        found.append(Together(own, left_out, keys, gain))
        start = part.stop
    return found


def pays(found: Sequence[Together]) -> bool:
    """Are left-out values likelier in all, and those of no readout less likely?"""
    gains = [one.gain * len(one.left_out.values) for one in found]
    return sum(gains) > MARGIN and min(gains) > -MARGIN


def _is_worth_trying(alone: Sequence[Alone]) -> bool:
    sets = {frozenset(one.rows.key) for one in alone}
    n = sum(len(one.rows.mean) for one in alone)
    is_censored = any(one.rows.is_censored.any() for one in alone)
    return len(alone) > 1 and len(sets) > 1 and n <= MAX_ROWS and not is_censored


def _signs(alone: Sequence[Alone]) -> list[float]:
    """Return the sign of each readout's correlation with the first, over shared rows.

    The first readout that an experiment shares with an earlier one decides.
    """
    signs = [1.0]
    for j, one in enumerate(alone[1:], start=1):
        totals = [signs[i] * _covariance(alone[i].rows, one.rows) for i in range(j)]
        largest = max(totals, key=abs)
        signs.append(-1.0 if largest < 0 else 1.0)
    return signs


def _covariance(a: Rows, b: Rows) -> float:
    place = {key: i for i, key in enumerate(a.key)}
    pairs = [(place[key], i) for i, key in enumerate(b.key) if key in place]
    if len(pairs) < 3:
        return 0.0
    left, right = (np.array(side) for side in zip(*pairs, strict=True))
    x, y = a.mean[left], b.mean[right]
    spread = x.std() * y.std()
    return float(np.mean((x - x.mean()) * (y - y.mean())) / spread) if spread else 0.0


def _noise_ratios(alone: Sequence[Alone]) -> list[float]:
    first = alone[0].surrogate.noise_variance
    return [
        float(np.clip(one.surrogate.noise_variance / first, 1e-3, 1e3)) for one in alone
    ]


def _scatter(alone: Sequence[Alone], ratio: Sequence[float]) -> tuple[float, int]:
    squares, freedom = 0.0, 0
    for one, r in zip(alone, ratio, strict=True):
        own, n = one.rows.scatter
        squares += own / one.surrogate.scale**2 / r
        freedom += n
    return squares, freedom
