"""What happened to runs, steps and models is an event of the record, written with it."""

from __future__ import annotations

from pathlib import Path

import msgspec

from bedplate.catalog.backends.sqlite import open_database
from bedplate.catalog.catalog import Catalog
from bedplate.core.records import Promotion
from bedplate.testing.clock import ManualClock
from bedplate.testing.records import History


def test_ends_failures_and_moves_are_events(tmp_path: Path) -> None:
    """A run that ended, a step that failed with what it said, and each move of an alias, once; nothing of a step that is tried again."""
    clock = ManualClock()
    catalog = Catalog.open(open_database(tmp_path / "catalog.db"), clock)
    history = History(catalog, clock)
    first, second = history.make("late", 1, "model"), history.make("late", 2, "model")
    attempt = history.attempt("early")
    failed = msgspec.structs.replace(attempt, status="failed", cause="user", message="no rows", ended_at=clock.now())
    catalog.fail(failed, history.step("early", status="running"))
    catalog.fail(failed, history.step("early", status="failed"))
    for version in (first, second):
        catalog.models.promote(Promotion(model="late", alias="production", version=version.number, by="person", reason="r", at=clock.now()))
    catalog.models.rollback("late", "production", clock.now(), reason="worse", actor="ann")
    catalog.runs.end(history.run.id, "failed", clock.now())
    told = [(event.kind, event.subject) for _, event in catalog.events.since() if not event.kind.startswith("catalog.")]
    assert told == [
        ("step.failed", attempt.id), ("model.promoted", "late@1"), ("model.promoted", "late@2"), ("model.rolled_back", "late@1"),
        ("run.failed", history.run.id),
    ]  # fmt: skip
    said = catalog.events.last("step.failed")
    assert said is not None
    assert (said.data["step"], said.data["said"]) == ("early", "no rows")
    moved = catalog.events.last("model.rolled_back")
    assert moved is not None
    assert (moved.data["before"], moved.data["actor"], moved.data["reason"]) == (2, "ann", "worse")
    catalog.close()
