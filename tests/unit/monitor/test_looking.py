"""Looks at a prediction log: traffic without gaps, errors that are alike, pages of single predictions, and bounds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from bedplate.assembly import open_store
from bedplate.core.config import resolve
from bedplate.stages.monitor import looking
from bedplate.stages.monitor.lately import Sought
from bedplate.storage.store import Store

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
COUNT = 120


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A service asked each second for two minutes: by version 1, then by version 2, which fails."""
    made = open_store(resolve(tmp_path / "project.py", {}, {}), pickles=False)
    rows = [row(number) for number in range(COUNT)]
    made.log("predictions/ask").append(pl.DataFrame(rows, schema_overrides={"error": pl.String, "at": pl.Datetime("us", "UTC")}))
    made.log("labels/ask").append(pl.DataFrame({"prediction_id": ["p-003"], "label": [1.0], "brought_at": [NOW], "brought_row": [0]}))
    return made


def row(number: int) -> dict[str, Any]:
    bad = number >= 100
    return {
        "prediction_id": f"p-{number:03}", "request_id": f"q-{number:03}", "at": NOW - timedelta(seconds=COUNT - number),
        "latency_ms": float(number), "status": 500 if bad else 200, "error": f"{number} is too much (e-1m81gqe{number}-x)" if bad else None,
        "models": '{"late":2}' if number >= 90 else '{"late":1}', "request": {"a": number}, "result": None if bad else 0.5,
    }  # fmt: skip


def test_what_was_asked_lately(store: Store) -> None:
    """Counts, latency of what was answered alone, both versions, and errors alike but for numbers and ids as one."""
    found = looking.lately(store, "ask", NOW - timedelta(seconds=110), NOW)
    assert (found.predictions, found.failed, found.newest, found.newest_failed, found.cut) == (110, 20, 20, 20, False)
    assert sum(one.predictions for one in found.stretches) == 110
    assert max(one.p95_ms or 0 for one in found.stretches) < 100
    assert [(one.versions, one.predictions, one.failed) for one in found.by_version] == [(("late@2",), 30, 20), (("late@1",), 80, 0)]
    assert list(found.messages.values()) == [20]
    assert "(e-" not in next(iter(found.messages))


def test_a_log_that_is_too_long_is_looked_at_from_later_on(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest rows, and it is said that there are more."""
    monkeypatch.setattr(looking, "MOST", 50)
    found = looking.lately(store, "ask", None, NOW)
    assert (found.predictions, found.cut) == (50, True)


def test_single_predictions_come_a_page_at_a_time(store: Store) -> None:
    """The newest first, each once; by version, by what went wrong; with the label that came."""
    first, place = looking.answers(store, "ask", Sought(limit=70))
    assert place is not None
    second, end = looking.answers(store, "ask", Sought(limit=70, below=place))
    assert [one.id for one in (*first, *second)] == [f"p-{number:03}" for number in reversed(range(COUNT))]
    assert end is None
    assert len(looking.answers(store, "ask", Sought(wrong=True))[0]) == 20
    assert {one.versions for one in looking.answers(store, "ask", Sought(version="late@2"))[0]} == {("late@2",)}
    one = looking.answer(store, "ask", "p-003")
    assert one is not None
    assert (one.label, one.labelled, one.request, one.went_wrong) == (1.0, True, {"a": 3}, False)
    assert looking.answer(store, "ask", "p-999") is None


def test_a_service_that_was_never_asked(store: Store) -> None:
    """Has nothing, and no error."""
    assert looking.last(store, "none") is None
    assert looking.lately(store, "none", None, NOW).predictions == 0
    assert looking.answers(store, "none", Sought()) == ([], None)
