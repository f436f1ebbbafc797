"""Taking results in: what is asked of them before, and what does not fit anywhere."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Protocol

from labwm.campaign.books import Books
from labwm.campaign.lease import Lease
from labwm.campaign.moments import Moment, reached
from labwm.errors import LabError, NotFoundError, UnavailableError
from labwm.schema import Job, JobState, JobStatus, Measurement, Origin, WellResult
from labwm.store import WellState, Writer
from labwm.store.machines import ENDED

UNPLANNED = "result.unplanned"
"""Kind of the event that keeps a result of a well that the job does not have."""


def refuse_foreign_origin(
    lab: str, origin: Origin, results: Sequence[WellResult]
) -> None:
    """Refuse results that say of themselves to come from elsewhere.

    Raises:
        LabError: If one has another origin than the lab; nothing is taken in then.
    """
    for result in results:
        if result.origin is not origin:
            raise LabError(
                f"Results of {lab!r} are {origin.value}; got {result.origin.value} for "
                f"well {result.well!r} of {result.submission_key!r}. Ask the lab; "
                "nothing was stored."
            )


def measurements_of(
    job: Job, origin: Origin, results: Iterable[WellResult]
) -> list[Measurement]:
    """Return the measurements that results of planned wells are."""
    wells = {well.name: well for well in job.wells}
    return [
        Measurement(
            conditions=wells[result.well].conditions,
            readouts=result.readouts,
            origin=origin,
            replicate=wells[result.well].replicate,
            revision=result.revision,
            job_key=job.submission_key,
            well=result.well,
            proposal_id=wells[result.well].proposal_id,
            measured_at=result.measured_at,
            duration=result.duration,
            raw_sha256=result.raw_sha256,
        )
        for result in results
        if result.well in wells
    ]


def unsaid(
    measurements: Iterable[Measurement], known: Iterable[Measurement]
) -> list[Measurement]:
    """Return what none of the known says; in other bytes it is the same result."""
    said = {_said(measurement) for measurement in known}
    return [m for m in measurements if _said(m) not in said]


def _said(measurement: Measurement) -> str:
    return measurement.model_copy(update={"raw_sha256": None}).digest()


def keep_unplanned(w: Writer, job: Job, results: Iterable[WellResult]) -> None:
    """Keep results of wells that nobody planned in the chain, each once."""
    planned = {well.name for well in job.wells}
    unplanned = [result for result in results if result.well not in planned]
    if not unplanned:
        return
    known = {event.body["sha256"] for event in w.events(UNPLANNED)}
    for result in unplanned:
        digest = result.digest()
        if digest not in known:
            body = {"sha256": digest, "result": result.model_dump(mode="json")}
            w.event(UNPLANNED, body)


class Source(Protocol):
    """The part of a lab that results come from."""

    @property
    def name(self) -> str:
        """Name under which jobs address it."""
        ...

    @property
    def origin(self) -> Origin:
        """Origin of everything it returns."""
        ...

    def status(self, submission_key: str) -> JobStatus:
        """Say how a job stands."""
        ...

    def collect(
        self, submission_key: str, *, keep: Callable[[bytes], str]
    ) -> tuple[WellResult, ...]:
        """Return every result so far; `keep` stores raw bytes and names them."""
        ...


def take_in(books: Books, lease: Lease, lab: Source, job: Job) -> int:
    """Store what is new, raw bytes first; return of how many wells some came."""
    results = lab.collect(job.submission_key, keep=books.objects.put)
    reached(Moment.COLLECTED)
    refuse_foreign_origin(lab.name, lab.origin, results)
    measurements = measurements_of(job, lab.origin, results)
    known = books.ledger.measurements_of_job(job.submission_key)
    with lease.write(books) as w:
        w.add_observations(unsaid(measurements, known))
        keep_unplanned(w, job, results)
        reached(Moment.TAKING_IN)
    return len({result.well for result in results})


def take_in_ended(
    books: Books, lease: Lease, lab: Source, now: Job | None = None
) -> int:
    """Take in what a lab says of earlier jobs: late, corrected, cancelled.

    Returns the number of new results.
    """
    n_new = 0
    for past in books.ledger.jobs(lease.campaign_id, states=ENDED):
        key = past.job.submission_key
        if now is not None and key == now.submission_key:
            continue
        # One question without an answer holds up neither this round nor the other past
        # ones: each is asked again at the next look.
        with suppress(UnavailableError, NotFoundError):
            if lab.status(key).state is not JobState.UNKNOWN:
                n_known = len(books.ledger.measurements_of_job(key))
                take_in(books, lease, lab, past.job)
                n_new += len(books.ledger.measurements_of_job(key)) - n_known
    return n_new


def is_answered(books: Books, key: str) -> bool:
    """Does every well of a job have a result, or was it retracted?"""
    return WellState.PLANNED not in books.ledger.well_states(key).values()
