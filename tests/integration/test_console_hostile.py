"""Every page of the console over a record in which every name, number, log line, file and cell is hostile, in a real browser.

The pages are found as a person finds them, by links; then come the known attacks on pages, case by case (`console_cases.json`), and a page
of another site that tries what such a page can.
"""

from __future__ import annotations

import http.server
import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlsplit

import pytest
from browser import Tab, axe
from playwright.sync_api import Page
from up_site import API, Answer, Line, Process, as_process

from bedplate.interfaces.http.console.frame import NAVIGATION

ODD = "<img src=x onerror=\"window.__bp_xss=1;fetch('http://127.0.0.2/xss')\">"
SCRIPT = "<script>window.__bp_xss=1</script>"
RTL = "\N{RIGHT-TO-LEFT OVERRIDE}gnp.exe \N{HEBREW LETTER ALEF}\N{HEBREW LETTER BET}"
PROJECT = '''
import logging
import polars as pl
from bedplate import Check, Context, Model, Project

X = """<img src=x onerror="window.__bp_xss=1;fetch('http://127.0.0.2/xss')">"""
odd = Project("odd")


@odd.prepare
def cells() -> pl.DataFrame:
    print("\\x1b]8;;javascript:window.__bp_xss=1\\x07link\\x1b]8;;\\x07 </pre><script>window.__bp_xss=1</script>", X)
    return pl.DataFrame({X: [X, '=HYPERLINK("http://127.0.0.1")'], "word": ["a" * 10_000, X], "number": [float("nan"), float("inf")]})


@odd.step
def said(cells: pl.DataFrame, context: Context, word: str = X) -> str:
    context.metric("metric " + X[:30], float("nan"))
    return X


@odd.step
def fails(said: str) -> str:
    raise ValueError(X)
'''
CASES: Final = json.loads(Path(__file__).with_name("console_cases.json").read_text(encoding="utf-8"))
WEIGHT = """() => [...performance.getEntriesByType('resource'), ...performance.getEntriesByType('navigation')]
    .reduce((sum, one) => sum + one.decodedBodySize, 0)"""
FILES = {
    "x.html": f"<html><body>{SCRIPT}{ODD}</body></html>",
    "x.svg": f'<svg xmlns="http://www.w3.org/2000/svg" onload="window.__bp_xss=1">{SCRIPT}</svg>',
    "x.xhtml": f'<html xmlns="http://www.w3.org/1999/xhtml"><body>{SCRIPT}</body></html>',
    "x.md": f"# a\n\n[a](javascript:window.__bp_xss=1) {ODD}",
    "x.xml": f'<?xml-stylesheet href="javascript:window.__bp_xss=1"?><a>{SCRIPT}</a>',
    "x.png": f"<html>{SCRIPT}</html>",
    "n.ipynb": '{"cells": [{"outputs": [{"data": {"text/html": "' + SCRIPT.replace('"', '\\"') + '"}}]}]}',
    "table.csv": f'a,"{ODD.replace(chr(34), chr(34) * 2)}"\n=1+1,{SCRIPT}\n',
    "x.json": '{"a": "' + SCRIPT + '</script>"}',
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A project that ran, and a client that logged, with `bedplate up` over both."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "odd.py").write_text(PROJECT)
    subprocess.run([sys.executable, "-m", "bedplate", "run"], cwd=folder, capture_output=True, timeout=120, check=False)
    with as_process(folder, "--no-due") as server:
        log_everything(server.ask)
        yield server
    shutil.rmtree(folder, ignore_errors=True)


def log_everything(ask: Callable[..., Any]) -> None:
    """What a client can name, named badly; what a name may not be is refused, which is as well."""
    experiment = ask("POST", f"{API}/experiments/create", {"name": f"odd {ODD}"}).json["experiment_id"]
    for name in (ODD, SCRIPT, RTL, "long " + "n" * 9_000):
        made = ask("POST", f"{API}/runs/create", {"experiment_id": experiment, "run_name": name})
        if made.status != 200:
            continue
        run = made.json["run"]["info"]["run_id"]
        said = {
            "metrics": [
                {"key": key, "value": value, "timestamp": 1, "step": step}
                for key in ("loss", "</script>")
                for step, value in enumerate((0.5, "NaN", "Infinity", 1e300))
            ],
            "params": [{"key": "word", "value": ODD}, {"key": "rtl", "value": RTL}],
            "tags": [{"key": "mlflow.note.content", "value": f"{ODD} [x](javascript:window.__bp_xss=1)"}, {"key": "t", "value": SCRIPT}],
        }
        ask("POST", f"{API}/runs/log-batch", {"run_id": run, **said})
        for path, text in FILES.items():
            ask("PUT", f"/api/2.0/mlflow-artifacts/artifacts/{experiment}/{run}/artifacts/{quote(path)}", text.encode())
    for name in ("odd model", RTL, SCRIPT):
        ask("POST", f"{API}/registered-models/create", {"name": name, "description": ODD})


def pages(page: Page, begins: list[str], most: int) -> Iterator[str]:
    """Every page that can be reached by links, the first of each kind before others of it."""
    kinds: dict[str, int] = {}
    waiting, seen = list(begins), set(begins)
    while waiting and most:
        waiting.sort(key=lambda path: kinds.get(kind(path), 0))
        path = waiting.pop(0)
        kinds[kind(path)] = kinds.get(kind(path), 0) + 1
        if kinds[kind(path)] > 2:
            continue
        most -= 1
        yield path
        found = page.eval_on_selector_all("a[href]", "all => all.map(one => new URL(one.getAttribute('href'), location).href)")
        for one in (urlsplit(link) for link in found if link.startswith(page.url[: page.url.index("/", 8)])):
            path = one.path + (f"?{one.query}" if one.query else "")
            if (
                "csv=" not in path
                and not path.startswith(("/login", "/assets/", "/api/", "/get-artifact", "/services/"))
                and path not in seen
            ):
                seen.add(path)
                waiting.append(path)


def kind(path: str) -> str:
    """What kind of page a path is: its first segment, how long it is, which words its query has."""
    parts = urlsplit(path)
    words = "&".join(re.findall(r"(\w+)=", parts.query))
    return f"{parts.path.split('/')[1]}/{parts.path.count('/')}/{words}"


def test_no_page_runs_what_somebody_wrote(site: Process, tab: Tab) -> None:
    """No script runs, nothing is asked of another host, no console has an error; each page is read by everybody and light enough."""
    page = tab(site.url, site.token, viewport={"width": 390, "height": 800}, color_scheme="dark")
    strange: list[str] = []
    page.on("request", lambda asked: None if asked.url.startswith((site.url, "data:", "blob:")) else strange.append(asked.url))
    page.on("dialog", lambda dialog: strange.append(dialog.message))
    wrong: list[str] = []
    visited: list[str] = []
    for path in pages(page, ["/"], most=90):
        answer = page.goto(path)
        visited.append(path)
        assert answer is not None
        wrong += [f"{path}: {fault}" for fault in ([answer.status] if answer.status != 200 else faults(page))]
    assert not wrong, "\n".join(wrong)
    assert strange == []
    assert {path for _, path, _ in NAVIGATION} <= {urlsplit(path).path for path in visited}


def faults(page: Page) -> Iterator[str]:
    """What is wrong with the page that is open."""
    page.wait_for_function("() => !document.querySelector('.htmx-request')")
    if page.evaluate("() => window.__bp_xss") is not None:
        yield "a script ran"
    if page.evaluate("() => document.documentElement.scrollWidth") > 390:
        yield "wider than a phone"
    weight = page.evaluate(WEIGHT)
    if weight > 300_000:
        yield f"{weight} bytes"
    yield from axe(page)


def test_hostile_cells_are_no_formulas_in_what_is_taken_away(site: Process) -> None:
    """CSV of any page: no cell begins as a formula."""
    for path in ("/runs?csv=runs",):
        found = site.ask("GET", path).body.decode()
        assert not [cell for line in found.splitlines() for cell in line.split(",") if cell.lstrip('"').startswith(("=", "@"))]


class Ground(NamedTuple):
    """What the cases are about: ids for their addresses, and the three who ask."""

    names: Mapping[str, str]
    headers: Mapping[str, Mapping[str, str]]
    site: Process

    def at(self, text: str) -> str:
        """A case's text with the ids of this record."""
        return re.sub(r"\{(\w+)\}", lambda found: self.names[found[1]], text)

    def ask(self, step: Mapping[str, Any]) -> Answer:
        """One request of a case: the path goes as it is written."""
        headers = {**self.headers[step["as"]], **{name: self.at(value) for name, value in step.get("headers", {}).items()}}
        body = step["body"].encode() if "body" in step else step.get("json")
        with Line(self.site.url) as line:
            return line.ask(step["method"], quote(self.at(step["path"]), safe="/:?&=%#+.,;@!$'()*[]~"), body, headers)

    def record(self) -> tuple[Any, ...]:
        """What no other site may change: experiments, accounts, and that the session is there."""
        experiments = self.site.ask("POST", f"{API}/experiments/search", {"max_results": 1000}).json
        accounts = self.site.ask("GET", "/api/bedplate/accounts").json
        with Line(self.site.url) as line:
            session = line.ask("GET", "/api/bedplate/me", headers=self.headers["session"])
        return [one["name"] for one in experiments["experiments"]], [one["name"] for one in accounts["accounts"]], session.status


@pytest.fixture(scope="module")
def ground(site: Process) -> Ground:
    runs = site.ask("POST", f"{API}/runs/search", {"experiment_ids": [of("odd ", site)], "max_results": 5}).json["runs"]
    steps = site.ask("POST", f"{API}/runs/search", {"experiment_ids": [of("odd", site, whole=True)], "max_results": 50}).json["runs"]
    by_name = {one["info"]["run_name"]: one["info"]["run_id"] for one in steps}
    ids = [one["info"]["run_id"] for one in runs]
    names = {
        "run": ids[0], "other": ids[1], "experiment": runs[0]["info"]["experiment_id"], "printed": by_name["cells"],
        "failed": by_name["fails"], "api": API, "port": site.url.rpartition(":")[2],
    }  # fmt: skip
    with Line(site.url) as line:
        entered = line.ask("POST", "/login", {"username": "", "password": site.token})
    cookie = entered.headers["set-cookie"].partition(";")[0]
    headers = {"token": {"Authorization": f"Bearer {site.token}"}, "session": {"Cookie": cookie}, "nobody": {}}
    return Ground(names, headers, site)


def of(name: str, site: Process, whole: bool = False) -> str:
    """The id of an experiment whose name begins so."""
    found = site.ask("POST", f"{API}/experiments/search", {"max_results": 1000}).json["experiments"]
    return next(str(one["experiment_id"]) for one in found if one["name"] == name or (not whole and one["name"].startswith(name)))


@pytest.mark.parametrize("case", CASES["requests"], ids=lambda case: case["id"])
def test_a_known_attack_on_the_port_ends_as_it_should(ground: Ground, case: Mapping[str, Any]) -> None:
    """Each request of the case is answered with a status and headers that are safe, and the record is as it was."""
    before = ground.record()
    for step in case["steps"]:
        answer = ground.ask(step)
        said = f"{step}: {answer.status} {answer.headers} {answer.body[:200]!r}"
        assert answer.status in case["status"], said
        assert not [word for word in case.get("absent", ()) if word.encode() in answer.body], said
        for name, pattern in case.get("header", {}).items():
            assert re.search(pattern, answer.headers.get(name, ""), re.IGNORECASE), said
        for name, pattern in case.get("header_not", {}).items():
            assert not re.search(pattern, answer.headers.get(name, "")), said
    assert ground.record() == before


@pytest.mark.parametrize("case", CASES["pages"], ids=lambda case: case["id"])
def test_a_known_attack_on_pages_runs_nothing(ground: Ground, tab: Tab, case: Mapping[str, Any]) -> None:
    """The pages of the case are opened with what is hostile on them: no script runs, and nothing but this server is asked."""
    page = tab(ground.site.url, ground.site.token, may_fail=("404",))
    strange: list[str] = []
    page.on("request", lambda asked: None if asked.url.startswith((ground.site.url, "data:", "blob:")) else strange.append(asked.url))
    page.on("dialog", lambda dialog: strange.append(dialog.message))
    for path in case["opens"]:
        answer = page.goto(ground.at(path))
        assert answer is not None
        assert answer.status == (404 if path.startswith("/%3C") else 200), path
        for link in page.locator("a[href^='javascript:' i]").all():
            strange.append(f"{path} leads to {link.get_attribute('href')}")
        page.evaluate("() => document.querySelectorAll('main details').forEach((one) => { one.open = true; })")
        page.wait_for_function("() => !document.querySelector('.htmx-request')")
        assert page.evaluate("() => window.__bp_xss") is None, path
        assert not page.frames[1:], path
    assert strange == []


EVIL: Final = Path(__file__).with_name("console_evil.html").read_text(encoding="utf-8")
"""Everything that a page of somebody else's can have a browser do to this server: forms, fetches, a stream, a beacon, frames."""


@pytest.fixture(params=["127.0.0.1", "localhost"])
def elsewhere(request: pytest.FixtureRequest, site: Process) -> Iterator[str]:
    """A page of another port of this host (same site, so that cookies go along), or of another site."""
    text = EVIL.replace("SITE", site.url).encode()

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Nothing is told."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://{request.param}:{server.server_address[1]}/"
        server.shutdown()


def test_a_page_of_another_site_changes_reads_and_frames_nothing(ground: Ground, tab: Tab, elsewhere: str) -> None:
    """In the browser of somebody who is logged in: the record is as it was, nothing was read, no page stands in a frame, nobody is out."""
    page = tab(ground.site.url, ground.site.token, may_fail=("",))
    before, session = ground.record(), page.context.cookies()
    page.goto(elsewhere)
    page.wait_for_function("() => window.ended !== undefined")
    assert page.evaluate("() => window.ended") == []
    for frame in ("framed", "framed-login"):
        shown = page.locator(f"#{frame}").element_handle().content_frame()
        assert shown is not None
        assert shown.url.startswith("chrome-error:"), shown.url
    assert ground.record() == before
    mine = [one["value"] for one in session if "session" in one.get("name", "")]
    assert mine == [one["value"] for one in page.context.cookies(ground.site.url) if "session" in one.get("name", "")]
    page.goto(f"{ground.site.url}/settings")
    assert "/login" not in page.url
