"""Find a protocol by name or file, with the molecules of its libraries inline."""

from pathlib import Path

from labwm.data.libraries import Library, read_library
from labwm.errors import NotFoundError, UnavailableError, UnitError, suggest
from labwm.schema import MoleculeParameter, Protocol, read_protocol
from labwm.settings import shipped
from labwm.space.space import fill_levels
from labwm.space.stocks import check_stocks
from labwm.units import check_unit

SUFFIXES = frozenset({".yaml", ".yml"})


def load_protocol(name_or_path: str | Path) -> Protocol:
    """Return a shipped protocol by its name, or the protocol in a file.

    The molecules of a library or of building blocks are read into `smiles`: the record
    is complete by itself, and its digest changes with the library.

    Raises:
        NotFoundError: If no protocol ships under that name.
        UnavailableError: If the file cannot be read.
        ProtocolError: If it breaks a rule; each broken rule with its line.
        UnitError: If nobody knows a unit, with its line, or if stocks and what is
            taken of them do not fit together.
    """
    path = protocol_path(name_or_path)
    protocol = read_protocol(path)
    _check_units(protocol, path)
    check_stocks(protocol)
    smiles = {name: library.smiles for name, library in _libraries(protocol, path)}
    return fill_levels(protocol, smiles)


def load_labels(name_or_path: str | Path) -> dict[str, dict[str, str]]:
    """Return the names of library molecules: parameter to SMILES to name."""
    path = protocol_path(name_or_path)
    return {
        name: library.labels for name, library in _libraries(read_protocol(path), path)
    }


def list_protocols() -> tuple[str, ...]:
    """Return the names of the protocols that ship, sorted."""
    folder = shipped("protocols")
    flat = [path.stem for path in folder.glob("*.yaml")]
    nested = [path.parent.name for path in folder.glob("*/protocol.yaml")]
    return tuple(sorted(flat + nested))


def protocol_path(name_or_path: str | Path) -> Path:
    """Return the file of a protocol, named or given by its path.

    Raises:
        NotFoundError: If no protocol ships under that name.
        UnavailableError: If a path was given and no file is there.
    """
    path = Path(name_or_path)
    if path.suffix in SUFFIXES or path.parent != Path():
        if not path.is_file():
            raise UnavailableError(
                f"A protocol is a readable YAML file; got {path}, which does not "
                "exist. Check the path, or name a shipped protocol."
            )
        return path
    for relative in (f"protocols/{path}.yaml", f"protocols/{path}/protocol.yaml"):
        try:
            return shipped(relative)
        except UnavailableError:
            continue
    known = list_protocols()
    raise NotFoundError(
        f"A protocol is the name of a shipped one or a .yaml file; got "
        f"{str(name_or_path)!r}. {suggest(str(name_or_path), known)}"
    )


def _check_units(protocol: Protocol, path: Path) -> None:
    for declared in (*protocol.parameters, *protocol.readouts):
        if declared.unit is None:
            continue
        try:
            check_unit(declared.unit)
        except UnitError as error:
            place = f"{path}:{_line_of(path, declared.unit)}"
            raise UnitError(f"{place}: {declared.name!r}: {error}") from error


def _libraries(protocol: Protocol, path: Path) -> list[tuple[str, Library]]:
    found: list[tuple[str, Library]] = []
    for parameter in protocol.parameters:
        if not isinstance(parameter, MoleculeParameter):
            continue
        blocks = parameter.building_blocks
        if file := parameter.library or (blocks.file if blocks else None):
            place = f"{path}:{_line_of(path, file)}"
            found.append((parameter.name, read_library(parameter, path.parent, place)))
    return found


def _line_of(path: Path, text: str) -> int:
    """Return the first line that holds the text, 1 if none does."""
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    return next((i for i, line in enumerate(lines, start=1) if text in line), 1)
