"""Look after the ledger: upgrade, back up, verify, diagnose."""

from pathlib import Path

from labwm import settings
from labwm.campaign.books import books
from labwm.campaign.situation import objects_of
from labwm.errors import LabwmError
from labwm.store import shown_address


def upgrade_database() -> str:
    """Migrate the ledger to this program's revision, after a backup.

    Raises:
        SchemaRevisionError: If a newer labwm made the database.
    """
    from labwm.store.migrate import upgrade

    done = upgrade(settings.database_url())
    if done.before == done.after:
        return f"revision {done.after}: nothing to do"
    kept = f"; the state before is kept in {done.backup}" if done.backup else ""
    return f"revision {done.before or 'none'} → {done.after}{kept}"


def downgrade_database() -> str:
    """Take the ledger back to the release before this one, after a backup.

    Raises:
        SchemaRevisionError: If it is of another revision than this program's.
    """
    from labwm.store.migrate import downgrade

    done = downgrade(settings.database_url())
    return (
        f"revision {done.before} → {done.after}; the state before is kept in "
        f"{done.backup}. Install the release before this one to go on."
    )


def backup_database(path: Path) -> str:
    """Copy the ledger to a new file while it is in use.

    Raises:
        InvalidInputError: If the file exists.
        UnavailableError: If there is no ledger, or PostgreSQL's `pg_dump` is absent.
    """
    from labwm.store.migrate import backup

    return f"backed up to {backup(settings.database_url(), path)}"


def verify_database() -> tuple[str, ...]:
    """Check every campaign's chain, fold it again, read its objects; a line for each.

    Raises:
        IntegrityError: If a chain, a hash, a folded state or an object does not match.
        NotFoundError: If an object is lost.
    """
    from labwm.store.migrate import verify_database as verify_tables

    ledger = books().ledger
    verify_tables(ledger.engine)
    return tuple(_verify(row.id) for row in ledger.campaigns())


def _verify(campaign_id: str) -> str:
    found = books().ledger.verify(campaign_id)
    for digest in objects_of(books(), campaign_id):
        books().objects.get(digest)
    return (
        f"{campaign_id}: {found.n_events} events, {found.n_records} records and "
        f"{found.n_moves} moves agree; head {found.head_sha256[:12]}"
    )


def doctor() -> tuple[str, ...]:
    """Say what is where, and what is wrong with it."""
    lines = [
        f"home: {settings.home()}",
        f"ledger: {shown_address(settings.database_url())}",
        f"objects: {settings.objects_url()}",
        f"data mirror: {settings.data_mirror() or 'none; public addresses are used'}",
    ]
    mirror = settings.data_mirror()
    if mirror is not None and not mirror.is_dir():
        lines.append(
            f"PROBLEM [unavailable]: LABWM_DATA_MIRROR names a folder; got {mirror}, "
            "which does not exist. Correct it, or unset it."
        )
    return (*lines, *_diagnose())


def _diagnose() -> tuple[str, ...]:
    """Verify all that can be verified: one altered campaign hides no other."""
    from labwm.store.migrate import verify_database as verify_tables

    lines: list[str] = []
    try:
        ledger = books().ledger
        verify_tables(ledger.engine)
        names = [row.id for row in ledger.campaigns()]
    except LabwmError as error:
        return (_problem(error),)
    for name in names:
        try:
            lines.append(_verify(name))
        except LabwmError as error:
            lines.append(_problem(error))
    return tuple(lines)


def _problem(error: LabwmError) -> str:
    return f"PROBLEM [{error.code}]: {error}"
