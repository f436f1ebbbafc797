"""The doctor folds every campaign again, and one that was altered hides no other."""

import sqlite3

import pytest

from labwm import campaign, settings
from labwm.api.cli import run
from labwm.schema import CampaignSpec


@pytest.fixture
def two(spec: CampaignSpec) -> tuple[str, str]:
    """Two campaigns, each moved on for a round."""
    for name in ("boil", "other"):
        changes = {"name": name, "policy": "random"}
        campaign.open_campaign(spec.model_copy(update=changes))
        campaign.advance(name)
    return "boil", "other"


def alter(statement: str) -> None:
    """Write past labwm, as whoever owns the file can."""
    connection = sqlite3.connect(settings.home() / "ledger.db")
    for (name,) in connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    ).fetchall():
        connection.execute(f"DROP TRIGGER {name}")
    assert connection.execute(statement).rowcount > 0
    connection.commit()
    connection.close()


def test_a_sound_ledger_has_no_problem(two, capsys):
    assert run(["doctor"]) == 0
    said = capsys.readouterr().out
    assert "boil:" in said
    assert "other:" in said
    assert "PROBLEM" not in said


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE submission_states SET step = 0, state = 'reserved'"
        " WHERE submission_key LIKE 'boil-%'",
        "UPDATE events SET actor = 'eve' WHERE campaign_id = 'boil' AND seq = 2",
        "UPDATE observations SET body = replace(body, 'ok', 'failed')"
        " WHERE campaign_id = 'boil'",
        "DELETE FROM dataset_rows WHERE dataset_id = 'boil'",
    ],
    ids=["a-state", "an-event", "a-result", "the-data-set"],
)
def test_a_row_altered_by_hand_is_found_and_hides_no_other_campaign(
    two, statement: str, capsys
):
    alter(statement)
    assert run(["doctor"]) == 1
    lines = capsys.readouterr().out.splitlines()
    joined = " ".join(" ".join(lines).split())
    assert "PROBLEM [integrity]" in joined
    assert "Restore a backup" in joined
    assert any(line.startswith("other: ") for line in lines)
    assert not any(line.startswith("boil: ") for line in lines)
