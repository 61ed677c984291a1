"""A state of before the tracker whose filling in was killed is filled in by whoever opens it next."""

from __future__ import annotations

from pathlib import Path

from bedplate.catalog.backends.sqlite import open_database
from bedplate.catalog.catalog import Catalog
from bedplate.catalog.tracking.mirror import is_due
from bedplate.core.clock import SystemClock
from bedplate.testing.records import History


def test_a_filling_in_that_was_killed_is_taken_up(tmp_path: Path) -> None:
    """The mark that says that it is due is taken away last: what was left out is there after the next opening."""
    path, clock = tmp_path / "catalog.db", SystemClock()
    catalog = Catalog.open(open_database(path), clock)
    version = History(catalog, clock).make("late", 1)
    database = catalog.database
    everything = "DELETE FROM {} WHERE 1"
    for table in ("points", "curves", "run_params", "run_tags", "tracked"):
        database.composed(everything.format(table), {})
    database.composed("UPDATE counters SET value = 1 WHERE name = 'untracked'", {})
    assert is_due(database)
    catalog.close()
    again = Catalog.open(open_database(path), clock)
    assert not is_due(again.database)
    assert again.tracking.runs.get(version.attempt).id == version.attempt
    again.close()
