"""Data sets and the wall between origins.

The database itself keeps the wall: a row of a data set holds its observation's origin
by one foreign key and needs that origin among the admitted ones by another.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, insert, select

from labwm.errors import ConflictError, DuplicateError, NotFoundError
from labwm.schema import Origin
from labwm.store.chain import Author, append_event, utc_now
from labwm.store.content import digest_of_records
from labwm.store.engine import lock_names
from labwm.store.tables import dataset_origins, dataset_rows, datasets, observations


def declare(
    connection: Connection, dataset_id: str, origins: Iterable[Origin], *, actor: str
) -> None:
    """Declare a data set and the origins that it admits, for ever.

    Raises:
        DuplicateError: If there is one of that name.
    """
    lock_names(connection)
    query = select(datasets.c.id).where(datasets.c.id == dataset_id)
    if connection.execute(query).first():
        raise DuplicateError(
            f"A data set is declared once; there is one called {dataset_id!r}. Choose "
            "a new name."
        )
    row = {"id": dataset_id, "at": utc_now(connection), "actor": actor}
    connection.execute(insert(datasets), row)
    names = sorted({str(origin) for origin in origins})
    connection.execute(
        insert(dataset_origins),
        [{"dataset_id": dataset_id, "origin": name} for name in names],
    )


def admitted(connection: Connection, dataset_id: str) -> frozenset[Origin]:
    """Return the origins that a data set admits; none where it does not exist."""
    query = select(dataset_origins.c.origin).where(
        dataset_origins.c.dataset_id == dataset_id
    )
    return frozenset(Origin(name) for name in connection.scalars(query))


def admitted_by_each(connection: Connection) -> dict[str, frozenset[Origin]]:
    """Return the origins that each data set admits."""
    found: defaultdict[str, set[Origin]] = defaultdict(set)
    for dataset_id, origin in connection.execute(select(dataset_origins)):
        found[dataset_id].add(Origin(origin))
    return {name: frozenset(origins) for name, origins in found.items()}


def refuse_origins(
    connection: Connection, dataset_id: str, origins: Iterable[str]
) -> None:
    """Raise ConflictError where a data set does not admit an origin."""
    known = {str(origin) for origin in admitted(connection, dataset_id)}
    if refused := sorted(set(origins) - known):
        raise ConflictError(
            f"A data set takes only the origins that it declares; {dataset_id!r} "
            f"admits {sorted(known)}, got {refused}. Keep them in another data set."
        )


def add_rows(
    connection: Connection, dataset_id: str, rows: Iterable[Mapping[str, Any]]
) -> None:
    """Put stored observations into a data set."""
    connection.execute(
        insert(dataset_rows),
        [
            {
                "dataset_id": dataset_id,
                "campaign_id": row["campaign_id"],
                "observation_id": row["id"],
                "origin": row["origin"],
            }
            for row in rows
        ],
    )


def admit(
    connection: Connection, author: Author, dataset_id: str, ids: Sequence[str]
) -> None:
    """Put observations of the author's campaign into another data set.

    Raises:
        NotFoundError: If one of them is not stored.
        ConflictError: If the data set does not admit their origin, or has them.
    """
    query = select(observations).where(
        observations.c.campaign_id == author.campaign_id, observations.c.id.in_(ids)
    )
    rows = [dict(row) for row in connection.execute(query).mappings()]
    if missing := sorted(set(ids) - {row["id"] for row in rows}):
        raise NotFoundError(
            f"Only stored observations enter a data set; got {missing[:3]}. Store them "
            "first."
        )
    if rows:
        refuse_origins(connection, dataset_id, {row["origin"] for row in rows})
        digest = digest_of_records(row["id"] for row in rows)
        body = {"dataset": dataset_id, "n": len(rows), "sha256": digest}
        append_event(connection, author, "added", body)
        add_rows(connection, dataset_id, rows)
