"""Interpreters of their own for programs whose pins do not fit beside labwm's.

`opentrons` and `allotropy` want an older jsonschema and numpy than Prefect does; no
extra of a package can express that. Each gets an environment in `LABWM_HOME/side/NAME`,
to be called as a program of its own.
"""

import subprocess
import sys
import venv
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from labwm import settings
from labwm.errors import LeaseHeldError, NotFoundError, UnavailableError, suggest
from labwm.labs import durable
from labwm.labs.lease import lease
from labwm.schema import sha256_of

SIDES: Final[Mapping[str, tuple[str, ...]]] = {
    "allotropy": ("allotropy==0.1.150",),
    "opentrons": ("opentrons==8.8.2",),
}
"""What is installed for each name."""


def install_side(name: str) -> Path:
    """Make an environment, unless it is there; return its interpreter.

    Killed at any moment, the next call makes it anew: it counts once all is installed.

    Raises:
        NotFoundError: If no environment has this name.
        LeaseHeldError: If somebody else makes it now.
        UnavailableError: If pip cannot install what it needs.
    """
    folder, wanted = _folder(name), SIDES[name]
    python = folder / "bin" / "python"
    # Its name says what is installed: other requirements, another environment.
    ready = folder / f"ready-{sha256_of([wanted, sys.version])[:16]}"
    if ready.exists():
        return python
    folder.parent.mkdir(parents=True, exist_ok=True)
    with lease(folder.with_name(f".{name}-lease")) as is_mine:
        if not is_mine:
            raise LeaseHeldError(
                f"One process at a time makes an environment; another makes {name!r}. "
                "Wait for it, then ask again."
            )
        venv.EnvBuilder(clear=True, with_pip=True, symlinks=True).create(folder)
        _pip(python, wanted)
        durable.publish(ready, b"")
    return python


def _folder(name: str) -> Path:
    if name not in SIDES:
        raise NotFoundError(
            f"Environments are made for {sorted(SIDES)}; got {name!r}. "
            f"{suggest(name, SIDES)} A package that brings a lab is installed with pip."
        )
    return settings.home() / "side" / name


def _pip(python: Path, wanted: tuple[str, ...]) -> None:
    pip = [str(python), "-m", "pip", "install", "--disable-pip-version-check"]
    done = subprocess.run(
        [*pip, "--quiet", *wanted], capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        raise UnavailableError(
            f"pip installs {', '.join(wanted)}; it said: {last} Mend what it names, "
            "then ask again."
        )
