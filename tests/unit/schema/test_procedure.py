"""Operations are typed, and follow each other in a legal order only."""

import pytest
from pydantic import TypeAdapter, ValidationError

from labwm.errors import IllegalTransitionError
from labwm.schema.procedure import (
    KINDS,
    MENU,
    Embed,
    Episode,
    Gfn2,
    Mmff,
    Operation,
    OperationOutcome,
    Procedure,
    Prune,
    Relax,
    Solvation,
    Treatment,
)

START = (Embed(n=2, seed=1),)


@pytest.mark.parametrize(
    ("operations", "place"),
    [
        ((Mmff(),), "operation 1"),
        ((*START, *START), "operation 2"),
        ((*START, Prune(window=1, rmsd=0.1)), "operation 2"),
        ((*START, Mmff(), Relax(k=2)), "operation 3"),
        ((*START, Mmff(), Solvation()), "operation 3"),
        ((*START, Mmff(), Mmff()), "operation 3"),
        ((*START, Gfn2(), Gfn2()), "operation 3"),
        ((*START, Gfn2(), Mmff()), "operation 3"),
        ((*START, Gfn2(), Solvation(), Solvation()), "operation 4"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(
        operation.kind for operation in value
    ),
)  # fmt: skip
def test_an_illegal_order_is_refused_and_its_place_named(operations, place: str):
    with pytest.raises(ValidationError, match=f"{place}: After the level"):
        Procedure(operations=operations)


def test_the_recipe_of_the_manual_is_legal_and_survives_json():
    recipe = Procedure(
        operations=(
            *START, Mmff(), Prune(window=6, rmsd=0.2), Gfn2(), Relax(k=5), Solvation(),
            Relax(k=5),
        )
    )  # fmt: skip
    assert Procedure.model_validate_json(recipe.canonical_json()) == recipe


def test_an_unknown_kind_and_arguments_out_of_range_are_refused():
    read = TypeAdapter(Operation).validate_python
    with pytest.raises(ValidationError, match="kind"):
        read({"kind": "dft"})
    for wrong in ({"n": 0, "seed": 1}, {"n": 1, "seed": 0}, {"n": 1}):
        with pytest.raises(ValidationError):
            read({"kind": "embed"} | wrong)
    with pytest.raises(ValidationError):
        read({"kind": "relax", "k": 2.5})


def test_legal_is_what_after_accepts():
    seen = {Treatment()}
    for _ in range(4):
        for treatment in list(seen):
            for operation in MENU:
                if operation.kind in treatment.legal():
                    seen.add(treatment.after(operation))
                else:
                    with pytest.raises(IllegalTransitionError, match="may follow"):
                        treatment.after(operation)
    assert len(seen) == 7
    assert {operation.kind for operation in MENU} == set(KINDS)


def test_an_episode_may_try_again_what_failed_and_nothing_else():
    failed = OperationOutcome(operation=START[0], status="timeout", seconds=1.0)
    done = OperationOutcome(operation=START[0], seconds=1.0)
    Episode(smiles="C", policy="p", seed=0, outcomes=(failed, done))
    with pytest.raises(ValidationError, match="may follow"):
        Episode(smiles="C", policy="p", seed=0, outcomes=(done, done))
