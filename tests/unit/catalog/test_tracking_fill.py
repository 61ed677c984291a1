"""A state that is older than tracking: its runs are among the tracked once it is opened, as if they had been all along."""

from __future__ import annotations

from pathlib import Path

import pytest

from bedplate.catalog import migration
from bedplate.catalog.backends.sqlite import open_database
from bedplate.catalog.catalog import Catalog
from bedplate.catalog.tracking.mirror import fill
from bedplate.core.context import Noted
from bedplate.testing.clock import ManualClock
from bedplate.testing.records import History, draft

TABLES = ("run_params", "run_tags", "points", "curves", "tracked")


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    """A record with a run, as if nothing had been mirrored."""
    clock = ManualClock()
    catalog = Catalog.open(open_database(tmp_path / "catalog.db"), clock)
    history = History(catalog, clock)
    said = (Noted(what="metric", name="auc", value=0.5), Noted(what="param", name="leaves", value=[31]))
    catalog.commit([history.done("late", draft("late", 1), noted=said)])
    return catalog


def _all(catalog: Catalog) -> dict[str, list[object]]:
    return {table: sorted(map(str, catalog.database.composed(f"SELECT * FROM {table}", {}))) for table in TABLES}


def test_older_runs_are_filled_in_as_they_would_have_been_written(catalog: Catalog) -> None:
    """Every row of every table, but for the numbers of curves; once, and again without harm."""
    before = _all(catalog)
    assert len(before["tracked"]) == 2

    def forget() -> None:
        for table in TABLES:
            catalog.database.composed(f"DELETE FROM {table}", {})
        catalog.database.composed("UPDATE counters SET value = 1 WHERE name = 'untracked'", {})

    catalog.together(forget)
    assert fill(catalog.database) == 1
    assert _all(catalog) == before
    assert fill(catalog.database) == 0
    assert _all(catalog) == before


def test_opening_an_older_state_fills_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record of the second schema with a run in it is brought up to date, and its run is tracked."""
    clock = ManualClock()
    path = tmp_path / "catalog.db"
    old = open_database(path)
    migration.migrate(old, migration.load_migrations()[:2])
    columns = "id, project, target, command, started_at, status, settings, moves_heads, git_commit, git_dirty, host, pid, process_started"
    row = "'r-1', 'flights', 'local', 'run', '2026-01-31T07:00:00.000000Z', 'done', '{\"n\": 3}', 1, '', 0, '', 0, 0.0"
    old.composed(f"INSERT INTO runs ({columns}) VALUES ({row})", {})
    old.close()
    catalog = Catalog.open(open_database(path), clock)
    (detail,) = catalog.tracking.details.of(["r-1"])
    assert (detail.run.status, detail.run.started_ms) == ("FINISHED", 1769842800000)
    assert [(param.key, param.value) for param in detail.params] == [("n", "3")]
    assert catalog.tracking.experiments.get(detail.run.experiment).name == "flights"
