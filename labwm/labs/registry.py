"""Labs by name: those of this room, and those that other packages bring.

The virtual lab is not among them: it needs a world model, which lies on a higher floor.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Final

from labwm.errors import (
    ConflictError,
    NotFoundError,
    ProtocolError,
    UnavailableError,
    suggest,
)
from labwm.labs import folder as folder_lab
from labwm.labs import http
from labwm.labs.folder import FolderLab
from labwm.labs.http import HttpLab
from labwm.labs.lab import Lab
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
    build: Callable[[Path, Protocol, Sequence[Measurement]], Lab]


def _xtb(folder: Path, protocol: Protocol, table: Sequence[Measurement]) -> Lab:
    del table  # it computes
    return xtb_lab(folder, protocol)


def _folder(folder: Path, protocol: Protocol, table: Sequence[Measurement]) -> Lab:
    del table  # somebody measures
    given = _settings(protocol, "folder", known={"settle_seconds"})
    settle = given.get("settle_seconds", folder_lab.SETTLE_SECONDS)
    if isinstance(settle, bool | str) or settle < 0:
        raise ProtocolError(
            f"`settle_seconds` is a number of seconds, 0 or more; got {settle!r}. "
            "Correct lab.settings."
        )
    return FolderLab(folder, protocol, settle_seconds=float(settle))


_HTTP_SETTINGS = {"url", "origin", "key_variable", "timeout_seconds"}


def _http(folder: Path, protocol: Protocol, table: Sequence[Measurement]) -> Lab:
    del folder, table  # the lab has its own
    given = _settings(protocol, "http", known=_HTTP_SETTINGS)
    url, timeout = given.get("url"), given.get("timeout_seconds", http.TIMEOUT_SECONDS)
    variable = given.get("key_variable", http.KEY_VARIABLE)
    if not isinstance(url, str) or not isinstance(variable, str):
        raise ProtocolError(
            "The lab 'http' has an address and the name of the variable with its key; "
            f"got url {url!r} and key_variable {variable!r}. Set lab.adapter to http "
            "and lab.settings.url to the address of the lab's server."
        )
    if isinstance(timeout, bool | str) or timeout <= 0:
        raise ProtocolError(
            f"`timeout_seconds` is a number of seconds above 0; got {timeout!r}. "
            "Correct lab.settings."
        )
    return HttpLab(
        url=url,
        protocol_sha256=protocol.digest(),
        origin=_http_origin(protocol),
        key_variable=variable,
        timeout_seconds=float(timeout),
    )


def _http_origin(protocol: Protocol) -> Origin:
    given = _settings(protocol, "http", known=_HTTP_SETTINGS)
    name = str(given.get("origin", Origin.MEASURED.value))
    allowed = [Origin.MEASURED, Origin.COMPUTED, Origin.REPLAYED]
    if name not in [origin.value for origin in allowed]:
        raise ProtocolError(
            f"Results of the lab 'http' have an origin; got {name!r}. "
            f"{suggest(name, [origin.value for origin in allowed])}"
        )
    return Origin(name)


def _settings(
    protocol: Protocol, name: str, *, known: set[str]
) -> dict[str, bool | int | float | str]:
    """Return the settings of a lab, none where the protocol names another lab."""
    if protocol.lab.adapter != name:
        return {}
    if unknown := sorted(set(protocol.lab.settings) - known):
        raise ProtocolError(
            f"Settings of the lab {name!r} are known by name; got {unknown[0]!r}. "
            f"{suggest(unknown[0], known)}"
        )
    return protocol.lab.settings


ADAPTERS: Final[Mapping[str, Adapter]] = {
    "folder": Adapter(Origin.MEASURED, folder_lab.CAPABILITIES, _folder),
    "http": Adapter(Origin.MEASURED, http.CAPABILITIES, _http),
    "replay": Adapter(Origin.REPLAYED, CAPABILITIES, replay_lab),
    "xtb": Adapter(Origin.COMPUTED, CAPABILITIES, _xtb),
}


RESERVED: Final = frozenset({"virtual", "protocol"})
"""Names that stand for something else; no package can take them, nor those above."""
PLUGINS: Final = "labwm.labs"
"""Group of entry points under which other packages bring labs: name to `Adapter`."""


def lab_names() -> tuple[str, ...]:
    """Return the names of all labs of this room, and of those that packages bring."""
    brought = [point.name for point in entry_points(group=PLUGINS)]
    return (*ADAPTERS, *sorted({*brought} - {*ADAPTERS, *RESERVED}))


def origin_of_lab(name: str, protocol: Protocol | None = None) -> Origin:
    """Return the origin of everything that a lab returns.

    A server behind `http` measures unless the protocol says what else it does; the
    server refuses jobs that expect another origin than its own.

    Raises:
        NotFoundError: If no lab has this name.
        ProtocolError: If the protocol cannot be followed by the lab `http`.
    """
    if name == "http" and protocol is not None:
        return _http(Path(), protocol, ()).origin
    return _adapter(name).origin


def capabilities_of(name: str) -> Capabilities:
    """Return what a lab can do.

    Raises:
        NotFoundError: If no lab has this name.
    """
    return _adapter(name).capabilities


def build_lab(
    name: str, *, protocol: Protocol, folder: Path, table: Sequence[Measurement] = ()
) -> Lab:
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
    if name in ADAPTERS:
        return ADAPTERS[name]
    if name not in lab_names():
        raise NotFoundError(
            f"A lab is known by the name of its adapter; got {name!r}. "
            f"{suggest(name, lab_names())}"
        )
    return _brought(name)


def _brought(name: str) -> Adapter:
    """Load a lab that another package brings."""
    points = entry_points(group=PLUGINS, name=name)
    if len(points) > 1:
        packages = sorted(point.dist.name for point in points if point.dist)
        raise ConflictError(
            f"A lab's name stands for one adapter; {name!r} is brought by {packages}. "
            "Uninstall all but one."
        )
    (point,) = points
    try:
        adapter = point.load()
    except Exception as error:
        raise UnavailableError(
            f"The package that brings the lab {name!r} must load; {point.value} gives "
            f"{type(error).__name__}: {error}. Mend or uninstall it."
        ) from error
    if not isinstance(adapter, Adapter):
        raise UnavailableError(
            f"A lab is brought as an `Adapter`; {point.value} is a "
            f"{type(adapter).__name__}. Make one: labwm.labs.Adapter."
        )
    return adapter
