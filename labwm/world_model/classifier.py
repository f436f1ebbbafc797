"""Probabilities of yes or no: a probit Gaussian process by expectation propagation.

A *yes* is a latent value above zero seen through unit noise, which is what a limit is:
`labwm.world_model.censoring` does the work. Lengthscales come from a regression on the
labels; the size of the signal from left-out log loss, and where no size beats the base
rate the base rate is the answer.

Shapes: `n` labelled rows, `q` questions.

Reference:
    Rasmussen & Williams, Gaussian Processes for Machine Learning, 2006, section 3.6.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import log_ndtr, ndtr
from torch import Tensor

from labwm.space.questions import Questions
from labwm.world_model.censoring import cavities, site, with_limits
from labwm.world_model.encoding import Encoder
from labwm.world_model.evidence_loss import Evidence
from labwm.world_model.inputs import Inputs
from labwm.world_model.kernel import Kernel
from labwm.world_model.marginal_likelihood import maximise_evidence
from labwm.world_model.structure import Structure
from labwm.world_model.surrogate import Surrogate, condition

Floats = NDArray[np.float64]

SIGNALS: Final = (0.3, 1.0, 3.0, 10.0)
"""Variances of the latent function that are compared; its noise has variance 1."""
MAX_ROWS: Final = 1000
"""Beyond so many labels a random part of them is learnt from."""
MARGIN: Final = 3.0
"""Nats of left-out log loss, in all, that a process must save to replace the rate."""


@dataclass(frozen=True)
class Classifier:
    """Probability of yes at any question.

    Attributes:
        rate: Share of yes by the rule of succession: the answer without a process.
        n_yes: Labels of each kind that were learnt from.
        n_no: Labels of each kind that were learnt from.
        surrogate: Latent function on the probit scale; None where the rate is as good.
        gain: Left-out log loss saved per label against the rate, nats.
    """

    rate: float
    n_yes: int
    n_no: int
    surrogate: Surrogate | None
    gain: float

    def probability(self, questions: Questions) -> Floats:
        """Return the probability of yes, length `q`."""
        if self.surrogate is None:
            return np.full(len(questions), self.rate)
        mean, variance = self.surrogate.mean_and_variance(
            self.surrogate.encode(questions)
        )
        return ndtr((mean / (1.0 + variance).sqrt()).numpy())

    def append(self, questions: Questions, labels: Floats) -> "Classifier":
        """Return the classifier after more labels, 1 or 0, one after another."""
        n_yes = self.n_yes + int(labels.sum())
        n_no = self.n_no + len(labels) - int(labels.sum())
        grown = replace(self, rate=_rate(n_yes, n_no), n_yes=n_yes, n_no=n_no)
        if self.surrogate is None:
            return grown
        surrogate, zero = self.surrogate, torch.zeros(1, dtype=torch.float64)
        inputs = surrogate.encode(questions)
        for i, label in enumerate(labels):
            one = inputs.take(torch.tensor([i]))
            mean, variance = surrogate.mean_and_variance(one)
            y, s2 = site(mean, variance, zero, zero + (2.0 * label - 1.0), 1.0)
            surrogate = surrogate.append(one, y, s2)
        return replace(grown, surrogate=surrogate)


def fit_classifier(
    questions: Questions,
    labels: Floats,
    tried: Sequence[tuple[Structure, Encoder]],
    *,
    seed: int,
) -> Classifier:
    """Learn the probability of yes.

    Args:
        questions: Conditions, `n` rows.
        labels: 1 for yes, 0 for no, length `n`, at least one.
        tried: Structures to choose from, each with its encoder.
        seed: Chooses the labels that are learnt from, past a thousand.
    """
    n_yes, n_no = int(labels.sum()), len(labels) - int(labels.sum())
    plain = Classifier(_rate(n_yes, n_no), n_yes, n_no, None, 0.0)
    if min(n_yes, n_no) == 0:
        return plain
    if len(labels) > MAX_ROWS:
        rows = np.sort(np.random.default_rng(seed).permutation(len(labels))[:MAX_ROWS])
        questions, labels = questions.take(rows), labels[rows]
        if np.ptp(labels) == 0:
            return plain
    least = MARGIN / len(labels)
    best = plain
    without = _loss_of_rate(labels)
    for structure, encoder in tried:
        surrogate, loss = _fit(questions, labels, structure, encoder)
        if without - loss > max(best.gain, least):
            best = replace(plain, surrogate=surrogate, gain=without - loss)
    return best


def _fit(
    questions: Questions, labels: Floats, structure: Structure, encoder: Encoder
) -> tuple[Surrogate, float]:
    inputs, sides = encoder.encode(questions), 2.0 * torch.from_numpy(labels) - 1.0
    kernel = _kernel(inputs, labels, structure, encoder)
    fits = [_propagated(encoder, kernel, inputs, sides, size) for size in SIGNALS]
    return min(fits, key=lambda pair: pair[1])


def _kernel(
    inputs: Inputs, labels: Floats, structure: Structure, encoder: Encoder
) -> Kernel:
    targets = torch.from_numpy((labels - labels.mean()) / labels.std())
    evidence = Evidence(inputs, targets, torch.ones_like(targets), 0.0, 0)
    groups = encoder.groups
    if structure.is_isotropic:
        groups = torch.zeros_like(groups)
    return maximise_evidence(evidence, structure, groups).kernel


def _propagated(
    encoder: Encoder, kernel: Kernel, inputs: Inputs, sides: Tensor, size: float
) -> tuple[Surrogate, float]:
    scaled = replace(kernel, weights=kernel.weights * size / kernel.signal_variance)
    zero = torch.zeros(len(sides), dtype=torch.float64)
    surrogate = condition(
        encoder,
        scaled,
        (inputs, zero, zero + 1.0),
        units=(0.0, 1.0),
        noise_variance=1.0,
    )
    surrogate = with_limits(surrogate, sides.numpy().astype(np.int64))
    mean, variance = cavities(surrogate)
    stated = log_ndtr((sides * mean / (1.0 + variance).sqrt()).numpy())
    return surrogate, -float(stated.mean())


def _rate(n_yes: int, n_no: int) -> float:
    return (n_yes + 1.0) / (n_yes + n_no + 2.0)


def _loss_of_rate(labels: Floats) -> float:
    # Left out: the rate of all other labels.
    n, n_yes = len(labels), float(labels.sum())
    rate = (n_yes - labels + 1.0) / (n + 1.0)
    return -float(np.log(np.where(labels == 1.0, rate, 1.0 - rate)).mean())
