"""The labs that come with this room, by name.

The virtual lab is not among them: it needs a world model, which lies on a higher floor.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from labwm.errors import NotFoundError, suggest
from labwm.labs.lab import ComputingLab
from labwm.labs.replay import replay_lab
from labwm.labs.xtb import xtb_lab
from labwm.schema import Measurement, Protocol

OpenLab = Callable[[Path, Protocol, tuple[Measurement, ...]], ComputingLab]


def _xtb(
    folder: Path, protocol: Protocol, measurements: tuple[Measurement, ...]
) -> ComputingLab:
    del measurements  # it needs no table
    return xtb_lab(folder, protocol)


ADAPTERS: Final[Mapping[str, OpenLab]] = {"replay": replay_lab, "xtb": _xtb}
"""For each adapter how it is opened: lab folder, protocol, measured rows if any."""


def open_lab(
    adapter: str,
    folder: Path,
    protocol: Protocol,
    measurements: tuple[Measurement, ...] = (),
) -> ComputingLab:
    """Open a lab of this room.

    Args:
        adapter: One of `ADAPTERS`; the lab has this name.
        folder: Where the lab keeps its jobs.
        protocol: What its jobs are about.
        measurements: What `replay` plays; others need none.

    Raises:
        NotFoundError: If there is no such adapter.
        ProtocolError: If the lab cannot follow the protocol.
    """
    if adapter not in ADAPTERS:
        raise NotFoundError(
            f"A lab is opened by the name of its adapter; got {adapter!r}. "
            f"{suggest(adapter, ADAPTERS)}"
        )
    return ADAPTERS[adapter](folder, protocol, measurements)
