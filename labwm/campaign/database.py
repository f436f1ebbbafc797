"""Look after the ledger: upgrade, back up, verify, diagnose."""

from pathlib import Path

from labwm import settings
from labwm.campaign.books import books
from labwm.errors import LabwmError
from labwm.store import backup, current_revision, upgrade


def upgrade_database() -> str:
    """Migrate the ledger to this program's revision, after a backup."""
    return upgrade(settings.database_url())


def backup_database(path: Path) -> str:
    """Copy the ledger to a file while it is in use.

    Raises:
        ConflictError: If the file exists.
    """
    backup(settings.database_url(), path)
    return f"backed up to {path}"


def verify_database() -> tuple[str, ...]:
    """Check every campaign's chain and fold it again; one line per campaign.

    Raises:
        IntegrityError: If a chain, a hash or a folded state does not match.
    """
    store = books()
    lines: list[str] = []
    for row in store.ledger.campaigns():
        store.ledger.verify(row.id)
        n_events = len(store.ledger.events(row.id))
        lines.append(f"{row.id}: {n_events} events, chain and state agree")
    return tuple(lines)


def doctor() -> tuple[str, ...]:
    """Say what is where, and what is wrong with it."""
    lines = [
        f"home: {settings.home()}",
        f"ledger: {settings.database_url()}, revision "
        f"{current_revision(settings.database_url())}",
        f"objects: {settings.objects_url()}",
        f"data mirror: {settings.data_mirror() or 'none; public addresses are used'}",
    ]
    try:
        lines += verify_database()
    except LabwmError as error:
        lines.append(f"PROBLEM [{error.code}]: {error}")
    return tuple(lines)
