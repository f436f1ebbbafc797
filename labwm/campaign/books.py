"""The campaign's hold on the store: one ledger and one object store per process."""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from labwm import settings
from labwm.store import Ledger, ObjectStore, open_objects


@dataclass(frozen=True)
class Books:
    """Where everything that happened is written."""

    ledger: Ledger
    objects: ObjectStore


MOST_OPEN: Final = 8
"""Ledgers that are held open; a process has one, unless its settings change."""
_held: OrderedDict[tuple[str, str], Books] = OrderedDict()
_holding = threading.Lock()


def books() -> Books:
    """Open the ledger and the object store that the settings name.

    Raises:
        SchemaRevisionError: If the database is of another revision.
        StoreError: If it cannot be reached.
    """
    place = settings.database_url(), settings.objects_url()
    with _holding:
        if place not in _held:
            _held[place] = Books(Ledger.open(place[0]), open_objects(place[1]))
        _held.move_to_end(place)
        while len(_held) > MOST_OPEN:
            _, oldest = _held.popitem(last=False)
            oldest.ledger.close()
        return _held[place]
