"""Fit the model of curves: choose the base, the roughness, and recalibrate."""

import numpy as np
from numpy.typing import NDArray

from labwm.errors import NotEnoughDataError
from labwm.schema import Protocol
from labwm.space.curves import Curves, Reads
from labwm.world_model.dynamics.expectation import Roughness, learn_expectation
from labwm.world_model.dynamics.families import Family, best_for_all
from labwm.world_model.dynamics.functions import Knots, place_knots
from labwm.world_model.dynamics.left_out import (
    SHARES,
    Unseen,
    choose_roughness,
    forecast_errors,
    predict_left_out,
)
from labwm.world_model.dynamics.model import Calibrations, CurveCard, CurveModel
from labwm.world_model.dynamics.stretch import fit_stretch

Floats = NDArray[np.float64]

FEWEST_CURVES = 8
MOST_FOR_FAMILY = 40
"""Curves that the parametric family is chosen on."""


def fit_curves(
    curves: Curves, protocol: Protocol, *, readout: str | None = None
) -> CurveModel:
    """Fit a model of one readout's curves; costs minutes for thousands of curves.

    Args:
        curves: Each with at least two reads of the readout, some with three.
        protocol: Declares parameters and readouts.
        readout: Which one; that of the first objective when not given.

    Raises:
        InvalidInputError: If there is no such readout.
        NotEnoughDataError: If there are fewer than `FEWEST_CURVES` curves, or one has
            a single read, or none has three.
    """
    name = readout or protocol.objectives[0].readout
    reads = curves.reads(name)
    _require(curves, reads)
    knots = place_knots(reads)
    found = {
        family: _tried(curves, reads, protocol, knots, family)
        for family in (None, _family(reads, knots))
    }
    family = min(found, key=lambda one: found[one][2])
    unseen, rough, _ = found[family]
    expectation = learn_expectation(curves.questions, reads, protocol, knots, family)
    declared = protocol.readout(name)
    _, n_conditions = curves.conditions_of()
    card = CurveCard(
        readout=name,
        unit=declared.unit,
        time_unit=declared.over.unit if declared.over else None,
        n_curves=len(curves),
        n_conditions=n_conditions,
        n_reads=sum(map(len, reads)),
        base=_base(family),
        scores={_base(one): loss for one, (_, _, loss) in found.items()},
        rough=rough,
        n_shapes=expectation.principal.shapes.shape[1],
        data_sha256=curves.digest(),
    )
    distances = [one.prior.process(rough).distance(one.reads) / len(one.reads)
                 for one in unseen]  # fmt: skip
    return CurveModel(
        card, expectation, _calibrations(unseen, rough), np.sort(distances)
    )


def _require(curves: Curves, reads: list[Reads]) -> None:
    if len(curves) < FEWEST_CURVES:
        raise NotEnoughDataError(
            f"A model of curves learns from at least {FEWEST_CURVES}; got "
            f"{len(curves)}. Measure more curves."
        )
    if (most := max(map(len, reads))) < 3:
        raise NotEnoughDataError(
            "Some curve needs three reads, so that an end can be forecast from a "
            f"beginning; the longest has {most}. Read curves more often."
        )
    for name, one in zip(curves.names, reads, strict=True):
        if len(one) < 2:
            raise NotEnoughDataError(
                f"A curve to learn from has at least two reads; {name!r} has "
                f"{len(one)}. Take it out of the table, or read it again."
            )


def _family(reads: list[Reads], knots: Knots) -> Family:
    order = np.random.default_rng(0).permutation(len(reads))[:MOST_FOR_FAMILY]
    return best_for_all([reads[i] for i in order], knots.span)


def _tried(
    curves: Curves,
    reads: list[Reads],
    protocol: Protocol,
    knots: Knots,
    family: Family | None,
) -> tuple[list[Unseen], Roughness, float]:
    unseen = predict_left_out(curves, reads, protocol, knots, family)
    return unseen, *choose_roughness(unseen)


def _base(family: Family | None) -> str:
    return "mean curve" if family is None else family.name


def _calibrations(unseen: list[Unseen], rough: Roughness) -> Calibrations:
    return Calibrations(
        unread=fit_stretch(forecast_errors(unseen, rough, (0.0,))),
        read=fit_stretch(forecast_errors(unseen, rough, SHARES)),
    )
