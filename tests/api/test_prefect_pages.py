"""Prefect's own pages as a scientist uses them: a form, a run, its artifacts."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.site import until
from tests.api.up import Launched
from tests.web.browser import Page, chromium

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.browser,
    pytest.mark.prefect,
    pytest.mark.xdist_group("prefect"),
]

FIELD = """(() => {
  const label = [...document.querySelectorAll('label')].find(
    one => one.innerText.startsWith(%s));
  let box = label;
  while (box && !box.querySelector(%s)) box = box.parentElement;
  return box && box.querySelector(%s);
})()"""
DRAWN = """['image/png', 'image/svg'].map(kind => [...document.images].some(
  one => one.src.startsWith(`data:${kind}`) && one.naturalWidth > 20))"""
INPUT = "input:not([type=checkbox]), textarea"


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    with chromium(tmp_path / "profile") as opened:
        yield opened


def test_a_campaign_is_started_in_the_form_and_its_artifacts_are_found(
    launched: Launched, page: Page, tmp_path: Path
):
    form = launched.deployment("campaign")["id"]
    page.open(f"{launched.prefect}/v2/deployments/deployment/{form}/run")
    until(lambda: "Campaign name" in page.text, seconds=60, what="the form")
    fill_in(page, "Campaign name", "by-form")
    fill_in(page, "Protocol", "free.yaml")
    choose(page, "Data set or table", "str")
    fill_in(page, "Data set or table", "table.csv")
    fill_in(page, "Budget [experiments]", "8")
    page.screenshot(tmp_path / "form.png")
    page.click(marked(page, button("Submit")))

    until(lambda: launched.runs_named("by-form"), seconds=60, what="the run")
    (run,) = launched.runs_named("by-form")
    assert run["parameters"]["spec"] == {
        "name": "by-form",
        "protocol": "free.yaml",
        "lab": "protocol",
        "data": "table.csv",
        "policy": "default",
        "budget": 8,
        "batch_size": None,
        "n_initial": None,
        "seed": 0,
    }
    assert launched.ended(run["id"])["name"] == "Done"

    page.open(f"{launched.prefect}/v2/runs/flow-run/{run['id']}?tab=Artifacts")
    shows(page, "campaign-by-form", "Done")
    page.screenshot(tmp_path / "run.png")
    (note, *_) = launched.artifacts("campaign-by-form")
    page.open(f"{launched.prefect}/v2/artifacts/artifact/{note['id']}")
    shows(page, "Colour of a mixture", "Open the campaign", "predicted before")
    until(
        lambda: page.ask(DRAWN) == [True, True],
        seconds=60,
        what="the plot and a molecule, drawn",
    )
    page.screenshot(tmp_path / "note.png")


def test_the_form_refuses_what_the_record_refuses(launched: Launched, page: Page):
    form = launched.deployment("campaign")["id"]
    page.open(f"{launched.prefect}/v2/deployments/deployment/{form}/run")
    until(lambda: "Campaign name" in page.text, seconds=60, what="the form")
    fill_in(page, "Campaign name", "Not A Name")
    fill_in(page, "Protocol", "free.yaml")
    page.click(marked(page, button("Submit")))
    until(lambda: "does not match" in page.text, seconds=60, what="the refusal")


def shows(page: Page, *words: str) -> None:
    """Wait until the page has drawn all these words: it draws piece by piece."""
    until(lambda: all(word in page.text for word in words), seconds=60, what=str(words))


def fill_in(page: Page, title: str, text: str) -> None:
    """Write into a field until it holds the text: it may be drawn anew meanwhile."""
    place = FIELD % ((json.dumps(title),) + (json.dumps(INPUT),) * 2)

    def holds_it() -> bool:
        selector = marked(page, place)
        found = json.dumps(selector)
        page.ask(f"document.querySelector({found})?.select()")
        page.ask(f"document.querySelector({found})?.focus()")
        page.call("Input.insertText", text=text)
        return page.ask(f"document.querySelector({found})?.value") == text

    until(holds_it, seconds=30, what=title)


def choose(page: Page, title: str, kind: str) -> None:
    """Switch a field that may be absent to its first kind of value."""
    tab = "[role=tab][id$=trigger-0]"
    selector = marked(page, FIELD % ((json.dumps(title),) + (json.dumps(tab),) * 2))
    assert page.ask(f"document.querySelector('{selector}').innerText") == kind
    page.click(selector)


def button(text: str) -> str:
    found = f"one => one.innerText.trim() === {json.dumps(text)}"
    return f"[...document.querySelectorAll('button')].find({found})"


def marked(page: Page, expression: str) -> str:
    """Mark the element that an expression finds, and return its selector."""
    name = f"m{time.monotonic_ns()}"
    until(
        lambda: page.ask(
            f"(() => {{ const e = {expression}; if (!e) return false;"
            f"e.setAttribute('data-found', '{name}'); return true; }})()"
        ),
        seconds=30,
        what=expression,
    )
    return f"[data-found={name}]"
