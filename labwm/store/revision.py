"""Which revision of the tables a database holds, without loading Alembic."""

from typing import Final

from sqlalchemy import Engine, column, inspect, select, table

from labwm.errors import SchemaRevisionError
from labwm.store.tables import VERSION_TABLE

HEAD: Final = "0005"
"""The revision that this program reads and writes."""

RELEASED: Final = "0001"
"""The revision of the release before this one: no downgrade goes further."""


def revision_of(engine: Engine) -> str | None:
    """Return the revision of a database; None where it holds no table at all.

    Raises:
        SchemaRevisionError: If it holds tables of something else.
    """
    with engine.begin() as connection:
        names = inspect(connection).get_table_names()
        if not names:
            return None
        if VERSION_TABLE not in names:
            raise SchemaRevisionError(
                "The ledger has a database to itself; this one holds other tables: "
                f"{', '.join(sorted(names)[:5])}. Point LABWM_DATABASE_URL at an empty "
                "database."
            )
        version = table(VERSION_TABLE, column("version_num"))
        return connection.execute(select(version.c.version_num)).scalar_one_or_none()
