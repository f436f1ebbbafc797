"""The bench of procedures, on a few molecules."""

import numpy as np
import pytest

from labwm.data.procedures import episodes_of, molecules_of
from labwm.design.procedure_plan import PlanSettings, plan_procedure
from labwm.errors import InvalidInputError
from labwm.evaluation.procedure_coverage import crps_of_draws
from labwm.evaluation.procedures import ProcedureSettings, bench_procedures
from labwm.schema.procedure import Procedure
from labwm.scores import crps_gaussian
from tests.procedures import log, model, unseen


def test_the_bench_scores_rollouts_and_plans_on_the_real_lab():
    settings = ProcedureSettings(n_particles=20, n_planned=1, test_share=0.2)
    few = episodes_of(log(), sorted(molecules_of(log()), key=len)[:15])
    found = bench_procedures(few, settings, data="log")
    for horizon in (1, 2, 4, 8):
        row = found.get("procedures", "coverage90", horizon)
        assert row is not None
        assert 0.4 <= row.mean <= 1.0
    for arm in ("plan", "recipe", "recipe_half"):
        assert found.get(arm, "gap_error").n == 1
        assert found.get(arm, "lab_seconds").mean > 0
    assert found.get("plan / recipe", "seconds_ratio").mean < 1.0
    assert found.get("plan - recipe", "gap_error") is not None


def test_a_plan_is_legal_keeps_its_limit_and_more_time_buys_less_error():
    smiles = unseen()[0]
    plans = [
        plan_procedure(model(), smiles, PlanSettings(seconds, n_particles=4, width=4))
        for seconds in (0.02, 0.5)
    ]
    for plan, limit in zip(plans, (0.02, 0.5), strict=True):
        Procedure(operations=plan.operations)
        assert 0 < plan.seconds <= limit
    assert plans[1].error <= plans[0].error < model().prior_error


def test_nothing_is_planned_where_nothing_is_affordable():
    plan = plan_procedure(model(), unseen()[0], PlanSettings(1e-9, n_particles=2))
    assert plan.operations == ()
    assert plan.error == model().prior_error


def test_settings_without_sense_are_refused():
    with pytest.raises(InvalidInputError, match="share"):
        ProcedureSettings(test_share=1.0)
    with pytest.raises(InvalidInputError, match="particles"):
        ProcedureSettings(n_particles=5)
    with pytest.raises(InvalidInputError, match="above zero"):
        PlanSettings(0.0)


def test_the_score_of_many_draws_is_that_of_their_distribution():
    draws = np.random.default_rng(0).normal(2.0, 3.0, size=20_000)
    exact = crps_gaussian(np.array([4.0]), np.array([2.0]), np.array([3.0]))[0]
    assert crps_of_draws(draws, 4.0) == pytest.approx(exact, rel=0.02)
