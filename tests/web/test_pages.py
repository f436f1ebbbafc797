"""What a person sees in a browser, and what she can do there."""

import pytest

pytestmark = pytest.mark.browser


def sign_in(page, site, name: str, path: str = "/") -> None:
    page.open(site.address + path)
    page.type("#key", site.keys[name])
    page.click("#sign-in")


def asked_elsewhere(page, site) -> list[str]:
    own = (site.address, "data:", "about:", "chrome")
    return [address for address in page.requests if not address.startswith(own)]


def test_a_person_signs_in_and_is_led_where_she_wanted(page, site):
    page.open(site.address + "/campaigns/free")
    assert page.path == "/sign-in"
    page.type("#key", "labwm_made-up")
    page.click("#sign-in")
    assert page.path == "/sign-in"
    assert "unknown or revoked" in page.text or "valid" in page.text
    page.type("#key", site.keys["ada"])
    page.click("#sign-in")
    assert page.path == "/campaigns/free"
    assert "ada" in page.text


def test_campaigns_are_shown_with_drawings_and_report(page, site, tmp_path):
    sign_in(page, site, "ada")
    assert {"free", "asking", "other"} <= set(page.text.split())
    page.open(site.address + "/campaigns/free")
    assert "Predicted before, measured after" in page.text
    drawn = "[...document.querySelectorAll('img.molecule')]"
    assert page.ask(f"{drawn}.length") > 0
    images = "[...document.querySelectorAll('img')]"
    assert page.ask(f"{images}.every(i => i.complete && i.naturalWidth > 0)")
    assert page.ask("document.querySelectorAll('.images img').length") > 0
    assert page.ask("document.documentElement.scrollWidth <= innerWidth")
    page.screenshot(tmp_path / "campaign.png")
    assert (tmp_path / "campaign.png").stat().st_size > 10_000


def test_pages_break_no_policy_and_ask_nobody_else(page, site):
    sign_in(page, site, "ada")
    for path in ("/", "/campaigns/free", "/campaigns/asking"):
        page.open(site.address + path)
    refused = [text for text in page.complaints if "Content Security" in text]
    assert not refused
    assert not asked_elsewhere(page, site)
    assert page.ask("document.scripts.length") == 0
    assert page.ask("document.cookie") == ""  # no script could read the key


def test_a_person_approves_exactly_what_she_saw(page, site):
    (batch,) = site.status("asking")["batches"]
    sign_in(page, site, "ada", "/campaigns/asking")
    page.click(".alert a")
    assert page.path.endswith(batch["batch_id"])
    assert (
        page.ask("document.querySelector('#digest').innerText")
        == (batch["content_sha256"])
    )
    assert "80 EUR" in page.text
    page.type("#note", "looks sensible")
    page.click("#approve")
    assert "approved" in page.text
    assert not page.ask("!!document.querySelector('#approve')")
    (decided,) = site.status("asking")["batches"]
    assert decided["approval"] == "approved"


def test_a_person_lets_a_frozen_campaign_go_on(page, site):
    site.freeze("free")
    sign_in(page, site, "ada", "/campaigns/free")
    assert "Frozen: nothing is sent until a person has looked." in page.text
    assert "3 of the last 9 values of yield lie outside" in page.text
    page.type("#note", "the balance was not levelled")
    page.click("#unfreeze")
    assert page.path == "/campaigns/free"
    assert "Frozen" not in page.text
    assert site.status("free")["frozen"] is None


def test_an_agent_may_look_but_gets_no_buttons(page, site):
    (batch,) = site.status("other")["batches"]
    sign_in(page, site, "planner", f"/campaigns/other/batches/{batch['batch_id']}")
    assert "may look and not decide" in page.text
    assert not page.ask("!!document.querySelector('#approve')")


def test_an_unknown_campaign_is_said_on_a_page(page, site):
    sign_in(page, site, "ada")
    page.open(site.address + "/campaigns/nobody")
    assert "Nothing is known by that name" in page.text


def test_signing_out_ends_it(page, site):
    sign_in(page, site, "ada")
    page.click("header button")
    page.open(site.address + "/")
    assert page.path == "/sign-in"
