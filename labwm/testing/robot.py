"""Whoever works behind a folder: takes worklists, writes results, knows no labwm."""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

Measure = Callable[[dict[str, str]], dict[str, str]]
"""Takes a row of a worklist and returns the cells to fill in, by header."""


def robot(folder: Path, measure: Measure, n_wells: int | None = None) -> int:
    """Do so many wells of the worklists, or all; returns how many were done.

    Worklists are moved to `taken/` first; what is done is noted in a file of its own,
    so that a robot that starts again does no well twice.
    """
    for offered in sorted((folder / "outbox").glob("*.worklist.csv")):
        offered.rename(folder / "taken" / offered.name)
    n_done = 0
    for taken in sorted((folder / "taken").glob("*.worklist.csv")):
        left = None if n_wells is None else n_wells - n_done
        n_done += _work_on(taken, folder, measure, left)
    return n_done


def _work_on(taken: Path, folder: Path, measure: Measure, left: int | None) -> int:
    note = taken.with_suffix(".note")
    done = set(note.read_text().splitlines()) if note.exists() else set[str]()
    with taken.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["well"] not in done]
    rows = rows[:left]
    if not rows:
        return 0
    filled = [row | measure(row) for row in rows]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(filled[0]))
    writer.writeheader()
    writer.writerows(filled)
    key = taken.name.split(".")[0]
    # Written elsewhere and renamed into place: never half a file.
    staged = folder / f".robot-{uuid4().hex}.tmp"
    staged.write_text(text.getvalue())
    staged.rename(folder / "inbox" / f"{key}.{uuid4().hex[:8]}.csv")
    note.write_text("\n".join([*done, *(row["well"] for row in rows)]))
    return len(rows)
