"""What a bench says of a recipe on a reference table, a promotion cannot ignore."""

import pytest

from labwm import campaign
from labwm.campaign.books import books
from labwm.campaign.references import objection
from labwm.errors import ForbiddenError, InvalidInputError, NotFoundError
from labwm.evaluation.table import BenchTable, Row
from labwm.schema import CampaignSpec, Principal, PrincipalKind, Scope

ROBOT = Principal(name="robot", kind=PrincipalKind.SERVICE, scopes=(Scope.SUBMIT,))


def result(
    recipe: str, pearson: float, *, metric: str = "pearson", budget: int = 40
) -> bytes:
    rows = (
        Row(recipe, metric, None, pearson, pearson - 0.05, pearson + 0.05, 20),
        Row(recipe, metric, "log 0", 0.1, None, None, 20),
    )
    return BenchTable(
        command="labwm bench fidelity",
        data="kettles",
        data_sha256="0" * 64,
        seeds=20,
        settings={"recipe": recipe, "budget": budget},
        versions={},
        rows=rows,
    ).to_json()


def said(challenger: str = "explore") -> str | None:
    champion = "default" if challenger == "explore" else "explore"
    return objection(books(), "boil", champion, challenger)


def test_a_challenger_is_asked_for_what_was_measured_of_the_champion(
    spec: CampaignSpec,
):
    campaign.open_campaign(spec)
    assert said() is None
    (kept,) = campaign.attach_reference("boil", result("default", 0.9))
    assert (kept.recipe, kept.data, kept.figures[0].value) == (
        "default",
        "kettles",
        0.9,
    )
    assert "explore was not measured so by `labwm bench fidelity`" in str(said())
    assert said("default") is None

    # Another budget is another question: its figures are not comparable.
    campaign.attach_reference("boil", result("explore", 0.95, budget=15))
    assert "explore was not measured so" in str(said())
    assert "default was not measured so" in str(said("default"))
    campaign.attach_reference("boil", result("default", 0.95, budget=15))

    campaign.attach_reference("boil", result("explore", 0.7))
    assert "explore has the worse pearson" in str(said())
    assert said("default") is None
    # Not surely worse: its interval reaches the champion's figure. The last one counts.
    campaign.attach_reference("boil", result("explore", 0.86))
    assert said() is None
    # Of less loss there is less, not more.
    for recipe, loss in (("default", 0.1), ("explore", 0.3)):
        campaign.attach_reference("boil", result(recipe, loss, metric="mmrv"))
    assert "explore has the worse mmrv" in str(said())
    assert "boil: " in "".join(campaign.verify_database())


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"{", "is what a bench wrote with --json"),
        (result("best", 0.9), "names its recipe, one of default, explore; got 'best'"),
        (result("default", 0.9, metric="charm"), "holds one of pearson"),
        (
            result("default", 0.9).replace(b"bench fidelity", b"bench env"),
            "is of labwm bench fidelity or labwm bench exploit; got 'labwm bench env'",
        ),
    ],
    ids=["not JSON", "recipe", "figures", "bench"],
)
def test_what_is_no_reference_is_refused(spec: CampaignSpec, content, rule):
    campaign.open_campaign(spec)
    with pytest.raises(InvalidInputError, match=rule):
        campaign.attach_reference("boil", content)
    assert not books().ledger.events("boil", kind="model.referenced")


def test_only_who_decides_attaches_references(spec: CampaignSpec):
    campaign.open_campaign(spec)
    with pytest.raises(ForbiddenError):
        campaign.attach_reference("boil", result("default", 0.9), principal=ROBOT)
    with pytest.raises(NotFoundError):
        campaign.attach_reference("nobody", result("default", 0.9))
