"""One assay of each kind that a world model learns from."""

from collections.abc import Callable

import numpy as np
import pytest

from labwm.schema import Protocol
from labwm.space.questions import Observations, Questions
from tests.unit.world_model.assays import (
    dose_assay,
    dose_questions,
    library,
    library_assay,
    reaction,
    reaction_assay,
    reaction_pool,
    two_numbers,
)

Assay = Callable[[], tuple[Observations, Protocol, Questions]]


def _numbers() -> tuple[Observations, Protocol, Questions]:
    return dose_assay(25), two_numbers(), dose_questions(12, seed=99)


def _molecules() -> tuple[Observations, Protocol, Questions]:
    return library_assay(25), library(), library_assay(40, seed=5).questions


def _reactions() -> tuple[Observations, Protocol, Questions]:
    return reaction_assay(25), reaction(), reaction_pool().take(np.arange(0, 192, 16))


KINDS: dict[str, Assay] = {
    "numbers": _numbers,
    "library": _molecules,
    "reaction": _reactions,
}


@pytest.fixture(params=list(KINDS))
def assay(request: pytest.FixtureRequest) -> tuple[Observations, Protocol, Questions]:
    """Observations, their protocol, and questions that were mostly not measured."""
    return KINDS[request.param]()
