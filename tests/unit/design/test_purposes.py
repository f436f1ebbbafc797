"""Policies with another purpose than the best value at once."""

import numpy as np
import pytest

from labwm.design.posterior import marginals
from labwm.design.propose import propose, require_policy
from labwm.design.start import RECIPE
from labwm.errors import InvalidInputError
from labwm.schema import Protocol
from labwm.world_model import fit

DONE = (0, 4, 8, 18, 22)


def rows_of(batch) -> list[int]:
    return [choice.row for choice in batch.choices]


@pytest.fixture
def priced(protocol) -> Protocol:
    """Ligand b costs fifty times the others."""
    costs = {
        "per_experiment": {"amount": 1, "currency": "EUR"},
        "levels": {"ligand": {"b": {"price": 49}}},
    }
    return Protocol.model_validate(protocol.model_dump(mode="json") | {"costs": costs})


def test_active_learning_leaves_less_uncertainty_than_random_choices(state_of):
    state = state_of(done=DONE)

    def variance_after(rows: list[int]) -> float:
        model = fit(state.observed, state.protocol, recipe=RECIPE, seed=0)
        added = state_of(done=(*DONE, *rows)).observed
        model = model.condition_on(added.take(np.arange(len(DONE), len(added))))
        return float(np.mean(marginals(model, state.protocol, state.pool)[1] ** 2))

    taught = variance_after(rows_of(propose(state, n=4, policy="active_learning")))
    random = [
        variance_after(
            rows_of(propose(state_of(done=DONE, seed=s), n=4, policy="random"))
        )
        for s in range(8)
    ]
    assert taught < np.mean(random)
    assert taught <= min(random) * 1.1


def test_active_learning_counts_pending_experiments_as_measured(state_of):
    alone = rows_of(propose(state_of(done=DONE), n=1, policy="active_learning"))
    beside = propose(
        state_of(done=DONE, pending=tuple(alone)), n=1, policy="active_learning"
    )
    assert rows_of(beside) != alone
    assert "of the variance over the pool" in beside.choices[0].reason


def test_a_dear_level_is_taken_only_where_it_adds_as_much_more(state_of, priced):
    state = state_of(done=DONE, protocol=priced)
    ligand = np.asarray(state.pool.columns["ligand"])
    dear = rows_of(propose(state, n=4, policy="expected_improvement"))
    cheap = propose(state, n=4, policy="improvement_per_cost")
    assert np.sum(ligand[rows_of(cheap)] == "b") < np.sum(ligand[dear] == "b")
    assert "per EUR, at a price of" in cheap.choices[0].reason
    assert cheap.policy == "improvement_per_cost"


def test_equal_prices_change_no_choice(state_of, protocol):
    costs = {"per_experiment": {"amount": 7}}
    even = Protocol.model_validate(protocol.model_dump(mode="json") | {"costs": costs})
    state = state_of(done=DONE, protocol=even)
    assert rows_of(propose(state, n=4, policy="improvement_per_cost")) == rows_of(
        propose(state, n=4, policy="expected_improvement")
    )


def test_a_protocol_without_prices_is_refused_before_any_work(protocol):
    with pytest.raises(InvalidInputError, match="declares none"):
        require_policy("improvement_per_cost", protocol)


def test_several_objectives_count_per_price_too(state_of, priced):
    both = Protocol.model_validate(
        priced.model_dump(mode="json")
        | {
            "readouts": [
                *priced.model_dump(mode="json")["readouts"],
                {"name": "purity"},
            ],
            "objectives": [
                {"readout": "yield", "goal": "maximise"},
                {"readout": "purity", "goal": "maximise"},
            ],
        }
    )
    require_policy("improvement_per_cost", both)
    require_policy("active_learning", both)
