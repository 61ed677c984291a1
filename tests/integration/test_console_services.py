"""Services in the console, in a real browser: what serves, its traffic and drift, single predictions, and the form that tries it."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Tab
from depot import Depot
from playwright.sync_api import expect
from up_site import API, Line, in_thread

LONG_MS = 30_000
PASSPHRASE = "a long enough passphrase"


@pytest.fixture(scope="module")
def depot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Depot]:
    """A service that was asked 260 times, and answered."""
    made = Depot(tmp_path_factory.mktemp("depot"))
    try:
        assert made.asks(260)[0] == 260
        yield made
    finally:
        made.close()


def test_nothing_is_served_and_the_page_says_how(tmp_path: Path, tab: Tab) -> None:
    """The empty page names the next command; a service that there never was is not there."""
    with in_thread(tmp_path) as site:
        page = tab(site.url, site.token, may_fail=("404",))
        page.goto("/serving")
        expect(page.locator("main")).to_contain_text("bedplate serve")
        assert page.goto("/serving/nobody").status == 404
        assert site.ask("GET", "/serving/nobody/predictions").status == 404


def test_traffic_drift_and_quality_come_after_the_page(depot: Depot, tab: Tab) -> None:
    """Figures by version, latency, distributions served over training with their figures, and what to do for labels; as CSV, too."""
    page = tab(depot.server.url, depot.server.token)
    page.goto("/serving/arrives_in")
    traffic, report = page.locator("#traffic"), page.locator("#report")
    expect(traffic.locator("#table-by-version tbody tr").first).to_contain_text("transit@1", timeout=LONG_MS)
    expect(traffic.locator(".tile", has_text="now").locator(".state")).to_have_text("answers")
    expect(traffic.locator("#chart-latency canvas")).to_have_count(1)
    page.reload()  # the report is made once for a page: of a log that is written by now
    expect(report.locator("#table-drift")).to_contain_text("distance_km", timeout=LONG_MS)
    expect(report.locator("#chart-shape-0 svg path")).to_have_count(1)
    expect(report.locator("#quality + p + .empty, #quality ~ .empty").first).to_contain_text("bedplate labels")
    rows = page.request.get("/serving/arrives_in/report?csv=drift").text()
    assert "distance_km" in rows
    page.get_by_role("link", name="all", exact=True).click()
    assert "span=all" in page.url


def test_the_form_asks_the_service_and_the_answer_is_on_record(depot: Depot, tab: Tab) -> None:
    """Fields and example values are the service's own; a wrong one is refused in words; the answer leads to its record, and back."""
    page = tab(depot.server.url, depot.server.token, may_fail=("500", "404"))
    page.goto("/serving/arrives_in")
    distance = page.locator("#try").get_by_label("distance_km")
    expect(distance).not_to_have_value("", timeout=LONG_MS)
    distance.fill("-100000")
    page.get_by_role("button", name="Ask").click()
    expect(page.locator("#try-form [role=alert]")).to_contain_text("arrives_in failed")
    distance.fill("500")
    page.locator("#try").get_by_label("weight_kg").fill("10")
    page.get_by_role("button", name="Ask").click()
    answer = float(page.locator("#try-result").inner_text())
    assert 45 < answer < 55  # 6 h, 0.08 h a km, 0.4 h a kg
    expect(page.locator("[data-answer]")).to_contain_text("transit@1")
    leads = page.locator("[data-answer] a")
    address = str(leads.get_attribute("href"))
    until = time.monotonic() + LONG_MS / 1000
    while not page.request.get(address).ok and time.monotonic() < until:
        page.wait_for_timeout(200)
    leads.click()
    expect(page.locator("#table-request")).to_contain_text("500")
    expect(page.locator("main")).to_contain_text("transit@1")
    page.get_by_role("link", name="Ask it again").click()
    expect(page.locator("#try").get_by_label("distance_km")).to_have_value("500", timeout=LONG_MS)


def test_single_predictions_are_found(depot: Depot, tab: Tab) -> None:
    """The newest first, page by page, by version and by what went wrong."""
    page = tab(depot.server.url, depot.server.token)
    page.goto("/serving/arrives_in/predictions")
    first = page.locator("#table-predictions tbody a").first.inner_text()
    assert page.locator("#table-predictions tbody tr").count() == 50
    page.get_by_role("link", name="Next page").click()
    assert first not in page.locator("#table-predictions").inner_text()
    page.get_by_label("Version").fill("transit@99")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("main")).to_contain_text("No prediction is as you ask")


def test_where_the_time_of_a_prediction_went_is_drawn(depot: Depot, tab: Tab) -> None:
    """As bars, one after the other, and as numbers that add up."""
    with Line(depot.server.url, depot.server.token) as line:
        body = {"distance_km": 500.0, "weight_kg": 10.0}
        asked = line.ask("POST", "/services/arrives_in", body, headers={"X-Trace": "1"})
    assert "server-timing" in asked.headers
    page = tab(depot.server.url, depot.server.token, may_fail=("404",))
    address, until = f"/serving/arrives_in/predictions/{asked.json['prediction_id']}", time.monotonic() + LONG_MS / 1000
    while not page.request.get(address).ok and time.monotonic() < until:
        page.wait_for_timeout(200)
    page.goto(address)
    expect(page.locator("#chart-time .plot *").first).to_be_attached()
    expect(page.locator(".tile", has_text="latency")).to_contain_text("from the last byte of its request to its answer")
    expect(page.locator("#chart-time")).to_contain_text("from its first byte until the client had its answer")
    rows = [line.split(",") for line in page.request.get(f"{address}?csv=parts").text().strip().splitlines()[1:]]
    assert [row[0] for row in rows] == ["read", "decode", "queue", "features", "model", "answer", "write", "all"]
    times = [float(row[-2]) for row in rows]
    assert sum(times[:-1]) == pytest.approx(times[-1], abs=0.01)


@pytest.mark.bad_input
@pytest.mark.parametrize("query", ["since=yesterday", "below=x", "below=2026-01-01+x", "version=%00", "until=99999-01-01"])
def test_a_question_that_is_none_is_refused_in_words(depot: Depot, query: str) -> None:
    """A bad time or place is the asker's mistake, and no mistake of the server's."""
    with Line(depot.server.url, depot.server.token) as line:
        assert line.ask("GET", f"/serving/arrives_in/predictions?{query}").status in (200, 400)


def test_who_may_not_see_the_project_sees_none_of_its_predictions(depot: Depot) -> None:
    """Neither the page, nor its CSV, nor drift; not even that the service is there, without the right to see services."""
    known = {"Authorization": "Basic " + base64.b64encode(f"eve:{PASSPHRASE}".encode()).decode()}
    with Line(depot.server.url, depot.server.token) as line:
        assert line.ask("POST", f"{API}/users/create", {"username": "eve", "password": PASSPHRASE}).status == 200
    with Line(depot.server.url) as line:
        for path in ("", "/arrives_in", "/arrives_in/traffic", "/arrives_in/report", "/arrives_in/predictions?csv=predictions"):
            answer = line.ask("GET", f"/serving{path}", headers=known)
            assert answer.status in (403, 404), path
            assert b"transit" not in answer.body
