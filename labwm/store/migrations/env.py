"""Alembic's entry: run migrations on the connection that `labwm` opened."""

from alembic import context

from labwm.store import machine_tables
from labwm.store.tables import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=machine_tables.metadata,
    version_table=VERSION_TABLE,
    # SQLite runs DDL in transactions once `BEGIN` is ours: all migrations or none.
    transactional_ddl=True,
)
context.run_migrations()
