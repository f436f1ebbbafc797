"""Is a plan made in the model worth it on the real lab?

| metric | meaning |
|---|---|
| gap_error | distance of the gap from the molecule's reference, eV |
| lab_seconds | processor time on the lab |
| planning_seconds | processor time of the search |
| seconds_ratio | lab seconds of all molecules, first arm over second |
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from labwm.design.procedure_plan import PlanSettings, plan_procedure
from labwm.evaluation.bootstrap import N_RESAMPLES
from labwm.evaluation.paired import difference_row, interval
from labwm.evaluation.table import Row, row_of, summarise
from labwm.labs.procedure_lab import ProcedureLab, boltzmann_gap
from labwm.schema.procedure import (
    Embed,
    Gfn1,
    Gfn2,
    Mmff,
    Operation,
    OperationOutcome,
    Procedure,
    Prune,
    Relax,
    Solvation,
)
from labwm.world_model.procedures import ProcedureModel
from labwm.world_model.situations import situation_after

Floats = NDArray[np.float64]
Progress = Callable[[str, int, int], None]

SEED: Final = 77
"""Of every embedding here; none of the log's."""
RECIPE, HALF, PLAN = "recipe", "recipe_half", "plan"


def recipe(n: int, steps: int) -> tuple[Operation, ...]:
    """Return the fixed recipe: the operations in the order of the lab's manual."""
    return (
        Embed(n=n, seed=SEED), Mmff(), Prune(window=6.0, rmsd=0.25), Gfn1(), Gfn2(),
        Relax(k=steps), Solvation(),
    )  # fmt: skip


FIXED: Final = {RECIPE: recipe(10, 20), HALF: recipe(5, 20)}


@dataclass(frozen=True)
class Attempt:
    """One arm on one molecule, in the real lab."""

    error: float
    """eV."""
    corrected: float
    """Of the gap less what the model expects it to lack, eV."""
    seconds: float
    planning: float


def attempts(
    model: ProcedureModel,
    references: Mapping[str, float],
    molecules: Sequence[str],
    *,
    share: float,
    progress: Progress,
) -> dict[str, list[Attempt]]:
    """Do every arm on every molecule, one after the other on the same core.

    A plan may be expected to cost `share` of what the model expects of the recipe.
    """
    lab = ProcedureLab()
    lab.follow("CO", Procedure(operations=FIXED[RECIPE]))  # what is loaded only once
    found: dict[str, list[Attempt]] = {RECIPE: [], HALF: [], PLAN: []}
    for number, smiles in enumerate(molecules):
        progress(smiles, number, len(molecules))
        started = time.process_time()
        usual = model.rollout(smiles, FIXED[RECIPE], n_particles=32, seed=0)
        limit = share * float(usual.steps[-1].seconds.mean())
        chosen = plan_procedure(model, smiles, PlanSettings(limit))
        planning = time.process_time() - started
        arms = {**FIXED, PLAN: _seeded(chosen.operations)}
        for name, operations in arms.items():
            outcomes = _done(lab, smiles, operations)
            spent = planning if name == PLAN else 0.0
            found[name].append(
                _attempt(model, smiles, outcomes, references[smiles], spent)
            )
    return found


def plan_rows(found: Mapping[str, Sequence[Attempt]]) -> Iterator[Row]:
    """Yield the figures of the arms, and of the plan beside the others."""
    errors: dict[str, Floats] = {}
    for name, own in found.items():
        errors[name] = np.array([one.error for one in own])
        errors[f"{name}_corrected"] = np.array([one.corrected for one in own])
        yield summarise(name, "lab_seconds", None, [one.seconds for one in own])
    for name, values in errors.items():
        yield summarise(name, "gap_error", None, values)
    yield summarise(
        PLAN, "planning_seconds", None, [one.planning for one in found[PLAN]]
    )
    for other in (RECIPE, HALF):
        pair = errors[PLAN], errors[other]
        yield difference_row((PLAN, other), "gap_error", None, pair)
        both = f"{PLAN}_corrected", f"{other}_corrected"
        corrected = errors[both[0]], errors[both[1]]
        yield difference_row(both, "gap_error", None, corrected)
        yield _ratio_row(found, other)


def _ratio_row(found: Mapping[str, Sequence[Attempt]], other: str) -> Row:
    first = np.array([one.seconds for one in found[PLAN]])
    second = np.array([one.seconds for one in found[other]])
    n = len(first)
    drawn = np.random.default_rng(0).integers(n, size=(N_RESAMPLES, n))
    ratios = first[drawn].sum(axis=1) / second[drawn].sum(axis=1)
    return row_of(
        f"{PLAN} / {other}", "seconds_ratio", None,
        float(first.sum() / second.sum()), interval(ratios, n), n,
    )  # fmt: skip


def _done(
    lab: ProcedureLab, smiles: str, operations: tuple[Operation, ...]
) -> tuple[OperationOutcome, ...]:
    if not operations:
        return ()  # a plan to do nothing costs nothing and finds nothing
    _, outcomes = lab.follow(smiles, Procedure(operations=operations))
    return outcomes


def _seeded(operations: Sequence[Operation]) -> tuple[Operation, ...]:
    return tuple(
        one.model_copy(update={"seed": SEED}) if isinstance(one, Embed) else one
        for one in operations
    )


def _attempt(
    model: ProcedureModel,
    smiles: str,
    outcomes: Sequence[OperationOutcome],
    reference: float,
    planning: float,
) -> Attempt:
    seconds = sum(outcome.seconds for outcome in outcomes)
    gap = boltzmann_gap(outcomes)
    if gap is None:
        return Attempt(model.prior_error, model.prior_error, seconds, planning)
    _, lacks = model.expected_error(situation_after(smiles, outcomes))
    corrected = abs(gap - float(lacks[0]) - reference)
    return Attempt(abs(gap - reference), corrected, seconds, planning)
