"""The page of money and energy in a real browser: a project's month, another period by its address, and nothing for who may not see it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from browser import Tab, axe
from up_site import Line, Up, in_thread

from bedplate.catalog.spending import Spent
from bedplate.core.records import Attempt, Run, Step, Usage

API = "/api/2.0/mlflow"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with in_thread(tmp_path_factory.mktemp("money")) as server:
        catalog = server.catalog
        now = catalog.database.clock.now()
        catalog.runs.begin(Run(id="r-1", project="flights", target="local", command="bedplate run", started_at=now))
        name = "late</title><script>alert(1)</script>"
        catalog.runs.put_steps([Step(run="r-1", name=name, part="", stage="train", status="done", why="new")])
        usage = Usage(wall_s=100.0, cpu_s=40.0, energy_joules=720.0, energy_basis="measured", cost_usd=1.5)
        catalog.runs.begin_attempts([Attempt(id="a", run="r-1", step=name, started_at=now, status="done", ended_at=now, usage=usage)])
        catalog.spending.put(
            Spent(spender="http://x", hour=now, kind="service", usd=0.5, held_until=now + timedelta(hours=1), up_s=60.0, busy_s=6.0)
        )
        yield server


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_month_is_shown_by_stage_step_and_run(site: Up, tab: Tab, scheme: str) -> None:
    """Money by day, the sums by stage, and the step's name as text; it fits a phone and axe finds nothing serious."""
    page = tab(site.url, site.token, viewport={"width": 390, "height": 800}, color_scheme=scheme)
    page.goto("/money")
    assert page.locator("#chart-money svg rect.fill-0").count() == 1
    assert "$1.50" in page.locator("#table-stages").inner_text()
    assert "<script>alert(1)</script>" in page.locator("#table-steps").inner_text()
    assert "r-1" in page.locator("#table-runs").inner_text()
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
    assert axe(page) == []


def test_another_period_is_another_address(site: Up, tab: Tab) -> None:
    """A month in which nothing ran says so, with the next command; what is no period is refused in words."""
    page = tab(site.url, site.token, may_fail=("400",))
    page.goto("/money?month=2020-02")
    assert "Nothing ran in this period" in page.content()
    assert page.goto("/money?month=2020-13").status == 400
    assert "that is no period" in page.content()
    assert page.goto("/money?since=2020-01-01&until=2024-01-01").status == 400


def test_the_rows_are_taken_away(site: Up) -> None:
    """By day and stage, in numbers."""
    rows = site.ask("GET", "/money?csv=days-stages").body.decode().splitlines()
    assert rows[0].startswith("day,stage,attempts")
    assert rows[1].endswith("0.5")
    assert rows[2].endswith("1.5")


def test_who_may_not_see_the_project_sees_no_money(site: Up) -> None:
    """Neither on the page nor in its CSV, until the project is granted."""
    made = site.ask("POST", f"{API}/users/create", {"username": "eve", "password": "a long enough passphrase"})
    assert made.status == 200, made
    with Line(site.url) as line:
        known = {"Authorization": "Basic ZXZlOmEgbG9uZyBlbm91Z2ggcGFzc3BocmFzZQ=="}
        answer = line.ask("GET", "/money", headers=known)
        assert answer.status == 200
        assert b"1.50" not in answer.body
        assert b"flights" not in answer.body
        assert line.ask("GET", "/money?csv=runs", headers=known).status == 404
