"""From a table to curated measurements: the one way in for campaigns and back-tests."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from labwm.data.catalogue import load_table
from labwm.data.curate import CurationReport, curate
from labwm.data.measurements import labels_from_table, measurements_from_table
from labwm.data.report import ImportReport
from labwm.schema import Measurement, Origin, Protocol, canonical_json


@dataclass(frozen=True)
class Assay:
    """Curated measurements, and what reading and curating them found.

    Attributes:
        measurements: One per row of the table; one molecule has one writing.
        labels: Names of molecules: parameter to SMILES to name.
        imported: What became of the rows.
        curation: What is odd about them.
    """

    measurements: tuple[Measurement, ...]
    labels: dict[str, dict[str, str]]
    imported: ImportReport
    curation: CurationReport

    def text(self) -> str:
        """Return both reports as lines to read."""
        return f"{self.imported.text()}\n{self.curation.text()}"

    def to_json(self) -> bytes:
        """Return both reports as JSON."""
        return canonical_json(
            {
                "imported": self.imported.model_dump(mode="json"),
                "curation": self.curation.model_dump(mode="json"),
            }
        )


def read_assay(
    name_or_path: str | Path,
    protocol: Protocol,
    *,
    origin: Origin = Origin.IMPORTED,
    on_error: Literal["raise", "report"] = "raise",
) -> Assay:
    """Read a set of the catalogue or a table of one's own, check it, and curate it.

    Args:
        name_or_path: Name in the catalogue, or a file.
        protocol: Says which column holds what, in which unit.
        origin: Where the values come from.
        on_error: As `measurements_from_table` takes it.

    Raises:
        NotFoundError: If there is no such set or file.
        UnavailableError: If a public set cannot be fetched.
        InvalidInputError: If the table breaks a rule of the protocol.
    """
    table = load_table(name_or_path)
    read, imported = measurements_from_table(
        table, protocol, origin=origin, on_error=on_error
    )
    measurements, curation = curate(read, protocol)
    labels = labels_from_table(table, protocol)
    return Assay(measurements, labels, imported, curation)
