"""Amend a campaign in children that are killed, and say how it stands after each.

    python amender.py REQUEST.json K...

Each child dies by SIGKILL before the K-th statement that its transaction sends to the
database, or where K is `after`, once the amendment is stored. Nothing is shared with
the child: this process opens no ledger.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Engine, event

from labwm import campaign
from labwm.campaign import opening
from labwm.schema import AmendRequest

opening.POOL_LIMIT = 100


def main(request_file: str, *moments: str) -> None:
    # Loaded once, here: each child would load them again.
    import scipy.stats  # noqa: F401

    import labwm.virtual_lab  # noqa: F401

    request = AmendRequest.model_validate_json(Path(request_file).read_bytes())
    for moment in moments:
        status = in_child(lambda moment=moment: die_amending(request, moment))
        sys.stdout.write(f"{moment} {status} ")
        sys.stdout.flush()
        in_child(lambda: tell(request.campaign_id))


def in_child(work: Callable[[], None]) -> int:
    """Run something in a process of its own; minus the signal if one ended it."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except BaseException as error:  # noqa: BLE001 the parent reads the status
            sys.stderr.write(f"{error!r}\n")
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def die_amending(request: AmendRequest, moment: str) -> None:
    n_sent = 0

    def count(connection, cursor, statement, parameters, context, many) -> None:
        nonlocal n_sent
        # Only the transaction that writes: before it nothing can be half done.
        if not connection.get_execution_options().get("labwm_immediate"):
            return
        n_sent += 1
        if moment != "after" and n_sent == int(moment):
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "before_cursor_execute", count)
    campaign.amend(request)
    if moment == "after":
        os.kill(os.getpid(), signal.SIGKILL)


def tell(campaign_id: str) -> None:
    campaign.verify_database()
    found = campaign.status(campaign_id)
    stands = {
        "n_amendments": len(campaign.amendments(campaign_id)),
        "protocol": found.summary.protocol,
        "approvals": [batch.approval for batch in found.batches],
        "n_own": found.summary.n_own,
        "n_measured": found.summary.n_measured,
    }
    sys.stdout.write(json.dumps(stands) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
