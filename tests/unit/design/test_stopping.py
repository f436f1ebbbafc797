"""What is left to gain, before it is measured: evidence, never a silent stop."""

import numpy as np
import pytest

from labwm.design.candidates import candidates_of
from labwm.design.start import Ready, ready_or_start
from labwm.design.stopping import outlook
from labwm.schema import Protocol
from labwm.schema.outlook import Outlook

BEST = 14  # ligand b, 0.2 mol/L, 100 degrees
FEW = (0, 4, 8, 18, 22, 26)
MANY = tuple(i for i in range(27) if i not in {3, 21, 24})


def stated(state, *, n_batch: int = 3) -> Outlook:
    ready = ready_or_start(state, n_batch)
    assert isinstance(ready, Ready)
    chosen = state.pool.take(ready.candidates.rows[:n_batch])
    found = outlook(state, ready, chosen, n_batch=n_batch)
    assert found is not None
    return found


def test_there_is_more_to_gain_before_the_best_is_known(state_of):
    early, late = stated(state_of(done=FEW)), stated(state_of(done=MANY))
    assert early.expected_gain > late.expected_gain
    assert early.probability > 0.5
    assert late.probability < 0.05
    assert early.n_compared == 27 - len(FEW)


def test_the_same_state_states_the_same(state_of):
    assert stated(state_of(done=FEW)) == stated(state_of(done=FEW))


def test_costs_count_batches_and_experiments(state_of, protocol):
    costs = {
        "per_experiment": {"amount": 20, "currency": "EUR"},
        "per_batch": {"amount": 100},
    }
    priced = Protocol.model_validate(
        protocol.model_dump(mode="json") | {"costs": costs}
    )
    found = stated(state_of(done=FEW, protocol=priced))
    # 20 experiments are left: this round of three, then six rounds.
    assert found.cost_next == pytest.approx(3 * 20 + 100)
    assert found.cost_left == pytest.approx(20 * 20 + 7 * 100)
    assert found.currency == "EUR"
    assert "EUR" in found.text()


def test_nothing_is_stated_where_nothing_is_left(state_of):
    state = state_of(done=MANY)
    ready = ready_or_start(state, 1)
    assert isinstance(ready, Ready)
    none = Ready(
        candidates_of(state).__class__(np.empty(0, np.int64), ()), ready.model, 0
    )
    assert outlook(state, none, state.pool.take([]), n_batch=1) is None


def test_the_probability_is_one_of_a_gain_worth_speaking_of(state_of):
    found = stated(state_of(done=FEW))
    assert 0 < found.least_gain < 2.0
    assert found.text().startswith("What is left is expected to add")
    assert f"{found.probability:.0%}" in found.text()
