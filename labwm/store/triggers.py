"""Triggers that refuse to change what was appended, for the migrations.

Migrations rely on these texts: a change needs a new function beside the old one.
"""

from collections.abc import Iterator, Sequence

from alembic import op

_POSTGRESQL_FUNCTION = """
CREATE OR REPLACE FUNCTION labwm_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are append-only', TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END $$
"""

_POSTGRESQL_SEAL = """
CREATE OR REPLACE FUNCTION labwm_sealed_origins() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM dataset_rows WHERE dataset_id = NEW.dataset_id) THEN
        RAISE EXCEPTION 'a data set with rows admits no further origin'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$
"""

_SQLITE_SEAL = """
CREATE TRIGGER dataset_origins_sealed BEFORE INSERT ON dataset_origins
WHEN EXISTS (SELECT 1 FROM dataset_rows WHERE dataset_id = NEW.dataset_id)
BEGIN SELECT RAISE(ABORT, 'a data set with rows admits no further origin'); END
"""


_FOLD = (
    "INSERT INTO accounts (shelf, account, unit, free, reserved, used)"
    " SELECT NEW.shelf, NEW.account, NEW.unit, 0, 0, 0 WHERE NOT EXISTS"
    " (SELECT 1 FROM accounts WHERE shelf = NEW.shelf AND account = NEW.account)",
    "UPDATE accounts SET free = free + NEW.free, reserved = reserved + NEW.reserved,"
    " used = used + NEW.used WHERE shelf = NEW.shelf AND account = NEW.account",
)

_WALL = {
    "observations": (
        "an observation has the origin that its content says",
        {
            "sqlite": "json_extract(NEW.body, '$.origin') IS NOT NEW.origin",
            "postgresql": "NEW.body::json ->> 'origin' IS DISTINCT FROM NEW.origin",
        },
    ),
    "dataset_rows": (
        "a data set admits only origins that it declares",
        dict.fromkeys(
            ("sqlite", "postgresql"),
            "NOT EXISTS (SELECT 1 FROM observations o JOIN dataset_origins d"
            " ON d.origin = o.origin WHERE o.campaign_id = NEW.campaign_id"
            " AND o.id = NEW.observation_id AND o.origin = NEW.origin"
            " AND d.dataset_id = NEW.dataset_id)",
        ),
    ),
}
"""Table to rule, and when it is broken, by database. Foreign keys say the second one
as well; a plain connection to SQLite does not ask them."""


def protect(table: str, *unique: Sequence[str]) -> None:
    """Refuse every UPDATE, DELETE and replacement of a table's rows.

    Args:
        table: Name of the table.
        unique: Columns of the primary key and of each other unique constraint;
            SQLite's `INSERT OR REPLACE` deletes rows without asking triggers.
    """
    if op.get_bind().dialect.name == "sqlite":
        statements = _sqlite_triggers(table, unique)
    else:
        statements = _postgresql_triggers(table)
    for statement in statements:
        op.execute(statement)


def seal_origins() -> None:
    """Refuse further origins for a data set that has rows."""
    if op.get_bind().dialect.name == "sqlite":
        op.execute(_SQLITE_SEAL)
        return
    op.execute(_POSTGRESQL_SEAL)
    op.execute(
        "CREATE TRIGGER dataset_origins_sealed BEFORE INSERT ON dataset_origins "
        "FOR EACH ROW EXECUTE FUNCTION labwm_sealed_origins()"
    )


def wall_origins() -> None:
    """Refuse rows whose origin is not the observation's own, or not admitted."""
    dialect = op.get_bind().dialect.name
    for table, (rule, broken) in _WALL.items():
        if dialect == "sqlite":
            op.execute(
                f"CREATE TRIGGER {table}_origin_wall BEFORE INSERT ON {table} "
                f"WHEN {broken[dialect]} BEGIN SELECT RAISE(ABORT, '{rule}'); END"
            )
            continue
        op.execute(
            f"CREATE FUNCTION labwm_{table}_origin_wall() RETURNS trigger "
            f"LANGUAGE plpgsql AS $$ BEGIN IF {broken[dialect]} THEN "
            f"RAISE EXCEPTION '{rule}' USING ERRCODE = 'integrity_constraint_violation'"
            "; END IF; RETURN NEW; END $$"
        )
        op.execute(
            f"CREATE TRIGGER {table}_origin_wall BEFORE INSERT ON {table} "
            f"FOR EACH ROW EXECUTE FUNCTION labwm_{table}_origin_wall()"
        )


def drop_origin_wall() -> None:
    """Take back what `wall_origins` made."""
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    for table in _WALL:
        where = "" if is_sqlite else f" ON {table}"
        op.execute(f"DROP TRIGGER {table}_origin_wall{where}")
        if not is_sqlite:
            op.execute(f"DROP FUNCTION labwm_{table}_origin_wall()")


def _sqlite_triggers(table: str, unique: Sequence[Sequence[str]]) -> Iterator[str]:
    for verb in ("UPDATE", "DELETE"):
        yield (
            f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, 'rows of {table} are append-only'); END"
        )
    for number, columns in enumerate(unique):
        same = " AND ".join(f"{column} = NEW.{column}" for column in columns)
        yield (
            f"CREATE TRIGGER {table}_no_replace_{number} BEFORE INSERT ON {table} "
            f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {same}) "
            f"BEGIN SELECT RAISE(ABORT, '{table} has this row already'); END"
        )


def _postgresql_triggers(table: str) -> Iterator[str]:
    yield _POSTGRESQL_FUNCTION
    yield (
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION labwm_append_only()"
    )
    yield (
        f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION labwm_append_only()"
    )


def fold_entries() -> None:
    """Add each entry to its account in the database itself, which refuses overdrafts.

    An entry in another unit than its account's is refused as well.
    """
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            "CREATE TRIGGER account_entries_unit BEFORE INSERT ON account_entries "
            "WHEN EXISTS (SELECT 1 FROM accounts WHERE shelf = NEW.shelf"
            " AND account = NEW.account AND unit <> NEW.unit)"
            " BEGIN SELECT RAISE(ABORT, 'an account has one unit'); END"
        )
        op.execute(
            "CREATE TRIGGER account_entries_fold AFTER INSERT ON account_entries "
            f"BEGIN {_FOLD[0]}; {_FOLD[1]}; END"
        )
        return
    op.execute(
        "CREATE FUNCTION labwm_fold_entry() RETURNS trigger LANGUAGE plpgsql AS $$ "
        f"BEGIN {_FOLD[0]} ON CONFLICT DO NOTHING; {_FOLD[1]} AND unit = NEW.unit; "
        "IF NOT FOUND THEN RAISE EXCEPTION 'an account has one unit' "
        "USING ERRCODE = 'integrity_constraint_violation'; END IF; "
        "RETURN NEW; END $$"
    )
    op.execute(
        "CREATE TRIGGER account_entries_fold AFTER INSERT ON account_entries "
        "FOR EACH ROW EXECUTE FUNCTION labwm_fold_entry()"
    )


def unfold_entries() -> None:
    """Take back `fold_entries` before its tables go."""
    if op.get_bind().dialect.name != "sqlite":
        op.execute("DROP TRIGGER account_entries_fold ON account_entries")
        op.execute("DROP FUNCTION labwm_fold_entry()")


def unprotect(table: str) -> None:
    """Take back `protect` for a table with one unique constraint."""
    if op.get_bind().dialect.name == "sqlite":
        for name in ("no_update", "no_delete", "no_replace_0"):
            op.execute(f"DROP TRIGGER {table}_{name}")
        return
    for name in ("append_only", "no_truncate"):
        op.execute(f"DROP TRIGGER {table}_{name} ON {table}")
