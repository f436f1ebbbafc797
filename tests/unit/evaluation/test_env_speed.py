"""The speed of the environments is measured, not stated."""

import json

from labwm.evaluation.env_speed import measure_env_speed
from tests.unit.virtual_lab.tasks import task


def test_every_figure_comes_from_a_run_of_its_own():
    found = measure_env_speed(task(), num_envs=64)
    assert found.num_envs == 64
    assert found.n_candidates == 12
    assert found.steps_per_s > 0
    assert found.single_steps_per_s > 0
    assert json.loads(found.to_json())["products_per_s"] > 0
