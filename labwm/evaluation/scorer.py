"""A small network that scores candidates: what reinforcement trains.

It sees each candidate by itself, so that the order of the pool and its size play no
part, and only ratios of what is known, so that units play none.
Shapes: `e` agents, `N` candidates, `f` features.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from labwm.evaluation.pool_policies import Floats, Seen

N_FEATURES: Final = 5
_HIDDEN: Final = 16
_REACH: Final = 6.0
_LEAST: Final = 1e-12


class Scorer(torch.nn.Module):
    """One hidden layer over the features of a candidate.

    It begins without any preference: its first policy is a random one.
    """

    def __init__(self, seed: int) -> None:
        """Draw the hidden layer; the last one is zero."""
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.hidden = torch.nn.Linear(N_FEATURES, _HIDDEN)
        self.last = torch.nn.Linear(_HIDDEN, 1)
        with torch.no_grad():
            shape = self.hidden.weight.shape
            self.hidden.weight.copy_(
                torch.randn(shape, generator=generator) / N_FEATURES**0.5
            )
            self.hidden.bias.zero_()
            self.last.weight.zero_()
            self.last.bias.zero_()

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return scores, `... x N`, of features, `... x N x f`."""
        return self.last(torch.tanh(self.hidden(features)))[..., 0]


def features_of(seen: Seen) -> NDArray[np.float32]:
    """Return what the network sees, `e x N x f`.

    Gain and improvement over the best and spread, in units of what the pool may give;
    expectation and spread among the pool. No budget: what is learnt is to hurry.
    """
    worth, sd = seen.utility, seen.sd
    scale = np.sqrt(worth.var(axis=1) + np.mean(sd**2, axis=1))[:, None]
    scale = np.maximum(scale, _LEAST)
    parts = (
        (worth - seen.best[:, None]) / scale,
        np.log(np.maximum(sd / scale, 1e-3)),
        (seen.log_improvement - np.log(scale)) / 4.0,
        _standardised(worth),
        _standardised(sd),
    )
    return np.clip(np.stack(parts, axis=-1), -_REACH, _REACH).astype(np.float32)


def _standardised(values: Floats) -> Floats:
    centred = values - values.mean(axis=1, keepdims=True)
    return centred / np.maximum(values.std(axis=1, keepdims=True), _LEAST)


@dataclass(frozen=True)
class ScorerPolicy:
    """A trained network as a pool policy: the candidate of the highest score."""

    scorer: Scorer

    def __call__(self, seen: Seen, rng: np.random.Generator) -> Floats:
        """Score the candidates, `e x N`."""
        del rng
        with torch.no_grad():
            return self.scorer(torch.from_numpy(features_of(seen))).double().numpy()


@dataclass(frozen=True)
class Steps:
    """Experiments of `e` episodes of equal length `t`, to learn from.

    Attributes:
        features: What was seen, `t` arrays of `e x N x f`.
        is_open: Which candidates could be chosen, `t` arrays of `e x N`.
        chosen: Candidate that was, `t` arrays of length `e`.
        gains: Reward of each step, `t` arrays of length `e`.
    """

    features: list[NDArray[np.float32]]
    is_open: list[NDArray[np.bool_]]
    chosen: list[NDArray[np.int64]]
    gains: list[Floats]


class PolicyGradient:
    """Trains a network on episodes, wherever they were played.

    Reference:
        Williams, Machine Learning 8, 229 (1992): REINFORCE with a baseline; steps by
        Kingma & Ba, arXiv 1412.6980.
    """

    def __init__(
        self, scorer: Scorer, *, discount: float, rate: float, entropy: float
    ) -> None:
        """Prepare.

        Args:
            scorer: Changed by `learn`.
            discount: Of a reward one experiment later: hurry is worth that much.
            rate: Of the steps.
            entropy: Reward of keeping choices open, per step.
        """
        self.scorer, self._discount, self._entropy = scorer, discount, entropy
        self._optimiser = torch.optim.Adam(scorer.parameters(), lr=rate)

    def draw(self, seen: Seen, rng: np.random.Generator) -> tuple[
        NDArray[np.float32], NDArray[np.int64]
    ]:  # fmt: skip
        """Return the features and a choice drawn by its probability, `e` each."""
        features = features_of(seen)
        with torch.no_grad():
            scores = self.scorer(torch.from_numpy(features)).double().numpy()
        # The largest of scores with Gumbel noise is a draw from their softmax.
        noisy = scores + rng.gumbel(size=scores.shape)
        rows = np.argmax(np.where(seen.is_open, noisy, -np.inf), axis=1)
        return features, rows.astype(np.int64)

    def learn(self, steps: Steps) -> None:
        """Make what brought more than usual more probable."""
        advantage = torch.from_numpy(self._advantages(steps.gains)).float()
        loss = torch.zeros(())
        for features, is_open, chosen, worth in zip(
            steps.features, steps.is_open, steps.chosen, advantage, strict=True
        ):
            scores = self.scorer(torch.from_numpy(features))
            closed = torch.from_numpy(~is_open)
            logs = torch.log_softmax(scores.masked_fill(closed, -1e9), dim=1)
            picked = logs.gather(1, torch.from_numpy(chosen)[:, None])[:, 0]
            spread = -(logs.exp() * logs).sum(dim=1)
            loss = loss - (worth * picked + self._entropy * spread).mean()
        self._optimiser.zero_grad()
        (loss / len(steps.gains)).backward()
        self._optimiser.step()

    def _advantages(self, gains: list[Floats]) -> Floats:
        """Return how much more than usual followed, `t x e`, on a scale of one."""
        to_go = np.zeros((len(gains) + 1, len(gains[0])))
        for i in range(len(gains) - 1, -1, -1):
            to_go[i] = gains[i] + self._discount * to_go[i + 1]
        returns = to_go[:-1]
        # Among episodes side by side; of one episode alone, among its steps.
        axis = 1 if returns.shape[1] > 1 else 0
        centred = returns - returns.mean(axis=axis, keepdims=True)
        return centred / max(float(centred.std()), _LEAST)
