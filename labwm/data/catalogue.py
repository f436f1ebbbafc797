"""The catalogue of public sets: pinned to a commit, checked by sha256, never kept here.

With `LABWM_DATA_MIRROR` set, files are read there and no network is asked.
"""

import functools
import hashlib
from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field

from labwm.data.read import read_table
from labwm.data.table import Table
from labwm.errors import (
    IntegrityError,
    InvalidInputError,
    NotFoundError,
    StoreError,
    UnavailableError,
    suggest,
)
from labwm.schema.record import Name, Record, Sha256
from labwm.settings import cache_folder, data_mirror, shipped

PUBLIC_ADDRESS = "https://raw.githubusercontent.com"


class CatalogueFile(Record):
    """One file of a public repository at one commit."""

    repository: str
    commit: str = Field(pattern=r"^[0-9a-f]{40}$")
    path: str
    sha256: Sha256
    bytes: int

    @property
    def relative(self) -> str:
        """Where the file lies below the public address, and in a mirror."""
        return f"{self.repository}/{self.commit}/{self.path}"


class CatalogueEntry(Record):
    """One public set, and how to read it."""

    name: Name
    title: str
    kind: Literal["measured", "computed"]
    licence: str
    citation: str
    reader: Literal["table", "other"]
    """`table`: the first file is a table that `load_table` reads."""
    why: str | None = None
    """With `other`: why it is not read as a table."""
    protocol: Name | None = None
    """Shipped protocol whose columns fit the table."""
    columns: tuple[str, ...] | None = None
    """Column names of a file that has no header line."""
    targets: tuple[str, ...] = ()
    """Columns that were measured or computed."""
    sheet: str | None = None
    note: str | None = None
    files: tuple[CatalogueFile, ...] = Field(min_length=1)

    @property
    def n_bytes(self) -> int:
        """Size of all files together."""
        return sum(file.bytes for file in self.files)


@functools.cache
def catalogue() -> dict[str, CatalogueEntry]:
    """Return every public set that labwm knows, keyed by name."""
    text = shipped("assay_data/catalogue.yaml").read_text(encoding="utf-8")
    content = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    entries = [CatalogueEntry.model_validate(item) for item in content["sets"]]
    return {entry.name: entry for entry in entries}


def describe(name: str) -> CatalogueEntry:
    """Return what is known of a public set.

    Raises:
        NotFoundError: If the catalogue has no such set.
    """
    if (entry := catalogue().get(name)) is None:
        raise NotFoundError(
            f"A public set is one of the catalogue; got {name!r}. "
            f"{suggest(name, catalogue())}"
        )
    return entry


def fetch(name: str, *, address: str = PUBLIC_ADDRESS) -> list[Path]:
    """Return the files of a public set, from the mirror, the cache or the network.

    Args:
        name: Of the catalogue.
        address: Where the network is asked.

    Raises:
        NotFoundError: If the catalogue has no such set.
        UnavailableError: If the mirror lacks a file, or the network does not answer.
        IntegrityError: If a file is not the one that the catalogue pins; a download
            is then not kept.
        StoreError: If the cache cannot be written.
    """
    entry, mirror = describe(name), data_mirror()
    if mirror is None:
        return [_download(file, address) for file in entry.files]
    if not mirror.is_dir():
        raise UnavailableError(
            f"LABWM_DATA_MIRROR names a folder; got {mirror}, which does not exist. "
            "Correct it, or unset it to download from the public address."
        )
    return [_mirrored(file, mirror) for file in entry.files]


def load_table(name_or_path: str | Path, *, sheet: str | None = None) -> Table:
    """Read a set of the catalogue, or a user's own file, as a table.

    Raises:
        NotFoundError: If it is neither a set of the catalogue nor a file.
        InvalidInputError: If the set is not a table; the message says what it is.
        TableError: If the file cannot be read as a table.
    """
    entry = catalogue().get(str(name_or_path))
    if entry is None:
        path = Path(name_or_path)
        if path.is_file():
            return read_table(path, sheet=sheet)
        name = str(name_or_path)
        if path.suffix or len(path.parts) > 1:
            raise NotFoundError(
                f"Data is a set of the catalogue or a file; {name!r} is no file here. "
                "Check the path, or see `labwm data list`."
            )
        raise NotFoundError(
            f"Data is a set of the catalogue or a file; got {name!r}. "
            f"{suggest(name, catalogue())}"
        )
    if entry.reader != "table":
        raise InvalidInputError(
            f"Only a table is read so; the set {entry.name!r} is {entry.why}. Use "
            f"`labwm data fetch {entry.name}` and read its files yourself."
        )
    return read_table(
        fetch(entry.name)[0], sheet=sheet or entry.sheet, header=entry.columns
    )


def _mirrored(file: CatalogueFile, mirror: Path) -> Path:
    path = mirror / file.relative
    if not path.is_file():
        raise UnavailableError(
            f"LABWM_DATA_MIRROR must hold {file.relative}; {mirror} does not. Complete "
            "the mirror, or unset the variable to download from the public address."
        )
    _verify(path, file)
    return path


def _verify(path: Path, file: CatalogueFile) -> None:
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != file.sha256:
        raise IntegrityError(
            f"A fetched file has the sha256 that the catalogue pins, {file.sha256}; "
            f"{path} has {found}. Remove it and fetch again."
        )


def _download(file: CatalogueFile, address: str) -> Path:
    import pooch
    import requests

    folder = cache_folder() / "data" / Path(file.relative).parent
    pooch.get_logger().setLevel("WARNING")
    try:
        return Path(
            pooch.retrieve(
                f"{address}/{file.relative}".replace(" ", "%20"),
                known_hash=f"sha256:{file.sha256}",
                fname=Path(file.relative).name,
                path=folder,
            )
        )
    except ValueError as error:
        raise IntegrityError(
            f"A download has the sha256 that the catalogue pins; {file.relative} has "
            f"another and was not kept ({error}). Try again later."
        ) from error
    except requests.RequestException as error:
        raise UnavailableError(
            f"{file.relative} is fetched from {address}; it did not answer "
            f"({type(error).__name__}). Connect to the network, or set "
            "LABWM_DATA_MIRROR to a folder that holds the file."
        ) from error
    except OSError as error:
        raise StoreError(
            f"The cache {folder} must be writable; {error.strerror or error}. Free "
            "space or move LABWM_HOME."
        ) from error
