"""`labwm screen`: from a file of molecules to a short-list, and on where it stopped."""

import json
from pathlib import Path

import pytest

from labwm import campaign
from labwm.api.cli import run
from labwm.campaign.pool_screening import screen_pool
from labwm.schema import CampaignSpec
from labwm.schema.screening import ScreenRequest

PROTOCOL = """
name: dyes
version: 1
parameters:
- {name: dye, kind: molecule, smiles_column: smiles}
readouts:
- {name: signal}
objectives:
- {readout: signal, goal: maximise}
"""
HEADS = ["C", "CC", "CCC", "OCC", "NCC", "FCC", "COC", "CC(C)"]
TAILS = ["C(=O)O", "C(=O)N", "CO", "CN", "c1ccccc1", "C#N"]


@pytest.fixture
def desk(tmp_path) -> Path:
    (tmp_path / "dyes.yaml").write_text(PROTOCOL)
    smiles = [head + tail for head in HEADS for tail in TAILS]
    rows = [f"{s},{s.count('O') + len(s) / 10}" for s in smiles[::5]]
    (tmp_path / "dyes.csv").write_text("\n".join(["smiles,signal", *rows, ""]))
    (tmp_path / "pool.smi").write_text("\n".join([*smiles, "not-a-molecule", ""]))
    return tmp_path


def words(desk: Path, *more: str) -> list[str]:
    given = ["--data", str(desk / "dyes.csv"), "--protocol", str(desk / "dyes.yaml")]
    return ["screen", str(desk / "pool.smi"), *given, "--n", "4", *more]


def test_a_pool_is_screened_and_the_same_command_goes_on(desk, capsys):
    result = desk / "result.json"
    assert run(words(desk, "--json", str(result))) == 0
    first = json.loads(result.read_text())
    assert len(first["listed"]) == 4
    assert sum(first["counts"].values()) == first["n_read"] == 49
    assert first["counts"]["unreadable"] == 1
    assert Path(first["folder"], "block-000000.csv").is_file()
    assert run(words(desk, "--json", str(result))) == 0
    assert json.loads(result.read_text()) == first


def test_another_window_is_another_screen(desk):
    result = desk / "result.json"
    assert run(words(desk, "--json", str(result))) == 0
    wide = json.loads(result.read_text())
    assert run(words(desk, "--window", "weight:0:80", "--json", str(result))) == 0
    narrow = json.loads(result.read_text())
    assert narrow["folder"] != wide["folder"]
    assert narrow["counts"]["property:weight"] > 0


@pytest.mark.parametrize(
    ("more", "rule"),
    [
        (["--window", "weight"], "two numbers"),
        (["--window", "wieght:1:2"], "known property"),
        (["--campaign", "x"], "both"),
        (["--min-support", "3"], "min-support"),
    ],
    ids=["window", "property", "both sources", "support"],
)
def test_a_screen_that_makes_no_sense_is_refused(desk, capsys, more, rule):
    assert run(words(desk, *more)) == 2
    assert rule in capsys.readouterr().err


def test_a_protocol_of_more_than_a_molecule_is_refused(desk, capsys):
    text = PROTOCOL.replace(
        "readouts:", "- {name: heat, kind: continuous, bounds: [0, 1]}\nreadouts:"
    )
    (desk / "dyes.yaml").write_text(text)
    header, *rows = (desk / "dyes.csv").read_text().splitlines()
    lines = [f"{header},heat", *(f"{row},0.5" for row in rows), ""]
    (desk / "dyes.csv").write_text("\n".join(lines))
    assert run(words(desk)) == 2
    assert "only parameter is a molecule" in capsys.readouterr().err


def test_a_campaign_screens_with_the_recipe_that_a_person_promoted(desk):
    spec = CampaignSpec(
        name="dyes",
        protocol=str(desk / "dyes.yaml"),
        data=str(desk / "dyes.csv"),
        lab="replay",
        policy="random",
        budget=10,
        batch_size=10,
    )
    campaign.open_campaign(spec)
    while campaign.advance("dyes").is_moving:
        pass
    request = ScreenRequest(pool=str(desk / "pool.smi"), campaign_id="dyes", n=4)
    assert screen_pool(request).model.recipe == "explore"
    campaign.promote("dyes", "default", use="choose", note="a trial")
    assert screen_pool(request).model.recipe == "default"
