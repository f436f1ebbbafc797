"""What is asked of results before they are taken in, and what does not fit anywhere."""

from collections.abc import Sequence

from labwm.errors import LabError
from labwm.schema import Origin, WellResult
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


def keep_unplanned(w: Writer, results: Sequence[WellResult]) -> None:
    """Keep results of wells that nobody planned in the chain, each once."""
    if not results:
        return
    known = {event.body["sha256"] for event in w.events(UNPLANNED)}
    for result in results:
        digest = result.digest()
        if digest not in known:
            body = {"sha256": digest, "result": result.model_dump(mode="json")}
            w.event(UNPLANNED, body)
