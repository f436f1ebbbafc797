"""Small assays that a world model learns from."""

import numpy as np

from labwm.schema import Protocol, Status
from labwm.space.questions import Observations, Questions, questions_from

MOLECULES = (
    "CCO", "CCCO", "CCCCO", "CC(C)O", "c1ccccc1", "Cc1ccccc1", "CCc1ccccc1",
    "Oc1ccccc1", "CC(=O)O", "CCC(=O)O", "CCCC(=O)O", "CC(=O)OC", "CCN", "CCCN", "CCCCN",
    "c1ccncc1", "CC#N", "CCC#N", "ClCCl", "BrCCBr", "CCOCC", "C1CCOC1", "CS(C)=O",
    "CN(C)C=O", "O", "CO", "CC", "CCC", "CCCC", "CCCCC", "CCCCCC", "C1CCCCC1", "CC=O",
    "CCC=O", "CC(C)=O", "CCC(C)=O", "Nc1ccccc1", "Clc1ccccc1", "Brc1ccccc1",
    "Fc1ccccc1",
)  # fmt: skip


def two_numbers(*, factor: float = 1.0, unit: str = "nmol/L") -> Protocol:
    """A protocol of a dose and a temperature; `factor` changes the dose's unit."""
    return Protocol.model_validate(
        {
            "name": "dose",
            "version": 1,
            "parameters": [
                {
                    "name": "dose",
                    "kind": "continuous",
                    "bounds": [1.0 * factor, 1000.0 * factor],
                    "scale": "log",
                    "unit": unit,
                },
                {"name": "temperature", "kind": "continuous", "bounds": [20, 60]},
            ],
            "readouts": [{"name": "signal", "unit": "nmol/L"}],
            "objectives": [{"readout": "signal", "goal": "maximise"}],
        }
    )


def library() -> Protocol:
    """A protocol of one molecule out of many."""
    return Protocol.model_validate(
        {
            "name": "library",
            "version": 1,
            "parameters": [
                {"name": "molecule", "kind": "molecule", "smiles": list(MOLECULES)}
            ],
            "readouts": [{"name": "size"}],
            "objectives": [{"readout": "size", "goal": "maximise"}],
        }
    )


def reaction() -> Protocol:
    """A protocol of two molecules of few levels, a number and a name."""
    return Protocol.model_validate(
        {
            "name": "reaction",
            "version": 1,
            "parameters": [
                {"name": "solvent", "kind": "molecule", "smiles": list(MOLECULES[:8])},
                {"name": "base", "kind": "molecule", "smiles": list(MOLECULES[12:16])},
                {"name": "heat", "kind": "discrete", "levels": [90, 105, 120]},
                {"name": "gas", "kind": "categorical", "levels": ["argon", "air"]},
            ],
            "readouts": [{"name": "yield", "unit": "percent"}],
            "objectives": [{"readout": "yield", "goal": "maximise"}],
        }
    )


def observed(questions: Questions, values: np.ndarray, *names: str) -> Observations:
    """Return rows whose values are all plain numbers, NaN where missing."""
    values = np.asarray(values, float).reshape(len(questions), -1)
    statuses = np.full(values.shape, Status.OK, dtype=object)
    statuses[np.isnan(values)] = Status.MISSING
    return Observations(
        questions, names, values, np.zeros(values.shape, np.int8), statuses
    )


def dose_questions(n: int, *, seed: int, factor: float = 1.0) -> Questions:
    rng = np.random.default_rng(seed)
    return Questions(
        {
            "dose": factor * 10 ** rng.uniform(0, 3, n),
            "temperature": rng.uniform(20, 60, n),
        }
    )


def dose_response(questions: Questions, *, noise: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    dose = np.log10(np.asarray(questions.columns["dose"], float))
    heat = (np.asarray(questions.columns["temperature"], float) - 20) / 40
    return np.sin(2.0 * dose) + heat**2 + noise * rng.normal(size=len(dose))


def dose_assay(n: int, *, noise: float = 0.1, seed: int = 0) -> Observations:
    questions = dose_questions(n, seed=seed)
    y = dose_response(questions, noise=noise, seed=seed + 1000)
    return observed(questions, y, "signal")


def library_assay(n: int, *, noise: float = 0.2, seed: int = 0) -> Observations:
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(MOLECULES))[:n]
    rows = questions_from(library(), [{"molecule": MOLECULES[i]} for i in chosen])
    size = np.array([float(sum(c.isalpha() for c in MOLECULES[i])) for i in chosen])
    return observed(rows, size + noise * rng.normal(size=n), "size")


def reaction_pool() -> Questions:
    return questions_from(
        reaction(),
        [
            {"solvent": s, "base": b, "heat": h, "gas": g}
            for s in MOLECULES[:8]
            for b in MOLECULES[12:16]
            for h in (90.0, 105.0, 120.0)
            for g in ("argon", "air")
        ],
    )


def reaction_assay(n: int, *, seed: int = 0) -> Observations:
    rng = np.random.default_rng(seed)
    pool = reaction_pool()
    rows = pool.take(rng.permutation(len(pool))[:n])
    length = np.array([len(str(s)) for s in rows.columns["solvent"]], float)
    heat = np.asarray(rows.columns["heat"], float)
    air = np.array([str(g) == "air" for g in rows.columns["gas"]], float)
    y = 5 * length + 0.3 * (heat - 90) - 8 * air + rng.normal(size=n)
    return observed(rows, y, "yield")
