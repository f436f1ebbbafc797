"""Keep a dataset in zarr: whole or not at all, with its units."""

import hashlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from labwm.errors import IntegrityError, StoreError, UnavailableError

if TYPE_CHECKING:
    import xarray as xr


ROOT = "zarr.json"
SEAL = "parts_sha256"


def write_zarr(dataset: "xr.Dataset", path: Path | str) -> Path:
    """Write a dataset beside its place and move it there; a failure leaves the old.

    Raises:
        StoreError: If the disk is full or not writable; what stood at `path` is as it
            was.
    """
    path = Path(path)
    temporary = old = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        # The chunks of a file that a dataset was read from may be one cell each here.
        dataset.drop_encoding().to_zarr(
            temporary / "new", mode="w-", zarr_format=3, consolidated=False
        )
        _seal(temporary / "new")
        if path.exists():
            old = path.rename(temporary / "old")
        (temporary / "new").rename(path)
    except OSError as error:
        if old is not None and not path.exists():
            old.rename(path)
        raise StoreError(
            f"A dataset is written whole or not at all; {path} could not be written "
            f"({error.strerror or error}). Free space or choose another folder."
        ) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
    return path


def read_zarr(path: Path | str) -> "xr.Dataset":
    """Read a dataset that `write_zarr` wrote into memory.

    Raises:
        UnavailableError: If there is none.
        IntegrityError: If a part of it is missing or damaged.
    """
    import xarray as xr

    path = Path(path)
    if not (path / ROOT).is_file():
        raise UnavailableError(
            f"A dataset is a zarr folder; got {path}, which is none. Write it first."
        )
    _verify(path)
    try:
        with xr.open_zarr(path, chunks=None, consolidated=False) as lazy:
            dataset = _texts_as_objects(lazy.load())
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise IntegrityError(
            f"A dataset is read whole; {path} is damaged ({error}). Import it again."
        ) from error
    del dataset.attrs[SEAL]
    return dataset


def _seal(folder: Path) -> None:
    """Write a digest of all parts into the root: zarr fills lost chunks silently."""
    root = folder / ROOT
    content = json.loads(root.read_text(encoding="utf-8"))
    content["attributes"][SEAL] = _digest_of_parts(folder)
    root.write_text(json.dumps(content, indent=2), encoding="utf-8")


def _verify(folder: Path) -> None:
    try:
        content = json.loads((folder / ROOT).read_text(encoding="utf-8"))
        is_whole = content["attributes"][SEAL] == _digest_of_parts(folder)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IntegrityError(
            f"A dataset has a root that says what it holds; that of {folder} is "
            f"damaged ({error!r}). Import it again."
        ) from error
    if not is_whole:
        raise IntegrityError(
            f"A dataset is read whole; {folder} is damaged: a part is missing or was "
            "changed. Import it again."
        )


def _digest_of_parts(folder: Path) -> str:
    total = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        if name != ROOT:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            total.update(f"{name} {digest}\n".encode())
    return total.hexdigest()


def _texts_as_objects(dataset: "xr.Dataset") -> "xr.Dataset":
    """Return texts in the type in which they were written."""
    return dataset.assign(
        {
            name: (variable.dims, variable.values.astype(object), variable.attrs)
            for name, variable in dataset.variables.items()
            if variable.dtype.kind in "TU"
        }
    )
