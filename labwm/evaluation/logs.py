"""Logs of a behaviour policy: what was measured before anybody asked a model."""

import hashlib

import numpy as np
from numpy.typing import NDArray

from labwm.errors import NotEnoughDataError
from labwm.evaluation.lookup import Lookup


def poor_half_log(lookup: Lookup, n: int, *, seed: int) -> NDArray[np.int64]:
    """Return `n` rows of the pool from the worse half of its utilities, unordered.

    The behaviour is biased as a log of failed attempts is: nothing good was met, so
    that whoever learns from it must go where it has not been.

    Raises:
        NotEnoughDataError: If the worse half has fewer rows.
    """
    worth = lookup.utilities[:, 0]
    known = np.flatnonzero(np.isfinite(worth))
    poor = known[np.argsort(worth[known], kind="stable")][: len(known) // 2]
    if len(poor) < n:
        raise NotEnoughDataError(
            f"A log of {n} rows is taken from the worse half of a table; got "
            f"{len(poor)} rows there. Ask for a shorter log."
        )
    entropy = int.from_bytes(hashlib.sha256(b"log").digest()[:8], "big")
    rng = np.random.default_rng([seed, n, entropy])
    return np.sort(rng.choice(poor, n, replace=False))
