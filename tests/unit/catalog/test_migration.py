"""Migrations: in order, once, whole or not at all; a newer state is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from bedplate.catalog.backends.sqlite import open_database
from bedplate.catalog.catalog import Catalog
from bedplate.catalog.migration import Migration, load_migrations, migrate, pending
from bedplate.core.errors import InternalError, Refused
from bedplate.testing.clock import ManualClock

ONE = Migration(1, "one", "CREATE TABLE one (id INTEGER);")
TWO = Migration(2, "two", "CREATE TABLE two (id INTEGER); INSERT INTO two VALUES (1);")
BROKEN = Migration(2, "broken", "CREATE TABLE two (id INTEGER); INSERT INTO nowhere VALUES (1);")


def test_what_is_pending_is_what_comes_after() -> None:
    """Nothing twice, nothing left out."""
    assert pending(0, [ONE, TWO]) == (ONE, TWO)
    assert pending(1, [ONE, TWO]) == (TWO,)
    assert pending(2, [ONE, TWO]) == ()


def test_each_is_applied_once(tmp_path: Path) -> None:
    """A second start applies nothing; a later bedplate applies what is new."""
    database = open_database(tmp_path / "catalog.db")
    assert migrate(database, [ONE]) == [1]
    assert migrate(database, [ONE, TWO]) == [2]
    assert migrate(database, [ONE, TWO]) == []
    assert database.apply(2, TWO.script) is False
    database.close()


def test_a_broken_one_leaves_the_state_as_it_was(tmp_path: Path) -> None:
    """One transaction each: the number does not move, and the mended script applies."""
    database = open_database(tmp_path / "catalog.db")
    with pytest.raises(InternalError, match="nowhere"):
        migrate(database, [ONE, BROKEN])
    assert database.schema() == 1
    assert migrate(database, [ONE, TWO]) == [2]
    database.close()


@pytest.mark.bad_input("a state folder of a newer bedplate")
def test_a_newer_state_is_refused(tmp_path: Path) -> None:
    """With what to do; nothing in it is touched."""
    database = open_database(tmp_path / "catalog.db")
    newer = len(load_migrations()) + 1
    database.apply(newer, "CREATE TABLE later (id INTEGER);")
    with pytest.raises(Refused, match="newer bedplate") as refused:
        Catalog.open(database, ManualClock())
    assert (refused.value.exit_code, refused.value.next) == (5, "pip install --upgrade bedplate")
    assert database.schema() == newer
    database.close()


def test_files_are_numbered_without_gaps(tmp_path: Path) -> None:
    """A gap is our bug, found when it is made."""
    (tmp_path / "0002_late.sql").write_text("SELECT 1;")
    with pytest.raises(InternalError, match="without gaps"):
        load_migrations(tmp_path)


def test_opening_says_that_it_migrated(tmp_path: Path) -> None:
    """An event for the console, once."""
    for _ in range(2):
        catalog = Catalog.open(open_database(tmp_path / "catalog.db"), ManualClock())
        assert len([event for _, event in catalog.events.since() if event.kind == "catalog.migrated"]) == 1
        catalog.close()
