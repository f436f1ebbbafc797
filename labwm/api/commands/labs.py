"""`labwm lab list|check|work|serve|install`."""

import os
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from labwm import campaign, settings
from labwm.api.terminal import lines, out
from labwm.errors import UnavailableError

NoWork = Annotated[
    bool, Parameter(negative=(), help="Accept jobs and leave them to somebody else.")
]


def list_all() -> None:
    """List the labs."""
    lines(campaign.list_labs())


def check(name: str) -> None:
    """Check that a lab can work here.

    Args:
        name: Name of the lab.
    """
    lines(campaign.check_lab(name))


def install(name: str) -> None:
    """Make the environment of a program whose pins do not fit beside labwm's.

    Args:
        name: allotropy or opentrons.
    """
    lines(campaign.install_lab(name))


def work(name: str) -> None:
    """Run the jobs that wait in a lab's folder.

    Args:
        name: Name of the lab.
    """
    n_done = campaign.work_lab(name, say=lambda text: lines([text]))
    lines([f"{name}: {n_done} {'experiment' if n_done == 1 else 'experiments'} done"])


def serve(
    protocol: str,
    *,
    data: str,
    folder: Path,
    port: int = 8400,
    notify: str | None = None,
    no_work: NoWork = False,
) -> None:
    """Serve a lab that plays a table to campaigns with the lab `http`.

    The bearer key that it asks for is taken from LABWM_LAB_KEY, the secrets that its
    notices are signed with from LABWM_HOOK_SECRETS.

    Args:
        protocol: Name of a shipped protocol, or a protocol file: that of the campaigns.
        data: Catalogue name or table to play.
        folder: Where the lab keeps its jobs; a server that was killed goes on there.
        port: Port to listen on, on loopback; 0 takes any free one.
        notify: Where to post a signed notice when a job has results, for example
            http://127.0.0.1:8300/v1/notices; nobody is told without.
    """
    secret = os.environ.get("LABWM_LAB_KEY", "").strip()
    if not secret:
        raise UnavailableError(
            "A lab server asks for a bearer key; LABWM_LAB_KEY is not set. Set it to a "
            "long random text, here and where campaigns run."
        )
    from labwm.api.lab_notifier import Notifier
    from labwm.api.lab_server import create_lab_app
    from labwm.api.rest import run_server
    from labwm.campaign.dispatch import served_lab
    from labwm.campaign.webhooks import secrets_in

    lab = served_lab(protocol, data, folder)
    notifier = None
    if notify is not None:
        notifier = Notifier(lab, notify, secrets_in(settings.hook_secrets()))
    app = create_lab_app(lab, secret=secret, is_working=not no_work, notifier=notifier)
    run_server(app, host="127.0.0.1", port=port, say=_say)


def _say(text: str) -> None:
    out.print(text, markup=False)
    out.file.flush()
