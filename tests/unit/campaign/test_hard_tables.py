"""Tables that say nothing, or too much: the campaign ends and its report is drawn."""

from pathlib import Path

import pytest

from labwm import campaign
from labwm.errors import InvalidInputError, NotEnoughDataError
from labwm.schema import CampaignSpec, CampaignState

PROTOCOL = """\
name: hard
version: 1
parameters:
  - {name: x, kind: continuous, bounds: [0, 100]}
readouts:
  - {name: y}
  - {name: z}
objectives:
  - {readout: y, goal: maximise}
lab: {adapter: replay, batch_size: 4}
"""
TWO = PROTOCOL.replace("lab:", "  - {readout: z, goal: minimise}\nlab:")
CELLS = {
    "all-failed": ("failed", "failed"),
    "nothing-detected": ("ND", "ND"),
    "empty": ("", ""),
    "equal": ("7", "7"),
    "never-both": ("7", ""),
    "huge": ("1e120", "-1e120"),
    "tiny": ("1e-300", "2e-300"),
}


def open_on(folder: Path, protocol: str, rows: list[tuple[str, str]], **more) -> str:
    (folder / "hard.yaml").write_text(protocol)
    lines = [f"{i},{y},{z}" for i, (y, z) in enumerate(rows)]
    (folder / "hard.csv").write_text("\n".join(["x,y,z", *lines]) + "\n")
    fields = {"name": "hard", "budget": 8, "protocol": str(folder / "hard.yaml")}
    spec = CampaignSpec(**fields | {"data": str(folder / "hard.csv")} | more)
    return campaign.open_campaign(spec)


def finish(campaign_id: str, folder: Path) -> None:
    while campaign.advance(campaign_id).is_moving:
        pass
    assert campaign.status(campaign_id).summary.state is CampaignState.DONE
    assert Path(campaign.report(campaign_id, folder / "report").page).stat().st_size
    assert campaign.round_note(campaign_id)


@pytest.mark.parametrize("objectives", [PROTOCOL, TWO], ids=["one", "two"])
@pytest.mark.parametrize("cells", CELLS.values(), ids=CELLS)
def test_a_table_that_teaches_nothing_is_measured_and_told(tmp_path, objectives, cells):
    y, z = cells
    rows = [(y, z), (z, y)] * 5
    finish(open_on(tmp_path, objectives, rows), tmp_path)


@pytest.mark.parametrize("n", [1, 2])
def test_a_pool_of_one_or_two_is_measured_and_told(tmp_path, n):
    finish(open_on(tmp_path, PROTOCOL, [("3", "4")] * n), tmp_path)


def test_a_policy_that_cannot_choose_opens_no_campaign(tmp_path):
    policy = "hypervolume_improvement"
    with pytest.raises(InvalidInputError, match=policy):
        open_on(tmp_path, PROTOCOL, [("3", "4")] * 8, policy=policy)
    assert campaign.list_campaigns() == ()


def test_a_virtual_lab_with_nothing_to_learn_from_is_not_opened(tmp_path):
    with pytest.raises(NotEnoughDataError, match="at least 5 measured values"):
        open_on(tmp_path, PROTOCOL, [("failed", "1")] * 8, lab="virtual")
    assert campaign.list_campaigns() == ()


def test_what_others_wrote_is_text_in_a_note(tmp_path):
    title = "title: '<img src=x onerror=alert(1)> [a](javascript:b)'\n"
    name = open_on(tmp_path, PROTOCOL + title, [(str(i), "1") for i in range(8)])
    note = campaign.round_note(name)
    assert "<img" not in note
    assert "](javascript" not in note
