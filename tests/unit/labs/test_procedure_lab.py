"""The real lab of procedures, on molecules of two to four heavy atoms."""

from dataclasses import replace

import numpy as np
import pytest

from labwm.errors import IllegalTransitionError, InvalidInputError, MoleculeError
from labwm.labs.procedure_lab import ProcedureLab, boltzmann_gap
from labwm.labs.xtb_instrument import XtbSettings, measure
from labwm.schema.procedure import (
    Embed,
    Gfn1,
    Gfn2,
    Mmff,
    Procedure,
    Prune,
    Relax,
    Solvation,
)

RECIPE = Procedure(
    operations=(
        Embed(n=4, seed=5), Mmff(), Prune(window=6, rmsd=0.2), Gfn1(), Gfn2(),
        Relax(k=5), Solvation(),
    )
)  # fmt: skip


def free_of_time(outcomes):
    return [outcome.model_copy(update={"seconds": 0.0}) for outcome in outcomes]


def test_all_but_the_seconds_is_the_same_again():
    lab = ProcedureLab()
    _, first = lab.follow("CCO", RECIPE)
    _, again = lab.follow("OCC", RECIPE)
    assert free_of_time(first) == free_of_time(again)
    assert all(outcome.seconds > 0 for outcome in first)
    assert [outcome.status for outcome in first] == ["ok"] * 7


def test_what_is_read_grows_with_the_level():
    _, outcomes = ProcedureLab().follow("CCO", RECIPE)
    read = [outcome.readouts for outcome in outcomes]
    assert read[0].n_conformers == 4
    assert read[0].energy is None
    assert read[1].energy is not None
    assert read[1].gap is None
    assert read[2].n_conformers < 4
    assert read[4].gap is not None
    assert read[5].energy < read[4].energy
    assert read[5].force < read[4].force
    assert read[6].energy < read[5].energy - 2.0  # ethanol likes water


def test_its_gap_is_that_of_the_other_xtb_lab_for_the_same_structure():
    same = Procedure(operations=(Embed(n=1, seed=11), Mmff(), Gfn2()))
    _, outcomes = ProcedureLab().follow("CO", same)
    known = measure("CO", seed=11, settings=XtbSettings())
    assert boltzmann_gap(outcomes) == pytest.approx(known.gap, abs=1e-6)


def test_the_gap_is_weighted_by_energy_and_pruning_the_high_ones_keeps_it():
    lab = ProcedureLab()
    specimen, _ = lab.follow("CCO", Procedure(operations=RECIPE.operations[:2]))
    specimen, _ = lab.do(specimen, Gfn2())
    lone, outcome = lab.do(specimen, Prune(window=0.0001, rmsd=0.0))
    lowest = int(np.argmin(specimen.energies))
    assert outcome.readouts.gap == pytest.approx(specimen.gaps[lowest], abs=1e-3)
    assert lone.energies.min() == specimen.energies.min()
    assert len(specimen.energies) == 4  # what was there before is as it was


def test_an_illegal_operation_is_refused_before_work():
    lab = ProcedureLab()
    with pytest.raises(IllegalTransitionError, match="may follow"):
        lab.do(lab.take("CO"), Gfn2())


def test_the_time_limit_is_an_outcome_that_changes_nothing():
    specimen, _ = ProcedureLab().follow(
        "CCO", Procedure(operations=RECIPE.operations[:2])
    )
    after, outcome = ProcedureLab(timeout_seconds=1e-9).do(specimen, Gfn2())
    assert outcome.status == "timeout"
    assert after is specimen
    assert outcome.readouts == specimen.read()


def test_a_field_that_does_not_converge_is_an_outcome_and_ends_a_procedure():
    lab = ProcedureLab()
    specimen, _ = lab.follow("CO", Procedure(operations=(Embed(n=1, seed=5),)))
    torn = replace(specimen, positions=specimen.positions * 6.0)
    after, outcome = lab.do(torn, Gfn2())
    assert outcome.status == "scf_not_converged"
    assert "converge" in outcome.reason
    assert after is torn


def test_molecules_that_cannot_be_computed_are_refused():
    with pytest.raises(MoleculeError, match="closed shell"):
        ProcedureLab().take("[CH3]")
    with pytest.raises(InvalidInputError, match="time limit"):
        ProcedureLab(timeout_seconds=0)
