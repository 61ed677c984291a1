"""The page that compares runs in a real browser: curves, values, plots, code and data; and what a viewer may not see of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from browser import Tab, axe
from up_site import API, Up, in_thread

from bedplate.core.context import Noted
from bedplate.testing.records import History, draft

HOSTILE = "</script><script>alert(1)</script>\u202e" + "y" * 200


AT = 1_000_000


class Site(NamedTuple):
    """A server, three runs with curves (one of a hostile name), two runs of the project, and one that only the administrator sees."""

    up: Up
    runs: list[str]
    secret: str


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with in_thread(tmp_path_factory.mktemp("compare")) as up:
        runs = []
        with up.line() as line:
            for number, name in enumerate(("one", "two", HOSTILE)):
                run = line.new_run(run_name=name, start_time=AT)
                values: list[float | str] = ["NaN" if step == 5 else 1 / (1 + step + number) for step in range(800)]
                points = [{"key": "loss", "value": value, "timestamp": AT + step * 100, "step": step} for step, value in enumerate(values)]
                params = [{"key": "depth", "value": str(number)}, {"key": "same", "value": "x"}, {"key": HOSTILE[:80], "value": HOSTILE}]
                line.ask("POST", f"{API}/runs/log-batch", {"run_id": run, "metrics": points})
                line.ask("POST", f"{API}/runs/log-batch", {"run_id": run, "params": params})
                runs.append(run)
            secret = line.ask("POST", f"{API}/experiments/create", {"name": "secret"}).json["experiment_id"]
            hidden = line.ask("POST", f"{API}/runs/create", {"experiment_id": secret, "run_name": "unseen", "start_time": 1}).json
        for number in range(2):
            history = History(up.catalog, up.catalog.database.clock, f"r-{number}")
            given = history.make("departures", number)
            said = (Noted(what="metric", name="auc", value=0.5 + number / 10),)
            up.catalog.commit([history.done("late", draft("late", number, "model"), inputs={"departures": given}, noted=said)])
        yield Site(up, runs, str(hidden["run"]["info"]["run_id"]))


def test_curves_lie_over_each_other_and_a_stretch_is_finer(site: Site, tab: Tab) -> None:
    """Three curves are drawn; dragging over a stretch asks the server for it, with every point in the end; no-numbers leave gaps."""
    page = tab(site.up.url, site.up.token)
    page.goto(f"/compare?runs={','.join(site.runs)}")
    plot = page.locator("#chart-curve-1 .u-over")
    plot.wait_for()
    assert page.locator("#chart-curve-1 .u-legend .u-series").count() == 4
    box = plot.bounding_box()
    assert box is not None
    with page.expect_response("**/compare/curve?*first=*") as asked:
        page.mouse.move(box["x"] + 1, box["y"] + 50)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] / 10, box["y"] + 60, steps=3)
        page.mouse.up()
    told = asked.value.json()["series"]
    assert [len(one["x"]) for one in told] == [len(range(int(told[0]["x"][-1]) + 1)) - int(told[0]["x"][0])] * 3
    assert None in told[0]["y"]
    page.locator("#smoothing").fill("0.9")
    page.locator("#x").select_option("relative")
    page.wait_for_url("**x=relative*")
    page.locator("#chart-curve-1 .u-over").wait_for()


def test_what_differs_comes_first_and_alone_on_demand(site: Site, tab: Tab) -> None:
    """Params and metrics that differ stand above those that do not; a tick leaves the others out."""
    page = tab(site.up.url, site.up.token)
    page.goto(f"/compare?runs={','.join(site.runs)}")
    heads = [text.split()[0] for text in page.locator("table.values tbody th").all_inner_texts()]
    assert heads[:3] == ["status", "depth", "loss"]
    assert page.locator("table.values tr.same").count() == 2
    page.locator("#only-differing").check()
    assert page.locator("table.values tr.same:visible").count() == 0
    page.locator("#up").select_option("metrics.loss")
    page.wait_for_url("**up=metrics.loss*")
    assert page.locator("#chart-parallel path").count() >= 6


def test_runs_of_the_project_say_what_their_steps_said_and_why_they_differ(site: Site, tab: Tab) -> None:
    """Metrics of steps stand under the step's name; inputs are told by version, and lead to them."""
    page = tab(site.up.url, site.up.token)
    page.goto("/compare?runs=r-0,r-1")
    values = page.locator("table.values").inner_text()
    assert "late.auc" in values
    assert "0.6" in values
    data = page.locator("#table-data")
    assert data.get_by_role("link", name="@2").get_attribute("href") == "/artifacts/departures/2"
    assert page.get_by_role("link", name="late", exact=True).count() == 1


def test_nothing_of_a_run_that_one_may_not_see_is_compared(site: Site, tab: Tab) -> None:
    """It is told as if it were not there: on the page, in a chart, in the CSV; and more runs than can be are refused in words."""
    up = site.up
    up.ask("POST", f"{API}/users/create", {"username": "vera", "password": "a long enough pass phrase"})
    up.ask("POST", f"{API}/experiments/permissions/create", {"experiment_id": "0", "username": "vera", "permission": "READ"})
    page = tab(up.url, up.token, may_fail=("400",))
    page.context.clear_cookies()
    page.goto("/login")
    page.fill("#username", "vera")
    page.fill("#password", "a long enough pass phrase")
    page.click("button[type=submit]")
    page.wait_for_url("**/")
    page.goto(f"/compare?runs={site.runs[0]},{site.secret},r-0")
    assert page.locator("h1").inner_text() == "Compare 1 runs"
    assert "2 of 3 are not here, or you may not see them" in page.content()
    assert page.request.get(f"/compare/curve?key=loss&runs={site.secret}").json()["series"] == []
    assert "unseen" not in page.request.get(f"/compare?csv=values&runs={site.runs[0]},{site.secret}").text()
    assert page.request.get("/compare?runs=" + ",".join(map(str, range(201)))).status == 400


def test_a_comparison_of_hostile_runs_can_be_read_by_everybody(site: Site, tab: Tab) -> None:
    """Names stay text in tables and charts, axe finds nothing serious, nothing is wider than a phone; without runs it says what to do."""
    page = tab(site.up.url, site.up.token, viewport={"width": 390, "height": 800}, color_scheme="dark")
    page.goto("/compare")
    assert page.get_by_role("link", name="Choose some in the table of runs").count() == 1
    page.goto(f"/compare?runs={','.join(site.runs)}")
    page.locator("#chart-curve-1 .u-over").wait_for()
    assert axe(page) == []
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
    assert json.loads(page.locator("#chart-parallel script").inner_text())["series"][2]["label"].startswith("</script>")
