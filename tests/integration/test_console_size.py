"""The page of sizes in a real browser: a form whose address is the question, an answer to be followed, mistakes beside their field."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Tab, axe
from up_site import Up, in_thread

from bedplate.interfaces.http.console.sized import sizing

ASKED = "/size?question=train&model=Llama-3.1-8B&tokens=2T&by_s=30d"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with in_thread(tmp_path_factory.mktemp("sized")) as server:
        yield server


def test_a_question_is_filled_in_and_answered(site: Up, tab: Tab) -> None:
    """From an empty form to the choice; the address holds what was typed alone; a point opens its design, a drawing is taken away."""
    page = tab(site.url, site.token)
    page.goto("/size?question=train")
    page.fill("[name=model]", "Llama-3.1-8B")
    page.fill("[name=tokens]", "2T")
    page.fill("[name=by_s]", "30d")
    page.keyboard.press("Enter")
    page.wait_for_selector(".tiles")
    assert page.url.endswith(ASKED)
    assert page.get_by_role("heading", name="The choice").count() == 1
    assert page.locator("#chart-parts-memory svg").count() == 1
    page.locator("#chart-front svg a").first.click()
    assert page.locator("details[open] dl").first.is_visible()
    with page.expect_download() as taken:
        page.click("#chart-front [data-png]")
    assert Path(taken.value.path()).read_bytes().startswith(b"\x89PNG")
    assert page.get_by_role("link", name="House them").get_attribute("href").startswith("/size?question=site&node=")
    assert axe(page) == []


def test_what_cannot_be_sized_is_said_beside_the_field(site: Up, tab: Tab) -> None:
    """A mistake in the units is said at once, an unknown model once the planner has looked: each in its own words, at its field."""
    page = tab(site.url, site.token)
    page.goto("/size?question=train&model=X&tokens=2Q")
    assert "is not a count" in page.locator("#h-tokens").inner_text()
    page.goto("/size?question=train&model=Lama-3.1-8B&tokens=2T")
    page.wait_for_selector("[name=model][aria-invalid]")
    assert "there is no model" in page.locator("#h-model").inner_text()
    assert page.input_value("[name=tokens]") == "2T"


def test_a_site_has_its_racks_and_fits_a_phone(site: Up, tab: Tab) -> None:
    """The drawings of rack and fabric are on the page, in dark, and nothing is wider than 390 pixels."""
    page = tab(site.url, site.token, viewport={"width": 390, "height": 800}, color_scheme="dark")
    page.goto("/size?question=site&node=DGX-H100&nodes=16")
    page.wait_for_selector("#chart-rack svg")
    assert page.locator("#chart-fabric svg").count() == 1
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
    assert axe(page) == []


def test_one_question_is_worked_out_at_a_time(site: Up, tab: Tab) -> None:
    """While another is, the page says so and asks again by itself; the thread that answers does not wait."""
    page = tab(site.url, site.token)
    with sizing.AT_WORK:
        page.goto("/size?question=cost&node=p5.48xlarge&count=3")
        page.get_by_text("Another question is being worked out first").wait_for()
    page.wait_for_selector(".tiles")


def test_numbers_are_taken_away_and_hostile_words_stay_words(site: Up) -> None:
    """The front as CSV in plain numbers; a script in a field comes back as text."""
    rows = site.ask("GET", f"{ASKED}&csv=front").body.decode().splitlines()
    assert rows[0] == "design,offer,time_s,cost_usd,energy_kwh,power_w"
    assert float(rows[1].rsplit(",", 1)[1]) > 0
    page = site.ask("GET", "/size?question=train&model=%3Cscript%3Ealert(1)%3C/script%3E&tokens=2T&now=1").body
    assert b"<script>alert" not in page
    assert b"&lt;script&gt;alert" in page
