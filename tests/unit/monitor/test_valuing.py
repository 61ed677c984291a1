"""What a page says of features is what the as-of join would have said: over time, now, and of how many rows."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from bedplate.core.records import Version
from bedplate.stages.monitor import valuing
from bedplate.storage.backends import parquet
from bedplate.storage.local import local_store
from bedplate.storage.store import Store
from bedplate.testing.store_contract import save

DAY = timedelta(days=1)
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
SPEC: dict[str, Any] = {"entity": ["who"], "time": "at", "created": "known", "ttl_s": 3 * 86_400.0}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return local_store(tmp_path / "store")


def rows(who: str, days: int, first: int = 0) -> pl.DataFrame:
    times = [FIRST + DAY * number for number in range(first, first + days)]
    values = [float(number) for number in range(first, first + days)]
    return pl.DataFrame({"who": [who] * days, "at": times, "known": [at + DAY for at in times], "value": values})


def kept(store: Store, frame: pl.DataFrame, **more: Any) -> Version:
    return save(store, "table", frame, attempt=more.pop("attempt", "a-1"), **more)


def test_a_value_is_seen_once_it_was_known_and_until_it_is_too_old(store: Store) -> None:
    """At no moment a row that became known later; after its time to live, nothing."""
    found = valuing.values(store, kept(store, pl.concat([rows("ann", 10), rows("bob", 3)])), SPEC, ("ann",), FIRST + 30 * DAY)
    assert found is not None
    curve = dict(zip(found.times, found.curves[0].values, strict=True))
    for moment, value in curve.items():
        passed = (datetime.fromtimestamp(moment, UTC) - FIRST) / DAY
        expected = float(int(passed) - 1) if 1 <= passed < 10 else None
        if passed < 9:
            assert value == expected, passed
    assert found.now == {"value": None}
    assert (found.rows, found.read, found.of) == (10, 13, 13)
    assert max(curve) > (FIRST + 9 * DAY).timestamp()


def test_what_a_look_up_gives_now(store: Store) -> None:
    """The row that is known by now, as a service would get it; an entity that is not there has none."""
    version = kept(store, rows("ann", 10))
    found = valuing.values(store, version, SPEC, ("ann",), FIRST + 10 * DAY)
    assert found is not None
    assert found.now == {"value": 9.0}
    assert valuing.values(store, version, SPEC, ("nobody",), FIRST) is None


def test_a_windowed_view_adds_up_the_events_of_each_moment(store: Store) -> None:
    """Counts rise with events and fall when the window has passed."""
    spec = {"entity": ["who"], "time": "at", "window_s": 2 * 86_400.0, "gives": [{"name": "seen", "of": "count", "column": ""}]}
    found = valuing.values(store, kept(store, rows("ann", 5).drop("known")), spec, ("ann",), FIRST + 30 * DAY)
    assert found is not None
    seen = [value for value in found.curves[0].values if value is not None]
    assert (seen[0], max(seen), seen[-1]) == (1.0, 2.0, 0.0)


@pytest.mark.parametrize("naive", [datetime(2026, 1, 1), date(2026, 1, 1), 20])
def test_times_without_a_zone_dates_and_numbers_are_moments_too(store: Store, naive: datetime | date | int) -> None:
    """Whatever the time column is, the entity has its values; only moments can be fresh."""
    version = kept(store, pl.DataFrame({"who": ["ann"], "at": [naive], "value": [1.5]}))
    spec = {"entity": ["who"], "time": "at"}
    found = valuing.values(store, version, spec, ("ann",), FIRST + DAY)
    assert found is not None
    assert found.now == {"value": 1.5}
    assert (valuing.fresh(store, version, spec).newest is None) == isinstance(naive, int)


def test_only_the_last_files_are_read_and_it_is_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a table beyond the limits the last rows: the newest moment is found, an entity of the first rows is not."""
    monkeypatch.setattr(parquet, "MOST_ROWS", 4)
    monkeypatch.setattr(valuing, "MOST_ROWS", 8)
    version = kept(store, pl.concat([rows("old", 20), rows("new", 6, 30)]))
    found = valuing.fresh(store, version, SPEC)
    assert found.newest == FIRST + 35 * DAY
    assert found.read < found.of == 26
    assert valuing.values(store, version, SPEC, ("old",), FIRST) is None
    assert valuing.entities(store, version, SPEC)[0] == ("new",)


def test_distributions_are_compared_with_the_version_before_else_with_older_rows(store: Store) -> None:
    """A shift of all values is drift; the same values are none; a single version is compared with its own past."""
    old = kept(store, rows("ann", 1200))
    moved = kept(store, rows("ann", 1200).with_columns(pl.col("value") + 1000), attempt="a-2", number=2)
    against = valuing.moved(store, moved, old, SPEC, 0.2)
    assert [(one.column, one.drifted) for one in against.drifts] == [("value", True)]
    assert not valuing.moved(store, old, old, SPEC, 0.2).drifts[0].drifted
    alone = valuing.moved(store, old, None, SPEC, 0.2)
    assert (alone.before, alone.now, alone.drifts[0].drifted) == (900, 300, True)
