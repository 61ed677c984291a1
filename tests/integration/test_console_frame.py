"""The frame of the console in a real browser: no error, in light and dark, narrow, by keyboard; and who may not see it."""

from __future__ import annotations

import base64
import http.client
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest
from browser import Tab, axe
from up_site import API, Up, in_thread

from bedplate.interfaces.http.console import changes

PASSWORD = "plover quartz tandem 41"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with in_thread(tmp_path_factory.mktemp("console")) as server:
        with server.line() as line:
            for number in range(3):
                line.new_run(run_name=f"run {number} <script>alert(1)</script>")
        yield server


def test_a_person_logs_in_and_finds_the_runs(site: Up, tab: Tab) -> None:
    """Without a session a page leads to the login and then back; runs' names are text, whatever is in them."""
    page = tab(site.url, site.token)
    page.context.clear_cookies()
    page.goto("/runs")
    assert "/login?next=/runs" in page.url
    page.fill("#password", site.token)
    page.click("button[type=submit]")
    page.wait_for_url("**/runs")
    assert page.locator("tbody tr").count() == 3
    assert "run 2 <script>alert(1)</script>" in page.locator("tbody").inner_text()


def test_what_happens_shows_without_a_reload(site: Up, tab: Tab) -> None:
    """A run that begins while the page is open is in its table a moment later; the page stays."""
    page = tab(site.url, site.token)
    page.goto("/runs")
    page.evaluate("() => { window.stays = true; }")
    page.wait_for_function("() => performance.now() > 1500")
    assert page.locator("#line").is_hidden(), "the stream is there"
    with site.line() as line:
        line.new_run(run_name="the newest")
    page.get_by_text("the newest").wait_for(timeout=10_000)
    assert page.evaluate("() => window.stays")


def test_a_live_page_gives_back_where_the_keyboard_stood(site: Up, tab: Tab) -> None:
    """The table is another one after a change, and the focus and the scrolling are where they were."""
    page = tab(site.url, site.token, viewport={"width": 390, "height": 800})
    page.goto("/runs")
    page.wait_for_function("() => performance.now() > 1500")
    link = page.locator("tbody td.run a").last
    link.focus()
    named = link.get_attribute("href")
    page.evaluate("() => { document.querySelector('#live .scroll').scrollLeft = 40; }")
    with site.line() as line:
        line.new_run(run_name="one more")
    page.get_by_text("one more").wait_for(timeout=10_000)
    page.wait_for_function("named => document.activeElement.getAttribute('href') === named", arg=named)
    assert page.evaluate("() => document.querySelector('#live .scroll').scrollLeft") == 40


def test_a_menu_closes_as_menus_do(site: Up, tab: Tab) -> None:
    """By Escape, which gives the keyboard back to what opened it, and by a click beside it."""
    page = tab(site.url, site.token)
    page.goto("/runs")
    menu = page.locator("#columns")
    menu.locator("summary").click()
    page.fill("#column", "x")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    assert menu.get_attribute("open") is None
    assert page.evaluate("() => document.activeElement.matches('#columns > summary')")
    menu.locator("summary").click()
    page.locator("h1").click()
    assert menu.get_attribute("open") is None


def test_one_account_has_so_many_streams_and_others_have_theirs(site: Up, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stream beyond the limit is refused with what to do; another account listens on; one that ends makes room."""
    monkeypatch.setattr(changes, "MOST", 3)
    made = site.ask("POST", f"{API}/users/create", {"username": "dora", "password": PASSWORD})
    assert made.status == 200, made
    whose = {"admin": {"Authorization": f"Bearer {site.token}"}, "dora": {"Authorization": f"Basic {basic('dora', PASSWORD)}"}}
    host, port = site.url.removeprefix("http://").split(":")
    with ExitStack() as opened:

        def listen(account: str) -> http.client.HTTPResponse:
            line = opened.enter_context(closing(http.client.HTTPConnection(host, int(port), timeout=20)))
            line.request("GET", "/changes", headers=whose[account])
            return line.getresponse()

        streams = [listen("admin") for _ in range(3)]
        assert [stream.readline() for stream in streams] == [b"retry: 1000\n"] * 3
        refused = listen("admin")
        assert refused.status == 429
        assert b"close some of its pages" in refused.read()
        assert listen("dora").readline() == b"retry: 1000\n"
    until = time.monotonic() + 20
    with ExitStack() as opened:
        while (again := listen("admin")).status == 429:
            assert time.monotonic() < until, "streams that ended are counted still"
            again.read()
        assert again.readline() == b"retry: 1000\n"


def basic(name: str, password: str) -> str:
    return base64.b64encode(f"{name}:{password}".encode()).decode()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read_by_everybody(site: Up, tab: Tab, scheme: str) -> None:
    """axe finds nothing serious, and nothing is wider than a phone."""
    page = tab(site.url, site.token, viewport={"width": 390, "height": 800}, color_scheme=scheme)
    page.goto("/runs")
    assert axe(page) == []
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390


def test_a_fault_is_a_page_for_people_and_json_for_programs(site: Up, tab: Tab) -> None:
    """Who looks for what is not there is told so in words, with a way on."""
    page = tab(site.url, site.token, may_fail=("404",))
    assert page.goto("/nowhere").status == 404
    assert "There is nothing here" in page.content()
    assert site.ask("GET", "/nowhere").json["error_code"] == "ENDPOINT_NOT_FOUND"


def test_a_table_is_taken_away_as_csv(site: Up) -> None:
    """The same address with ?csv= gives the rows; no cell is a formula to a spreadsheet."""
    site.ask("POST", f"{API}/runs/create", {"experiment_id": "0", "run_name": "=1+1"})
    found = site.ask("GET", "/runs?csv=runs")
    assert found.headers["content-type"].startswith("text/csv")
    assert "'=1+1" in found.body.decode()


def test_pages_are_framed_by_nobody_and_run_no_script_of_their_own(site: Up) -> None:
    """The policy of every page forbids inline scripts and frames."""
    policy = site.ask("GET", "/runs", headers={"Accept": "text/html"}).headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
