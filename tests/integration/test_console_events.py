"""Events and audit in a real browser: found by kind, subject and time, page by page; a log that was changed is drawn as broken."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from browser import Tab, axe
from up_site import API, Up, in_thread

from bedplate.catalog.events import Wanted
from bedplate.core.records import Event
from bedplate.testing.clock import ManualClock
from bedplate.testing.records import History

EVIL = "<img src=x onerror=alert(1)><script>alert(1)</script>"
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with in_thread(tmp_path_factory.mktemp("events")) as server:
        History(server.catalog, ManualClock()).make("late", 1)
        server.catalog.events.add(
            *(
                Event(
                    kind=f"kind.{'ab'[number % 2]}",
                    subject=f"late@{number % 3 + 1}",
                    at=BEGAN + timedelta(hours=number),
                    data={"why": EVIL},
                )
                for number in range(250)
            ),
            Event(kind="run.failed", subject="r-1m81f6ag1-v5xfe1", at=BEGAN + timedelta(days=30), data={"deep": {"list": [1.5, EVIL]}}),
        )
        yield server


def test_events_are_found_and_paged(site: Up, tab: Tab) -> None:
    """The newest first; a kind, a subject and a time narrow them; the next page goes on where this one ended."""
    page = tab(site.url, site.token)
    page.goto("/events?kind=kind.a")
    rows = page.locator("#table-events tbody tr")
    assert rows.count() == 100
    page.click("text=Next page")
    page.wait_for_url("**before=*")
    assert rows.count() == 25
    page.goto("/events")
    page.select_option("#kind", "kind.b")
    page.fill("#subject", "late@2")
    page.fill("#until", "2026-01-01T09:00")
    page.click("text=Show")
    page.wait_for_url("**kind=kind.b*")
    assert page.locator("#table-events time").all_inner_texts() == ["2026-01-01 07:00:00", "2026-01-01 01:00:00"]
    assert page.locator("#table-events a").first.get_attribute("href") == "/artifacts/late/2"
    assert EVIL in page.locator("#table-events").inner_text()


def test_a_client_s_run_that_failed_is_an_event_for_who_may_see_it(site: Up, tab: Tab) -> None:
    """Once, however often it is said; a link to the run; who may not see its experiment sees no such event. Webhooks hear of it once."""
    experiment = site.ask("POST", f"{API}/experiments/create", {"name": "theirs"}).json["experiment_id"]
    made = site.ask("POST", f"{API}/runs/create", {"experiment_id": experiment, "run_name": "unlucky", "start_time": 1}).json
    run = made["run"]["info"]["run_id"]
    for status in ("FAILED", "FAILED", "FINISHED"):
        site.ask("POST", f"{API}/runs/update", {"run_id": run, "status": status, "end_time": 2})
    page = tab(site.url, site.token)
    page.goto("/events?kind=client_run.failed")
    assert page.locator("#table-events tbody tr").count() == 1
    assert "name unlucky" in page.locator("#table-events").inner_text()
    assert page.locator("#table-events a").first.get_attribute("href") == f"/runs/{run}"
    (event,) = (event for _, event in site.catalog.events.page(Wanted(kind="client_run.failed")))
    assert (event.subject, event.data["experiment"]) == (run, int(experiment))


def test_what_is_no_time_is_told_beside_the_field(site: Up, tab: Tab) -> None:
    """Nothing breaks by an address that somebody typed."""
    page = tab(site.url, site.token)
    page.goto("/events?since=yesterday")
    assert "'yesterday' in 'from' is no time" in page.locator(".wrong").inner_text()
    for address in ("/events?before=x", "/events?before=1|2|3", "/events?kind=%00&subject=%F0%9F%A6%86"):
        assert site.ask("GET", address).status in (200, 400)


def test_who_did_what_is_found_and_the_chain_is_verified(site: Up, tab: Tab) -> None:
    """An act stands in the log with who did it; whole is said so, and drawn; an entry that was changed behind our back is found."""
    site.ask("POST", f"{API}/experiments/create", {"name": EVIL})
    page = tab(site.url, site.token)
    page.goto("/audit?action=experiment.create")
    assert "admin" in page.locator("#table-audit").inner_text()
    page.click("text=Verify all of it")
    page.locator("#verified .state.good", has_text="whole").wait_for()
    assert page.locator(".chain .whole").count() == 1
    site.catalog.database.composed("UPDATE audit SET actor = 'nobody' WHERE id = 2 RETURNING id", {})
    site.ask("POST", f"{API}/experiments/create", {"name": "one more"})
    page.goto("/audit")
    page.click("text=Verify all of it")
    page.locator("#verified .state.bad", has_text="broken at entry 2").wait_for()
    assert page.locator(".chain .broken").count() >= 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/events", "/audit"])
def test_they_can_be_read_by_everybody(site: Up, tab: Tab, scheme: str, path: str) -> None:
    """axe finds nothing serious on a phone, and nothing is wider than it."""
    page = tab(site.url, site.token, viewport={"width": 390, "height": 800}, color_scheme=scheme)
    page.goto(path)
    if path == "/audit":
        page.click("text=Verify all of it")
        page.locator("#verified .state").wait_for()
    assert axe(page) == []
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
