"""Somebody who has never seen bedplate finds in the console alone why a model got worse, rolls it back, and sees the traffic recover."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Tab
from depot import Depot
from playwright.sync_api import Page, expect

SERVICE = "arrives_in"
LONG_MS = 30_000


@pytest.fixture
def depot(tmp_path: Path) -> Iterator[Depot]:
    """A service that answered well until somebody promoted a model whose data went bad."""
    made = Depot(tmp_path)
    try:
        assert made.asks(40) == (40, "transit@1")
        made.goes_bad()
        assert made.asks(30)[0] < 5
        yield made
    finally:
        made.close()


def the_service(page: Page) -> None:
    """By clicks from wherever one is."""
    page.get_by_role("link", name="Services", exact=True).first.click()
    page.get_by_role("link", name=SERVICE, exact=True).click()
    expect(page.get_by_role("heading", name=SERVICE)).to_be_visible()


def test_why_it_got_worse_is_found_and_mended_by_clicks_alone(depot: Depot, tab: Tab) -> None:
    """From the service that fails to its version, from there to the file that is to blame, back to the version before, and it answers."""
    page = tab(depot.server.url, depot.server.token)
    page.set_default_timeout(LONG_MS)
    page.goto("/")
    the_service(page)

    traffic = page.locator("#traffic")
    expect(traffic.locator(".state", has_text="fails").first).to_be_visible(timeout=LONG_MS)
    expect(traffic).to_contain_text("hours is no delivery")
    traffic.get_by_role("link", name="those that went wrong").first.click()
    expect(page.locator("#table-predictions")).to_contain_text("failed")
    page.locator("#table-predictions tbody a").first.click()
    expect(page.get_by_role("heading", name="What went wrong")).to_be_visible()
    page.get_by_role("link", name="transit@2", exact=True).click()

    expect(page.get_by_role("heading", name="transit@2")).to_be_visible()
    expect(page.locator("#table-verdict-0")).to_contain_text("did not pass")
    page.get_by_label("Compare with").select_option("1")
    page.get_by_role("button", name="Compare", exact=True).click()
    assert "against=1" in page.url
    why = page.locator("#why")
    expect(why).to_contain_text("input delivered: delivered@1 -> delivered@2")
    expect(why).to_contain_text("1 new file (data/day_3.csv)")
    expect(page.locator("#table-verdict-0 tbody tr", has_text="pallet").first).to_contain_text("<= 5")

    page.get_by_role("button", name="Roll back production").click()
    page.get_by_role("textbox", name="Why").fill("day_3.csv is in minutes, not hours")
    page.get_by_role("button", name="Roll back to version 1").click()
    page.wait_for_url("**/models/transit")
    moved = page.locator("#table-history tbody tr").first
    expect(moved).to_contain_text("admin, rolling back")
    expect(moved).to_contain_text("day_3.csv is in minutes, not hours")
    expect(page.locator("#table-versions")).to_contain_text("barred")

    depot.waits_for("transit@1")
    assert depot.asks(40) == (40, "transit@1")
    the_service(page)
    expect(page.locator("#traffic .tile", has_text="now").locator(".state")).to_have_text("answers", timeout=LONG_MS)
    expect(page.locator("#table-by-version tbody tr").first).to_contain_text("transit@1")
    expect(page.locator("#table-servers")).to_contain_text("transit@1")
