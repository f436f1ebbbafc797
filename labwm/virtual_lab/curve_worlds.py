"""Worlds that play curves: a draw of the models, their mean, declared kinetics.

Shapes: `m` readouts.
"""

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from labwm.errors import InvalidInputError, suggest
from labwm.virtual_lab.kinetics_task import KineticsTask, RunningCurve
from labwm.world_model.dynamics import CurveForecast, CurveWorld, DrawnCurve
from labwm.world_model.world import keyed_normals

Floats = NDArray[np.float64]


class CurvePlayer(Protocol):
    """A world of curves; pure in (seed, conditions, replicate, time)."""

    def read(self, run: RunningCurve) -> Floats:
        """Return what is read of a running curve now, `m`."""
        ...


def make_player(kind: str, task: KineticsTask, seed: int) -> CurvePlayer:
    """Return a world of some kind.

    Raises:
        InvalidInputError: If the task has no such world.
    """
    if kind not in task.worlds:
        raise InvalidInputError(
            f"A world of this task is one of {list(task.worlds)}; got {kind!r}. "
            f"{suggest(kind, task.worlds)}"
        )
    match kind:
        case "posterior_draw":
            return DrawnPlayer(task, seed)
        case "posterior_mean":
            return MeanPlayer(task)
        case _:
            return MechanisticPlayer(task, seed)


class DrawnPlayer:
    """One draw of the models: an agent cannot average the uncertainty away."""

    def __init__(self, task: KineticsTask, seed: int):
        self._task = task
        self._worlds: list[CurveWorld] = [
            # Readouts are drawn apart: their models know nothing of each other.
            model.draw_world(seed * len(task.models) + j)
            for j, model in enumerate(task.models)
        ]
        self._drawn: dict[tuple[int, int], list[DrawnCurve]] = {}

    def read(self, run: RunningCurve) -> Floats:
        """Return what is read of a running curve now, `m`."""
        key = run.row, run.replicate
        if key not in self._drawn:
            question = self._task.pool.take([run.row])
            number = np.array([run.replicate])
            self._drawn[key] = [w.curves(question, number)[0] for w in self._worlds]
        return np.array(
            [one.outcome([run.time], run.replicate)[0] for one in self._drawn[key]]
        )


class MeanPlayer:
    """What the models expect, without noise: for comparison, not to learn in."""

    def __init__(self, task: KineticsTask):
        self._forecasts: list[list[CurveForecast]] = [
            model.forecasts(task.pool) for model in task.models
        ]

    def read(self, run: RunningCurve) -> Floats:
        """Return the mean at the running curve's time, `m`."""
        return np.array(
            [own[run.row].predict([run.time]).mean[0, 0] for own in self._forecasts]
        )


class MechanisticPlayer:
    """Declared kinetics, read with their declared noise."""

    def __init__(self, task: KineticsTask, seed: int):
        assert task.mechanism is not None  # `make_player` asks the task first
        self._task, self._mechanism, self._seed = task, task.mechanism, seed
        self._courses: dict[int, Callable[[Floats], Floats]] = {}

    def read(self, run: RunningCurve) -> Floats:
        """Return what is read of a running curve now, `m`."""
        if run.row not in self._courses:
            conditions = self._task.pool.row(run.row)
            course = self._mechanism.course(conditions, self._task.end)
            self._courses[run.row] = course
        truth = self._courses[run.row](np.array([run.time]))[0]
        key = b"%d@" % run.row + np.float64(run.time).tobytes()
        noise = [
            self._mechanism.noise_sd.get(name, 0.0)
            * keyed_normals([key], f"mechanism|{self._seed}|{name}", [run.replicate])[0]
            for name in self._mechanism.readouts
        ]
        return truth + np.array(noise)
