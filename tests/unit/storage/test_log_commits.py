"""Commits of a log that bedplate makes itself: Delta's library reads them, other writers are met, nothing that was forgotten is used."""

from __future__ import annotations

import subprocess
import sys
import threading
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import deltalake
import polars as pl
import pytest
from deltalake import Schema

from bedplate.core.errors import CorruptError, StoreError
from bedplate.storage.backends import delta, log_commits, log_files, parquet
from bedplate.storage.backends.delta_types import schema_of, text_of
from bedplate.storage.backends.log_files import LogFiles
from bedplate.storage.backends.log_table import LogTable
from bedplate.storage.backends.parquet import PartFile
from bedplate.storage.backends.place import LOG, Place
from bedplate.storage.disk import TEMPORARY
from bedplate.storage.local import local_store

EVERY_TYPE = pl.Schema(
    {
        "i8": pl.Int8(), "i16": pl.Int16(), "i32": pl.Int32(), "i64": pl.Int64(), "f32": pl.Float32(), "f64": pl.Float64(),
        "b": pl.Boolean(), "s": pl.String(), "bytes": pl.Binary(), "day": pl.Date(), "at": pl.Datetime("us", "UTC"),
        "local": pl.Datetime("us"), "cents": pl.Decimal(20, 2), "list": pl.List(pl.List(pl.Int64())),
        "struct": pl.Struct({"a": pl.Float64(), "in": pl.Struct({"é \"'": pl.List(pl.String())})}),
    }
)  # fmt: skip
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path, "logs/svc")


def library(place: Place) -> deltalake.DeltaTable:
    return deltalake.DeltaTable(place.uri)


def tended(place: Place) -> None:
    """Have the log begin with what it is now: no commit before is left."""
    library(place).create_checkpoint()
    for path in (place.folder / LOG).glob("*.json"):
        path.unlink()


def numbers(log: LogTable) -> list[int]:
    return sorted(log.scan().collect()["n"].to_list())


def test_columns_are_said_as_the_library_says_them() -> None:
    """Every stored type, both ways: the library reads our text, and we read its."""
    theirs = delta.arrow_schema(EVERY_TYPE)
    assert pl.Schema(Schema.from_json(text_of(EVERY_TYPE))) == EVERY_TYPE
    assert schema_of(theirs.to_json()) == schema_of(text_of(EVERY_TYPE)) == EVERY_TYPE


def test_text_that_names_no_columns_of_ours_is_refused() -> None:
    """Another program's type, and what is no schema at all."""
    for text in ('{"type":"struct","fields":[{"name":"a","type":"variant"}]}', "[]", "{"):
        with pytest.raises(CorruptError):
            schema_of(text)


def test_the_library_reads_what_was_appended(place: Place) -> None:
    """Rows, types, statistics and history; a column that came later is null before, and times without a zone are told to readers."""
    log = LogTable(place)
    log.append({"n": [1, 2], "at": [NOON, None]})
    log.append({"n": [3], "local": [NOON.replace(tzinfo=None)], "day": [date(2026, 1, 1)]})
    table = library(place)
    frame = pl.DataFrame(table.scan()).sort("n")
    assert frame["n"].to_list() == [1, 2, 3]
    assert frame["day"].to_list() == [None, None, date(2026, 1, 1)]
    assert pl.Schema(table.schema())["local"] == pl.Datetime("us")
    assert table.protocol().writer_features == ["appendOnly", "invariants", "timestampNtz"]
    assert [commit["operation"] for commit in table.history()] == ["WRITE", "CREATE TABLE"]
    assert sum(row["num_records"] for row in pl.DataFrame(table.get_add_actions(flatten=True)).to_dicts()) == 3


def test_writers_meet_each_other_and_the_library(place: Place) -> None:
    """By turns, each counting on from what it saw itself: no row is lost, and none is there twice."""
    one, other = LogTable(place), LogTable(place)
    for n in range(0, 9, 3):
        one.append({"n": [n]})
        other.append({"n": [n + 1], "note": ["x"]})
        deltalake.write_deltalake(place.uri, pl.DataFrame({"n": [n + 2]}), mode="append", schema_mode="merge")
    assert numbers(one) == numbers(other) == list(range(9))
    assert sorted(pl.DataFrame(library(place).scan())["n"]) == list(range(9))


def test_many_at_once_lose_nothing(place: Place) -> None:
    """Eight writers that do not know each other, each with a column of its own."""

    def write(number: int) -> None:
        log = LogTable(place)
        for n in range(5):
            log.append({"n": [number * 5 + n], f"only_{number}": [n]})

    writers = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert numbers(LogTable(place)) == list(range(40))


def test_what_a_log_is_is_found_in_its_checkpoint(place: Place) -> None:
    """Where the commits that said it are forgotten: a writer that comes later knows the columns, and adds one."""
    LogTable(place).append({"n": [1], "local": [NOON.replace(tzinfo=None)]})
    tended(place)
    later = LogTable(place)
    later.append({"n": [2]})
    later.append({"n": [3], "more": ["x"]})
    assert numbers(later) == [1, 2, 3]
    assert library(place).version() == 2
    assert sorted(library(place).metadata().configuration) == ["delta.enableExpiredLogCleanup", "delta.logRetentionDuration"]


def test_a_log_that_was_tended_says_what_it_is(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """After its checkpoint, which a writer then need not read; the library takes no harm."""
    log = LogTable(place)
    for n in (1, 2):
        log.append({"n": [n], "local": [NOON.replace(tzinfo=None)]})
    LogFiles(place).tend()
    for path in sorted((place.folder / LOG).glob("*.json"))[:-1]:
        path.unlink()
    monkeypatch.setattr(log_commits.pl, "read_parquet", lambda *_, **__: pytest.fail("it read the checkpoint"))
    LogTable(place).append({"n": [3], "more": ["x"]})
    assert sorted(pl.DataFrame(library(place).scan())["n"]) == [1, 2, 3]
    assert library(place).history(2)[1]["operation"] == "SET TBLPROPERTIES"


def test_a_number_that_was_forgotten_is_not_taken_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who appended long ago looks for the newest commit: the number after its own is free again, and nobody would read what it held."""
    idle, busy = LogTable(place), LogTable(place)
    idle.append({"n": [1]})
    for n in (2, 3):
        busy.append({"n": [n]})
    tended(place)
    now = log_commits.time.monotonic()
    monkeypatch.setattr(log_commits.time, "monotonic", lambda: now + 3600)
    idle.append({"n": [4]})
    assert sorted(path.name[:20].lstrip("0") for path in (place.folder / LOG).glob("*.json")) == ["3"]
    assert numbers(idle) == [1, 2, 3, 4]


def test_a_log_that_is_moved_away_is_made_again(place: Place) -> None:
    """By who appended to it before, with its first append after that; beside another writer, too."""
    log = LogTable(place)
    for n in (1, 2):
        log.append({"n": [n]})
    place.folder.rename(place.folder.with_name("away"))
    log.append({"n": [3]})
    assert numbers(LogTable(place)) == [3]
    place.folder.rename(place.folder.with_name("further away"))
    LogTable(place).append({"n": [4], "more": [1]})
    log.append({"n": [5]})
    assert numbers(LogTable(place)) == [4, 5]


def test_of_two_who_put_files_together_at_once_one_gives_up(place: Place) -> None:
    """The second began before the first had ended: what the first took away does not come back as rows of the second's file."""
    log = LogTable(place)
    for n in range(3):
        log.append({"n": [n]})
    began, log_of_first = library(place), LogFiles(place)
    log.append({"n": [3]})
    assert log_of_first.compact() == 3
    assert log_files._compacted(began, place) == 0
    assert numbers(LogTable(place)) == [0, 1, 2, 3]


def test_a_new_column_comes_in_between_the_appends_of_others(place: Place) -> None:
    """Appends that came since the look do not matter to it; a column that another added does: it looks again."""
    log, commits = LogTable(place), log_commits.Commits(place)
    log.append({"n": [0]})
    name = place.folder / "part-0.parquet"
    file = PartFile(name.name, parquet.write(name, pl.DataFrame({"n": [9], "more": [1.0]})), 1)
    known = commits.fitting(pl.Schema({"n": pl.Int64(), "more": pl.Float64()}))
    log.append({"n": [1]})
    log.append({"n": [2], "other": ["x"]})
    assert commits.add(known, file) is None
    known = commits.fitting(pl.Schema({"n": pl.Int64(), "more": pl.Float64()}))
    log.append({"n": [3]})
    log.append({"n": [4]})
    assert commits.add(known, file) == 5
    assert numbers(LogTable(place)) == [0, 1, 2, 3, 4, 9]
    assert set(LogTable(place).scan().collect().columns) == {"n", "other", "more"}


def test_what_a_killed_writer_leaves_is_collected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the bytes of a commit and its name; the log is as it was, and takes the next append."""
    store = local_store(tmp_path)
    store.log("svc").append({"n": [1]})
    with monkeypatch.context() as killed:
        killed.setattr(Path, "hardlink_to", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        killed.setattr(Path, "unlink", lambda *_, **__: None)
        with pytest.raises(KeyboardInterrupt):
            store.log("svc").append({"n": [2]})
    left = [path for path in tmp_path.rglob("*") if path.name.startswith(TEMPORARY)]
    assert len(left) == 1
    assert store.gc([], datetime.now(UTC) + timedelta(minutes=1), False).files == 2
    assert not left[0].exists()
    store.log("svc").append({"n": [3]})
    assert sorted(store.log("svc").scan().collect()["n"]) == [1, 3]


def test_a_log_with_features_of_others_is_left_alone(place: Place) -> None:
    """What those ask of a writer is not known here."""
    LogTable(place).append({"n": [1]})
    library(place).alter.set_table_properties({"delta.enableChangeDataFeed": "true"}, raise_if_not_exists=False)
    library(place).alter.add_feature(deltalake.TableFeatures.DeletionVectors, allow_protocol_versions_increase=True)
    with pytest.raises(StoreError, match="deletionVectors"):
        LogTable(place).append({"n": [2]})


def test_an_append_does_without_the_library(tmp_path: Path) -> None:
    """In a process of its own: to a new log, and again with another column; what reads it loads the library."""
    code = f"""
import sys
from pathlib import Path
from bedplate.storage.logs import Log
for rows in ({{"n": [1]}}, {{"n": [2], "more": ["x"]}}):
    Log(Path({str(tmp_path)!r}), "predictions/svc").append(rows)
assert not {{"deltalake", "arro3", "pyarrow", "duckdb"}} & set(sys.modules), sorted(sys.modules)
print(len(Log(Path({str(tmp_path)!r}), "predictions/svc").files()), "deltalake" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("2 True\n", "")
