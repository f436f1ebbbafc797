"""A lab that computes: GFN2-xTB, or a dearer level, on one molecule per well."""

from dataclasses import asdict, dataclass, fields
from importlib.util import find_spec
from pathlib import Path

from labwm import settings
from labwm.errors import (
    LabError,
    MoleculeError,
    ProtocolError,
    UnavailableError,
    suggest,
)
from labwm.labs.instrument import Outcome, failed
from labwm.labs.process_pool import ProcessPool
from labwm.labs.spool import SpoolLab
from labwm.labs.xtb_instrument import XtbResult, XtbSettings, measure, seed_of
from labwm.schema import (
    MoleculeParameter,
    Origin,
    Protocol,
    Value,
    Well,
    sha256_of,
)

READOUTS = {"gap": "eV", "octanol_water_dg": "kcal/mol"}
"""What it measures, with units."""
_GRACE = 30.0
"""Seconds that a well may take over the limit of its calculations: for imports."""


def xtb_lab(
    folder: Path, protocol: Protocol, *, name: str = "xtb", n_workers: int = 2
) -> SpoolLab:
    """Return the lab that computes this protocol's molecules.

    `protocol.lab.settings` holds the fields of `XtbSettings`. Each well is computed in
    a process of its own, on one thread, within the time limit of the settings.

    Raises:
        ProtocolError: If the protocol varies anything but one molecule, observes what
            is not computed here, or has settings that do not exist.
        InvalidInputError: If a setting has a value without sense.
        UnavailableError: If tblite is not installed.
    """
    if find_spec("tblite") is None:
        raise UnavailableError(
            "The lab 'xtb' computes with tblite; got an installation without it. "
            "Install it: pip install tblite."
        )
    chosen = _settings(protocol)
    if chosen.is_dft and find_spec("pyscf") is None:
        raise UnavailableError(
            f"The level {chosen.method} is computed with PySCF; got an installation "
            "without it. Install it: pip install labwm[pyscf]."
        )
    instrument = XtbInstrument(
        molecule=_molecule(protocol),
        readouts=_readouts(protocol, chosen),
        settings=chosen,
        protocol_sha256=protocol.digest(),
    )
    pool = ProcessPool(n_workers, instrument.settings.timeout_seconds + _GRACE)
    return SpoolLab(name, Origin.COMPUTED, folder, protocol.digest(), instrument, pool)


@dataclass(frozen=True)
class XtbInstrument:
    """`xtb_instrument.measure` as an instrument.

    Attributes:
        molecule: Name of the condition that holds the SMILES.
        readouts: Names of what the protocol observes.
        settings: Level of theory and conformer rule.
        protocol_sha256: Protocol under which replicates are numbered.
    """

    molecule: str
    readouts: tuple[str, ...]
    settings: XtbSettings
    protocol_sha256: str

    @property
    def digest(self) -> str:
        """Digest of the settings and the protocol."""
        chosen = asdict(self.settings)
        return sha256_of([self.molecule, self.readouts, chosen, self.protocol_sha256])

    def check(self, well: Well) -> None:
        """Refuse a well without a readable molecule.

        Raises:
            LabError: If the conditions are not one molecule.
        """
        if set(well.conditions) != {self.molecule}:
            raise LabError(
                f"A well of the lab 'xtb' has the one condition {self.molecule!r}; got "
                f"{sorted(well.conditions)} in well {well.name!r}."
            )
        try:
            self._canonical(well)
        except MoleculeError as error:
            raise LabError(f"{error} Well {well.name!r} holds it.") from error

    def prepare(self) -> None:
        """Load the programs: that takes longer than a well."""
        if self.settings.is_dft:
            import pyscf.dft  # noqa: F401  # pyright: ignore[reportMissingImports]
        else:
            import tblite.interface  # noqa: F401

        import labwm.chem.conformers  # noqa: F401

    def measure(self, well: Well) -> Outcome:
        """Compute one replicate; a calculation that fails is a failed value."""
        smiles = self._canonical(well)
        seed = seed_of(smiles, well.replicate, self.protocol_sha256)
        result = measure(
            smiles,
            seed=seed,
            settings=self.settings,
            cache=settings.cache_folder() / "conformers",
        )
        if result.status != "ok":
            reason = f"{result.status}: {result.reason}"
            return failed(self, reason, duration=result.cpu_seconds)
        readouts = {name: Value(value=_value(result, name)) for name in self.readouts}
        return Outcome(readouts, result.cpu_seconds)

    def _canonical(self, well: Well) -> str:
        from labwm.chem.molecule import canonical

        return canonical(str(well.conditions[self.molecule]))


def _value(result: XtbResult, readout: str) -> float | None:
    return result.gap if readout == "gap" else result.octanol_water_dg


def _molecule(protocol: Protocol) -> str:
    molecules = [p for p in protocol.parameters if isinstance(p, MoleculeParameter)]
    if len(molecules) != 1 or len(protocol.parameters) != 1:
        raise ProtocolError(
            "The lab 'xtb' varies one molecule and nothing else; got "
            f"{[f'{p.name}: {p.kind}' for p in protocol.parameters]} in protocol "
            f"{protocol.name!r}. Leave one parameter of kind molecule."
        )
    return molecules[0].name


def _readouts(protocol: Protocol, chosen: XtbSettings) -> tuple[str, ...]:
    for readout in protocol.readouts:
        if chosen.is_dft and readout.name != "gap":
            raise ProtocolError(
                f"The level {chosen.method} gives the readout 'gap' only; got "
                f"{readout.name!r}. Choose GFN2-xTB, or observe the gap."
            )
        if readout.name not in READOUTS:
            raise ProtocolError(
                f"The lab 'xtb' measures {list(READOUTS)}; got the readout "
                f"{readout.name!r}. {suggest(readout.name, READOUTS)}"
            )
        if readout.unit not in (None, READOUTS[readout.name]):
            raise ProtocolError(
                f"The lab 'xtb' measures {readout.name!r} in {READOUTS[readout.name]}; "
                f"got the unit {readout.unit!r}. Write {READOUTS[readout.name]}."
            )
    return protocol.readout_names


def _settings(protocol: Protocol) -> XtbSettings:
    types = {field.name: type(field.default) for field in fields(XtbSettings)}
    for name, value in protocol.lab.settings.items():
        if name not in types:
            raise ProtocolError(
                f"Settings of the lab 'xtb' are {list(types)}; got {name!r}. "
                f"{suggest(name, types)}"
            )
        wanted = (int, float) if types[name] is float else (types[name],)
        if isinstance(value, bool) or not isinstance(value, wanted):
            raise ProtocolError(
                f"The setting {name!r} of the lab 'xtb' is of type "
                f"{types[name].__name__}; got {value!r}. Correct it."
            )
    return XtbSettings(**protocol.lab.settings)  # pyright: ignore[reportArgumentType]
