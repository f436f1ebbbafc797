"""The labs that come with this room, by name.

The virtual lab is not among them: it needs a world model, which lies on a higher floor.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from labwm.errors import NotFoundError, suggest
from labwm.labs.lab import ComputingLab
from labwm.labs.replay import replay_lab
from labwm.labs.spool import CAPABILITIES
from labwm.labs.xtb import xtb_lab
from labwm.schema import Capabilities, Measurement, Origin, Protocol


@dataclass(frozen=True)
class Adapter:
    """What is known of a lab before it is built.

    Attributes:
        origin: Origin of everything it returns.
        capabilities: What it can do.
        build: Makes it from its folder, a protocol, and a table if there is one.
    """

    origin: Origin
    capabilities: Capabilities
    build: Callable[[Path, Protocol, Sequence[Measurement]], ComputingLab]


def _xtb(
    folder: Path, protocol: Protocol, table: Sequence[Measurement]
) -> ComputingLab:
    del table  # it computes
    return xtb_lab(folder, protocol)


ADAPTERS: Final[Mapping[str, Adapter]] = {
    "replay": Adapter(Origin.REPLAYED, CAPABILITIES, replay_lab),
    "xtb": Adapter(Origin.COMPUTED, CAPABILITIES, _xtb),
}


def lab_names() -> tuple[str, ...]:
    """Return the names of all labs of this room."""
    return tuple(ADAPTERS)


def origin_of_lab(name: str) -> Origin:
    """Return the origin of everything that a lab returns.

    Raises:
        NotFoundError: If no lab has this name.
    """
    return _adapter(name).origin


def capabilities_of(name: str) -> Capabilities:
    """Return what a lab can do.

    Raises:
        NotFoundError: If no lab has this name.
    """
    return _adapter(name).capabilities


def build_lab(
    name: str, *, protocol: Protocol, folder: Path, table: Sequence[Measurement] = ()
) -> ComputingLab:
    """Make the lab of a name; the same arguments make the same lab after a crash.

    Args:
        name: One of `lab_names()`; jobs address the lab by it.
        protocol: What its jobs are about.
        folder: Where the lab keeps its jobs.
        table: What `replay` plays; others need none.

    Raises:
        NotFoundError: If no lab has this name.
        ProtocolError: If the lab cannot follow the protocol.
        NotEnoughDataError: If `replay` has nothing to play.
        UnavailableError: If a program that the lab needs is not installed.
    """
    return _adapter(name).build(folder, protocol, table)


def _adapter(name: str) -> Adapter:
    if name not in ADAPTERS:
        raise NotFoundError(
            f"A lab is known by the name of its adapter; got {name!r}. "
            f"{suggest(name, ADAPTERS)}"
        )
    return ADAPTERS[name]
