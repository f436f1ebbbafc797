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
    n_jobs = campaign.work_lab(name)
    lines([f"{name}: {n_jobs} {'job' if n_jobs == 1 else 'jobs'} done"])
