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
    counts = count_fingerprints([s for s in smiles if s], "ecfp4")
    landmarks = np.unique(
        np.linspace(0, counts.shape[0] - 1, min(LANDMARKS, counts.shape[0])).astype(int)
    )
    similar = _tanimoto(counts, counts[landmarks])
    core = similar[landmarks] - similar[landmarks].mean(0)
    values, vectors = np.linalg.eigh((core - core.mean(1, keepdims=True)))
    keep = np.argsort(values)[::-1][:MOLECULE_AXES]
    keep = keep[values[keep] > 1e-9]
    if keep.size == 0:
        axes = np.zeros((counts.shape[0], 1))
    else:
        axes = similar @ vectors[:, keep] / np.sqrt(values[keep])
    out = np.zeros((len(smiles), axes.shape[1] + 1))
    out[is_real, 1:] = axes
    out[~is_real, 0] = 1.0
    return out


def _tanimoto(a, b) -> Floats:
    # MinMax similarity of counts by thermometer code: min(x, y) is the number of
    # levels that both reach.
    top = int(max(a.max(), b.max(), 1))
    shared = np.zeros((a.shape[0], b.shape[0]))
    for level in range(1, min(top, 16) + 1):
        shared += ((a >= level) * 1.0 @ ((b >= level) * 1.0).T).toarray()
    total_a = np.minimum(a.toarray(), 16).sum(1)
    total_b = np.minimum(b.toarray(), 16).sum(1)
    union = total_a[:, None] + total_b[None, :] - shared
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
