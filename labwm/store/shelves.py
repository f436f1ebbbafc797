"""Where objects lie: a local folder with durable writes, or any fsspec address."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, final

from labwm.errors import StoreError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem


class Shelf(Protocol):
    """Named bytes; a place is a relative path with `/`. Failures are OSErrors."""

    def write(self, place: str, content: bytes) -> None:
        """Store bytes, whole or not at all."""
        ...

    def read(self, place: str) -> bytes:
        """Return bytes, or raise FileNotFoundError."""
        ...

    def has(self, place: str) -> bool:
        """Is there something?"""
        ...

    def places(self) -> Iterator[str]:
        """Yield every place in use."""
        ...

    def modified(self, place: str) -> float:
        """Return when it was written, in seconds since 1970."""
        ...

    def remove(self, place: str) -> None:
        """Remove it; without effect where it is gone."""
        ...


def open_shelf(address: str) -> Shelf:
    """Return the shelf at a folder or fsspec address.

    Raises:
        StoreError: If the address is of a kind that nothing here can open.
    """
    if "://" not in address or address.startswith("file://"):
        return FolderShelf(Path(address.removeprefix("file://")))
    from fsspec.core import url_to_fs

    try:
        system, root = url_to_fs(address)
    except (ValueError, ImportError) as error:
        raise StoreError(
            f"Objects lie in a folder or at an fsspec address; got {address!r}: "
            f"{error}. Mend LABWM_OBJECTS_URL."
        ) from error
    return RemoteShelf(system, root.rstrip("/"))


@final
@dataclass(frozen=True)
class FolderShelf:
    """A local folder; a write survives a power cut once it returned."""

    folder: Path

    def write(self, place: str, content: bytes) -> None:
        """Write beside the final place, synchronise, rename, synchronise the folder."""
        final_path = self.folder / place
        _make_durable_folder(final_path.parent)
        handle, part = tempfile.mkstemp(prefix=".put-", dir=final_path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, final_path)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(part)
            raise
        _synchronise_folder(final_path.parent)

    def read(self, place: str) -> bytes:
        """Return bytes, or raise FileNotFoundError."""
        return (self.folder / place).read_bytes()

    def has(self, place: str) -> bool:
        """Is there something?"""
        return (self.folder / place).exists()

    def places(self) -> Iterator[str]:
        """Yield every place in use, unfinished writes among them."""
        for path in sorted(self.folder.glob("*/*")):
            yield path.relative_to(self.folder).as_posix()

    def modified(self, place: str) -> float:
        """Return when it was written, in seconds since 1970."""
        return (self.folder / place).stat().st_mtime

    def remove(self, place: str) -> None:
        """Remove it; without effect where it is gone."""
        (self.folder / place).unlink(missing_ok=True)


@final
@dataclass(frozen=True)
class RemoteShelf:
    """An fsspec address, where one request stores one object."""

    system: "AbstractFileSystem"
    root: str

    def write(self, place: str, content: bytes) -> None:
        """Store in one request."""
        path = f"{self.root}/{place}"
        self.system.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
        self.system.pipe_file(path, content)

    def read(self, place: str) -> bytes:
        """Return bytes, or raise FileNotFoundError."""
        content = self.system.cat_file(f"{self.root}/{place}")
        return content.encode() if isinstance(content, str) else content

    def has(self, place: str) -> bool:
        """Is there something?"""
        return bool(self.system.exists(f"{self.root}/{place}"))

    def places(self) -> Iterator[str]:
        """Yield every place in use."""
        for path in sorted(self.system.find(self.root)):
            yield "/".join(path.rsplit("/", 2)[-2:])

    def modified(self, place: str) -> float:
        """Return when it was written, in seconds since 1970."""
        return self.system.modified(f"{self.root}/{place}").timestamp()

    def remove(self, place: str) -> None:
        """Remove it; without effect where it is gone."""
        with suppress(FileNotFoundError):
            self.system.rm_file(f"{self.root}/{place}")


def _make_durable_folder(folder: Path) -> None:
    if not folder.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _synchronise_folder(folder.parent)


def _synchronise_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
