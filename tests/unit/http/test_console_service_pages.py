"""What the pages of models and services are made of: how far back one looks, how checks and drift are told, where a table leads."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bedplate.core.check import Check
from bedplate.core.records import Event, Verdict
from bedplate.interfaces.http.console.judged.verdicts import Judged, standing, verdict_chart, verdict_table
from bedplate.interfaces.http.console.pages.events import is_for
from bedplate.interfaces.http.console.served.traffic import by_version, charts_of, stands
from bedplate.interfaces.http.console.spans import chosen, since
from bedplate.interfaces.http.console.tables import State
from bedplate.interfaces.http.door.endpoint import Resource
from bedplate.stages.monitor.lately import Lately, OfVersion, Stretch

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def said(check: str, version: int, *, passed: bool) -> Verdict:
    return Verdict(check=check, check_version=version, model="late", model_version=3, passed=passed, at=NOW)


@pytest.mark.parametrize(
    ("asked", "age", "span"),
    [("", None, "hour"), ("", 60, "hour"), ("", 7200, "day"), ("", 40 * 86_400, "all"), ("week", 60, "week"), ("<script>", 60, "hour")],
)
def test_the_shortest_span_that_shows_something_is_taken(asked: str, age: float | None, span: str) -> None:
    last = None if age is None else NOW - timedelta(seconds=age)
    assert chosen(asked, last, NOW) == span


def test_a_span_begins_where_it_says() -> None:
    assert since("hour", NOW) == NOW - timedelta(hours=1)
    assert since("all", NOW) is None


def test_the_newest_verdict_of_each_check_counts() -> None:
    assert standing([]).word == "not judged"
    assert standing([said("a", 2, passed=True), said("b", 1, passed=True), said("a", 1, passed=False)]).tone == "good"
    assert standing([said("a", 2, passed=False), said("a", 1, passed=True)]).tone == "bad"


def test_a_verdict_stands_beside_another_slice_by_slice() -> None:
    """The difference is told where both have the slice; the bound is a mark across the bars."""
    mine = Judged(said("good", 2, passed=False), Check.at_least("auc", {"EWR": 0.6, "JFK": 0.9}, 0.7))
    other = Judged(said("good", 1, passed=True), Check.at_least("auc", {"EWR": 0.75}, 0.7))
    rows = verdict_table("v", mine, other, "version 2").rows
    assert rows[0][:4] == ("auc", "EWR", 0.6, ">= 0.7")
    assert rows[0][5] == pytest.approx(-0.15)
    assert rows[0][6] == State("did not pass", "bad")
    assert rows[1][4:6] == (None, None)
    chart = verdict_chart("c", mine, other, ("version 3", "version 2"))
    assert chart is not None
    assert [(one.label, list(one.y), one.marks) for one in chart.series] == [
        ("version 3", [0.6, 0.9], False), ("version 2", [0.75, None], False), ("what is needed", [0.7, 0.7], True),
    ]  # fmt: skip


@pytest.mark.bad_input
def test_figures_that_are_no_numbers_are_not_drawn() -> None:
    """A check of not-a-number has a table and no chart; one that is not kept has neither."""
    nothing = Judged(said("good", 1, passed=False), Check.at_least("auc", float("nan"), 0.7))
    assert verdict_chart("c", nothing, None, ("version 3", "")) is None
    assert verdict_table("v", nothing, None, "").rows[0][2] is None
    assert verdict_table("v", Judged(said("good", 1, passed=False), None), None, "").rows == []


def test_events_of_models_and_of_clients_runs_are_for_who_may_see_those() -> None:
    asked: list[tuple[str, Resource]] = []

    def may(act: str, resource: Resource) -> bool:
        asked.append((act, resource))
        return False

    failed = Event(kind="client_run.failed", subject="ab" * 16, at=NOW, data={"experiment": 7})
    moved = Event(kind="model.promoted", subject="late@3", at=NOW)
    assert [is_for(may, one) for one in (failed, moved, Event(kind="drift.found", subject="s", at=NOW))] == [False, False, True]
    assert asked == [("run.read", Resource("experiment", "7")), ("model.read", Resource("model", "late"))]


def test_traffic_is_told_by_version_with_the_share_that_failed() -> None:
    one = OfVersion(versions=("late@3",), predictions=10, refused=0, failed=1, p50_ms=1.0, p95_ms=2.0, p99_ms=3.0, first=NOW, last=NOW)
    gone = OfVersion(versions=(), predictions=2, refused=2, failed=0, p50_ms=None, p95_ms=None, p99_ms=None, first=NOW, last=NOW)
    found = Lately(
        service="s", start=NOW, end=NOW, predictions=12, by_version=(one, gone), stretches=(Stretch(at=NOW, predictions=12, failed=1),)
    )
    rows = by_version(found, lambda _: {2}).rows
    assert rows[0][4] == State("fails", "bad")
    assert rows[1][0] == "none: refused before"
    assert by_version(found, lambda model: {"late": {3}}.get(model, set())).rows[0][4] == State("barred", "bad")
    assert [chart.name for chart in charts_of(found)] == ["answers", "versions"]  # nothing was answered: no latency
    assert charts_of(Lately(service="s", start=NOW, end=NOW)) == ()
    assert [stands(*pair).word for pair in ((0, 0), (100, 0), (100, 1))] == ["silent", "answers", "some failed"]
