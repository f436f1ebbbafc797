"""`labwm lab list|check|work`."""

from labwm import campaign
from labwm.api.terminal import lines


def list_all() -> None:
    """List the labs."""
    lines(campaign.list_labs())


def check(name: str) -> None:
    """Check that a lab can work here.

    Parameters
    ----------
    name: Name of the lab.
    """
    lines(campaign.check_lab(name))


def work(name: str) -> None:
    """Run the jobs that wait in a lab's folder.

    Parameters
    ----------
    name: Name of the lab.
    """
    n_done = campaign.work_lab(name, say=lambda text: lines([text]))
    lines([f"{name}: {n_done} {'experiment' if n_done == 1 else 'experiments'} done"])
