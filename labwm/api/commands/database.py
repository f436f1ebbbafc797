"""`labwm db upgrade|downgrade|backup|verify` and `labwm doctor`."""

from pathlib import Path

from labwm import campaign
from labwm.api.terminal import lines


def upgrade() -> None:
    """Bring the ledger to this program's revision, after a backup."""
    lines([campaign.upgrade_database()])


def downgrade() -> None:
    """Take the ledger back to the release before this one, after a backup."""
    lines([campaign.downgrade_database()])


def backup(file: Path) -> None:
    """Copy the ledger to a file while it is in use.

    Args:
        file: File that does not exist yet.
    """
    lines([campaign.backup_database(file)])


def verify() -> None:
    """Check every campaign's chain and fold it again."""
    lines(campaign.verify_database() or ("no campaigns to verify",))


def doctor() -> int:
    """Say what is where, and what is wrong with it; exit status 1 if anything is."""
    found = campaign.doctor()
    lines(found)
    return 1 if any(line.startswith("PROBLEM") for line in found) else 0
