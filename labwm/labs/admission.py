"""What every lab checks before it accepts a job: its key, its address, its protocol."""

from re import fullmatch

from labwm.errors import DuplicateError, LabError, NotFoundError, UnsupportedError
from labwm.schema import Job

_KEY = r"[a-z0-9][a-z0-9-]{7,63}"


def is_key(text: str) -> bool:
    """Could this be a submission key? What is none is never a path or an address."""
    return fullmatch(_KEY, text) is not None


def check_key(text: str) -> None:
    """Refuse what could not be a submission key.

    Raises:
        LabError: If it could not.
    """
    if not is_key(text):
        raise LabError(
            "A submission key has 8 to 64 lower case letters, digits and '-'; got "
            f"{text!r}. Pass the key of a job."
        )


def check_address(job: Job, *, lab: str, protocol_sha256: str) -> None:
    """Refuse a job for another lab or another protocol.

    Raises:
        LabError: If it is for another.
    """
    if job.lab != lab:
        raise LabError(
            f"A job names the lab that it is sent to; got {job.lab!r} at {lab!r}. Send "
            f"it to {job.lab!r}."
        )
    if job.protocol_sha256 != protocol_sha256:
        raise LabError(
            f"Lab {lab!r} follows the protocol {protocol_sha256[:12]}; got a job for "
            f"{job.protocol_name!r} version {job.protocol_version}, "
            f"{job.protocol_sha256[:12]}. Open the lab with the job's protocol."
        )


def refused(submission_key: str) -> LabError:
    """Return the error of a job whose key was refused for ever."""
    return LabError(
        f"A key that was refused is never accepted; got {submission_key!r}. Make a new "
        "job with a new key."
    )


def other_content(submission_key: str) -> DuplicateError:
    """Return the error of a key that stands for another job."""
    return DuplicateError(
        f"A submission key stands for one job for ever; got {submission_key!r} with "
        "another content. Use a new key."
    )


def undeclared(capability: str, *, lab: str, instead: str) -> UnsupportedError:
    """Return the error of a call that a lab does not declare."""
    return UnsupportedError(
        f"A lab does what its capabilities declare; {lab!r} does not declare "
        f"{capability!r}. {instead}"
    )


def unknown(submission_key: str, *, lab: str) -> NotFoundError:
    """Return the error of a key that a lab never accepted."""
    return NotFoundError(
        f"A job is known by its submission key; got {submission_key!r}, which {lab!r} "
        "never accepted. Submit the job first."
    )
