"""Features of molecules on disk, so that no process computes them again.

One SQLite file in the cache folder, named after the featuriser's version; delete it at
any time. Features are keyed by canonical SMILES, and every writing that was met points
to its canonical one. What cannot be read or written is computed again: a cache decides
nothing. Nothing is kept while there is no home folder.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import numpy as np

from labwm.settings import cache_folder, home

FEATURES_VERSION: Final = 2
"""Rises with every change of what a feature means."""
LEAST: Final = 32
"""Fewer molecules than these are computed faster than a file is opened."""
_AT_ONCE: Final = 500
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS written (smiles TEXT PRIMARY KEY, canonical TEXT NOT NULL)
    WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS features (kind TEXT NOT NULL, canonical TEXT NOT NULL,
    dtype TEXT NOT NULL, data BLOB NOT NULL, PRIMARY KEY (kind, canonical))
    WITHOUT ROWID;
"""


def store_path(featuriser: str) -> Path:
    """Return the file of a featuriser, such as `rdkit-2026.09.1`."""
    return cache_folder() / f"features-{FEATURES_VERSION}-{featuriser}.sqlite"


def read_features(
    kind: str, smiles: Sequence[str], featuriser: str
) -> dict[str, np.ndarray]:
    """Return the features that are kept, by SMILES as written."""
    path = store_path(featuriser)
    if len(smiles) < LEAST or not path.exists():
        return {}
    found: dict[str, np.ndarray] = {}
    try:
        with _opened(path) as database:
            for part in _parts(smiles):
                marks = ",".join("?" * len(part))
                rows = database.execute(
                    "SELECT w.smiles, f.dtype, f.data FROM written w JOIN features f"
                    " ON f.canonical = w.canonical AND f.kind = ?"
                    f" WHERE w.smiles IN ({marks})",
                    (kind, *part),
                )
                for written, dtype, data in rows:
                    found[written] = np.frombuffer(data, dtype=dtype)
    except (sqlite3.Error, ValueError, TypeError):
        return {}
    return found


def keep_features(
    canonical: Mapping[str, str],
    features: Mapping[str, Mapping[str, np.ndarray]],
    featuriser: str,
) -> None:
    """Keep features of molecules, if there is a home folder to keep them in.

    Args:
        canonical: Canonical SMILES of each SMILES as written.
        features: For each kind, the features of each SMILES as written.
        featuriser: Its name and version.
    """
    if len(canonical) < LEAST or not home().is_dir():
        return
    path = store_path(featuriser)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _opened(path) as database, database:
            database.executescript(_TABLES)
            database.executemany(
                "INSERT OR IGNORE INTO written VALUES (?, ?)", canonical.items()
            )
            for kind, rows in features.items():
                database.executemany(
                    "INSERT OR IGNORE INTO features VALUES (?, ?, ?, ?)",
                    (
                        (kind, canonical[s], row.dtype.str, row.tobytes())
                        for s, row in rows.items()
                    ),
                )
    except (sqlite3.Error, OSError):
        return


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, timeout=5.0)) as database:
        # Lost with the machine's power at worst, and then computed again.
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=OFF")
        yield database


def _parts(smiles: Sequence[str]) -> Iterable[Sequence[str]]:
    return (smiles[i : i + _AT_ONCE] for i in range(0, len(smiles), _AT_ONCE))
