"""A part of a table where every experiment fails, unknown to who plans on it.

Shapes: `N` rows of the table.
"""

from dataclasses import replace

import numpy as np

from labwm.design.features import features
from labwm.design.state import Batch, State
from labwm.errors import InvalidInputError
from labwm.evaluation.lookup import Lookup
from labwm.schema import Status

MOST = 0.9
"""Largest share that may fail: a campaign needs something to find."""


def with_hidden_failures(lookup: Lookup, share: float, *, seed: int = 0) -> Lookup:
    """Return the table with its `share` nearest to one row failing, all replicates.

    The row is drawn by the seed; what is near is what policies take to be near before
    anything is measured. What there is to find is the best of the rest.

    Raises:
        InvalidInputError: If the share is not above 0 and at most `MOST`.
    """
    if not 0 < share <= MOST:
        raise InvalidInputError(
            f"A share of a table above 0 and at most {MOST} can fail; got {share:g}. "
            "Choose another, such as 0.3."
        )
    x = features(lookup.protocol, lookup.pool)
    centre = int(np.random.default_rng([seed, 17]).integers(len(lookup)))
    order = np.argsort(np.linalg.norm(x - x[centre], axis=1), kind="stable")
    rows = order[: max(1, round(share * len(lookup)))]
    measured = np.concatenate([lookup.replicates[row] for row in rows])
    observed, truth = lookup.observed, lookup.truth.copy()
    values, statuses = observed.values.copy(), observed.statuses.copy()
    censoring = observed.censoring.copy()
    values[measured], statuses[measured] = np.nan, Status.FAILED
    censoring[measured], truth[rows] = 0, np.nan
    observed = replace(observed, values=values, statuses=statuses, censoring=censoring)
    return replace(lookup, observed=observed, truth=truth, sha256=observed.digest())


def choose_blind(state: State, n: int) -> Batch:
    """Choose as `default` does where nobody tells it what failed, only not to repeat.

    It is there to compare with: what knowing of failures is worth.
    """
    from labwm.design.propose import propose

    failed = state.observed.is_failed
    tried = set(state.observed.questions.take(np.flatnonzero(failed)).keys())
    left = [i for i, key in enumerate(state.pool.keys()) if key not in tried]
    n_failed = len(tried)
    unaware = replace(
        state,
        pool=state.pool.take(left),
        observed=state.observed.take(np.flatnonzero(~failed)),
        # What failed was sent all the same: it counts towards the start.
        n_initial=max(0, state.n_initial - n_failed),
    )
    batch = propose(unaware, n=n, policy="default")
    choices = tuple(replace(one, row=left[one.row]) for one in batch.choices)
    return replace(batch, choices=choices)
