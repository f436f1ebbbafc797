"""The only module that speaks to labs.

Transaction 1 stores the intent, then comes I/O, transaction 2 stores what the lab said.
After a crash between the two the job is in doubt, and three rules decide: a lab that
deduplicates by key is sent the same key again; a lab that only answers queries is told
to refuse the key before anything new exists; any other waits for a person.
"""

import json
from collections.abc import Callable

from labwm import settings
from labwm.campaign.books import Books, books
from labwm.campaign.lease import Lease
from labwm.campaign.situation import Situation, read_situation
from labwm.errors import InDoubtError, LabError
from labwm.labs.lab import ComputingLab, Lab
from labwm.labs.registry import build_lab, capabilities_of, lab_names, origin_of_lab
from labwm.schema import Job, JobState, Measurement, Origin, WellResult
from labwm.store import SubmissionState

Say = Callable[[str], None]

_ENDED = {JobState.FINISHED, JobState.FAILED, JobState.CANCELLED}


def origin_of(lab: str) -> Origin:
    """Return the origin of everything that a lab of this name returns.

    Raises:
        NotFoundError: If no lab has this name.
    """
    return Origin.VIRTUAL if lab == "virtual" else origin_of_lab(lab)


def lab_of(books: Books, situation: Situation) -> Lab:
    """Build the lab of a campaign from what is stored; the same after any crash."""
    opening = situation.opening
    folder = settings.lab_folder(opening.lab) / situation.campaign_id
    table = _read_table(books, opening.table_object)
    if opening.lab == "virtual":
        from labwm.space.questions import observations_from
        from labwm.virtual_lab import build_virtual_lab

        return build_virtual_lab(
            observations_from(situation.protocol, table),
            situation.protocol,
            folder=folder,
            seed=situation.spec.seed,
        )
    return build_lab(
        opening.lab, protocol=situation.protocol, folder=folder, table=table
    )


def send(books: Books, lease: Lease, lab: Lab, job: Job) -> str:
    """Submit a reserved job once; return what happened, in words.

    Raises:
        InDoubtError: If the lab's answer is unknown; the job stays in doubt.
    """
    with lease.write(books) as w:
        w.move_job(job.submission_key, SubmissionState.SUBMITTING)
    try:
        answer = lab.submit(job)
    except InDoubtError:
        with lease.write(books) as w:
            w.move_job(job.submission_key, SubmissionState.IN_DOUBT)
        raise
    except LabError as error:
        with lease.write(books) as w:
            w.move_job(
                job.submission_key, SubmissionState.FAILED, {"reason": str(error)}
            )
        return f"the lab refused: {error}"
    _accept(books, lease, job, external_id=answer.external_id)
    return "sent again, known already" if answer.is_duplicate else "sent"


def reconcile(books: Books, lease: Lease, lab: Lab, job: Job) -> str | None:
    """Settle a job whose acknowledgement was lost; None if a person must."""
    can = lab.capabilities
    if can.dedup_by_key:
        answer = lab.submit(job)
        _accept(books, lease, job, external_id=answer.external_id)
        return "the acknowledgement was lost; the same key was sent again"
    if can.query_by_key:
        status = lab.status(job.submission_key)
        if status.state is JobState.UNKNOWN and can.refuse_key:
            status = lab.refuse(job.submission_key)
        if status.state is not JobState.UNKNOWN:
            _accept(books, lease, job, external_id=None)
            return "the acknowledgement was lost; the lab knows the job"
        if can.refuse_key:
            with lease.write(books) as w:
                reason = "the lab never saw it and refuses its key from now on"
                w.move_job(
                    job.submission_key, SubmissionState.FAILED, {"reason": reason}
                )
            return "the job never arrived and its key is refused; nothing was measured"
    return None


def _accept(books: Books, lease: Lease, job: Job, *, external_id: str | None) -> None:
    with lease.write(books) as w:
        w.move_job(
            job.submission_key,
            SubmissionState.ACCEPTED,
            {"external_id": external_id},
        )


def gather(books: Books, lease: Lease, lab: Lab, job: Job, *, say: Say) -> JobState:
    """Let a computing lab work, take in every result, and return the job's state.

    A computing lab whose folder was lost knows the job no longer: it is in doubt then.

    Raises:
        LabError: If another lab no longer knows a job that it accepted.
    """
    key = job.submission_key
    if lab.status(key).state is JobState.UNKNOWN:
        return _lost(books, lease, lab, key)
    if isinstance(lab, ComputingLab):
        n_done = lab.status(key).n_done

        def progress(result: WellResult) -> None:
            nonlocal n_done
            n_done += result.submission_key == key
            done = f"{n_done} of {len(job.wells)} wells"
            say(f"round {job.round}: {done}: {_show(result)}")

        lab.work(progress=progress)
    _take_in(books, lease, lab, job)
    state = lab.status(key).state
    if state in _ENDED:
        _take_in(books, lease, lab, job)
        with lease.write(books) as w:
            w.move_job(key, SubmissionState(state.value))
    return state


def _lost(books: Books, lease: Lease, lab: Lab, key: str) -> JobState:
    if not isinstance(lab, ComputingLab):
        # What it spent is unknown, and its promise to know a key again is broken.
        raise LabError(
            f"A lab keeps the jobs that it accepted; {lab.name!r} no longer knows "
            f"{key!r}. Ask there what became of it; nothing is sent again."
        )
    with lease.write(books) as w:
        reason = "the lab no longer knows the job that it accepted"
        w.move_job(key, SubmissionState.IN_DOUBT, {"reason": reason})
    return JobState.UNKNOWN


def _take_in(books: Books, lease: Lease, lab: Lab, job: Job) -> None:
    wells = {well.name: well for well in job.wells}
    measurements = [
        Measurement(
            conditions=wells[result.well].conditions,
            readouts=result.readouts,
            origin=lab.origin,
            replicate=wells[result.well].replicate,
            revision=result.revision,
            job_key=job.submission_key,
            well=result.well,
            proposal_id=wells[result.well].proposal_id,
            measured_at=result.measured_at,
            duration=result.duration,
        )
        for result in lab.collect(job.submission_key)
        if result.well in wells
    ]
    with lease.write(books) as w:
        w.add_observations(measurements)


def _show(result: WellResult) -> str:
    shown = [
        f"{name} {value.value:.4g}"
        if value.value is not None
        else f"{name} {value.status}{': ' + value.reason if value.reason else ''}"
        for name, value in result.readouts.items()
    ]
    return ", ".join(shown)


def _read_table(books: Books, table_object: str | None) -> tuple[Measurement, ...]:
    if table_object is None:
        return ()
    rows = json.loads(books.objects.get(table_object))
    return tuple(Measurement.model_validate(row) for row in rows)


def list_labs() -> tuple[str, ...]:
    """Return one line per lab adapter: its name and the origin of its results."""
    names = sorted({*lab_names(), "virtual"})
    return tuple(f"{name}: {origin_of(name).value} results" for name in names)


def check_lab(name: str) -> tuple[str, ...]:
    """Return one line per capability that a lab adapter declares.

    Raises:
        NotFoundError: If no lab has this name.
    """
    origin = origin_of(name)
    can = capabilities_of(name)
    claims = [
        f"{claim}: {'yes' if value else 'no'}"
        for claim, value in can.model_dump().items()
    ]
    return (f"{name}: {origin.value} results", *claims)


def work_lab(name: str, *, say: Say | None = None) -> int:
    """Run what open campaigns have sent to a computing lab; return the wells done.

    Only wells are computed; `advance` takes the results in. Several workers share the
    work: each job has its own lease in the lab's folder.

    Raises:
        NotFoundError: If no lab has this name.
    """
    origin_of(name)
    store = books()
    n_done = 0
    for row in store.ledger.campaigns():
        situation = read_situation(store, row.id)
        if row.state != "open" or situation.opening.lab != name:
            continue
        lab = lab_of(store, situation)
        if isinstance(lab, ComputingLab):
            n_done += lab.work(
                progress=lambda result: say(_show(result)) if say else None
            )
    return n_done
