"""The only module that speaks to labs.

Transaction 1 stores the intent, then comes I/O, transaction 2 stores what the lab said.
After a crash between the two the job is in doubt, and three rules decide: a lab that
deduplicates by key is sent the same key again; a lab that only answers queries is told
to refuse the key before anything new exists; any other waits for a person.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from labwm import settings
from labwm.campaign.amendments import versions_of
from labwm.campaign.batches import NEEDS_PERSON, NEVER_ARRIVED
from labwm.campaign.books import Books, books
from labwm.campaign.lease import Lease
from labwm.campaign.moments import Moment, reached
from labwm.campaign.results import is_answered, take_in, take_in_ended
from labwm.campaign.situation import Situation, read_situation, read_table
from labwm.campaign.virtual import virtual_lab_of
from labwm.errors import (
    ConflictError,
    InDoubtError,
    LabError,
    UnavailableError,
)
from labwm.labs.folder import FolderLab
from labwm.labs.lab import ComputingLab, Lab
from labwm.labs.registry import build_lab, capabilities_of, lab_names, origin_of_lab
from labwm.labs.replay import replay_lab
from labwm.labs.side import install_side
from labwm.labs.spool import CAPABILITIES, SpoolLab
from labwm.schema import (
    Capabilities,
    Conditions,
    Job,
    JobState,
    Origin,
    Protocol,
    Well,
    WellResult,
)
from labwm.store import SubmissionState

Say = Callable[[str], None]
ServedLab = ComputingLab
"""A lab of this machine that a server speaks for; doors know it by this name."""

_AT_LAB = (
    SubmissionState.SUBMITTING,
    SubmissionState.IN_DOUBT,
    SubmissionState.ACCEPTED,
    SubmissionState.RUNNING,
)
_ENDED = {JobState.FINISHED, JobState.FAILED, JobState.CANCELLED}


def origin_of(lab: str, protocol: Protocol | None = None) -> Origin:
    """Return the origin of everything that a lab of this name returns.

    Raises:
        NotFoundError: If no lab has this name.
        ProtocolError: If the protocol lacks what the lab needs to be reached.
    """
    return Origin.VIRTUAL if lab == "virtual" else origin_of_lab(lab, protocol)


def refuse_protocol(situation: Situation, protocol: Protocol) -> None:
    """Refuse a version of the protocol that the campaign's lab cannot follow.

    Raises:
        ConflictError: If its results would have another origin.
        ProtocolError: If the lab cannot do such experiments.
    """
    lab, origin = situation.opening.lab, situation.origin
    if (found := origin_of(lab, protocol)) is not origin:
        raise ConflictError(
            f"Results of {situation.campaign_id!r} are {origin.value} for ever; under "
            f"the new version they would be {found.value}. Open another campaign."
        )
    if lab not in {"virtual", "replay"}:
        build_lab(lab, protocol=protocol, folder=settings.lab_folder(lab))


def capabilities(lab: str) -> Capabilities:
    """Return what a lab can do; NotFoundError if no lab has this name."""
    # The virtual lab is a spool in a room above the registry.
    return CAPABILITIES if lab == "virtual" else capabilities_of(lab)


def settles_doubt(lab: str) -> bool:
    """Can a job in doubt at this lab be settled without a person?

    Raises:
        NotFoundError: If no lab has this name.
    """
    can = capabilities(lab)
    return can.dedup_by_key or (can.query_by_key and can.refuse_key)


def lab_of(books: Books, situation: Situation, job: Job | None = None) -> Lab:
    """Build the lab of a campaign from what is stored; the same after any crash.

    It follows the version of the protocol that `job` follows; without, the present one.
    """
    opening = situation.opening
    folder = settings.lab_folder(opening.lab) / situation.campaign_id
    protocol = situation.protocol
    if job is not None and job.protocol_version != protocol.version:
        protocol = books.ledger.protocol(job.protocol_name, job.protocol_version)
    table = read_table(books, opening)
    if opening.lab == "virtual":
        return virtual_lab_of(books, situation, protocol, folder)
    lab = build_lab(opening.lab, protocol=protocol, folder=folder, table=table)
    if isinstance(lab, FolderLab) and situation.amendments:
        lab = replace(lab, versions=versions_of(books, situation.amendments))
    return lab


def refusals(
    books: Books, situation: Situation, rows: Sequence[Conditions]
) -> list[str | None]:
    """Say of each experiment why the campaign's lab would refuse it; None if not.

    Before anything is spent: a lab that computes says so without being sent a job, any
    other when it is submitted to.
    """
    lab = lab_of(books, situation)
    if not isinstance(lab, SpoolLab):
        return [None] * len(rows)
    return [_refusal(lab, row) for row in rows]


def _refusal(lab: SpoolLab, row: Conditions) -> str | None:
    try:
        lab.instrument.check(Well(name="asked", proposal_id="asked", conditions=row))
    except LabError as error:
        return str(error)
    return None


def send(books: Books, lease: Lease, lab: Lab, job: Job) -> str:
    """Submit a reserved job once; return what happened, in words.

    Raises:
        InDoubtError: If the lab's answer is unknown; the job stays in doubt.
    """
    with lease.write(books) as w:
        w.move_job(job.submission_key, SubmissionState.SUBMITTING)
    reached(Moment.INTENDED)
    try:
        answer = lab.submit(job)
    except InDoubtError:
        with lease.write(books) as w:
            w.move_job(job.submission_key, SubmissionState.IN_DOUBT)
        raise
    except UnavailableError as error:
        if lab.capabilities.computes:
            raise
        # Not sent, but stored as if it were: the same key settles that too.
        with lease.write(books) as w:
            w.move_job(job.submission_key, SubmissionState.IN_DOUBT)
        raise InDoubtError(str(error)) from error
    except LabError as error:
        _fail(books, lease, job, reason=str(error))
        return f"the lab refused: {error}"
    reached(Moment.SENT)
    _accept(books, lease, job, external_id=answer.external_id)
    return "sent again, known already" if answer.is_duplicate else "sent"


def reconcile(books: Books, lease: Lease, lab: Lab, job: Job) -> str | None:
    """Settle a job whose acknowledgement was lost; None if a person must.

    Raises:
        InDoubtError: If the lab gives no answer now either.
    """
    try:
        return _settle(books, lease, lab, job)
    except UnavailableError as error:
        if lab.capabilities.computes:
            raise
        raise InDoubtError(str(error)) from error


def _settle(books: Books, lease: Lease, lab: Lab, job: Job) -> str | None:
    can = lab.capabilities
    if can.dedup_by_key:
        return _send_again(books, lease, lab, job)
    if not can.query_by_key:
        return None
    status = lab.status(job.submission_key)
    if status.state is JobState.UNKNOWN and can.refuse_key:
        status = lab.refuse(job.submission_key)
    if status.state is not JobState.UNKNOWN:
        _accept(books, lease, job, external_id=None)
        return "the acknowledgement was lost; the lab knows the job"
    if not can.refuse_key:
        return None
    reason = "the lab never saw it and refuses its key from now on"
    _fail(books, lease, job, reason=reason, never_arrived=True)
    return "the job never arrived and its key is refused; it goes under a new one"


def _send_again(books: Books, lease: Lease, lab: Lab, job: Job) -> str:
    """Send the same key to a lab that deduplicates; what it refuses now has failed."""
    try:
        answer = lab.submit(job)
    except InDoubtError:
        raise
    except LabError as error:
        # It may check a job before it looks whether it has it: only its own word that
        # it knows no such job makes the refusal final.
        if lab.status(job.submission_key).state is JobState.UNKNOWN:
            _fail(books, lease, job, reason=str(error))
            return f"the lab refused: {error}"
        _accept(books, lease, job, external_id=None)
        return "the acknowledgement was lost; the lab knows the job"
    reached(Moment.SENT)
    _accept(books, lease, job, external_id=answer.external_id)
    return "the acknowledgement was lost; the same key was sent again"


def _accept(books: Books, lease: Lease, job: Job, *, external_id: str | None) -> None:
    with lease.write(books) as w:
        w.move_job(
            job.submission_key,
            SubmissionState.ACCEPTED,
            {"external_id": external_id},
        )


def _fail(
    books: Books, lease: Lease, job: Job, *, reason: str, never_arrived: bool = False
) -> None:
    detail = {"reason": reason, NEVER_ARRIVED: never_arrived}
    with lease.write(books) as w:
        w.move_job(job.submission_key, SubmissionState.FAILED, detail)


def gather(books: Books, lease: Lease, lab: Lab, job: Job, *, say: Say) -> JobState:
    """Let a computing lab work, take in every result, and return the job's state.

    A lab that does not answer now is one that is still working. A lab that no longer
    knows a job that it accepted leaves it in doubt.

    Raises:
        LabError: If a result has another origin than the lab.
    """
    try:
        return _gather(books, lease, lab, job, say=say)
    except UnavailableError as error:
        if lab.capabilities.computes:
            raise
        say(f"round {job.round + 1}: {error}")
        return JobState.RUNNING


def _gather(books: Books, lease: Lease, lab: Lab, job: Job, *, say: Say) -> JobState:
    key = job.submission_key
    status = lab.status(key)
    if status.state is JobState.UNKNOWN:
        return _lost(books, lease, lab, key)
    reached(Moment.POLLED)
    if isinstance(lab, ComputingLab):
        n_done = status.n_done

        def progress(result: WellResult) -> None:
            nonlocal n_done
            reached(Moment.MEASURED)
            n_done += result.submission_key == key
            done = f"{n_done} of {len(job.wells)} wells"
            say(f"round {job.round + 1}: {done}: {_show(result)}")

        lab.work(progress=progress)
        status = lab.status(key)
    # After the state: what a job that has ended gave is there.
    state, n_came = status.state, take_in(books, lease, lab, job)
    if state in _ENDED and n_came < (n_told := min(status.n_done, len(job.wells))):
        say(f"round {job.round + 1}: results of {n_came} of {n_told} wells came")
        state = JobState.RUNNING  # an answer that was cut: the rest is asked for again
    if state not in _ENDED and is_answered(books, key):
        # People said what became of every well: nothing is left to wait for, and what
        # the lab sends nevertheless is taken in as late.
        state = JobState.FINISHED
    if state in _ENDED:
        with lease.write(books) as w:
            w.move_job(key, SubmissionState(state.value))
        reached(Moment.FINISHED)
    if not isinstance(lab, ComputingLab):
        take_in_ended(books, lease, lab, job)
    return state


def _lost(books: Books, lease: Lease, lab: Lab, key: str) -> JobState:
    # What a lab of people or instruments spent is unknown, and its promise to know a
    # key again is broken: the same key is not sent again unless a person says so.
    detail = {
        "reason": "the lab no longer knows the job that it accepted",
        NEEDS_PERSON: not isinstance(lab, ComputingLab),
    }
    with lease.write(books) as w:
        w.move_job(key, SubmissionState.IN_DOUBT, detail)
    return JobState.UNKNOWN


def _show(result: WellResult) -> str:
    shown = [
        f"{name} {value.value:.4g}"
        if value.value is not None
        else f"{name} {value.status}{': ' + value.reason if value.reason else ''}"
        for name, value in result.readouts.items()
    ]
    return ", ".join(shown)


def served_lab(protocol_name: str, data: str, folder: Path) -> ServedLab:
    """Build the lab that a reference server speaks for: it plays a table.

    Args:
        protocol_name: The protocol of the campaigns that will send jobs.
        data: Catalogue name or file of the table, as for a campaign.
        folder: Where it keeps its jobs.

    Raises:
        InvalidInputError: If protocol or table break a rule.
        NotFoundError: If there is no such protocol or table.
    """
    from labwm.data.assay import read_assay
    from labwm.data.protocols import load_protocol
    from labwm.space.questions import questions_from
    from labwm.space.space import pool_of, with_levels

    protocol = load_protocol(protocol_name)
    assay = read_assay(data, protocol, origin=Origin.REPLAYED)
    # As a campaign opened on this table does: both follow one protocol.
    rows = [measurement.conditions for measurement in assay.measurements]
    pool = pool_of(questions_from(protocol, rows))
    return replay_lab(
        folder, with_levels(protocol, pool), assay.measurements, name="http"
    )


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
    can = capabilities(name)
    claims = [
        f"{claim}: {'yes' if value else 'no'}"
        for claim, value in can.model_dump().items()
    ]
    return (f"{name}: {origin.value} results", *claims)


def install_lab(name: str) -> tuple[str, ...]:
    """Make the environment of a program that cannot live beside labwm.

    Raises:
        NotFoundError: If no environment has this name.
        LeaseHeldError: If somebody else makes it now.
        UnavailableError: If pip cannot install what it needs.
    """
    return (f"{name}: {install_side(name)}",)


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
        sent_jobs = store.ledger.jobs(row.id, states=_AT_LAB)
        if row.state != "open" or not sent_jobs:
            continue
        situation = read_situation(store, row.id)
        for sent in sent_jobs if situation.opening.lab == name else ():
            lab = lab_of(store, situation, sent.job)
            if isinstance(lab, ComputingLab):
                n_done += lab.work(
                    progress=lambda result: say(_show(result)) if say else None
                )
    return n_done
