"""Results of one job as files that are never written again, one per revision.

results/00007.000   the first result of the well at place 7
results/00007.001   what corrected it
results/raw/SHA256  the bytes of a file that results were read from, as it was then
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from labwm.errors import IntegrityError
from labwm.labs import durable
from labwm.labs.lab import Keep, name_only
from labwm.labs.worklist import ReadRow
from labwm.schema import Job, Origin, WellResult


@dataclass(frozen=True)
class ResultFiles:
    """The results of a job, in its folder."""

    folder: Path
    job: Job

    @property
    def done(self) -> frozenset[int]:
        """Places of the wells that have a result."""
        return frozenset(place for place, _ in self._names())

    def store(self, rows: Iterable[ReadRow], origin: Origin, *, raw: bytes) -> None:
        """Store what is new; a result that equals its last one changes nothing.

        Args:
            rows: What was read.
            origin: Of all of it.
            raw: The bytes of the file that it was read from.
        """
        places = {well.name: i for i, well in enumerate(self.job.wells)}
        for row in rows:
            place = places[row.well.name]
            known = [revision for at, revision in self._names() if at == place]
            last = self._read(place, max(known)) if known else None
            if last and (last.readouts, last.measured_at) == (
                row.readouts,
                row.measured_at,
            ):
                continue
            result = WellResult(
                submission_key=self.job.submission_key,
                well=row.well.name,
                readouts=row.readouts,
                origin=origin,
                revision=max(known) + 1 if known else 0,
                measured_at=row.measured_at,
                # Before the result that names it.
                raw_sha256=self._store_raw(raw),
            )
            durable.publish(self._path(place, result.revision), result.canonical_json())

    def results(self, keep: Keep = name_only) -> tuple[WellResult, ...]:
        """Return all results, in the order of the wells, then of the revisions.

        Raises:
            IntegrityError: If one, or what it was read from, cannot be read back.
        """
        results = tuple(self._read(*name) for name in sorted(self._names()))
        for sha256 in dict.fromkeys(result.raw_sha256 for result in results):
            if sha256 is not None and keep(self._raw(sha256)) != sha256:
                raise _changed(self.folder / "raw" / sha256)
        return results

    def _store_raw(self, raw: bytes) -> str:
        folder, sha256 = self.folder / "raw", name_only(raw)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / sha256).exists():
            durable.publish(folder / sha256, raw)
        return sha256

    def _raw(self, sha256: str) -> bytes:
        path = self.folder / "raw" / sha256
        try:
            return path.read_bytes()
        except FileNotFoundError as error:
            raise _changed(path) from error

    def _names(self) -> list[tuple[int, int]]:
        if not self.folder.exists():
            return []
        names = [path.name.split(".") for path in self.folder.glob("[0-9]*.[0-9]*")]
        return [(int(place), int(revision)) for place, revision in names]

    def _path(self, place: int, revision: int) -> Path:
        return self.folder / f"{place:05d}.{revision:03d}"

    def _read(self, place: int, revision: int) -> WellResult:
        path = self._path(place, revision)
        try:
            return WellResult.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise _changed(path) from error


def _changed(path: Path) -> IntegrityError:
    return IntegrityError(
        f"A result is never changed once it is written; got {path}, which cannot be "
        "read back. Restore it from a backup."
    )
