"""Families of tables that one setting is scored on, as files."""

from collections import Counter
from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from labwm.errors import InvalidInputError, NotFoundError, suggest
from labwm.schema.record import Name, Record
from labwm.settings import shipped

FOLDER = "assay_data/families"


class FamilyTable(Record):
    """One table of a family."""

    data: str
    """A set of the catalogue or a file."""
    protocol: str | None = None
    """Name or file; the catalogue's protocol of the data when not given."""
    vote: Name
    """Tables of one vote count together as one."""
    half: Literal["choose", "report"] = "report"
    """Settings are chosen on the tables of `choose`."""


class Family(Record):
    """Tables that a policy is scored on together, and how campaigns on them run."""

    name: Name
    title: str = ""
    batch: int = Field(ge=1)
    budget: int = Field(ge=1)
    tables: tuple[FamilyTable, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _tables_differ(self) -> "Family":
        counts = Counter(table.data for table in self.tables)
        if repeated := sorted(data for data, n in counts.items() if n > 1):
            raise ValueError(f"a family names each table once; got {repeated} twice")
        return self


def load_family(name_or_path: str | Path) -> Family:
    """Return a shipped family by its name, or the family in a file.

    Raises:
        NotFoundError: If no family ships under that name, or no file is there.
        InvalidInputError: If the file breaks a rule.
    """
    path = Path(name_or_path)
    if not path.suffix:
        folder = shipped(FOLDER)
        names = sorted(file.stem for file in folder.glob("*.yaml"))
        if str(name_or_path) not in names:
            raise NotFoundError(
                f"A family is one that ships or a file; got {str(name_or_path)!r}. "
                f"{suggest(str(name_or_path), names)}"
            )
        path = folder / f"{name_or_path}.yaml"
    if not path.is_file():
        raise NotFoundError(
            f"A family is read from a file; {path} is none. Check the path."
        )
    try:
        return Family.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (ValidationError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidInputError(
            f"A family names its tables with their votes; {path}: {error}. See "
            f"{FOLDER}/optimisation.yaml."
        ) from error
