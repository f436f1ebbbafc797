"""Every error that labwm raises on purpose.

    LabwmError
    ├── InvalidInputError       what was handed in breaks a rule (exit 2, HTTP 422)
    │   ├── ProtocolError          a protocol file or record; carries the line
    │   ├── TableError             a table, its columns, units or values
    │   ├── MoleculeError          a SMILES that cannot be read or kept whole
    │   ├── UnitError              a unit that is unknown or does not fit
    │   ├── SpaceError             conditions outside the declared space
    │   │   └── ExhaustedError     every candidate was tried
    │   └── NotEnoughDataError     fewer measurements than a model needs
    ├── NotFoundError          a name or identifier that nobody knows (exit 3, HTTP 404)
    ├── ConflictError          the request contradicts what is stored (exit 4, HTTP 409)
    │   ├── DuplicateError         same name or version, other content
    │   ├── IllegalTransitionError a state machine refuses the step
    │   ├── LeaseHeldError         somebody else moves this campaign
    │   └── StaleTokenError        the lease was lost while working
    ├── ForbiddenError         the principal may not do this (exit 5, HTTP 403)
    │   └── UnauthenticatedError   no key, or one that is not valid (HTTP 401)
    ├── StoreError             ledger or objects cannot serve (exit 6, HTTP 503)
    │   ├── IntegrityError         stored content does not match its hash or chain
    │   └── SchemaRevisionError    the database is of another revision
    ├── LabError               a lab refused or broke (exit 7, HTTP 502)
    │   ├── InDoubtError           it is unknown whether the lab accepted a job
    │   └── UnsupportedError       the lab does not declare what was asked of it
    └── UnavailableError           a file, program or port is absent (exit 8, HTTP 503)

A message states the rule, then the value met, then the remedy.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import ClassVar


class LabwmError(Exception):
    """Base of every deliberate error; `code` is stable, the message is for people."""

    code: ClassVar[str] = "labwm"
    exit_status: ClassVar[int] = 1
    http_status: ClassVar[int] = 500


class InvalidInputError(LabwmError):
    """Input breaks a stated rule."""

    code = "invalid-input"
    exit_status = 2
    http_status = 422


class ProtocolError(InvalidInputError):
    """A protocol is malformed; the message starts with `file:line` where known."""

    code = "invalid-protocol"


class TableError(InvalidInputError):
    """A table, one of its columns, or one of its values breaks a rule."""

    code = "invalid-table"


class MoleculeError(InvalidInputError):
    """A SMILES cannot be parsed, embedded, or standardised without loss."""

    code = "invalid-molecule"


class UnitError(InvalidInputError):
    """A unit is unknown or has another dimension than asked for."""

    code = "invalid-unit"


class SpaceError(InvalidInputError):
    """Conditions lie outside the declared space, or the space cannot be used so."""

    code = "outside-space"


class ExhaustedError(SpaceError):
    """Every candidate was measured, failed or is pending."""

    code = "exhausted"


class NotEnoughDataError(InvalidInputError):
    """There are fewer measurements than the computation needs."""

    code = "not-enough-data"


class NotFoundError(LabwmError):
    """Nothing is known by that name."""

    code = "not-found"
    exit_status = 3
    http_status = 404


class ConflictError(LabwmError):
    """The request contradicts what is stored."""

    code = "conflict"
    exit_status = 4
    http_status = 409


class DuplicateError(ConflictError):
    """The same name, version or key was stored before with other content."""

    code = "duplicate"


class IllegalTransitionError(ConflictError):
    """A state machine has no such step from the present state."""

    code = "illegal-transition"


class LeaseHeldError(ConflictError):
    """Another holder is moving this campaign now."""

    code = "lease-held"


class StaleTokenError(ConflictError):
    """The lease expired and another holder took over; nothing was written."""

    code = "stale-token"


class ForbiddenError(LabwmError):
    """The principal is known and may not do this."""

    code = "forbidden"
    exit_status = 5
    http_status = 403


class UnauthenticatedError(ForbiddenError):
    """There is no key, or it is not valid."""

    code = "unauthenticated"
    http_status = 401


class StoreError(LabwmError):
    """The ledger or the object store cannot serve."""

    code = "store"
    exit_status = 6
    http_status = 503


class IntegrityError(StoreError):
    """Stored content does not match its hash or its chain."""

    code = "integrity"


class SchemaRevisionError(StoreError):
    """The database is of another revision than this program."""

    code = "schema-revision"


class LabError(LabwmError):
    """A lab refused a request or broke."""

    code = "lab"
    exit_status = 7
    http_status = 502


class InDoubtError(LabError):
    """It is unknown whether the lab accepted a job; nothing is sent again blindly."""

    code = "in-doubt"


class UnsupportedError(LabError):
    """A lab was asked for something that its capabilities do not declare."""

    code = "unsupported"
    http_status = 501


class UnavailableError(LabwmError):
    """A file, mirror, program or port that is needed is absent."""

    code = "unavailable"
    exit_status = 8
    http_status = 503


def suggest(name: str, known: Iterable[str]) -> str:
    """Return a sentence naming the nearest known name, or all of them when few.

    >>> suggest("yeild", ["yield", "cost"])
    "Did you mean 'yield'?"
    >>> suggest("x", ["yield", "cost"])
    "Known: 'cost', 'yield'."
    """
    names = sorted(set(known))
    if close := get_close_matches(name, names, n=1):
        return f"Did you mean {close[0]!r}?"
    if not names:
        return "None are known yet."
    shown = ", ".join(repr(known_name) for known_name in names[:12])
    return f"Known: {shown}{', …' if len(names) > 12 else ''}."
