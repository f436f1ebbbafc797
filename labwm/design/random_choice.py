"""Policy `random`: every candidate that is left is equally likely."""

import numpy as np

from labwm.design.candidates import candidates_of
from labwm.design.state import Batch, Choice, State

NAME = "random"
VERSION = "1"


def random_choice(state: State, n: int) -> Batch:
    """Choose uniformly without replacement.

    Where parameters are hard to change, first one of their values is drawn, in
    proportion to the candidates that have it, then the batch within that value.
    """
    candidates = candidates_of(state)
    rng = np.random.default_rng(state.seed)
    groups = candidates.fitting(n)
    sizes = np.array([len(group) for group in groups])
    group = groups[rng.choice(len(groups), p=sizes / sizes.sum())]
    rows = rng.choice(group, size=min(n, len(group)), replace=False)
    propensity = float(len(rows) / sizes.sum())
    reason = f"drawn at random from {sizes.sum()} candidates"
    return Batch(
        choices=tuple(Choice(int(row), reason, None, propensity) for row in rows),
        policy=NAME,
        policy_version=VERSION,
        n_considered=len(candidates.rows),
        model=None,
    )
