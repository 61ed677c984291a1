"""The record as lines of JSON, and back."""

from __future__ import annotations

import io
import math
from pathlib import Path

import pytest

from bedplate.catalog.archive import read_record, write_record
from bedplate.catalog.backends.sqlite import SqliteDatabase, open_database
from bedplate.catalog.catalog import Catalog
from bedplate.catalog.migration import load_migrations
from bedplate.core.context import Noted
from bedplate.core.errors import CorruptError, Refused
from bedplate.testing.clock import ManualClock
from bedplate.testing.records import History


def written(database: SqliteDatabase) -> bytes:
    file = io.BytesIO()
    database.snapshot(lambda: write_record(database, file))
    return file.getvalue()


@pytest.fixture
def record(tmp_path: Path) -> bytes:
    """A record with a promoted model and a metric that JSON lacks."""
    clock = ManualClock()
    catalog = Catalog.open(open_database(tmp_path / "first.db"), clock)
    history = History(catalog, clock)
    model = history.make("late", 1, "model", noted=(Noted(what="metric", name="m", value=math.inf),))
    catalog.commit([history.judge(model)])
    catalog.close()
    return written(open_database(tmp_path / "first.db"))


def test_a_record_comes_back(record: bytes, tmp_path: Path) -> None:
    """Row by row; and what is recorded next gets numbers that nobody had."""
    database = open_database(tmp_path / "other.db")
    assert read_record(database, record.splitlines()) == record.count(b"\n") - record.count(b'"table"') - 1
    assert written(database) == record
    clock = ManualClock()
    catalog = Catalog.open(database, clock)
    late = catalog.artifacts.get("late@production")
    assert catalog.runs.metrics(late.attempt)["m"] == math.inf
    assert History(catalog, clock, "r-2").make("late", 2, "model").number == 2
    catalog.close()


def test_only_an_empty_record_is_filled(record: bytes, tmp_path: Path) -> None:
    """One that anything ran in is refused, and stays as it is."""
    database = open_database(tmp_path / "other.db")
    read_record(database, record.splitlines())
    with pytest.raises(Refused, match="there is a record"):
        read_record(database, record.splitlines())
    assert written(database) == record


@pytest.mark.parametrize("broken", [b"", b"{}", b"not json", b'{"format": 9, "schema": 1}'])
def test_what_is_no_record_is_refused(broken: bytes, tmp_path: Path) -> None:
    with pytest.raises(CorruptError):
        read_record(open_database(tmp_path / "other.db"), broken.splitlines())


def test_a_record_of_a_newer_bedplate_is_refused(tmp_path: Path) -> None:
    newer = len(load_migrations()) + 1
    with pytest.raises(Refused, match="newer bedplate"):
        read_record(open_database(tmp_path / "other.db"), [b'{"format": 1, "schema": %d}' % newer])


def test_a_line_that_is_cut_off_changes_nothing(record: bytes, tmp_path: Path) -> None:
    """All rows are written in one transaction."""
    database = open_database(tmp_path / "other.db")
    with pytest.raises(CorruptError):
        read_record(database, record[:-9].splitlines())
    assert database.rows("run_ids") == []
