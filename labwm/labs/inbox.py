"""Files that come in: taken only when whole, read whole or put aside with a reason.

    inbox/KEY.anything.csv     whoever works puts results here
    read/HASH-SIZE-NAME        what was read, kept as it came
    quarantine/HASH-NAME       what could not be read; NAME.reason.txt says why

A file is whole when it has a marker `NAME.done` beside it, or when nothing about it
changed for some seconds. One that grows after it was read is read again.
"""

import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from labwm.errors import InvalidInputError, UnavailableError
from labwm.labs import durable
from labwm.labs.lease import lease

DONE = ".done"
_UNFINISHED = (".tmp", ".part", ".partial", ".crdownload", "~", DONE)
_SUFFIXES = (".csv", ".tsv", ".txt", ".xlsx")

_READ = re.compile(r"(?P<digest>[0-9a-f]{12})-(?P<size>[0-9]+)-(?P<name>.+)")

Take = Callable[[Path, str], None]
"""Reads a file that came under a name and stores what it says; again changes nothing.

Raises `InvalidInputError` before it stored anything if the file cannot be read.
"""


@dataclass(frozen=True)
class Inbox:
    """Where results arrive.

    Attributes:
        folder: Holds `inbox`, `read` and `quarantine`.
        settle_seconds: How long a file without a marker must have been left alone.
    """

    folder: Path
    settle_seconds: float

    def prepare(self) -> None:
        """Make the folders, so that people find them."""
        for name in ("inbox", "read", "quarantine"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)

    def receive(self, take: Take) -> None:
        """Take every whole file, the oldest first; one process at a time does it."""
        if not (self.folder / "inbox").exists():
            return
        with lease(self.folder / ".inbox-lease") as is_mine:
            if not is_mine:
                return  # who holds it takes them now
            for path in sorted(self._whole(), key=_arrived):
                self._take(path, take)

    def _take(self, path: Path, take: Take) -> None:
        known = _READ.fullmatch(path.name) if path.parent.name == "read" else None
        name = known["name"] if known else path.name
        digest, size = _fingerprint(path)
        try:
            take(path, name)
        except (InvalidInputError, UnavailableError) as error:
            target = self.folder / "quarantine" / f"{digest}-{name}"
            reason = f"[{error.code}] {error}\n".encode()
            durable.publish(target.with_name(target.name + ".reason.txt"), reason)
        else:
            # The size before it was read: one that grew meanwhile or later is seen.
            target = self.folder / "read" / f"{digest}-{size}-{name}"
        marker = path.with_name(path.name + DONE)
        # Equal bytes under an equal name: replacing loses nothing.
        os.rename(path, target)
        marker.unlink(missing_ok=True)
        durable.sync_folder(target.parent)

    def _whole(self) -> Iterator[Path]:
        now = time.time()
        for path in (self.folder / "inbox").iterdir():
            is_table = path.name.lower().endswith(_SUFFIXES)
            if path.name.startswith(".") or path.name.endswith(_UNFINISHED):
                continue
            if not (is_table and path.is_file()):
                continue
            is_marked = path.with_name(path.name + DONE).exists()
            # ctime changes with every write and rename, and nobody can set it back.
            if is_marked or now - path.stat().st_ctime >= self.settle_seconds:
                yield path
        for path in (self.folder / "read").iterdir():
            state, known = path.stat(), _READ.fullmatch(path.name)
            has_grown = known is not None and state.st_size != int(known["size"])
            if has_grown and now - state.st_ctime >= self.settle_seconds:
                yield path


def _arrived(path: Path) -> tuple[int, str]:
    return path.stat().st_mtime_ns, path.name


def _fingerprint(path: Path) -> tuple[str, int]:
    try:
        content = path.read_bytes()
    except PermissionError:
        return "unreadable00", 0  # reading it says so again, and puts it aside
    return hashlib.sha256(content).hexdigest()[:12], len(content)
