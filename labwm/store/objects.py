"""Content-addressed objects: raw files, tables, anything named by its sha256.

Put the object first and the ledger's row second: an object that no row names is an
orphan and harmless; a row that names no object would be a loss.
"""

import hashlib
import re
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

from labwm import settings
from labwm.errors import IntegrityError, NotFoundError, StoreError
from labwm.store.shelves import Shelf, open_shelf

_DIGEST = re.compile(r"[0-9a-f]{64}")
GRACE_SECONDS: Final = 3600.0
"""Age below which an unknown object may belong to a row that is about to be written."""


@dataclass(frozen=True)
class ObjectStore:
    """Bytes under their sha256, in a local folder or behind an fsspec address."""

    shelf: Shelf

    def put(self, content: bytes) -> str:
        """Store bytes and return their sha256; the same bytes again change nothing.

        In a local folder a put survives a power cut once it returned.

        Raises:
            StoreError: If they could not be written; nothing is left half-written.
        """
        digest = hashlib.sha256(content).hexdigest()
        place = _place(digest)
        try:
            if not self.shelf.has(place):
                self.shelf.write(place, content)
        except OSError as error:
            raise StoreError(
                f"An object is stored whole or not at all; got: {error}. Free space, "
                "or check the rights at LABWM_OBJECTS_URL."
            ) from error
        return digest

    def get(self, sha256: str) -> bytes:
        """Return the bytes of that digest, checked.

        Raises:
            NotFoundError: If there are none.
            IntegrityError: If what lies there has another digest.
            StoreError: If they cannot be read.
        """
        try:
            content = self.shelf.read(_place(sha256))
        except FileNotFoundError as error:
            raise NotFoundError(
                f"No object of digest {sha256} is stored here. Check "
                "LABWM_OBJECTS_URL, or restore a backup."
            ) from error
        except OSError as error:
            raise StoreError(
                f"An object can be read by its owner; got: {error}. Mend its rights."
            ) from error
        if (found := hashlib.sha256(content).hexdigest()) != sha256:
            raise IntegrityError(
                f"An object's bytes match its name; those of {sha256} give {found}. "
                "Restore it from a backup."
            )
        return content

    def exists(self, sha256: str) -> bool:
        """Is there an object of that digest?"""
        return self.shelf.has(_place(sha256))

    def orphans(
        self, known: Collection[str], *, older_than: float = GRACE_SECONDS
    ) -> Iterator[str]:
        """Yield digests of objects that nobody knows, `older_than` seconds or more."""
        wanted, before = set(known), time.time() - older_than
        for place in self.shelf.places():
            digest = place.replace("/", "")
            if not _DIGEST.fullmatch(digest) or digest in wanted:
                continue
            if self.shelf.modified(place) <= before:
                yield digest

    def remove(self, sha256: str) -> None:
        """Remove an orphan; without effect where it is gone."""
        self.shelf.remove(_place(sha256))


def open_objects(url: str | None = None) -> ObjectStore:
    """Open the store at a folder or fsspec address, by default the settings'.

    Raises:
        StoreError: If the address is of a kind that nothing here can open.
    """
    return ObjectStore(open_shelf(url or settings.objects_url()))


def _place(sha256: str) -> str:
    if not _DIGEST.fullmatch(sha256):
        raise NotFoundError(
            f"An object is named by 64 hexadecimal digits; got {sha256[:80]!r}. Check "
            "where the name comes from."
        )
    return f"{sha256[:2]}/{sha256[2:]}"
