"""The back-test on measured data, against what is known of random search exactly."""

import pytest

from labwm.data.catalogue import load_table
from labwm.data.measurements import measurements_from_table
from labwm.data.protocols import load_protocol
from labwm.evaluation.backtest import Plan
from labwm.evaluation.optimize import OptimizeSettings, bench_optimize


@pytest.fixture
def campaigns(mirror):
    protocol = load_protocol("direct_arylation")
    measurements, _ = measurements_from_table(load_table("direct_arylation"), protocol)

    def run(policy: str, seeds: int):
        settings = OptimizeSettings(Plan(2, 40), (policy,), seeds=seeds)
        return bench_optimize(protocol, measurements, settings)

    return run


@pytest.mark.slow
def test_random_campaigns_average_to_the_exact_expectation(campaigns):
    table = campaigns("random", 80)
    for at, published in ((10, 66.8), (20, 78.4), (40, 86.4)):
        simulated, exact = (
            table.get(name, "best", at) for name in ("random", "random_exact")
        )
        assert exact.mean == pytest.approx(published, abs=0.05)
        error = (simulated.high - simulated.low) / 3.92
        assert abs(simulated.mean - exact.mean) < 4 * error


@pytest.mark.slow
def test_the_default_policy_is_ahead_of_random(campaigns):
    table = campaigns("default", 10)
    for at in (20, 40):
        row = table.get("default", "best", at)
        assert row.mean > table.get("random_exact", "best", at).mean
    assert row.low > table.get("random_exact", "best", 40).mean
