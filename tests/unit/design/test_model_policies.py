"""Policies with a model: what they improve on, expect, avoid and say."""

from dataclasses import replace

import numpy as np
import pytest

from labwm.design.greedy_batch import Problem, greedy_batch
from labwm.design.improvement import BestImprovement
from labwm.design.modelled import N_COMPARED
from labwm.design.posterior import Latent, latent
from labwm.design.propose import propose
from labwm.errors import InvalidInputError
from labwm.schema import Objective, Protocol
from labwm.space.questions import observations_from, questions_from
from labwm.world_model import fit

DONE = (0, 2, 5, 9, 13, 18, 22, 26)
UP = Objective(readout="yield", goal="maximise")


def rows_of(batch) -> list[int]:
    return [choice.row for choice in batch.choices]


@pytest.fixture
def two_goals(protocol: Protocol) -> Protocol:
    content = protocol.model_dump(mode="json")
    content["readouts"].append({"name": "cost", "unit": "EUR"})
    content["objectives"].append({"readout": "cost", "goal": "minimise"})
    return Protocol.model_validate(content)


@pytest.fixture
def state_of_two(state_of, two_goals):
    def make(done=DONE, **options):
        state = state_of(done, **options)
        rows = [state.pool.row(i) for i in done]
        measurements = [
            m.model_copy(
                update={
                    "readouts": m.readouts
                    | {
                        "cost": m.readouts["yield"].model_copy(
                            update={"value": m.conditions["temperature"] / 10}
                        )
                    }
                }
            )
            for m in _measured(rows)
        ]
        return replace(
            state,
            protocol=two_goals,
            observed=observations_from(two_goals, measurements),
        )

    return make


def _measured(rows):
    from labwm.schema import Measurement, Origin, Value

    value = {"a": 20.0, "b": 55.0, "c": 30.0}
    return [
        Measurement(
            conditions=row,
            readouts={
                "yield": Value(value=value[row["ligand"]] + 0.4 * row["temperature"])
            },
            origin=Origin.MEASURED,
        )
        for row in rows
    ]


def test_default_finds_the_best_of_a_grid_sooner_than_random(state_of):
    best = max(range(27), key=lambda i: _truth(state_of().pool.row(i)))
    found = {}
    for policy in ("default", "random"):
        total = 0
        for seed in range(4):
            done: list[int] = []
            while best not in done:
                state = state_of(tuple(done), seed=seed + 10 * len(done), n_initial=4)
                done += rows_of(propose(state, n=2, policy=policy))
            total += len(done)
        found[policy] = total
    assert found["default"] < found["random"]


def _truth(row) -> float:
    ligand = {"a": 20.0, "b": 55.0, "c": 30.0}[row["ligand"]]
    return ligand - 300 * (row["concentration"] - 0.2) ** 2 + 0.4 * row["temperature"]


def test_default_starts_with_a_design_and_then_models(state_of):
    assert propose(state_of((0, 5)), n=2).policy == "space_filling"
    assert propose(state_of((0, 5)), n=2).model is None
    later = propose(state_of(DONE), n=2)
    assert later.policy == "expected_improvement"
    assert later.model is not None


def test_pending_experiments_count_towards_the_start(state_of):
    assert propose(state_of((0, 5), pending=(7,)), n=1).policy == "space_filling"
    state = state_of(DONE, pending=(7, 8), n_initial=10)
    assert propose(state, n=1).policy == "expected_improvement"


def test_a_start_that_only_failed_goes_on_and_says_so(state_of):
    batch = propose(state_of((), failed=(0, 1, 2, 3, 4, 5)), n=2)
    assert batch.policy == "space_filling"
    assert "no model yet" in batch.choices[0].reason


def test_a_reason_states_gain_prediction_and_support(state_of):
    for choice in propose(state_of(DONE), n=2).choices:
        assert "expected improvement" in choice.reason
        assert "%" in choice.reason
        assert "(90 %), support" in choice.reason
        assert choice.acquisition > 0


def test_a_pending_experiment_is_conditioned_on(state_of):
    alone = propose(state_of(DONE), n=1)
    first = rows_of(alone)[0]
    pending = propose(state_of(DONE, pending=(first,)), n=1)
    batch = propose(state_of(DONE), n=2)
    assert rows_of(batch)[0] == first
    # What is sent already lowers what its neighbour can add, as in a batch.
    assert pending.choices[0].acquisition == pytest.approx(
        batch.choices[1].acquisition, rel=0.25
    )


def test_two_objectives_are_improved_together(state_of_two):
    batch = propose(state_of_two(), n=3)
    assert batch.policy == "hypervolume_improvement"
    assert len(set(rows_of(batch))) == 3
    assert "widen the front" in batch.choices[0].reason
    assert "cost" in batch.choices[0].reason


@pytest.mark.parametrize("policy", ["greedy", "thompson", "random", "space_filling"])
def test_every_general_policy_takes_two_objectives(state_of_two, policy):
    assert len(set(rows_of(propose(state_of_two(), n=3, policy=policy)))) == 3


def test_three_objectives_are_improved_by_directions(state_of_two, two_goals):
    content = two_goals.model_dump(mode="json")
    content["objectives"].append({"readout": "cost", "goal": "match", "target": 8.0})
    three = Protocol.model_validate(content)
    batch = propose(replace(state_of_two(), protocol=three), n=2)
    assert batch.policy == "hypervolume_improvement"
    assert len(set(rows_of(batch))) == 2


def test_a_policy_refuses_the_wrong_number_of_objectives(state_of, state_of_two):
    with pytest.raises(InvalidInputError, match="has 2"):
        propose(state_of_two(), n=1, policy="expected_improvement")
    with pytest.raises(InvalidInputError, match="has one"):
        propose(state_of(DONE), n=1, policy="hypervolume_improvement")


def test_a_target_is_approached_from_either_side(state_of, protocol):
    content = protocol.model_dump(mode="json")
    content["objectives"] = [{"readout": "yield", "goal": "match", "target": 40.0}]
    matched = Protocol.model_validate(content)
    choice = propose(state_of(DONE, protocol=matched), n=1, policy="greedy").choices[0]
    state = state_of(DONE, protocol=matched)
    off = [abs(_truth(state.pool.row(i)) - 24 - 40) for i in range(27)]
    assert off[choice.row] <= np.quantile(off, 0.4)


def test_what_probably_breaks_a_constraint_is_avoided(state_of_two, two_goals):
    content = two_goals.model_dump(mode="json")
    content["objectives"] = content["objectives"][:1]
    content["outcome_constraints"] = [{"readout": "cost", "at_most": 7.0}]
    limited = Protocol.model_validate(content)
    batch = propose(replace(state_of_two(), protocol=limited), n=3)
    hot = [state_of_two().pool.row(i)["temperature"] for i in rows_of(batch)]
    assert max(hot) <= 80


def test_greedy_batch_of_independent_candidates_takes_the_largest_gains():
    mean = np.array([[1.0], [3.0], [2.0], [0.0]])
    sd = np.full((4, 1), 0.5)
    problem = Problem(
        latent=Latent(mean, sd, lambda i: np.eye(4)[:, [i]] * 0.25),
        improvement=BestImprovement(UP, floor=-10.0),
        utility_of=lambda values: values,
        known=np.array([[0.0]]),
        log_weight=np.zeros(4),
        is_pending=np.zeros(4, dtype=bool),
    )
    picks = greedy_batch(problem, 2, seed=0)
    assert picks.index == (1, 2)
    assert picks.log_gain[1] < picks.log_gain[0]


def test_a_twin_of_the_first_choice_adds_nothing():
    mean = np.array([[2.0], [2.0], [1.0]])
    covariance = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    problem = Problem(
        latent=Latent(mean, np.ones((3, 1)), lambda i: covariance[:, [i]]),
        improvement=BestImprovement(UP, floor=0.0),
        utility_of=lambda values: values,
        known=np.empty((0, 1)),
        log_weight=np.zeros(3),
        is_pending=np.zeros(3, dtype=bool),
    )
    assert greedy_batch(problem, 2, seed=0).index == (0, 2)


def test_the_exact_correlation_agrees_with_drawn_worlds(state_of, protocol):
    from labwm.design.posterior import _drawn_correlation, _exact_correlation

    state = state_of(DONE)
    model = fit(state.observed, protocol, recipe="explore", seed=0)
    questions = state.pool.take([1, 3, 12, 20])
    exact = _exact_correlation(list(model.surrogates), questions)(0)
    drawn = _drawn_correlation(model, [0], questions, seed=1)(0)
    # A correlation from 256 draws has a standard error of at most 1/16.
    assert np.abs(exact - drawn).max() < 0.25
    assert exact[0, 0] == pytest.approx(1.0)


def test_leaving_out_candidates_costs_nothing(protocol, monkeypatch):
    wide = protocol.model_copy(
        update={
            "parameters": (
                *protocol.parameters[:2],
                protocol.parameters[2].model_copy(
                    update={"levels": tuple(np.linspace(60.0, 100.0, 60))}
                ),
            )
        }
    )
    rows = [
        {"ligand": a, "concentration": b, "temperature": c}
        for a in "abc"
        for b in (0.1, 0.2, 0.4)
        for c in wide.parameters[2].levels
    ]
    from labwm.design.state import State

    state = State(
        protocol=wide,
        pool=questions_from(wide, rows),
        pool_sha256="0" * 64,
        observed=observations_from(wide, _measured(rows[::70])),
        pending=questions_from(wide, []),
        n_left=9,
        n_initial=3,
        round=1,
        seed=0,
    )
    assert len(rows) > N_COMPARED
    pruned = propose(state, n=6)
    monkeypatch.setattr("labwm.design.modelled.N_COMPARED", 10_000)
    assert rows_of(propose(state, n=6)) == rows_of(pruned)


def test_a_latent_posterior_has_the_models_marginals(state_of, protocol):
    state = state_of(DONE)
    model = fit(state.observed, protocol, seed=0)
    known = latent(model, protocol, state.pool, seed=0)
    prediction = model.predict(state.pool)
    assert known.mean == pytest.approx(prediction.mean)
    assert known.covariance_with(4)[4, 0] == pytest.approx(
        prediction.epistemic_sd[4, 0] ** 2, rel=1e-6
    )


def test_a_bound_leaves_the_batch_as_it_is():
    rng = np.random.default_rng(0)
    c = 900
    mean, sd = rng.normal(size=(c, 1)), rng.uniform(0.1, 1.0, size=(c, 1))
    improvement = BestImprovement(UP, floor=-10.0)
    known = np.array([[1.0]])
    root = rng.normal(size=(c, 40))
    root /= np.linalg.norm(root, axis=1, keepdims=True)
    correlation = root @ root.T
    whole = Problem(
        latent=Latent(mean, sd, lambda i: correlation[:, [i]] * sd * sd[i]),
        improvement=improvement,
        utility_of=lambda values: values,
        known=known,
        log_weight=np.zeros(c),
        is_pending=np.zeros(c, dtype=bool),
    )
    alone = improvement.log_gain(mean[None], sd, known[None])[0]
    pruned = replace(whole, bound=alone)
    assert greedy_batch(whole, 6, seed=0).index == greedy_batch(pruned, 6, seed=0).index


def test_a_region_that_failed_is_avoided(state_of):
    pool = state_of().pool
    hot = [i for i in range(27) if pool.row(i)["temperature"] == 100]
    cooler = [i for i in range(27) if i not in hot][::2]
    told = propose(state_of(tuple(cooler), failed=hot[:6]), n=2, policy="default")
    assert told.model.predict(pool).success[hot].max() < 0.5
    assert not set(rows_of(told)) & set(hot)
    # Without the failures, heat is where the promise is.
    known = propose(state_of(tuple(cooler)), n=2, policy="default")
    assert set(rows_of(known)) & set(hot)
