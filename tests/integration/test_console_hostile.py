"""Every page of the console over a record in which every name, number, log line, file and cell is hostile, in a real browser.

The pages are found as a person finds them, by links.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from browser import Tab, axe
from playwright.sync_api import Page
from up_site import API, Process, as_process

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


def test_no_other_site_frames_or_changes_anything(site: Process) -> None:
    """Every page says that nobody may frame it, and a form of another site is refused whatever it carries."""
    for path in ("/", "/runs", "/models", "/settings"):
        headers = site.ask("GET", path, headers={"Accept": "text/html"}).headers
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-frame-options"] == "DENY"
    refused = site.ask("POST", f"{API}/runs/create", {"experiment_id": "0"}, headers={"Origin": "http://evil.example"})
    assert refused.status == 403
    form = site.ask("POST", f"{API}/runs/create", b"experiment_id=0", headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert form.status in (400, 415)
