"""The campaign's hold on the store: one ledger and one object store per process."""

import functools
from dataclasses import dataclass

from labwm import settings
from labwm.store import Ledger, ObjectStore, open_objects


@dataclass(frozen=True)
class Books:
    """Where everything that happened is written."""

    ledger: Ledger
    objects: ObjectStore


def books() -> Books:
    """Open the ledger and the object store that the settings name.

    Raises:
        SchemaRevisionError: If the database is of another revision.
        StoreError: If it cannot be reached.
    """
    return _open(settings.database_url(), settings.objects_url())


@functools.lru_cache(maxsize=8)
def _open(database_url: str, objects_url: str) -> Books:
    return Books(Ledger.open(database_url), open_objects(objects_url))
