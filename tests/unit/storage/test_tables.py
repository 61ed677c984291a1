"""Tables on the local disk: streams, files of bounded size, appends, what is found broken, and what others can read without us."""

from __future__ import annotations

import errno
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import deltalake
import duckdb
import polars as pl
import pytest
from arro3.core import Table
from polars.testing import assert_frame_equal

from bedplate.core.errors import CorruptError, StoreError, UserError
from bedplate.core.records import Version
from bedplate.storage import disk
from bedplate.storage.backends import delta, log_table, parquet, table_digest
from bedplate.storage.local import local_store
from bedplate.storage.shelf import Save
from bedplate.storage.store import Store
from bedplate.testing.store_contract import committed, save

ROWS = 1000


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return local_store(tmp_path / "store")


def numbers(start: int, count: int) -> pl.DataFrame:
    return pl.DataFrame({"n": range(start, start + count), "text": [f"row {n}" for n in range(start, start + count)]})


def grow(store: Store, sizes: list[int]) -> list[Version]:
    """Append frames of these sizes, one after the other."""
    versions: list[Version] = []
    for number, size in enumerate(sizes):
        prior = versions[-1] if versions else None
        rows = numbers(sum(sizes[:number]), size)
        versions.append(save(store, "table", rows, attempt=f"a-{number}", number=number, prior=prior, append=True))
    return versions


def broken(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """Have every flush to the disk fail as a full or failing disk does."""

    def fail(_: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)


def test_a_stream_is_cut_into_files_in_order(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lazy frame of many batches becomes files of bounded size; rows keep their order, and equal rows their digest."""
    monkeypatch.setattr(parquet, "MOST_ROWS", 300)
    frame = numbers(0, ROWS)
    lazy = pl.concat([frame.slice(0, 7).lazy(), frame.slice(7, 500).lazy(), frame.slice(507).lazy()])
    version = save(store, "table", lazy)
    assert [pl.read_parquet(path).height for path in store.files(version)] == [300, 300, 300, 100]
    assert_frame_equal(store.load(version, "polars"), frame)
    assert save(store, "table", frame, artifact="eager").digest == version.digest


def test_wide_rows_make_smaller_files(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes bound a file as rows do."""
    monkeypatch.setattr(parquet, "MOST_BYTES", 5_000)
    version = save(store, "table", pl.concat([numbers(n * 100, 100).lazy() for n in range(10)]))
    assert len(store.files(version)) > 2
    assert_frame_equal(store.load(version, "polars"), numbers(0, ROWS))


def test_many_appends_make_few_files(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small last files are put together, every version stays as it was, and each digest is that of the whole."""
    monkeypatch.setattr(table_digest, "BLOCK", 64)
    versions = grow(store, [10] * 33)
    assert max(len(store.files(version)) for version in versions) <= 6
    for version in (*versions[::8], versions[-1]):
        assert_frame_equal(store.load(version, "polars"), numbers(0, version.rows or 0))
        store.verify(version)
    assert versions[-1].digest == save(store, "table", numbers(0, 330), artifact="whole").digest
    assert pl.scan_delta(str(store.root / versions[-1].uri)).collect().height == 330


def test_appending_nothing_makes_no_version(store: Store) -> None:
    """No new rows, no new digest, no commit."""
    first = save(store, "table", numbers(0, 5))
    same = save(store, "table", numbers(0, 0), attempt="a-2", prior=first, append=True)
    assert (same.digest, same.table_version, same.meta["files"]) == (first.digest, first.table_version, first.meta["files"])


def test_appended_columns_find_their_place(store: Store) -> None:
    """New rows may have their columns in another order, and nulls where no type is known yet."""
    first = save(store, "table", numbers(0, 1))
    longer = save(store, "table", pl.DataFrame({"text": [None], "n": [1]}), attempt="a-2", prior=first, append=True)
    assert store.load(longer, "polars").rows() == [(0, "row 0"), (1, None)]


def test_appending_after_a_side_version(store: Store) -> None:
    """A version that is not the head may lie between: rows are added to the prior version, not to the newest commit."""
    first = save(store, "table", numbers(0, 5))
    save(store, "table", pl.DataFrame({"other": [1.5]}), attempt="a-2")
    longer = save(store, "table", numbers(5, 2), attempt="a-3", prior=first, append=True)
    assert_frame_equal(store.load(longer, "polars"), numbers(0, 7))
    assert pl.scan_delta(str(store.root / first.uri)).collect().columns == ["n", "text"]


def test_columns_may_become_times_without_zone(store: Store) -> None:
    """Delta needs a table feature for them, which an older table lacks; committed without it, no one could open the table."""
    save(store, "table", pl.DataFrame({"a": [1]}))
    frame = pl.DataFrame({"t": pl.Series([0]).cast(pl.Datetime("us"))})
    version = save(store, "table", frame, attempt="a-2")
    assert_frame_equal(store.load(version, "polars"), frame)
    assert_frame_equal(pl.scan_delta(str(store.root / version.uri)).collect(), frame)


def test_lost_files_are_made_again_under_their_names(store: Store) -> None:
    """A version whose bytes are gone is whole again once its step has run again, though the digest says nothing is new."""
    prior = save(store, "table", numbers(0, ROWS))
    store.files(prior)[0].unlink()
    assert (store.exists(prior), store.missing(prior)) == (False, [f"{prior.uri}/{store.files(prior)[0].name}"])
    again = save(store, "table", numbers(0, ROWS), attempt="a-2", prior=prior)
    assert (again.digest, again.meta["files"]) == (prior.digest, prior.meta["files"])
    assert store.exists(prior)
    store.verify(prior)


@pytest.mark.parametrize("view", ["polars", "polars.lazy", "path", "duckdb"])
def test_a_lost_file_is_named(store: Store, view: Any) -> None:
    """Before the consumer's own code meets it."""
    version = save(store, "table", numbers(0, 5))
    path = store.files(version)[0]
    path.unlink()
    with pytest.raises(StoreError, match=path.name):
        store.load(version, view)
    with pytest.raises(StoreError, match="is gone"):
        store.verify(version)


@pytest.mark.parametrize("damage", ["cut", "zeros at the end", "other bytes"])
def test_a_corrupt_file_is_named(store: Store, damage: str) -> None:
    """Cut off or overwritten at its ends; `exists` sees what `stat` can see."""
    version = save(store, "table", numbers(0, 5))
    path = store.files(version)[0]
    content = path.read_bytes()
    path.chmod(0o644)
    changed = {"cut": content[:-10], "zeros at the end": content[:-8] + bytes(8), "other bytes": b"x" * len(content)}[damage]
    path.write_bytes(changed)
    with pytest.raises(CorruptError, match=path.name):
        store.load(version, "polars")
    assert store.exists(version) == (damage != "cut")


def test_other_rows_under_the_same_name_are_found(store: Store) -> None:
    """`verify` computes the digest again: a whole Parquet file with other rows is not what was kept."""
    version = save(store, "table", numbers(0, 5))
    other = save(store, "table", numbers(1, 5), artifact="other")
    path = store.files(version)[0]
    path.chmod(0o644)
    path.write_bytes(store.files(other)[0].read_bytes())
    with pytest.raises(CorruptError, match="digest"):
        store.verify(version)


@pytest.mark.parametrize(
    ("code", "words"), [(errno.ENOSPC, "the disk is full"), (errno.EROFS, "may not be written"), (errno.EIO, "doctor")]
)
def test_a_failing_disk_is_one_clear_error(store: Store, monkeypatch: pytest.MonkeyPatch, code: int, words: str) -> None:
    """What was committed stays as it was; nothing half-written is visible or left behind."""
    before = save(store, "table", numbers(0, 5))
    files = {path.name for path in (store.root / before.uri).rglob("*")}
    with monkeypatch.context() as patch:
        broken(patch, code)
        for append in (False, True):
            with pytest.raises(StoreError) as error:
                store.save(Save(kind="table", artifact="late", value=numbers(5, 5), attempt="a-2", prior=before, append=append))
            assert words in str(error.value)
            assert str(error.value).count("next:") == 1
    assert {path.name for path in (store.root / before.uri).rglob("*")} == files
    assert_frame_equal(store.load(before, "polars"), numbers(0, 5))


def test_a_step_that_fails_leaves_nothing(store: Store) -> None:
    """An error of the user's own query passes through as it is."""
    query = numbers(0, 5).lazy().with_columns(pl.col("text").str.to_integer())
    with pytest.raises(pl.exceptions.PolarsError):
        save(store, "table", query)
    assert [path for path in store.root.rglob("*") if path.is_file()] == []


def test_an_attempt_that_comes_twice_overwrites_nothing(store: Store) -> None:
    """A second save by the same attempt gives its files other names."""
    first, second = save(store, "table", numbers(0, 5)), save(store, "table", numbers(5, 5))
    assert_frame_equal(store.load(first, "polars"), numbers(0, 5))
    assert_frame_equal(store.load(second, "polars"), numbers(5, 5))


def test_parts_with_other_columns_do_not_fit(store: Store) -> None:
    """The message names both parts and the column."""
    parts = {"a": save(store, "table", numbers(0, 1), part=True), "b": save(store, "table", pl.DataFrame({"n": ["x"]}), part=True)}
    with pytest.raises(UserError, match=r"late\[b\].*other columns than late\[a\]") as error:
        store.combine("late", "table", parts, "a-9")
    assert "'n' was Int64 and is String" in str(error.value)


def test_a_column_of_another_type_is_told_with_its_cast(store: Store) -> None:
    """A CSV file of whole prices after one of broken ones: what to type stands there."""
    parts = {key: save(store, "table", pl.DataFrame({"n": [n]}), part=True) for key, n in {"a": 1.5, "b": 2}.items()}
    with pytest.raises(UserError) as error:
        store.combine("late", "table", parts, "a-9")
    assert "give each the type that it had, as frame.with_columns(pl.col('n').cast(pl.Float64))" in error.value.next


def test_parts_that_stayed_keep_their_files(store: Store) -> None:
    """Putting parts together again, one of them new, writes no row of the others; the earlier whole still reads."""
    parts = {
        key: save(store, "table", numbers(n, 1), artifact=f"late[{key}]", attempt=f"a-{key}", part=True) for n, key in enumerate("abc")
    }
    whole = committed(store.combine("late", "table", parts, "a-8"))
    newer = {**parts, "b": save(store, "table", numbers(7, 1), artifact="late[b]", attempt="a-b2", part=True)}
    again = committed(store.combine("late", "table", newer, "a-9"), 2)
    assert len({path.name for path in (store.root / whole.uri).glob("*.parquet")}) == 4
    assert [store.load(version, "polars")["n"].to_list() for version in (whole, again)] == [[0, 1, 2], [0, 7, 2]]
    assert sorted(pl.scan_delta(str(store.root / whole.uri)).collect()["n"].to_list()) == [0, 2, 7]


def test_frames_of_others_are_tables(store: Store) -> None:
    """Arrow tables and DuckDB relations are kept as what they hold, without pyarrow."""
    frame = numbers(0, 5)
    assert_frame_equal(store.load(save(store, "table", Table.from_arrow(frame)), "polars"), frame)
    with duckdb.connect() as connection:
        relation = connection.sql("SELECT 1::BIGINT AS n, 'row 1' AS text")
        assert_frame_equal(store.load(save(store, "table", relation, attempt="a-2"), "polars"), numbers(1, 1))


def test_the_path_view_has_this_version_only(store: Store) -> None:
    """A folder of the version's files in stored order, which a glob may read."""
    first = save(store, "table", numbers(0, 5))
    save(store, "table", numbers(5, 5), attempt="a-2")
    assert_frame_equal(pl.read_parquet(store.load(first, "path") / "*.parquet"), numbers(0, 5))


def test_the_duckdb_view_is_a_relation_in_stored_order(store: Store) -> None:
    """With the types that were saved."""
    frame = pl.DataFrame({"n": [3, 1, 2], "e": pl.Series(["b", "a", None]).cast(pl.Enum(["a", "b"]))})
    relation = store.load(save(store, "table", frame), "duckdb")
    assert relation.fetchall() == [(3, "b"), (1, "a"), (2, None)]
    assert [str(kind) for kind in relation.types] == ["BIGINT", "ENUM('a', 'b')"]


def test_tables_open_without_bedplate(store: Store) -> None:
    """By path in Polars and deltalake, by listed files in DuckDB: the newest version, and an earlier one by number."""
    first = save(store, "table", numbers(0, 5))
    longer = save(store, "table", numbers(5, 5), attempt="a-2", prior=first, append=True)
    path = str(store.root / longer.uri)
    assert pl.scan_delta(path).sort("n").collect().equals(numbers(0, 10))
    assert pl.scan_delta(path, version=first.table_version).collect().equals(numbers(0, 5))
    assert pl.DataFrame(deltalake.DeltaTable(path).scan()).height == 10
    with duckdb.connect() as connection:
        listed = [str(file) for file in store.files(longer)]
        assert connection.read_parquet(listed).aggregate("count(*), sum(n)").fetchall() == [(10, 45)]


def test_every_commit_says_who_made_what(store: Store) -> None:
    """A commit carries the attempt's id and the content digest; the table's own clean-up of its log is off."""
    version = save(store, "table", numbers(0, 5), attempt="a-77")
    table = deltalake.DeltaTable(str(store.root / version.uri))
    commit = table.history(1)[0]
    assert (commit["bedplate.attempt"], commit["bedplate.digest"]) == ("a-77", version.digest)
    assert table.metadata().configuration["delta.enableExpiredLogCleanup"] == "false"


def test_old_versions_open_after_many_commits(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints of the log come every so many commits; the commits before stay, so any version opens by its number."""
    monkeypatch.setitem(delta.CONFIGURATION, "delta.checkpointInterval", "10")
    versions = [save(store, "table", numbers(n, 1), attempt=f"a-{n}", number=n) for n in range(24)]
    path = str(store.root / versions[0].uri)
    assert any(name.name.endswith(".checkpoint.parquet") for name in (Path(path) / "_delta_log").iterdir())
    for version in versions[::8]:
        assert pl.scan_delta(path, version=version.table_version).collect()["n"].to_list() == [version.number]


def test_a_log_compacts_itself(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every so many commits; no row is lost, and `gc` then deletes the small files, but no row."""
    monkeypatch.setattr(log_table, "_TENDED_EVERY", 5)
    for number in range(23):
        store.log("predictions/svc").append({"n": [number]})
    log = store.log("predictions/svc")
    assert len(log.files()) < 8
    assert store.gc([], datetime.now(UTC) + timedelta(minutes=1), False).files > 15
    assert sorted(log.scan().collect()["n"]) == list(range(23))


def test_a_log_takes_another_type_inside_a_struct_where_no_value_changes(store: Store) -> None:
    """A field that began as whole numbers takes whole floats, and refuses a fraction instead of cutting it off."""
    log = store.log("predictions/svc")
    log.append(pl.DataFrame({"request": [{"n": 1, "who": "a"}]}))
    log.append(pl.DataFrame({"request": [{"n": 2.0, "who": "b"}]}))
    with pytest.raises(UserError, match="'request'"):
        log.append(pl.DataFrame({"request": [{"n": 2.5, "who": "c"}]}))
    assert log.scan().collect()["request"].to_list() == [{"n": 1, "who": "a"}, {"n": 2, "who": "b"}]


def test_temporary_names_are_hidden() -> None:
    """What a killed writer leaves begins with a dot: no reader's glob takes it for data."""
    assert disk.TEMPORARY.startswith(".")
