"""A report stands on what is stored, and says what it does not know."""

from pathlib import Path

from labwm import campaign
from labwm.schema import CampaignSpec


def test_random_search_is_told_from_the_table_the_campaign_was_opened_with(
    spec: CampaignSpec, kettle: Path, tmp_path: Path
):
    campaign.open_campaign(spec)
    campaign.advance("boil")
    (kettle / "kettle.csv").unlink()
    (kettle / "kettle.yaml").unlink()
    made = campaign.report("boil", tmp_path / "report")
    assert made.figures["reached"] >= made.figures["pool_maximum"]
    assert "random search after as many" in " ".join(made.headline)
    assert "40 measurements of the pool" in Path(made.page).read_text()


def test_a_report_without_a_table_of_the_pool_says_why(
    spec: CampaignSpec, tmp_path: Path
):
    campaign.open_campaign(spec.model_copy(update={"lab": "virtual", "budget": 4}))
    campaign.advance("boil")
    made = campaign.report("boil", tmp_path / "report")
    assert "random_expected" not in made.figures
    assert "a virtual lab plays a world, not a table" in Path(made.page).read_text()


def test_coverage_counts_the_first_result_of_each_proposal(
    spec: CampaignSpec, kettle: Path, tmp_path: Path
):
    protocol = kettle / "kettle.yaml"
    protocol.write_text(protocol.read_text().replace("5000]", "5000], replicates: 2"))
    table = kettle / "kettle.csv"
    head, *rows = table.read_text().splitlines()
    table.write_text("\n".join([head, *rows, *rows]) + "\n")
    campaign.open_campaign(spec)
    for _ in range(3):
        campaign.advance("boil")
    (seconds,) = campaign.status("boil").calibration
    # Rounds of four; before the third at the latest there is a model.
    assert 4 <= seconds.n <= 8
    made = campaign.report("boil", tmp_path / "report")
    assert made.figures["coverage90_seconds"] == seconds.coverage_90
    assert f"of {seconds.n} values measured after a prediction" in made.headline[-1]
