"""The SQLite backend's own choices: journal, waiting, transactions, threads, and what the engine's errors become."""

from __future__ import annotations

import threading
from pathlib import Path

import apsw
import pytest

from bedplate.catalog.backends.sqlite import PATIENCE_S, SqliteDatabase, journal_mode, open_database, translated
from bedplate.catalog.catalog import Catalog
from bedplate.core.errors import BusyError, CatalogError, InternalError
from bedplate.core.records import Event
from bedplate.testing.clock import ManualClock


def test_a_write_ahead_log_only_where_its_bug_is_mended() -> None:
    """3.51.3 has the WAL-reset fix."""
    assert [journal_mode(version) for version in ("3.40.1", "3.51.2", "3.51.3", "3.54.1", "4.0.0")] == [
        "delete",
        "delete",
        "wal",
        "wal",
        "wal",
    ]


def test_durable_settings(tmp_path: Path) -> None:
    """Full sync and foreign keys on every connection; the file says that it is ours."""
    database = open_database(tmp_path / "catalog.db")
    Catalog.open(database, ManualClock())
    with database as connection:
        found = [connection.pragma(name) for name in ("synchronous", "foreign_keys", "journal_mode", "application_id")]
    assert found == [2, 1, journal_mode(apsw.sqlite_lib_version()), 0x62656470]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    database.close()


def test_waiting_is_jittered_and_ends_with_a_message(tmp_path: Path) -> None:
    """A writer that never lets go: sleeps differ, none is longer than a blink, and after ten seconds it gives up."""
    slept: list[float] = []

    class Listening(ManualClock):
        def sleep(self, seconds: float) -> None:
            slept.append(seconds)
            super().sleep(seconds)

    jitter = iter(range(1, 10**9))
    holder = Catalog.open(open_database(tmp_path / "catalog.db"), ManualClock())
    waiting = SqliteDatabase(tmp_path / "catalog.db", clock=Listening(), jitter=lambda: next(jitter) * 0.618 % 1)

    def while_held() -> None:
        with pytest.raises(BusyError, match="busy") as busy:
            waiting.transact(lambda: None)
        assert busy.value.next == "bedplate status"

    holder.database.transact(while_held)
    assert PATIENCE_S <= sum(slept) < PATIENCE_S + 0.02
    assert max(slept) <= 0.0022
    assert len(set(slept)) > 100
    assert waiting.waited_s >= PATIENCE_S
    waiting.transact(lambda: None)
    waiting.close()
    holder.close()


def test_a_transaction_is_whole_or_nothing_and_joins_an_outer_one(tmp_path: Path) -> None:
    """Also when what breaks it is Ctrl-C."""
    catalog = Catalog.open(open_database(tmp_path / "catalog.db"), ManualClock())
    event = Event(kind="k", subject="s", at=ManualClock().now())

    def interrupted() -> None:
        catalog.events.add(event)
        catalog.database.transact(lambda: catalog.events.add(event))
        raise KeyboardInterrupt

    before = len(catalog.events.since())
    with pytest.raises(KeyboardInterrupt):
        catalog.database.transact(interrupted)
    assert len(catalog.events.since()) == before
    catalog.close()


def test_threads_take_turns(tmp_path: Path) -> None:
    """One connection, several threads: no transaction ends up inside another's."""
    catalog = Catalog.open(open_database(tmp_path / "catalog.db"), ManualClock())
    event = Event(kind="turn", subject="s", at=ManualClock().now())

    def work() -> None:
        for _ in range(20):
            catalog.database.transact(lambda: [catalog.events.add(event), catalog.events.add(event)])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([event for _, event in catalog.events.since() if event.kind == "turn"]) == 160
    catalog.close()


@pytest.mark.parametrize(
    ("raised", "becomes", "says"),
    [
        (apsw.CorruptError("malformed"), CatalogError, "bring it back from a copy"),
        (apsw.NotADBError("not"), CatalogError, "damaged"),
        (apsw.FullError("full"), CatalogError, "disk is full"),
        (apsw.ReadOnlyError("readonly"), CatalogError, "readonly"),
        (apsw.IOError("disk I/O error"), CatalogError, "disk I/O error"),
        (apsw.BusyError("locked"), BusyError, "another process"),
        (apsw.SQLError("no such column"), InternalError, "no such column"),
    ],
    ids=lambda value: value.__class__.__name__ if isinstance(value, Exception) else None,
)
def test_the_engines_errors_in_our_words(raised: apsw.Error, becomes: type[Exception], says: str) -> None:
    """The world's fault and our bug are told apart, and the file is named."""
    error = translated(raised, Path("state/catalog.db"))
    assert isinstance(error, becomes)
    assert says in str(error)
    assert "state/catalog.db" in str(error)


@pytest.mark.parametrize("content", [b"", b"not a database at all, but long enough to be read as one" * 20, None])
def test_a_file_that_is_not_a_catalog_is_damage_not_a_fresh_start(tmp_path: Path, content: bytes | None) -> None:
    """An empty file, other bytes, and another program's database are all refused and left as they are."""
    path = tmp_path / "catalog.db"
    if content is None:
        other = apsw.Connection(str(path))
        other.execute("CREATE TABLE theirs (id INTEGER)")
        other.close()
    else:
        path.write_bytes(content)
    before = path.read_bytes()
    with pytest.raises(CatalogError, match="is damaged") as damaged:
        Catalog.open(open_database(path), ManualClock())
    assert "bring it back from a copy" in damaged.value.next
    assert path.read_bytes() == before


@pytest.mark.parametrize("replaced", [False, True])
def test_a_file_deleted_under_us_is_noticed_before_anything_is_lost(tmp_path: Path, replaced: bool) -> None:
    """SQLite itself would write on into the deleted file and say nothing."""
    path = tmp_path / "catalog.db"
    catalog = Catalog.open(open_database(path), ManualClock())
    catalog.leases.acquire("late", "r-1", ManualClock().now(), 15.0)
    path.unlink()
    if replaced:
        path.write_bytes(b"another")
    with pytest.raises(CatalogError, match="was deleted or replaced while it was in use"):
        catalog.leases.acquire("late", "r-1", ManualClock().now(), 15.0)
