"""Rows of a pool as vectors whose distances mean something without a model.

Every parameter weighs the same, whatever its kind: its part of the vector is scaled to
a mean squared distance of 2 between rows of the pool. Shapes: `n` rows, `d` features.
"""

import numpy as np
from numpy.typing import NDArray

from labwm.schema import (
    CategoricalParameter,
    ContextParameter,
    ContinuousParameter,
    DiscreteParameter,
    MixtureParameter,
    MoleculeParameter,
    Parameter,
    Protocol,
    Scale,
)
from labwm.space.questions import Questions

Floats = NDArray[np.float64]

LANDMARKS = 256
"""Molecules that span the similarity map of a library."""
MOLECULE_AXES = 16
MAX_COUNT = 16
"""Of one environment in a molecule; more count as so many."""


def features(protocol: Protocol, questions: Questions) -> Floats:
    """Return one vector per row, `n x d`; context does not count."""
    parts = [
        _scaled(_part(parameter, questions))
        for parameter in protocol.parameters
        if not isinstance(parameter, ContextParameter)
    ]
    return np.concatenate(parts, axis=1)


def _part(parameter: Parameter, questions: Questions) -> Floats:
    match parameter:
        case ContinuousParameter() | DiscreteParameter():
            column = questions.columns[parameter.name].astype(float)
            return _filled(_on_scale(column, parameter.scale))[:, None]
        case MixtureParameter():
            columns = [questions.columns[name] for name in parameter.part_columns]
            return np.column_stack([_filled(c.astype(float)) for c in columns])
        case MoleculeParameter():
            levels, which = np.unique(
                questions.columns[parameter.name].astype(str), return_inverse=True
            )
            return similarity_axes([str(level) for level in levels])[which]
        case CategoricalParameter() | ContextParameter():
            levels, which = np.unique(
                questions.columns[parameter.name].astype(str), return_inverse=True
            )
            return np.eye(len(levels))[which]


def similarity_axes(smiles: list[str]) -> Floats:
    """Return coordinates of molecules whose products approach their similarity.

    Kernel principal components of the count Tanimoto similarity, through at most
    `LANDMARKS` evenly spaced molecules for long lists.
    """
    from labwm.chem.fingerprints import count_fingerprints

    # An inactive molecule is an empty string: like nothing else.
    is_real = np.array([bool(s) for s in smiles])
    real = [s for s in smiles if s]
    landmarks = np.unique(
        np.linspace(0, len(real) - 1, min(LANDMARKS, len(real))).astype(int)
    )
    counts = count_fingerprints(real, "ecfp4").toarray()
    similar = _tanimoto(counts, counts[landmarks])
    core = similar[landmarks] - similar[landmarks].mean(0)
    values, vectors = np.linalg.eigh(core - core.mean(1, keepdims=True))
    keep = np.argsort(values)[::-1][:MOLECULE_AXES]
    keep = keep[values[keep] > 1e-9]
    if keep.size == 0:
        axes = np.zeros((len(real), 1))
    else:
        axes = similar @ vectors[:, keep] / np.sqrt(values[keep])
    out = np.zeros((len(smiles), axes.shape[1] + 1))
    out[is_real, 1:] = axes
    out[~is_real, 0] = 1.0
    return out


def _tanimoto(a: Floats, b: Floats) -> Floats:
    # MinMax similarity of counts by thermometer code: min(x, y) is the number of
    # levels that both reach.
    a, b = np.minimum(a, MAX_COUNT), np.minimum(b, MAX_COUNT)
    shared = np.zeros((len(a), len(b)))
    for level in range(1, int(b.max(initial=0)) + 1):
        shared += (a >= level).astype(float) @ (b >= level).astype(float).T
    union = a.sum(1)[:, None] + b.sum(1)[None, :] - shared
    return np.divide(shared, union, out=np.ones_like(shared), where=union > 0)


def _on_scale(column: Floats, scale: Scale) -> Floats:
    match scale:
        case Scale.LOG:
            return np.log(column)
        case Scale.LOG1P:
            return np.log1p(column)
        case Scale.LINEAR:
            return column


def _filled(column: Floats) -> Floats:
    # An inactive number stands in the middle: it adds no distance of its own.
    if np.all(np.isnan(column)):
        return np.zeros_like(column)
    return np.where(np.isnan(column), np.nanmean(column), column)


def _scaled(part: Floats) -> Floats:
    spread = np.sqrt(np.sum(np.var(part, axis=0)))
    return part - part.mean(0) if spread == 0 else (part - part.mean(0)) / spread
