"""The note of a round: what Prefect's artifact shows."""

import base64
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from labwm import campaign
from labwm.campaign.notes import MOST_DRAWINGS
from labwm.schema import CampaignSpec

PROTOCOL = """\
name: mixing
version: 1
parameters:
  - {name: acid, kind: molecule, smiles: [CC(=O)O, OC=O, CCC(=O)O]}
  - {name: base, kind: molecule, smiles: [CN, CCN, CCCN, CCCCN]}
readouts: [{name: heat}]
objectives: [{readout: heat, goal: maximise}]
lab: {adapter: replay, batch_size: %d}
"""
IMAGE = re.compile(r"!\[molecule\]\(data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)\)")


def note_of(folder: Path, *, batch_size: int) -> str:
    (folder / "mixing.yaml").write_text(PROTOCOL % batch_size)
    lines = ["acid,base,heat"]
    for i, acid in enumerate(("CC(=O)O", "OC=O", "CCC(=O)O")):
        lines += [f"{acid},{'C' * n}N,{i + n}" for n in range(1, 5)]
    (folder / "mixing.csv").write_text("\n".join(lines) + "\n")
    spec = CampaignSpec(
        name="mix",
        protocol=str(folder / "mixing.yaml"),
        data=str(folder / "mixing.csv"),
        budget=batch_size,
    )
    campaign.open_campaign(spec)
    campaign.advance("mix")
    return campaign.round_note("mix")


def test_the_molecules_of_each_proposal_are_drawn_in_its_row(tmp_path: Path):
    note = note_of(tmp_path, batch_size=3)
    rows = [line for line in note.splitlines() if re.match(r"\| \d", line)]
    assert [len(IMAGE.findall(row)) for row in rows] == [2, 2, 2]
    for image in IMAGE.findall(note):
        drawn = base64.b64decode(image)
        assert ElementTree.fromstring(drawn).tag.endswith("svg")
        assert len(drawn) < 8_000
    assert len({row.count("|") for row in rows}) == 1


def test_a_note_of_many_molecules_draws_only_the_first(tmp_path: Path):
    note = note_of(tmp_path, batch_size=12)
    assert len(IMAGE.findall(note)) == MOST_DRAWINGS
    assert note.count("`CC(=O)O`") == 4


def test_a_protocol_without_molecules_has_no_drawings(spec: CampaignSpec):
    campaign.open_campaign(spec)
    campaign.advance("boil")
    note = campaign.round_note("boil")
    assert not IMAGE.search(note)
    assert "| 1 | – | " in note
