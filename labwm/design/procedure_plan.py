"""Plan a procedure in the model: least expected error of the gap under a cost limit.

A search layer by layer. A node is a sequence of operations, played in the model on a
few particles; without a gap all nodes are kept, with one those that no other beats in
both cost and error. The best are played again on many other particles; the plan is the
one with the least expected error then, and of those that differ by less than `TIE`, the
cheapest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from labwm.errors import InvalidInputError
from labwm.schema.procedure import MENU, Kind, Operation, Treatment
from labwm.world_model.procedures import ProcedureModel
from labwm.world_model.situations import Situations, nothing_done

ONCE: Final[tuple[Kind, ...]] = ("embed", "mmff", "gfn1", "gfn2", "solvation")
TARGET: Final = Treatment(level="gfn2", is_solvated=True)
"""Where a plan ends, if the limit allows."""
N_FINALISTS: Final = 12
N_JUDGES: Final = 40
"""Sequences that are played again, and the particles that judge them."""
TIE: Final = 0.005
"""Expected errors that differ by less are equal, eV."""


@dataclass(frozen=True)
class PlanSettings:
    """How a plan is searched for.

    Attributes:
        seconds: Most that the plan may be expected to cost, processor time.
        n_particles: Specimens imagined for each node.
        depth: Most operations.
        width: Nodes with a gap that are kept in a layer.
        seed: Of the particles.
    """

    seconds: float
    n_particles: int = 6
    depth: int = 7
    width: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse a search that cannot find a plan."""
        if min(self.seconds, self.n_particles, self.depth, self.width) <= 0:
            raise InvalidInputError(
                "A search has time to spend, particles, depth and width above zero; "
                f"got {self}. Raise the one that is not."
            )


@dataclass(frozen=True)
class ProcedurePlan:
    """A plan and what the model expects of it.

    Attributes:
        operations: In their order; empty where nothing fits the limit.
        error: Expected distance of the gap from its reference, eV.
        seconds: Expected processor time, from the start of the plan.
    """

    operations: tuple[Operation, ...]
    error: float
    seconds: float


@dataclass(frozen=True)
class _Node:
    operations: tuple[Operation, ...]
    particles: Situations
    error: float
    seconds: float

    def may_follow(self, operation: Operation) -> bool:
        """Is it legal, and no repetition that a search can do without?"""
        if operation.kind not in self.particles.treatment.legal():
            return False
        done = [one.kind for one in self.operations]
        if operation.kind in ONCE:
            return operation.kind not in done
        is_lone = np.all(self.particles.column("n_conformers") <= 1)
        if operation.kind == "prune" and is_lone:
            return False
        return not done or done[-1] != operation.kind


def plan_procedure(
    model: ProcedureModel,
    smiles: str,
    settings: PlanSettings,
    *,
    operations: Sequence[Operation] = MENU,
    start: Situations | None = None,
) -> ProcedurePlan:
    """Search for the operations with the least expected error under a cost limit.

    Takes seconds: some hundred operations are imagined.

    Args:
        model: Imagines them.
        smiles: Canonical.
        settings: Limits of plan and search.
        operations: To choose from.
        start: Where the specimen stands; from nothing by default.
    """
    here = nothing_done(smiles) if start is None else start
    root = _node(model, (), here.repeated(settings.n_particles), here)
    donors = model.donors(settings.n_particles, settings.seed)
    layer, found = [root], [root]
    for _ in range(settings.depth):
        grown: list[_Node] = []
        for node in layer:
            for operation in operations:
                if node.may_follow(operation):
                    after = model.advance(node.particles, operation, donors)
                    path = (*node.operations, operation)
                    grown.append(_node(model, path, after, here))
        affordable = [node for node in grown if node.seconds <= settings.seconds]
        found += affordable
        layer = _kept(affordable, settings.width)
    found = _played_again(model, found, here, settings)
    best = min(node.error for node in found)
    close = [node for node in found if node.error <= best + TIE]
    chosen = min(close, key=lambda node: node.seconds)
    return ProcedurePlan(chosen.operations, chosen.error, chosen.seconds)


def _played_again(
    model: ProcedureModel,
    nodes: Sequence[_Node],
    start: Situations,
    settings: PlanSettings,
) -> list[_Node]:
    """Return the best nodes, judged on many other particles.

    The least of many noisy figures is too low: it is not the one that is reported.
    """
    # The target is of this level: from others the model would have to make up for it.
    there = [node for node in nodes if node.particles.treatment == TARGET]
    finalists = sorted(there or nodes, key=lambda node: node.error)[:N_FINALISTS]
    donors = model.donors(N_JUDGES, settings.seed + 1)
    found: list[_Node] = []
    for node in finalists:
        particles = start.repeated(N_JUDGES)
        for operation in node.operations:
            particles = model.advance(particles, operation, donors)
        found.append(_node(model, node.operations, particles, start))
    kept = [node for node in found if node.seconds <= settings.seconds]
    return kept or [nodes[0]]  # the first is to do nothing


def _node(
    model: ProcedureModel,
    operations: tuple[Operation, ...],
    particles: Situations,
    start: Situations,
) -> _Node:
    errors, _ = model.expected_error(particles)
    # What fails keeps the guess that it had; here that of no gap at all.
    error = np.where(particles.is_alive, errors, model.prior_error).mean()
    seconds = float((particles.seconds - start.seconds[0]).mean())
    return _Node(operations, particles, float(error), seconds)


def _kept(nodes: Sequence[_Node], width: int) -> list[_Node]:
    """Return every node without a gap, and the best of those with one."""
    blind = [node for node in nodes if not node.particles.treatment.has_gap]
    sighted = sorted(
        (node for node in nodes if node.particles.treatment.has_gap),
        key=lambda node: (node.error, node.seconds),
    )
    front: list[_Node] = []
    for node in sighted:
        if all(node.seconds < other.seconds for other in front):
            front.append(node)
    rest = [node for node in sighted if node not in front]
    return blind + (front[:width] + rest)[:width]
