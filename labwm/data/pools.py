"""Read a pool of molecules block by block: memory does not grow with the file."""

import csv
import gzip
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from labwm.errors import NotFoundError, TableError, UnavailableError, suggest

BLOCK = 2048
SUFFIXES = (".smi", ".smiles", ".txt", ".csv", ".tsv", ".parquet")
_NAMES = ("smiles", "SMILES", "Smiles", "canonical_smiles", "molecule")


@dataclass(frozen=True)
class PoolBlock:
    """Some rows of a pool, as they were written.

    Attributes:
        index: Of the block, from 0.
        first: Number of its first row in the pool, from 0.
        smiles: One per row; may be no molecule.
        labels: Names of the rows; empty where there are none.
    """

    index: int
    first: int
    smiles: tuple[str, ...]
    labels: tuple[str, ...]


def pool_sha256(path: Path) -> str:
    """Return the digest of a pool's file, read in pieces."""
    total = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            total.update(piece)
    return total.hexdigest()


def count_rows(path: Path, *, column: str | None = None) -> int:
    """Count the rows of a pool, for progress; costs one pass over the file."""
    return sum(len(block.smiles) for block in read_pool(path, column=column))


def read_pool(
    path: Path, *, column: str | None = None, size: int = BLOCK
) -> Iterator[PoolBlock]:
    """Yield the rows of a pool in blocks.

    SMILES files hold a SMILES and a name per line; CSV and TSV files have a header;
    each may be compressed (`.gz`). Parquet needs the package pyarrow.

    Args:
        path: Of the file.
        column: Of the SMILES, in a table; found by its name when not given.
        size: Rows of a block.

    Raises:
        NotFoundError: If there is no such file.
        TableError: If the file is none of these, or has no such column.
        UnavailableError: If it is Parquet and pyarrow is absent.
    """
    if not path.is_file():
        raise NotFoundError(f"A pool is read from a file; {path} is none. Check it.")
    suffix = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    if suffix not in SUFFIXES:
        raise TableError(
            f"A pool is one of {', '.join(SUFFIXES)}, or its .gz; got {path.name!r}. "
            "Rename or convert it."
        )
    if suffix == ".parquet":
        rows = _parquet_rows(path, column)
    elif suffix in {".csv", ".tsv"}:
        rows = _table_rows(path, column, "\t" if suffix == ".tsv" else ",")
    else:
        rows = _line_rows(path)
    return _blocks(rows, size)


def _blocks(rows: Iterator[tuple[str, str]], size: int) -> Iterator[PoolBlock]:
    index = first = 0
    held: list[tuple[str, str]] = []
    for row in rows:
        held.append(row)
        if len(held) == size:
            yield _block(index, first, held)
            index, first, held = index + 1, first + size, []
    if held:
        yield _block(index, first, held)


def _block(index: int, first: int, rows: list[tuple[str, str]]) -> PoolBlock:
    smiles, labels = zip(*rows, strict=True)
    return PoolBlock(index, first, smiles, labels)


def _opened(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", errors="replace", newline="")
    return path.open(encoding="utf-8-sig", errors="replace", newline="")


def _line_rows(path: Path) -> Iterator[tuple[str, str]]:
    with _opened(path) as file:
        for line in file:
            words = line.split(maxsplit=1)
            if words:
                yield words[0], words[1].strip() if len(words) > 1 else ""


def _table_rows(
    path: Path, column: str | None, delimiter: str
) -> Iterator[tuple[str, str]]:
    with _opened(path) as file:
        reader = csv.DictReader(file, delimiter=delimiter)
        name = _smiles_column(path, list(reader.fieldnames or ()), column)
        for row in reader:
            yield (row[name] or "").strip(), ""


def _parquet_rows(path: Path, column: str | None) -> Iterator[tuple[str, str]]:
    try:
        from pyarrow import parquet  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise UnavailableError(
            f"Parquet is read by the package pyarrow, which is absent; got {path}. "
            "Install it with `pip install pyarrow`, or convert the file to CSV."
        ) from error
    file = parquet.ParquetFile(path)
    name = _smiles_column(path, file.schema_arrow.names, column)
    for batch in file.iter_batches(batch_size=BLOCK, columns=[name]):
        for value in batch.column(0).to_pylist():
            yield (value or "").strip(), ""


def _smiles_column(path: Path, found: list[str], column: str | None) -> str:
    wanted = [column] if column else [name for name in _NAMES if name in found]
    if wanted and wanted[0] in found:
        return wanted[0]
    raise TableError(
        f"A pool's table has a column of SMILES; {path.name} has {found[:12]}, and no "
        f"{column or 'column named ' + ', '.join(_NAMES)}. "
        f"{suggest(column, found) if column else 'Name it.'}"
    )
