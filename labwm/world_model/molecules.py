"""Features of molecules, computed once: kept in memory, and on disk.

Shapes: `u` molecules, `p` descriptors.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array

from labwm.chem.fingerprints import Kind
from labwm.world_model.count_table import LEVELS
from labwm.world_model.feature_store import keep_features, read_features
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
    tokens = _cached(names, kind)
    ends = np.cumsum([0] + [len(t) for t in tokens])
    flat = np.concatenate([np.empty(0, np.int32), *tokens])
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
    rows = _cached(smiles, kind)
    return np.array(rows, dtype=float).reshape(len(smiles), -1)


def distinct(smiles: Sequence[str]) -> tuple[list[str], NDArray[np.int64]]:
    """Return the distinct SMILES as they come, and the place of each row among them."""
    # As they come: where none is met twice, nothing is put in another order later.
    names = list(dict.fromkeys(smiles))
    place = {name: i for i, name in enumerate(names)}
    return names, np.array([place[s] for s in smiles], dtype=np.int64)


def _cached(smiles: Sequence[str], kind: str) -> list[np.ndarray]:
    if missing := sorted({s for s in smiles if (kind, s) not in _cache}):
        if len(_cache) + len(missing) > MAX_CACHED:
            _cache.clear()
            missing = sorted(set(smiles))
        _fill(missing, kind)
    return [_cache[kind, s] for s in smiles]


def _fill(missing: Sequence[str], kind: str) -> None:
    """Put features into memory: from disk, and otherwise computed."""
    from labwm.chem.fingerprints import featuriser

    kept = read_features(kind, missing, featuriser())
    _cache.update({(kind, s): row for s, row in kept.items()})
    rest = [s for s in missing if s not in kept]
    written = [s for s in rest if s]
    if written:
        canonical, features = _computed(written, kind)
        names = dict(zip(written, canonical, strict=True))
        keep_features(names, features, featuriser())
        for name, rows in features.items():
            _cache.update({(name, s): row for s, row in rows.items()})
    if "" in rest:
        _cache[kind, ""] = _absent(kind)


def _computed(
    written: list[str], kind: str
) -> tuple[list[str], dict[str, dict[str, np.ndarray]]]:
    from labwm.chem.descriptors import descriptors, quick_descriptors
    from labwm.chem.fingerprints import KINDS, fingerprints_and_names
    from labwm.chem.molecule import canonical

    if kind in KINDS:
        # A molecule is read once for all of its fingerprints: that is what costs.
        names, counted = fingerprints_and_names(written)
        return names, {
            name: dict(zip(written, _tokens(rows), strict=True))
            for name, rows in counted.items()
        }
    values, _ = (quick_descriptors if kind == "quick" else descriptors)(written)
    names = [canonical(s) for s in written]
    return names, {kind: dict(zip(written, values, strict=True))}


def _absent(kind: str) -> np.ndarray:
    from labwm.chem.descriptors import descriptor_names, quick_descriptor_names

    if kind in {"quick", "descriptors"}:
        names = quick_descriptor_names() if kind == "quick" else descriptor_names()
        return np.full(len(names), np.nan)
    return np.array([ABSENT], np.int32)


def _tokens(rows: csr_array) -> list[NDArray[np.int32]]:
    bounds = zip(rows.indptr[:-1], rows.indptr[1:], strict=True)
    return [_thermometer(rows.indices[a:b], rows.data[a:b]) for a, b in bounds]


def _thermometer(columns: np.ndarray, counts: np.ndarray) -> NDArray[np.int32]:
    times = np.minimum(counts, 255).astype(np.int32)
    if not len(times):
        return np.array([ABSENT], np.int32)
    level = np.arange(times.sum()) - np.repeat(np.cumsum(times) - times, times)
    return (np.repeat(columns.astype(np.int32) * LEVELS, times) + level).astype(
        np.int32
    )
