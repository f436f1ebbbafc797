"""Results as measurements, and what is asked of them before they are taken in."""

from collections.abc import Iterable, Sequence

from labwm.errors import LabError
from labwm.schema import Job, Measurement, Origin, WellResult
from labwm.store import Writer

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
