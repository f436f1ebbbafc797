"""The moments of a round after which a process may die, by name.

Tests kill processes exactly there (`labwm.testing.faults.killed_at_moment`), and each
next `advance` must go on as if nothing had happened. A moment is an audit event of
Python: without a hook it costs 0.1 µs, and a hook is code in the same process; no
setting, variable or request can arm one.
"""

import sys
from enum import StrEnum
from typing import Final

EVENT: Final = "labwm.moment"


class Moment(StrEnum):
    """What was stored or done last when the process dies."""

    DRAFTED = "K1"
    """The batch is drafted and awaits approval."""
    APPROVED = "K2"
    """It is approved, and nothing is reserved."""
    RESERVED = "K3"
    """Its job exists, and there is no intent to send it yet."""
    INTENDED = "K4"
    """The intent to send is stored, and nothing was sent."""
    SENT = "K5"
    """The lab answered, and the answer is not stored."""
    POLLED = "K6"
    """The lab said how the job stands, and no result was fetched."""
    COLLECTED = "K7"
    """Raw results were fetched and kept, and none is in the ledger."""
    TAKING_IN = "K8"
    """Results are in the ledger's open transaction, which is not committed."""
    FINISHED = "K9"
    """Every result is stored, and no model has learnt of them."""
    AWAITING = "K10"
    """The campaign waits for a person's approval."""
    MEASURED = "K11"
    """A lab that this process computes for has measured a well."""


def reached(moment: Moment) -> None:
    """Say that this moment has come; nobody listens outside of tests."""
    sys.audit(EVENT, moment.value)
