"""What can be asked: membership, exact counts, lazy generators, columnar questions."""

from labwm.space.candidates import candidates
from labwm.space.levels import levels_of
from labwm.space.membership import Membership, check, contains, membership_of
from labwm.space.questions import (
    Observations,
    Questions,
    concatenate,
    mixture_columns,
    observations_from,
    questions_from,
    text_columns,
)
from labwm.space.space import (
    Count,
    fill_levels,
    is_finite,
    iterate,
    n_points,
    pool_of,
    with_levels,
)

__all__ = [
    "Count",
    "Membership",
    "Observations",
    "Questions",
    "candidates",
    "check",
    "concatenate",
    "contains",
    "fill_levels",
    "is_finite",
    "iterate",
    "levels_of",
    "membership_of",
    "mixture_columns",
    "n_points",
    "observations_from",
    "pool_of",
    "questions_from",
    "text_columns",
    "with_levels",
]
