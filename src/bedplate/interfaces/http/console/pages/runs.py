"""Runs: the table of all runs that one may see."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from bedplate.catalog.tracking.search import Question
from bedplate.catalog.tracking.tracked import RunDetail, Status
from bedplate.interfaces.http.console.about import experiments
from bedplate.interfaces.http.console.frame import page, path_of
from bedplate.interfaces.http.console.tables import Column, Link, State, Table, Tone, Value
from bedplate.interfaces.http.door.endpoint import Asks, Desk, Endpoint, Reply, on_server

_PAGE: Final = 50
_TONES: Final[dict[Status, Tone]] = {"RUNNING": "now", "SCHEDULED": "off", "FINISHED": "good", "FAILED": "bad", "KILLED": "warn"}
_COLUMNS: Final = (Column("run", "Run"), Column("status", "Status", "state"), Column("started", "Started (UTC)", "time"))


class GetRuns(Asks, frozen=True, kw_only=True):
    """A page of the table."""

    token: str = ""


def runs(desk: Desk, asked: GetRuns) -> Reply:
    """The table."""
    seen = tuple(one.id for one in experiments(desk))
    found, token = desk.catalog.tracking.search.whole(Question(experiments=seen, limit=_PAGE, token=asked.token))
    more = "?" + urlencode({"token": token}) if token else ""
    shown = Table(
        name="runs", columns=_COLUMNS, rows=[_row(one) for one in found], more=more,
        empty="No runs yet.", command="bedplate run",
    )  # fmt: skip
    return page(desk, "runs.html", title="Runs", at="runs", tables=(shown,))


def _row(one: RunDetail) -> tuple[Value, ...]:
    run = one.run
    return Link(run.name or run.id, path_of("runs", run.id)), State(run.status.lower(), _TONES[run.status]), run.started_ms


ENDPOINTS: Final = (Endpoint("GET", "/runs", GetRuns, "experiment.list", on_server, runs),)
