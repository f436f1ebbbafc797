"""Keep a dataset in zarr: whole or not at all, with its units."""

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from labwm.errors import IntegrityError, StoreError, UnavailableError

if TYPE_CHECKING:
    import xarray as xr


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
        dataset.to_zarr(temporary / "new", mode="w-", zarr_format=3, consolidated=False)
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
    if not (path / "zarr.json").is_file():
        raise UnavailableError(
            f"A dataset is a zarr folder; got {path}, which is none. Write it first."
        )
    try:
        with xr.open_zarr(path, chunks=None, consolidated=False) as lazy:
            return _texts_as_objects(lazy.load())
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise IntegrityError(
            f"A dataset is read whole; {path} is damaged ({error}). Import it again."
        ) from error


def _texts_as_objects(dataset: "xr.Dataset") -> "xr.Dataset":
    """Return texts in the type in which they were written."""
    return dataset.assign(
        {
            name: (variable.dims, variable.values.astype(object), variable.attrs)
            for name, variable in dataset.variables.items()
            if variable.dtype.kind in "TU"
        }
    )
