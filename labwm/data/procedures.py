"""Logs of procedures: a line of JSON per episode, packed or not.

A log holds, for each molecule, an episode of the policy `REFERENCE`, whose last gap is
what errors are measured against, and episodes of other policies.
"""

import gzip
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from labwm.errors import TableError
from labwm.schema.procedure import Episode

REFERENCE: Final = "reference"
SHIPPED: Final = "assay_data/xtb_procedures/log.jsonl.gz"
"""Log that ships, of the lab of procedures."""


def read_procedures(path: Path) -> tuple[Episode, ...]:
    """Return the episodes of a log; a name that ends in `.gz` is unpacked.

    Raises:
        TableError: If the file is absent, or a line is no episode.
    """
    if not path.is_file():
        raise TableError(
            f"A log of procedures is a file; got {path}, which is none. Make one with "
            "`labwm bench procedure-log`."
        )
    content = path.read_bytes()
    if path.suffix == ".gz":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError) as error:
            raise TableError(
                f"A log named .gz is packed by gzip; got {path}: {error}. Pack it "
                "again, or rename it."
            ) from error
    return tuple(
        _episode(line, f"{path}:{number}")
        for number, line in enumerate(content.splitlines(), 1)
    )


def references_of(episodes: Iterable[Episode]) -> dict[str, float]:
    """Return the gap of each molecule's reference, eV, of those that succeeded."""
    found: dict[str, float] = {}
    for episode in episodes:
        last = episode.outcomes[-1]
        if episode.policy != REFERENCE or last.status != "ok":
            continue
        if last.readouts is not None and last.readouts.gap is not None:
            found[episode.smiles] = last.readouts.gap
    return found


def molecules_of(episodes: Iterable[Episode]) -> tuple[str, ...]:
    """Return the molecules of a log, each once, in its order."""
    return tuple(dict.fromkeys(episode.smiles for episode in episodes))


def episodes_of(
    episodes: Iterable[Episode], molecules: Sequence[str]
) -> tuple[Episode, ...]:
    """Return the episodes of some molecules."""
    wanted = set(molecules)
    return tuple(episode for episode in episodes if episode.smiles in wanted)


def _episode(line: bytes, where: str) -> Episode:
    try:
        return Episode.model_validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        raise TableError(
            f"{where}: a line of a log is one episode; got {first['msg']} at "
            f"{'.'.join(map(str, first['loc'])) or 'the whole line'}. Remove the line, "
            "and the command makes it again."
        ) from error
