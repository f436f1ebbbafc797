"""The virtual lab: a spool lab whose instrument is one world of a model."""

import json
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np

from labwm.errors import ConflictError, LabError, SpaceError
from labwm.labs.durable import publish
from labwm.labs.instrument import Outcome, run_in_process
from labwm.labs.spool import SpoolLab
from labwm.schema import (
    Origin,
    Protocol,
    Status,
    Value,
    Well,
    canonical_json,
    sha256_of,
)
from labwm.space.questions import Observations, Questions, questions_from
from labwm.virtual_lab.outcomes import VirtualOutcomes, failure_rate, refuse_curves
from labwm.world_model.contract import WorldModel

Learn = Callable[[Observations, Protocol, int], WorldModel]
"""Fits a model to observations under a protocol, with a seed."""

_SHOWN: Final = 16
"""Rows whose outcomes prove that a rebuilt world is the same."""
_NEAR: Final = 1e-3
"""Part of the spread of those outcomes that arithmetic of other machines may change."""
_KEPT: Final = 4
_learnt: OrderedDict[str, VirtualOutcomes] = OrderedDict()
"""Worlds by the digest of what they are made from: a cache, never state."""


def build_virtual_lab(
    observations: Observations,
    protocol: Protocol,
    *,
    folder: Path,
    seed: int,
    learn: Learn | None = None,
) -> SpoolLab:
    """Return the lab that plays one world, learnt from measurements.

    The same arguments make the same lab after any crash: the world is a function of
    them, and its folder keeps whose it is. The model is fitted when the first well is
    measured. Experiments fail as often as they did in the observations.

    Args:
        observations: What the model learns from.
        protocol: What an experiment is.
        folder: Where the lab keeps its jobs; it belongs to one world for ever.
        seed: Of the world.
        learn: A function that fits the model; the default recipe when not given.

    Raises:
        ConflictError: If the folder belongs to a world made from something else.
        ProtocolError: If a readout is a curve.
    """
    refuse_curves(protocol)
    inputs = {
        "observations_sha256": observations.digest(),
        "protocol_sha256": protocol.digest(),
        "seed": seed,
        "learner": "default" if learn is None else learn.__qualname__,
    }
    folder.mkdir(parents=True, exist_ok=True)
    _claim(folder, inputs)

    def outcomes() -> VirtualOutcomes:
        model = (learn or _default)(observations, protocol, seed)
        return VirtualOutcomes(
            model.draw_world(seed), protocol, failure_rate(observations), seed
        )

    instrument = WorldInstrument(
        protocol=protocol,
        digest=sha256_of(inputs),
        shown=observations.questions.take(range(min(_SHOWN, len(observations)))),
        folder=folder,
        learn=outcomes,
    )
    return SpoolLab(
        "virtual",
        Origin.VIRTUAL,
        folder,
        protocol.digest(),
        instrument,
        run_in_process,
    )


@dataclass(frozen=True)
class WorldInstrument:
    """A world as an instrument.

    Attributes:
        protocol: What an experiment is.
        digest: Of everything that the world is made from.
        shown: Questions whose outcomes prove that a rebuilt world is the same.
        folder: Keeps those outcomes.
        learn: Makes the world; called when it is first needed.
    """

    protocol: Protocol
    digest: str
    shown: Questions = field(repr=False)
    folder: Path
    learn: Callable[[], VirtualOutcomes] = field(repr=False)

    @property
    def readouts(self) -> tuple[str, ...]:
        """Names of the protocol's readouts."""
        return self.protocol.readout_names

    def check(self, well: Well) -> None:
        """Refuse conditions that are no question to the model.

        Raises:
            LabError: If they name an unknown parameter or lack one.
        """
        try:
            questions = questions_from(self.protocol, [well.conditions])
        except SpaceError as error:
            raise LabError(f"{error} Well {well.name!r} holds it.") from error
        if not any(questions.row(0)):
            raise LabError(
                f"A well states its conditions; got none in well {well.name!r}."
            )

    def prepare(self) -> None:
        """Learn the world, or rebuild it.

        Raises:
            NotEnoughDataError: If there is too little to learn from.
            ConflictError: If the rebuilt world is not the one that the folder began.
        """
        _prove(self.folder, self._outcomes, self.shown)

    def measure(self, well: Well) -> Outcome:
        """Measure the well in this world."""
        questions = questions_from(self.protocol, [well.conditions])
        row = self._outcomes.measure(questions, np.array([well.replicate]))
        values, statuses = row.values[0], row.statuses[0]
        return Outcome(
            {
                name: _value(float(value), status)
                for name, value, status in zip(
                    row.readouts, values, statuses, strict=True
                )
            },
            duration=self.protocol.costs.per_experiment.duration,
        )

    @cached_property
    def _outcomes(self) -> VirtualOutcomes:
        if self.digest not in _learnt:
            _learnt[self.digest] = self.learn()
            while len(_learnt) > _KEPT:
                _learnt.popitem(last=False)
        return _learnt[self.digest]


def _value(value: float, status: Status) -> Value:
    if status is Status.FAILED:
        reason = "failed as often as the experiments that the model learnt from"
        return Value(status=status, reason=reason)
    return Value(value=None if status is Status.MISSING else value, status=status)


def _claim(folder: Path, inputs: dict[str, str | int]) -> None:
    """Keep in the folder what its world is made from, once and for ever."""
    path = folder / "world.json"
    publish(path, canonical_json(inputs))
    kept = json.loads(path.read_bytes())
    if changed := sorted(name for name in inputs if kept.get(name) != inputs[name]):
        raise ConflictError(
            "The folder of a virtual lab belongs to one world; got another "
            f"{', '.join(changed)} for {folder}. Use another folder."
        )


def _prove(folder: Path, outcomes: VirtualOutcomes, shown: Questions) -> None:
    """Refuse a world that answers otherwise than the one that the folder began with."""
    if not len(shown):
        return
    path = folder / "shown.json"
    answers = outcomes.world.truth(shown)
    publish(path, canonical_json(answers.tolist()))
    kept = np.array(json.loads(path.read_bytes()))
    scale = np.maximum(kept.std(axis=0), 1e-12 * np.abs(kept).max(axis=0))
    if not np.all(np.abs(answers - kept) <= _NEAR * scale):
        raise ConflictError(
            "The world of a virtual lab never changes; got a model that answers "
            f"otherwise than the one that began {folder}: another version of labwm, "
            "torch, or another machine. Go on where it began, or use another folder."
        )


def _default(observations: Observations, protocol: Protocol, seed: int) -> WorldModel:
    from labwm.world_model import fit

    return fit(observations, protocol, seed=seed)
