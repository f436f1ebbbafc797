"""Roles compared by the similarity of their molecules as a whole."""

import numpy as np
import pytest

from labwm.schema import parse_protocol
from labwm.space.questions import questions_from
from labwm.world_model.embedding import fit_similarity
from labwm.world_model.encoding import FEW_OF_A_ROLE, build_encoder

ALKANES = ["C" * n for n in range(2, 9)]
RINGS = ["c1ccccc1", "Cc1ccccc1", "CCc1ccccc1"]
PROTOCOL = """
name: couplings
version: 1
parameters:
- {name: base, kind: molecule, smiles: [CCN, CCO, c1ccncc1]}
- {name: solvent, kind: molecule, smiles_column: solvent}
- {name: heat, kind: continuous, bounds: [20, 80]}
readouts: [{name: yield}]
objectives: [{readout: yield, goal: maximise}]
"""


def distances(columns: np.ndarray) -> np.ndarray:
    return np.linalg.norm(columns[:, None] - columns[None], axis=2)


def test_the_like_are_near_and_the_mean_squared_distance_is_one():
    columns = fit_similarity(ALKANES + RINGS, 60).columns(ALKANES + RINGS)
    d = distances(columns)
    n = len(d)
    assert (d**2).sum() / (n * (n - 1)) == pytest.approx(1.0)
    heptane, octane, toluene = 5, 6, n - 2
    assert d[heptane, octane] < d[heptane, toluene]


def test_an_unseen_molecule_lies_beside_what_it_resembles():
    found = fit_similarity(ALKANES + RINGS, 60)
    d = distances(found.columns([*ALKANES, *RINGS, "CCCc1ccccc1"]))[-1, :-1]
    assert int(d.argmin()) >= len(ALKANES)


@pytest.mark.parametrize("landmarks", [["CCO"], ["CCO", "CCO"]])
def test_molecules_that_do_not_differ_take_no_columns(landmarks):
    columns = fit_similarity(landmarks, 60).columns(landmarks)
    assert np.isfinite(columns).all()
    assert distances(columns).max() < 1e-6


def test_a_large_role_has_one_lengthscale_and_a_small_one_several():
    protocol = parse_protocol(PROTOCOL)
    solvents = ["C" * n for n in range(2, FEW_OF_A_ROLE + 4)]
    rows = [
        {"base": base, "solvent": solvent, "heat": 50.0}
        for base in ("CCN", "CCO", "c1ccncc1")
        for solvent in solvents
    ]
    questions = questions_from(protocol, rows)
    encoder = build_encoder(protocol, [questions], "similarity")
    base, solvent, heat = encoder.dense
    assert (base.is_tied, solvent.is_tied, heat.is_tied) == (False, True, False)
    n_groups = len(set(encoder.groups.tolist()))
    assert n_groups == base.width + 1 + heat.width
    assert encoder.encode(questions).dense.shape == (len(rows), len(encoder.groups))
