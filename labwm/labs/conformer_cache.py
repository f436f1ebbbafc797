"""Structures that were embedded before: another level of theory starts from the same.

A cache and never state: what is deleted or cannot be read is embedded again.
"""

import json
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labwm.labs import durable
from labwm.schema import canonical_json, sha256_of

if TYPE_CHECKING:
    from labwm.chem.conformers import Conformer


def conformer_of(
    smiles: str, *, seed: int, n_conformers: int, timeout_seconds: int, cache: Path
) -> "Conformer":
    """Return the structure of `embed`, from the cache if it was embedded before.

    Args:
        smiles: Canonical, so that every way to write a molecule is one entry.
        seed: Of the embedding.
        n_conformers: Of which the lowest is returned.
        timeout_seconds: Limit of an embedding; what is cached has kept it.
        cache: Folder of the entries; made when first needed.

    Raises:
        MoleculeError: If the molecule cannot be embedded; that is not cached.
    """
    from labwm.chem.conformers import embed

    # A structure is the same for one version of RDKit only.
    path = cache / sha256_of([smiles, seed, n_conformers, version("rdkit")])
    if known := _read(path):
        return known
    made = embed(
        smiles,
        seed=seed,
        n_conformers=n_conformers,
        timeout_seconds=timeout_seconds,
    )
    cache.mkdir(parents=True, exist_ok=True)
    fields = asdict(made)
    fields |= {name: fields[name].tolist() for name in ("numbers", "positions")}
    durable.publish(path, canonical_json(fields))
    return made


def _read(path: Path) -> "Conformer | None":
    import numpy as np

    from labwm.chem.conformers import Conformer

    try:
        fields: dict[str, Any] = json.loads(path.read_bytes())
        numbers = np.array(fields.pop("numbers"), dtype=int)
        positions = np.array(fields.pop("positions"), dtype=float)
        if positions.shape != (len(numbers), 3):
            raise ValueError("a position for each atom")
        return Conformer(numbers=numbers, positions=positions, **fields)
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError):
        path.unlink(missing_ok=True)
        return None
