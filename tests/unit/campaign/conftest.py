"""A small measured table, its protocol, and a campaign that replays it."""

from pathlib import Path

import pytest

from labwm.schema import CampaignSpec

PROTOCOL = """\
name: kettle
version: 1
title: Time to boil
parameters:
  - {name: power, kind: discrete, unit: W, levels: [500, 1000, 1500, 2000, 2500]}
  - {name: volume, kind: continuous, unit: L, bounds: [0.2, 2.0]}
  - {name: lid, kind: categorical, levels: [open, closed]}
readouts:
  - {name: seconds, unit: s, column: time, bounds: [0, 5000]}
objectives:
  - {readout: seconds, goal: minimise}
lab: {adapter: replay, batch_size: 4%s}
"""


def boiling_time(power: float, volume: float, lid: str) -> float:
    return 4180 * 80 * volume / (power * (0.9 if lid == "closed" else 0.8))


@pytest.fixture
def kettle(tmp_path: Path) -> Path:
    """Folder with `kettle.yaml` and `kettle.csv`: 40 experiments, one failed."""
    return write_kettle(tmp_path)


def write_kettle(folder: Path) -> Path:
    (folder / "kettle.yaml").write_text(PROTOCOL % "")
    (folder / "asking.yaml").write_text(
        (PROTOCOL % ", approval: {replayed: always}").replace("kettle", "asking")
    )
    lines = ["power,volume,lid,time"]
    for power in (500, 1000, 1500, 2000, 2500):
        for volume in (0.25, 0.5, 1.0, 1.75):
            for lid in ("open", "closed"):
                seconds = f"{boiling_time(power, volume, lid):.1f}"
                broke = (power, volume, lid) == (2500, 0.25, "open")
                lines.append(f"{power},{volume},{lid},{'failed' if broke else seconds}")
    (folder / "kettle.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def spec(kettle: Path) -> CampaignSpec:
    return spec_in(kettle)


def spec_in(kettle: Path) -> CampaignSpec:
    return CampaignSpec(
        name="boil",
        protocol=str(kettle / "kettle.yaml"),
        data=str(kettle / "kettle.csv"),
        budget=16,
        seed=3,
    )


@pytest.fixture
def asking(kettle: Path) -> CampaignSpec:
    """A campaign whose protocol wants a person's yes for every batch."""
    return CampaignSpec(
        name="asking",
        protocol=str(kettle / "asking.yaml"),
        data=str(kettle / "kettle.csv"),
        budget=8,
    )


@pytest.fixture
def by_hand(kettle: Path, monkeypatch: pytest.MonkeyPatch) -> CampaignSpec:
    """A campaign whose experiments people do, on a pool that is quickly drawn."""
    monkeypatch.setattr("labwm.campaign.opening.POOL_LIMIT", 1000)
    path = kettle / "kettle.yaml"
    adapter = "{adapter: folder, settings: {settle_seconds: 0}, batch_size: 4}"
    text = path.read_text().replace("{adapter: replay, batch_size: 4}", adapter)
    path.write_text(text)
    return CampaignSpec(
        name="by-hand", protocol=str(path), budget=8, seed=3, policy="random"
    )
