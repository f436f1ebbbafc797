"""Files that come in: taken only when whole, read whole or put aside with a reason.

    inbox/KEY.anything.csv      whoever works puts results here
    read/HASH-SIZE-NAME         what was read, kept as it came
    quarantine/HASH-SIZE-NAME   what could not be read; NAME.reason.txt says why

A file is whole when it has a marker `NAME.done` beside it, or when nothing about it
changed for some seconds. One whose size changes after it was read or put aside, because
its writer went on or a person corrected it there, is read again.
"""

import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from labwm.errors import InvalidInputError, TableError, UnavailableError
from labwm.labs import durable
from labwm.labs.lease import lease

DONE = ".done"
REASON = ".reason.txt"
_UNFINISHED = (".tmp", ".part", ".partial", ".crdownload", "~", DONE)
_TEXTS = (".csv", ".tsv", ".txt")
_TABLES = (*_TEXTS, ".xlsx")

_KEPT = re.compile(r"(?P<digest>[0-9a-f]{12})-(?P<size>[0-9]+)-(?P<name>.+)")

Take = Callable[[bytes, Path, str], None]
"""Takes the content of a file that lies at a path and came under a name, and stores
what it says; again changes nothing.

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
            for _, path in sorted(self._whole()):
                with suppress(FileNotFoundError):  # somebody took it back
                    self._take(path, take)

    def torn(self) -> tuple[str, ...]:
        """Return the names of files left alone in the middle of a line."""
        if not (self.folder / "inbox").exists():
            return ()
        settled = [path for _, path in self._settled() if _is_torn(path)]
        return tuple(sorted(path.name for path in settled))

    def put_aside(self) -> tuple[str, ...]:
        """Return the names under which the files in quarantine came."""
        found = [path.name for path in (self.folder / "quarantine").glob("*")]
        return tuple(
            sorted(
                known["name"]
                for name in found
                if not name.endswith(REASON) and (known := _KEPT.fullmatch(name))
            )
        )

    def _take(self, path: Path, take: Take) -> None:
        known = None if path.parent.name == "inbox" else _KEPT.fullmatch(path.name)
        name = known["name"] if known else path.name
        # What cannot be read has no digest: a name of its own, so none replaces it.
        kept_as = f"{uuid4().hex[:12]}-{path.stat().st_size}-{name}"
        try:
            content = _content(path)
            digest = hashlib.sha256(content).hexdigest()[:12]
            # The size as it was read: a file that grows meanwhile or later is seen.
            kept_as = f"{digest}-{len(content)}-{name}"
            _check_kind(name)
            take(content, path, name)
        except (InvalidInputError, UnavailableError) as error:
            target = self.folder / "quarantine" / kept_as
            reason = f"[{error.code}] {error}\n".encode()
            durable.publish(target.with_name(target.name + REASON), reason)
        else:
            target = self.folder / "read" / kept_as
        marker = path.with_name(path.name + DONE)
        # Equal bytes under an equal name: replacing loses nothing.
        os.rename(path, target)
        marker.unlink(missing_ok=True)
        durable.sync_folder(target.parent)
        if path.parent.name == "quarantine" and target != path:
            path.with_name(path.name + REASON).unlink(missing_ok=True)

    def _whole(self) -> Iterator[tuple[tuple[int, str], Path]]:
        """Yield what may be taken, with what it is sorted by: when it came."""
        for state, path in self._settled():
            if not _is_torn(path):
                yield (state.st_mtime_ns, path.name), path
        for kept in (self.folder / "read", self.folder / "quarantine"):
            for path in kept.iterdir():
                known, state = _KEPT.fullmatch(path.name), _state(path)
                if known is None or state is None or path.name.endswith(REASON):
                    continue
                is_other = state.st_size != int(known["size"])
                if is_other and self._is_left_alone(state) and not _is_torn(path):
                    yield (state.st_mtime_ns, path.name), path

    def _settled(self) -> Iterator[tuple[os.stat_result, Path]]:
        for path in (self.folder / "inbox").iterdir():
            if path.name.startswith(".") or path.name.lower().endswith(_UNFINISHED):
                continue
            state = _state(path)
            if state is None or not path.is_file():
                continue
            if _is_marked(path) or self._is_left_alone(state):
                yield state, path

    def _is_left_alone(self, state: os.stat_result) -> bool:
        # ctime changes with every write and rename, and nobody can set it back.
        return time.time() - state.st_ctime >= self.settle_seconds


def _is_marked(path: Path) -> bool:
    return path.with_name(path.name + DONE).exists()


def _is_torn(path: Path) -> bool:
    """Does a text end within a line, and nobody says that it is whole?

    The last number of a file that was cut may be a part of the one that was measured.
    """
    if _is_marked(path) or not path.name.lower().endswith(_TEXTS):
        return False
    try:
        with path.open("rb") as file:
            if file.seek(0, os.SEEK_END) < 2:
                return False  # reading it says what is wrong with it
            file.seek(-2, os.SEEK_END)
            end = file.read()
    except OSError:
        return False  # reading it says so again
    # UTF-16 ends a line with a line feed and its other half.
    return not (end.endswith((b"\n", b"\r")) or end in {b"\n\x00", b"\r\x00"})


def _check_kind(name: str) -> None:
    if not name.lower().endswith(_TABLES):
        raise TableError(
            f"Results are a table, {', '.join(_TABLES)}; got {name!r}. Export it as "
            "CSV and put that into the inbox."
        )


def _state(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None  # moved away since the folder was listed


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except PermissionError as error:
        raise UnavailableError(
            f"A table is a readable file; got {path.name}: {error.strerror}. Mend its "
            "rights and put it into the inbox again."
        ) from error
