"""Content-addressed objects: raw files, arrays, anything named by its sha256.

Put the object first and the ledger's row second: an object that no row names is an
orphan and harmless; a row that names no object would be a loss.
"""

import hashlib
import os
import re
import tempfile
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, final

from labwm import settings
from labwm.errors import IntegrityError, NotFoundError, StoreError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_DIGEST = re.compile(r"[0-9a-f]{64}")
_GRACE_SECONDS: Final = 3600.0


class ObjectStore(Protocol):
    """Where objects lie."""

    def put(self, content: bytes) -> str:
        """Store bytes and return their sha256; the same bytes again change nothing.

        Raises:
            StoreError: If they could not be written; nothing is left half-written.
        """
        ...

    def get(self, sha256: str) -> bytes:
        """Return the bytes of that digest.

        Raises:
            NotFoundError: If there are none.
            IntegrityError: If what lies there has another digest.
        """
        ...

    def exists(self, sha256: str) -> bool:
        """Is there an object of that digest?"""
        ...

    def orphans(
        self, known: Collection[str], *, older_than_s: float = _GRACE_SECONDS
    ) -> Iterator[str]:
        """Yield digests of objects that nobody knows, but not of fresh ones.

        A fresh object may belong to a row that is about to be written.
        """
        ...

    def remove(self, sha256: str) -> None:
        """Remove an orphan."""
        ...


def open_objects(url: str | None = None) -> ObjectStore:
    """Open the object store at a folder or fsspec address, by default the settings'.

    Raises:
        StoreError: If the address is of a kind that nothing here can open.
    """
    address = url or settings.objects_url()
    if "://" not in address:
        return FolderObjects(Path(address))
    if address.startswith("file://"):
        return FolderObjects(Path(address.removeprefix("file://")))
    from fsspec.core import url_to_fs

    try:
        system, root = url_to_fs(address)
    except (ValueError, ImportError) as error:
        raise StoreError(
            f"Objects lie in a folder or at an fsspec address; got {address!r}: "
            f"{error}. Mend LABWM_OBJECTS_URL."
        ) from error
    return RemoteObjects(system, root.rstrip("/"))


@final
@dataclass(frozen=True)
class FolderObjects:
    """Objects in a local folder; a put survives a power cut once it returned."""

    folder: Path

    def put(self, content: bytes) -> str:
        """Write beside the final place, synchronise, rename; see `ObjectStore`."""
        digest = hashlib.sha256(content).hexdigest()
        place = self._place(digest)
        if place.exists():
            return digest
        try:
            _make_durable_folder(place.parent)
            _write_durably(place, content)
        except OSError as error:
            raise StoreError(
                f"An object is written whole or not at all; got {error.strerror} at "
                f"{place.parent}. Free space or mend the folder's rights."
            ) from error
        return digest

    def get(self, sha256: str) -> bytes:
        """Return checked bytes; see `ObjectStore`."""
        try:
            content = self._place(sha256).read_bytes()
        except FileNotFoundError as error:
            raise _absent(sha256) from error
        return _checked(sha256, content)

    def exists(self, sha256: str) -> bool:
        """Is there an object of that digest?"""
        return self._place(sha256).exists()

    def orphans(
        self, known: Collection[str], *, older_than_s: float = _GRACE_SECONDS
    ) -> Iterator[str]:
        """Yield unknown digests; see `ObjectStore`."""
        wanted, before = set(known), time.time() - older_than_s
        for place in sorted(self.folder.glob("??/*")):
            digest = place.parent.name + place.name
            is_old = _DIGEST.fullmatch(digest) and place.stat().st_mtime <= before
            if is_old and digest not in wanted:
                yield digest

    def remove(self, sha256: str) -> None:
        """Remove an orphan."""
        self._place(sha256).unlink(missing_ok=True)

    def _place(self, sha256: str) -> Path:
        name = _digest(sha256)
        return self.folder / name[:2] / name[2:]


@final
@dataclass(frozen=True)
class RemoteObjects:
    """Objects behind an fsspec address, whose put is one request."""

    system: "AbstractFileSystem"
    root: str

    def put(self, content: bytes) -> str:
        """Store in one request; see `ObjectStore`."""
        digest = hashlib.sha256(content).hexdigest()
        if not self.exists(digest):
            try:
                self.system.makedirs(f"{self.root}/{digest[:2]}", exist_ok=True)
                self.system.pipe_file(self._place(digest), content)
            except OSError as error:
                raise StoreError(
                    f"An object must be stored whole; got {error}. Check the address "
                    "and its rights."
                ) from error
        return digest

    def get(self, sha256: str) -> bytes:
        """Return checked bytes; see `ObjectStore`."""
        try:
            content = self.system.cat_file(self._place(sha256))
        except FileNotFoundError as error:
            raise _absent(sha256) from error
        return _checked(sha256, content)

    def exists(self, sha256: str) -> bool:
        """Is there an object of that digest?"""
        return bool(self.system.exists(self._place(sha256)))

    def orphans(
        self, known: Collection[str], *, older_than_s: float = _GRACE_SECONDS
    ) -> Iterator[str]:
        """Yield unknown digests; see `ObjectStore`."""
        wanted, before = set(known), time.time() - older_than_s
        for path in sorted(self.system.find(self.root)):
            digest = "".join(path.rsplit("/", 2)[-2:])
            if not _DIGEST.fullmatch(digest) or digest in wanted:
                continue
            if self.system.modified(path).timestamp() <= before:
                yield digest

    def remove(self, sha256: str) -> None:
        """Remove an orphan."""
        with suppress(FileNotFoundError):
            self.system.rm_file(self._place(sha256))

    def _place(self, sha256: str) -> str:
        name = _digest(sha256)
        return f"{self.root}/{name[:2]}/{name[2:]}"


def _digest(sha256: str) -> str:
    if not _DIGEST.fullmatch(sha256):
        raise NotFoundError(
            f"An object is named by 64 hexadecimal digits; got {sha256[:80]!r}."
        )
    return sha256


def _absent(sha256: str) -> NotFoundError:
    return NotFoundError(
        f"No object of digest {sha256} is stored here. Check LABWM_OBJECTS_URL, or "
        "restore a backup."
    )


def _checked(sha256: str, content: bytes) -> bytes:
    if (found := hashlib.sha256(content).hexdigest()) != sha256:
        raise IntegrityError(
            f"An object's bytes match its name; those of {sha256} give {found}. "
            "Restore it from a backup."
        )
    return content


def _make_durable_folder(folder: Path) -> None:
    if not folder.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _synchronise_folder(folder.parent)


def _write_durably(place: Path, content: bytes) -> None:
    handle, part = tempfile.mkstemp(prefix=".put-", dir=place.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, place)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(part)
        raise
    _synchronise_folder(place.parent)


def _synchronise_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
