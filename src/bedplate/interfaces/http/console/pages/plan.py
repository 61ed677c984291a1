"""Plan: what would run as a time line with what it takes, what binds it, and what past forecasts were off by."""

from __future__ import annotations

from typing import Final

from bedplate.interfaces.http.console.about import seen_project
from bedplate.interfaces.http.console.frame import page
from bedplate.interfaces.http.console.planned.plan_view import overall, planned, record, scatter, time_line, totals
from bedplate.interfaces.http.console.planned.project_now import look
from bedplate.interfaces.http.door.endpoint import SERVER, Asks, Desk, Endpoint, Reply, on_server

_STEPS: Final = 100
_OF_EACH: Final = 60


def plan(desk: Desk, _asked: Asks) -> Reply:
    """The plan, as the last look saw it, and the record of earlier ones."""
    if seen_project(desk) is None:
        return page(desk, "nothing.html", title="Plan", at="plan", has_project=desk.beside is not None)
    seen, catalog = look(desk), desk.catalog
    pairs = {
        step: [(one, usage) for one, usage in catalog.runs.forecasts(step, 3 * _OF_EACH) if one.quantity == "wall_s"]
        for step in catalog.tallies.forecast_steps(_STEPS)
    }  # fmt: skip
    whole = seen.whole
    charts = [scatter(pairs), *([time_line(whole)] if whole is not None else ())]
    tables = [record(pairs), *([planned(whole)] if whole is not None else ())]
    n, inside = overall(pairs)
    return page(
        desk, "plan.html", title="Plan", at="plan", tables=tables, charts=charts, seen=seen, has_project=desk.beside is not None,
        totals=totals(whole) if whole is not None else None, priced=whole is not None and whole.usd_per_hour > 0,
        n=n, inside=inside, may_run=desk.beside is not None and desk.may("project.run", SERVER),
    )  # fmt: skip


ENDPOINTS: Final = (Endpoint("GET", "/plan", Asks, "experiment.list", on_server, plan),)
