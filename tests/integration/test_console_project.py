"""The project's pages in a real browser: how steps stand and why, a run begun and cancelled from there, a mistake in the file, the plan."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Tab, axe
from playwright.sync_api import Page, expect
from up_site import Process, as_process, in_thread

PROJECT = """
import time

from bedplate import Context, Project

fleet = Project("fleet", budget="5 USD/month")


@fleet.ingest
def raw() -> int:
    return 7


@fleet.prepare(every="1 day")
def doubled(raw: int) -> int:
    return 2 * raw


@fleet.prepare
def slow(doubled: int, context: Context) -> int:
    print("a line of its log")
    for _ in context.progress(range(doubled), label="ships"):
        time.sleep(0.0)
    return doubled


@fleet.service
def asked(slow: int, number: float) -> float:
    return slow * number
"""
PATIENCE_MS = 60_000


def said(folder: Path, *words: str) -> str:
    done = subprocess.run([sys.executable, "-m", "bedplate", *words], cwd=folder, check=True, capture_output=True, text=True, timeout=120)
    return done.stdout


def bedplate(folder: Path, *words: str) -> None:
    said(folder, *words)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Process, Path]]:
    folder = tmp_path_factory.mktemp("fleet")
    (folder / "fleet.py").write_text(PROJECT)
    bedplate(folder, "run")
    with as_process(folder, "--no-due") as server:
        yield server, folder


@pytest.fixture
def file(site: tuple[Process, Path]) -> Iterator[Path]:
    """The project file, as it was when the test is over."""
    found = site[1] / "fleet.py"
    yield found
    found.write_text(PROJECT)


def seen(page: Page, path: str = "/") -> None:
    page.goto(path)
    page.locator(".seen", has_text="Seen").wait_for(timeout=PATIENCE_MS)


def state(page: Page, step: str) -> str:
    return page.locator("#table-steps tr", has=page.get_by_role("link", name=step, exact=True)).locator("span.state").inner_text()


def test_a_stale_step_says_why_and_a_run_from_the_page_makes_it_fresh(site: tuple[Process, Path], tab: Tab, file: Path) -> None:
    """An edit shows as stale with the place in the file; who may begins a run with a reason, and the audit log has both."""
    server, _ = site
    file.write_text(PROJECT.replace("2 * raw", "3 * raw"))
    page = tab(server.url, server.token)
    seen(page)
    expect(page.locator("#table-steps")).to_contain_text("doubled changed (fleet.py:", timeout=PATIENCE_MS)
    assert state(page, "doubled") == "stale"
    assert state(page, "slow") == "perhaps stale"
    assert state(page, "asked") == "not served"
    page.get_by_role("button", name="Run what is out of date").click()
    page.fill("#run-all-reason", "ships count thrice now")
    page.locator("#run-all button[type=submit]").click()
    page.wait_for_url("**/")
    row = page.locator("#table-steps tr", has=page.get_by_role("link", name="slow", exact=True))
    expect(row).to_contain_text("fresh", timeout=PATIENCE_MS)
    expect(page.locator("#table-steps")).to_contain_text("unchanged since doubled@2", timeout=PATIENCE_MS)
    (told,) = server.ask("GET", "/api/bedplate/audit?action=project.run").json["entries"]
    assert (told["actor"], told["data"]) == ("admin", {"begins": "bedplate run", "reason": "ships count thrice now"})
    page.goto("/?step=slow")
    expect(page.locator(".side-panel")).to_contain_text("a line of its log")


def test_a_run_that_goes_on_is_seen_and_cancelled(site: tuple[Process, Path], tab: Tab, file: Path) -> None:
    """Running, waiting for what, how far by its own word; cancelled it checkpoints and stops; no second begins beside it."""
    server, _ = site
    file.write_text(PROJECT.replace("range(doubled)", "range(4000)").replace("sleep(0.0)", "sleep(0.05)"))
    page = tab(server.url, server.token, may_fail=("409",))
    seen(page, "/?step=slow")
    page.get_by_role("button", name="Run …").click()
    page.locator("#run-step button[type=submit]").click()
    page.locator(".going").wait_for(timeout=PATIENCE_MS)
    expect(page.locator(".going")).to_contain_text(re.compile(r"slow ships \d+%"), timeout=PATIENCE_MS)
    expect(page.locator(".graph-view .now")).to_contain_text("slow")
    again = server.ask("POST", "/project/run", {"names": []})
    assert (again.status, again.json["error_code"]) == (409, "RESOURCE_CONFLICT")
    page.get_by_role("button", name="Cancel …").click()
    page.locator("#cancel button[type=submit]").click()
    page.wait_for_url("**/")
    page.locator(".going").wait_for(state="detached", timeout=PATIENCE_MS)
    expect(page.locator(".side-panel")).to_contain_text("cancelled", timeout=PATIENCE_MS)


def test_a_mistake_in_the_file_is_shown_in_its_words_and_the_page_stays(site: tuple[Process, Path], tab: Tab, file: Path) -> None:
    """What was seen before stays below it; mended, it is gone."""
    server, _ = site
    page = tab(server.url, server.token)
    seen(page)
    file.write_text(PROJECT.replace("(raw: int)", "(rwa)"))
    page.reload()
    expect(page.locator(".trouble")).to_contain_text("fleet.py:", timeout=PATIENCE_MS)
    expect(page.locator("#table-steps")).to_contain_text("doubled")
    file.write_text(PROJECT)
    page.reload()
    page.locator(".trouble").wait_for(state="detached", timeout=PATIENCE_MS)


def test_the_graph_is_gone_through_by_keys_and_everybody_can_read_it(site: tuple[Process, Path], tab: Tab) -> None:
    """A box is a link that arrow keys reach; axe finds nothing serious; on a phone the table stands alone, no page is wider than it."""
    server, _ = site
    page = tab(server.url, server.token)
    seen(page)
    page.locator(".graph-view [data-id=raw]").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_url("**/?step=*")
    for path in ("/?step=doubled", "/plan", "/schedule"):
        page.goto(path)
        assert axe(page) == [], path
    small = tab(server.url, server.token, viewport={"width": 390, "height": 800}, color_scheme="dark")
    for path in ("/?step=doubled", "/plan", "/schedule", "/project/parts?step=doubled"):
        small.goto(path)
        assert small.evaluate("() => document.documentElement.scrollWidth") <= 390, path
        assert axe(small) == [], path
    assert not small.locator(".graph-view").count() or not small.locator(".graph-view").first.is_visible()


def test_the_plan_and_the_schedule_say_what_comes(site: tuple[Process, Path], tab: Tab, file: Path) -> None:
    """What would run as a time line with ranges, what past forecasts were off by, what is on the clock, the budget; and as CSV."""
    server, _ = site
    file.write_text(PROJECT.replace("2 * raw", "5 * raw"))
    page = tab(server.url, server.token)
    page.goto("/plan")
    expect(page.locator("#chart-time-line svg")).to_be_visible(timeout=PATIENCE_MS)
    assert "doubled" in server.ask("GET", "/plan?csv=planned").body.decode()
    assert server.ask("GET", "/plan?csv=record").status == 200
    page.goto("/schedule")
    expect(page.locator("#table-standing")).to_contain_text("every 1 day")
    expect(page.locator("main")).to_contain_text("$0.00 spent")


def test_who_may_only_look_gets_no_button_and_no_answer(site: tuple[Process, Path], tab: Tab) -> None:
    """A viewer of the project sees it and may not run it; who has no role on it is told of none of its steps."""
    server, folder = site
    bedplate(folder, "account", "add", "vera")
    token = json.loads(said(folder, "token", "new", "pages", "--account", "vera", "--json"))["token"]
    page = tab(server.url, token)
    page.goto("/")
    expect(page.locator("main")).to_contain_text("There is no project here that you may see")
    with server.line() as line:
        line.token = token
        for path in ("/", "/plan", "/schedule", "/project/graph"):
            assert b"doubled" not in line.ask("GET", path).body, path
    bedplate(folder, "account", "grant", "vera", "viewer", "--on", "experiment:fleet")
    seen(page)
    assert page.get_by_role("button", name="Run").count() == 0
    with server.line() as line:
        line.token = token
        for path in ("/project/run", "/project/due", "/project/cancel"):
            assert line.ask("POST", path, {"run": "r-1"}).status == 403, path
        assert line.ask("GET", "/project/parts?step=doubled").status == 200


def test_a_state_without_a_project_says_so(tmp_path: Path, tab: Tab) -> None:
    """With the next command; nothing can be begun."""
    with in_thread(tmp_path) as server:
        page = tab(server.url, server.token)
        for path in ("/", "/plan", "/schedule"):
            page.goto(path)
            expect(page.locator("main")).to_contain_text("bedplate new NAME")
        assert server.ask("POST", "/project/run", {}).status == 404
