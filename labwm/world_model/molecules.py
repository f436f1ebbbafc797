"""Features of molecules, computed once per SMILES and process.

Shapes: `u` molecules, `p` descriptors.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from labwm.chem.fingerprints import Kind
from labwm.world_model.inputs import Counts

Floats = NDArray[np.float64]

MAX_CACHED = 1_500_000
ABSENT = -1
"""The token of a row without a molecule, or without any environment of its kind."""

_cache: dict[tuple[str, str], np.ndarray] = {}


def counts_of(smiles: Sequence[str], kind: Kind) -> Counts:
    """Return the count fingerprints of some rows, distinct molecules held once.

    Raises:
        MoleculeError: If one of `smiles` is not a molecule; an empty one is `ABSENT`.
    """
    names, row = distinct(smiles)
    tokens = _cached(names, kind, lambda missing: _tokens(missing, kind))
    ends = np.cumsum([0] + [len(t) for t in tokens])
    flat = np.concatenate([np.empty(0, np.int64), *tokens])
    return Counts(*(torch.as_tensor(a, dtype=torch.int64) for a in (flat, ends, row)))


def descriptors_of(smiles: Sequence[str], is_quick: bool = False) -> Floats:
    """Return descriptors, `u x p`, NaN where there is none.

    Args:
        smiles: One per row.
        is_quick: Only those that cost little?

    Raises:
        MoleculeError: If one of `smiles` is not a molecule; an empty one is all NaN.
    """
    kind = "quick" if is_quick else "descriptors"
    rows = _cached(smiles, kind, lambda missing: _descriptors(missing, is_quick))
    return np.array(rows, dtype=float).reshape(len(smiles), -1)


def distinct(smiles: Sequence[str]) -> tuple[list[str], NDArray[np.int64]]:
    """Return the distinct SMILES, sorted, and the place of each row among them."""
    names = sorted(set(smiles))
    place = {name: i for i, name in enumerate(names)}
    return names, np.array([place[s] for s in smiles], dtype=np.int64)


def _cached(
    smiles: Sequence[str],
    kind: str,
    compute: Callable[[list[str]], Sequence[np.ndarray]],
) -> list[np.ndarray]:
    if missing := sorted({s for s in smiles if (kind, s) not in _cache}):
        if len(_cache) + len(missing) > MAX_CACHED:
            _cache.clear()
            missing = sorted(set(smiles))
        rows = compute(missing)
        _cache.update({(kind, s): row for s, row in zip(missing, rows, strict=True)})
    return [_cache[kind, s] for s in smiles]


def _tokens(smiles: list[str], kind: Kind) -> list[NDArray[np.int64]]:
    from labwm.chem.fingerprints import count_fingerprints

    written = [s for s in smiles if s]
    rows = count_fingerprints(written, kind)
    tokens = {
        s: _thermometer(
            rows.indices[rows.indptr[i] : rows.indptr[i + 1]],
            rows.data[rows.indptr[i] : rows.indptr[i + 1]],
        )
        for i, s in enumerate(written)
    }
    return [tokens.get(s, np.array([ABSENT], np.int64)) for s in smiles]


def _thermometer(columns: np.ndarray, counts: np.ndarray) -> NDArray[np.int64]:
    times = np.minimum(counts, 255).astype(np.int64)
    if not len(times):
        return np.array([ABSENT], np.int64)
    level = np.arange(times.sum()) - np.repeat(np.cumsum(times) - times, times)
    return np.repeat(columns.astype(np.int64) * 256, times) + level


def _descriptors(smiles: list[str], is_quick: bool) -> list[Floats]:
    from labwm.chem.descriptors import descriptors, quick_descriptors

    written = [s for s in smiles if s]
    values, names = (quick_descriptors if is_quick else descriptors)(written)
    rows = dict(zip(written, values, strict=True))
    absent = np.full(len(names), np.nan)
    return [rows.get(s, absent) for s in smiles]
