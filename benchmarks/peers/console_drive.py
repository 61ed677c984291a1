"""One tracker with a large record, looked at in Chromium: `console_drive.py ours|mlflow CLIENT_PYTHON WORK [NUMBER...]`.

WORK is `pages` (ours alone, over a record of NUMBER runs: the server's time for each page, `told:page_NAME_ms`, the median of seven, and
`told:weight_NAME_kb`, what an empty browser loads), `table` (the table of runs), `compare` (NUMBER runs side by side), both until the
names of the first runs can be read, of the comparison until its parallel coordinates are drawn too: `told:NAME_wall_ms`, `NAME_cpu_ms` of
the server until the page is at rest, `NAME_kb`; or `tabs` (ours alone: NUMBER tabs in one browser while a run logs: the server's CPU
share, and how long a page takes meanwhile).
"""

from __future__ import annotations

import json
import shutil
import statistics
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import psutil
from big_record import LONG, run_id
from playwright.sync_api import Browser, Page, sync_playwright
from tracking_drive import cpu_s, rest, start

TIMES = 7
PARALLEL = {"ours": "#chart-parallel .plot svg", "mlflow": ".js-plotly-plot .parcoords"}
"""All runs over their params and metrics: the chart that both trackers draw of runs compared."""
PATIENCE_MS = 60_000
SETTLING_S, RESTING_S = 30.0, 0.02
PAGES = {
    "project": "/",
    "runs": "/runs",
    "runs_filtered": "/runs?" + urlencode({"filter": "metrics.accuracy > 0.8 and params.model = 'tree'"}),
    "runs_sorted": "/runs?" + urlencode({"order": "metrics.accuracy DESC"}),
    "run": f"/runs/{LONG}",
    "run_metrics": f"/runs/{LONG}?tab=metrics",
    "artifacts": "/artifacts",
    "artifact": "/artifacts/artifact_00000",
    "lineage": "/lineage?of=artifact_00100",
    "features": "/features",
    "models": "/models",
    "services": "/serving",
    "plan": "/plan",
    "size": "/size",
    "money": "/money",
    "schedule": "/schedule",
    "events": "/events",
    "settings": "/settings",
}


class Site(NamedTuple):
    """A server that answers."""

    server: psutil.Process
    url: str
    token: str

    def get(self, path: str) -> bytes:
        """What a path answers to its owner."""
        asked = urllib.request.Request(self.url + path, headers={"Authorization": f"Bearer {self.token}", "Accept": "text/html"})
        with urllib.request.urlopen(asked, timeout=300) as answer:
            found: bytes = answer.read()
            return found

    def post(self, path: str, said: Any) -> Any:
        """The same for what is sent."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(self.url + path, json.dumps(said).encode(), headers), timeout=300) as answer:
            return json.loads(answer.read())


def tab(browser: Browser, site: Site, system: str) -> Page:
    """A page of a browser that has nothing of this server yet, logged in where it must be."""
    context = browser.new_context(base_url=site.url, viewport={"width": 1400, "height": 900})
    if system == "ours":
        context.request.post("/login", data={"username": "", "password": site.token})
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    return page


def weight_kb(page: Page) -> float:
    """What was loaded for a page, unpacked."""
    entries = "[...performance.getEntriesByType('resource'), ...performance.getEntriesByType('navigation')]"
    return float(page.evaluate(f"() => {entries}.reduce((sum, one) => sum + one.decodedBodySize, 0)")) / 1e3


def settle(site: Site, page: Page) -> None:
    """Wait until a page has loaded nothing for a second and the server was at rest meanwhile.

    A stream of changes stays open as long as its page, so that the network of one that has such a stream is never idle.
    """
    until, before = time.monotonic() + SETTLING_S, (-1.0, -1)
    while time.monotonic() < until:
        now = cpu_s(site.server), int(page.evaluate("() => performance.getEntriesByType('resource').length"))
        if now[0] - before[0] <= RESTING_S and now[1] == before[1]:
            return
        before = now
        page.wait_for_timeout(1000)


def look(site: Site, page: Page, name: str, path: str, words: list[str], drawn: str = "") -> None:
    """Open a page and wait until all of `words` can be read and the chart `drawn` is there."""
    before, began = cpu_s(site.server), time.perf_counter()
    page.goto(path)
    for word in words:
        page.get_by_text(word).locator("visible=true").first.wait_for()
    if drawn:
        page.locator(drawn).first.wait_for(state="attached")
    wall = time.perf_counter() - began
    settle(site, page)
    print(f"told:{name}_wall_ms={wall * 1e3}")
    print(f"told:{name}_cpu_ms={(cpu_s(site.server) - before) * 1e3}")
    print(f"told:{name}_kb={weight_kb(page)}")


def pages(site: Site, browser: Browser, runs: int) -> None:
    """Every page of ours, asked by a program for the time and by a browser for the weight."""
    compared = ",".join(run_id(runs - 1 - number) for number in range(100))
    for name, path in {**PAGES, "compare_100": f"/compare?runs={compared}"}.items():
        took = []
        for _ in range(TIMES):
            began = time.perf_counter()
            site.get(path)
            took.append(time.perf_counter() - began)
        page = tab(browser, site, "ours")
        page.goto(path)
        settle(site, page)
        print(f"told:page_{name}_ms={statistics.median(took) * 1e3}")
        print(f"told:weight_{name}_kb={weight_kb(page)}")
        page.context.close()


def tabs(site: Site, browser: Browser, count: int, seconds: float) -> None:
    """So many tabs on the table and a run that logs, while another page is asked for again and again."""
    run = site.post("/api/2.0/mlflow/runs/create", {"experiment_id": "0", "run_name": "it goes on"})["run"]["info"]["run_id"]
    first = tab(browser, site, "ours")
    opened = [first, *(first.context.new_page() for _ in range(count - 1))]
    for number, page in enumerate(opened):
        page.goto(("/runs", f"/runs/{run}", "/")[number % 3])
    until, took, step = time.monotonic() + seconds, [], 0
    ended = threading.Event()

    def log() -> None:
        nonlocal step
        while not ended.wait(0.2):
            step += 1
            site.post("/api/2.0/mlflow/runs/log-metric", {"run_id": run, "key": "loss", "value": 1 / step, "timestamp": 1, "step": step})

    logging = threading.Thread(target=log)
    before = cpu_s(site.server)
    logging.start()
    while time.monotonic() < until:
        began = time.perf_counter()
        site.get("/runs")
        took.append(time.perf_counter() - began)
        opened[len(took) % count].wait_for_timeout(250)
    ended.set()
    logging.join()
    print(f"told:tabs_cpu_share={(cpu_s(site.server) - before) / seconds}")
    print(f"told:tabs_page_ms={statistics.median(took) * 1e3}")
    print(f"told:tabs_page_most_ms={max(took) * 1e3}")


def main() -> None:
    """Start, look, end."""
    system, python, work, *numbers = sys.argv[1:]
    started, url, token = start(system, Path(python))
    site = Site(psutil.Process(started.pid), url, token)
    try:
        rest(site.server)
        with sync_playwright() as playwright:
            found = shutil.which("chromium") or shutil.which("chromium-browser")
            browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-dev-shm-usage"])
            if work == "pages":
                pages(site, browser, int(numbers[0]))
            elif work == "tabs":
                tabs(site, browser, int(numbers[0]), float(numbers[1]))
            else:
                both(site, browser, system, work, int(numbers[0]), int(numbers[1]))
            browser.close()
    finally:
        for one in (*site.server.children(recursive=True), site.server):
            one.kill()
        started.wait(30)


def both(site: Site, browser: Browser, system: str, work: str, size: int, count: int) -> None:
    """The table of runs of the experiment of `size`, or `count` of them compared, in either tracker's own pages."""
    found = site.post("/api/2.0/mlflow/experiments/search", {"max_results": 100})["experiments"]
    experiment = next(one["experiment_id"] for one in found if one["name"] == f"e{size}")
    asked = {"experiment_ids": [experiment], "max_results": count}
    runs = [one["info"] for one in site.post("/api/2.0/mlflow/runs/search", asked)["runs"]]
    names, ids = [one["run_name"] for one in runs], [one["run_id"] for one in runs]
    page = tab(browser, site, system)
    if work == "table":
        path = f"/runs?experiment={experiment}" if system == "ours" else f"/#/experiments/{experiment}/runs"
        look(site, page, "table", path, names[:3])
        return
    listed = quote(json.dumps(ids))
    theirs = f"/#/compare-runs?runs={listed}&experiments={quote(json.dumps([experiment]))}"
    path = f"/compare?runs={','.join(ids)}" if system == "ours" else theirs
    look(site, page, "compare", path, names[:3], PARALLEL[system])


if __name__ == "__main__":
    main()
