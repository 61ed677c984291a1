"""What every store owes its caller. Subclass `StoreContract` in a test file and give it `make`.

    class TestMyStore(StoreContract):
        def make(self, folder: Path) -> Store:
            return my_store(folder)

Covered: every kind but `model`, tables by every view that needs no extra, appends, parts, staging, restore, gc, logs, many writers.
Not covered: what a disk does (full, read-only, cut off); those tests stand beside the local store. Needs pytest.
"""

from __future__ import annotations

import math
import os
import threading
from abc import ABC, abstractmethod
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from bedplate.core.check import Check
from bedplate.core.errors import BedplateError, StoreError, UserError
from bedplate.core.kinds import Kind
from bedplate.core.records import Draft, Outcome, Version
from bedplate.core.sources import Files
from bedplate.storage.shelf import Save
from bedplate.storage.store import Store

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
FRAME = pl.DataFrame({"id": [1, 2, 3], "name": ["a", None, "c"], "at": pl.Series([0, 1, 2]).cast(pl.Datetime("us", "UTC"))})


def committed(draft: Draft, number: int = 1) -> Version:
    """The version that a catalog would make of a draft."""
    fields = {name: getattr(draft, name) for name in draft.__struct_fields__}
    return Version(**fields, number=number, created_at=LONG_AGO, attempt="a-test")


class StoreContract(ABC):
    """Tests of one store; each gets a fresh one."""

    @abstractmethod
    def make(self, folder: Path) -> Store:
        """An empty store that keeps everything under `folder`, or forgets it with the test."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        """Made for one test."""
        return self.make(tmp_path / "store")

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """A folder of a step's own, with two files."""
        made = tmp_path / "work"
        (made / "sub").mkdir(parents=True)
        (made / "b.txt").write_text("two")
        (made / "sub" / "a.txt").write_text("one")
        return made

    @pytest.mark.parametrize("value", [None, True, 1, 2.5, "text", [1, [2]], {"a": {"b": None}}, "x" * 100_000])
    def test_a_scalar_comes_back(self, store: Store, value: Any) -> None:
        """JSON values, short and long, come back equal, and an equal value has an equal digest."""
        version = save(store, "scalar", value)
        assert store.load(version, "scalar") == value
        assert store.exists(version)
        store.verify(version)
        assert save(store, "scalar", value).digest == version.digest

    def test_floats_that_json_lacks_survive(self, store: Store) -> None:
        """Not-a-number and the infinities come back as what they were."""
        loaded = store.load(save(store, "scalar", {"a": [math.inf, -math.inf, math.nan]}), "scalar")["a"]
        assert loaded[:2] == [math.inf, -math.inf]
        assert math.isnan(loaded[2])

    def test_a_value_without_a_form_is_refused(self, store: Store) -> None:
        """An object as a scalar, a number as a table, a table as a check: one clear message each."""
        for kind, value in (("scalar", object()), ("table", 3), ("check", 3), ("files", 3)):
            with pytest.raises(UserError):
                save(store, kind, value)  # type: ignore[arg-type] # the loop's first item is a Kind

    def test_a_check_comes_back(self, store: Store) -> None:
        """With its findings, also one against not-a-number."""
        check = Check.all(Check.at_least("auc", {"x": 0.7, "y": 0.6}, 0.65), Check.at_most("loss", 0.2, math.inf))
        assert store.load(save(store, "check", check), "check") == check

    def test_a_pickle_comes_back_as_a_copy(self, store: Store) -> None:
        """What a consumer changes is not what the next one gets."""
        version = save(store, "pickle", {"a": {1, 2}})
        store.load(version, "pickle")["a"].clear()
        assert store.load(version, "pickle") == {"a": {1, 2}}

    def test_files_keep_their_names(self, store: Store, folder: Path) -> None:
        """A folder comes back with names and content; the step's own folder may go meanwhile."""
        version = save(store, "files", folder)
        (folder / "b.txt").write_text("changed afterwards")
        path = store.load(version, "path")
        assert {str(p.relative_to(path)): p.read_text() for p in path.rglob("*.txt")} == {"b.txt": "two", "sub/a.txt": "one"}
        assert [(e.name, Path(e.path).read_text()) for e in store.load(version, "files").entries] == [
            ("b.txt", "two"),
            ("sub/a.txt", "one"),
        ]
        assert store.exists(version)
        store.verify(version)

    def test_a_file_name_that_is_no_text_is_refused_by_name(self, store: Store, folder: Path) -> None:
        """In a returned folder, at any depth, and alone."""
        odd = Path(os.fsdecode(os.fsencode(folder / "sub") + b"/caf\xe9.txt"))
        odd.write_text("three")
        for value in (folder, odd, [odd]):
            with pytest.raises(UserError, match=r"caf\\udce9.txt' cannot be kept"):
                save(store, "files", value)

    def test_a_single_file_comes_back_as_a_file(self, store: Store, folder: Path) -> None:
        """A path to a file is a path to a file, of the same name, and another version than a folder with that file."""
        version = save(store, "files", folder / "sub" / "a.txt")
        loaded = store.load(version, "path")
        assert (loaded.name, loaded.read_text()) == ("a.txt", "one")
        assert save(store, "files", folder / "sub").digest != version.digest

    def test_files_that_were_handed_over_are_kept(self, store: Store, folder: Path) -> None:
        """A bound `Files` keeps the names that its entries have."""
        version = save(store, "files", Files.of(folder / "b.txt", folder / "sub" / "a.txt"))
        assert [entry.name for entry in store.load(version, "files").entries] == ["a.txt", "b.txt"]

    @pytest.mark.parametrize("lazy", [False, True])
    def test_a_table_comes_back(self, store: Store, lazy: bool) -> None:
        """In order and in type, eager or lazy, as what it was saved from."""
        version = save(store, "table", FRAME.lazy() if lazy else FRAME)
        assert_frame_equal(store.load(version, "polars"), FRAME)
        assert_frame_equal(store.load(version, "polars.lazy").collect(), FRAME)
        assert version.rows == 3
        assert store.exists(version)
        store.verify(version)

    def test_a_table_without_rows_comes_back(self, store: Store) -> None:
        """No rows are a version too, with their columns."""
        assert_frame_equal(store.load(save(store, "table", FRAME.clear()), "polars"), FRAME.clear())

    def test_equal_rows_make_no_new_version(self, store: Store) -> None:
        """An equal digest leaves the prior's own bytes in place (early cut-off)."""
        prior = save(store, "table", FRAME)
        again = save(store, "table", FRAME.lazy(), attempt="a-2", prior=prior)
        assert (again.digest, again.uri, again.table_version, again.meta) == (prior.digest, prior.uri, prior.table_version, prior.meta)

    def test_every_version_stays_readable(self, store: Store) -> None:
        """An overwrite, with other columns, leaves earlier versions as they were."""
        frames = [FRAME, FRAME.drop("name"), pl.DataFrame({"id": ["x"]})]
        versions = [save(store, "table", frame, attempt=f"a-{n}", number=n) for n, frame in enumerate(frames)]
        for version, frame in zip(versions, frames, strict=True):
            assert_frame_equal(store.load(version, "polars"), frame)

    def test_appending_adds_rows_after_the_prior(self, store: Store) -> None:
        """The digest is that of all rows written at once; the prior version still ends where it did."""
        prior = save(store, "table", FRAME)
        longer = save(store, "table", FRAME, attempt="a-2", prior=prior, append=True)
        whole = save(store, "table", pl.concat([FRAME, FRAME]), artifact="other")
        assert_frame_equal(store.load(longer, "polars"), pl.concat([FRAME, FRAME]))
        assert_frame_equal(store.load(prior, "polars"), FRAME)
        assert (longer.digest, longer.rows) == (whole.digest, 6)

    def test_appending_other_columns_is_refused(self, store: Store) -> None:
        """The message names each column that differs."""
        prior = save(store, "table", FRAME)
        with pytest.raises(UserError, match="'id' was Int64 and is String"):
            save(store, "table", FRAME.with_columns(pl.col("id").cast(pl.String)), attempt="a-2", prior=prior, append=True)

    def test_parts_become_one_version(self, store: Store) -> None:
        """In the order of their keys; the digest is over keys and the parts' digests; each part is readable on its own."""
        keys = ["2025-01-02", "2025-01-01"]
        parts = {
            k: save(store, "table", FRAME.with_columns(day=pl.lit(k)), artifact=f"late[{k}]", attempt=f"a-{k}", part=True) for k in keys
        }
        whole = committed(store.combine("late", "table", parts, "a-9"))
        assert store.load(whole, "polars")["day"].to_list() == [keys[1]] * 3 + [keys[0]] * 3
        assert store.load(parts[keys[0]], "polars")["day"].to_list() == [keys[0]] * 3
        assert store.keys(whole) == tuple(sorted(keys))
        store.verify(whole)

    @pytest.mark.parametrize(("kind", "values", "expected"), [("scalar", (1, 2), {"a": 1, "b": 2}), ("pickle", ({1}, {2}), None)])
    def test_parts_of_values(self, store: Store, kind: Kind, values: tuple[Any, Any], expected: Any) -> None:
        """Scalars become a mapping; where there is no form for all at once, the message says how to take a part."""
        parts = {key: save(store, kind, value, artifact=f"x[{key}]", part=True) for key, value in zip("ab", values, strict=True)}
        whole = committed(store.combine("x", kind, parts, "a-9"))
        store.verify(whole)
        assert (store.exists(whole), store.keys(whole)) == (True, ("a", "b"))
        if expected is not None:
            assert store.load(whole, kind) == expected  # type: ignore[arg-type] # these kinds are views of the same name
        else:
            with pytest.raises(UserError, match="same each="):
                store.load(whole, "pickle")

    def test_an_outcome_is_staged_until_it_is_fetched(self, store: Store) -> None:
        """What an attempt made survives its process; unstaging it twice is no error."""
        outcome = Outcome(attempt="a-1", drafts=(Draft(artifact="x", kind="scalar", digest="sha256:0", value="1"),))
        store.stage(outcome)
        assert store.staged("a-1") == outcome
        assert store.staged("a-2") is None
        store.unstage(["a-1", "a-2"])
        assert store.staged("a-1") is None

    def test_an_orphaned_commit_is_undone(self, store: Store) -> None:
        """Recovery by the attempt's id: once, and never for another attempt or the pinned version."""
        pinned = save(store, "table", FRAME, attempt="a-1")
        assert not store.restore("late", pinned, "a-1")
        save(store, "table", FRAME.head(1), attempt="a-2")
        assert not store.restore("late", pinned, "a-3")
        assert store.restore("late", pinned, "a-2")
        assert not store.restore("late", pinned, "a-2")
        assert_frame_equal(store.load(pinned, "polars"), FRAME)
        later = save(store, "table", FRAME.tail(1), attempt="a-4", prior=pinned)
        assert_frame_equal(store.load(later, "polars"), FRAME.tail(1))

    def test_gc_never_touches_what_is_kept(self, store: Store) -> None:
        """After 50 overwrites every kept version reads as it did, and the others' bytes are gone."""
        versions = [save(store, "table", FRAME.with_columns(n=pl.lit(n)), attempt=f"a-{n}", number=n) for n in range(50)]
        kept = versions[3::7]
        dry = store.gc(kept, datetime.now(UTC) + timedelta(minutes=1), True)
        assert all(store.exists(version) for version in versions)
        report = store.gc(kept, datetime.now(UTC) + timedelta(minutes=1), False)
        assert (report.files, report.bytes) == (dry.files, dry.bytes)
        assert report.files == 50 - len(kept) - (versions[-1] not in kept)
        for version in kept:
            store.verify(version)
            assert store.load(version, "polars")["n"].to_list() == [version.number] * 3
        assert not store.exists(versions[0])
        with pytest.raises(StoreError):
            store.load(versions[0], "polars")

    def test_gc_collects_every_kind_by_age(self, store: Store, folder: Path) -> None:
        """Nothing younger than the limit goes; of the old, only what is not kept."""
        kept = [save(store, "files", folder, artifact="kept"), save(store, "pickle", [1], artifact="kept2")]
        gone = [save(store, "files", folder / "b.txt", artifact="gone"), save(store, "pickle", [2]), save(store, "scalar", "y" * 100_000)]
        store.load(kept[0], "path")
        store.load(gone[0], "path")
        store.stage(Outcome(attempt="a-1"))
        assert store.gc(kept, LONG_AGO, False).files == 0
        report = store.gc(kept, datetime.now(UTC) + timedelta(minutes=1), False)
        assert report.files > 0
        assert [store.exists(version) for version in kept] == [True, True]
        store.verify(kept[0])
        assert [store.exists(version) for version in gone[1:]] == [False, False]
        assert store.staged("a-1") is None

    def test_a_file_beside_a_record_is_kept_by_its_digest(self, store: Store, folder: Path) -> None:
        """`gc` keeps what it is told to and collects the rest."""
        digests = [store.keep(folder / "b.txt"), store.keep(folder / "sub" / "a.txt")]
        assert store.gc([], datetime.now(UTC) + timedelta(minutes=1), False, blobs=digests[:1]).files == 1

    def test_a_log_grows_by_rows_and_columns(self, store: Store) -> None:
        """Rows of older appends have nulls in newer columns; a column keeps its type."""
        log = store.log("predictions/svc")
        assert (log.files(), log.scan().collect().height, log.compact()) == ([], 0, 0)
        assert log.append({"a": [1, 2], "later": [None, None]}) == 2
        assert log.append(pl.DataFrame({"a": [3], "later": ["x"], "b": [2.5]})) == 1
        assert log.append({"a": []}) == 0
        with pytest.raises(UserError, match="column 'a'"):
            log.append({"a": ["text"]})
        frame = log.scan().collect().sort("a")
        assert frame.select("a", "b", "later").rows() == [(1, None, None), (2, None, None), (3, 2.5, "x")]
        assert log.compact() == 1
        assert_frame_equal(log.scan().collect().sort("a"), frame, check_column_order=False)

    def test_a_log_takes_many_writers(self, store: Store) -> None:
        """Four writers at once, the first appends and new columns included: no row is lost or doubled."""

        def write(writer: int) -> None:
            for n in range(5):
                store.log("many").append({"writer": [writer], "n": [n], f"only_{writer}": [n]})

        threads = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found = store.log("many").scan().collect().select("writer", "n").rows()
        assert sorted(found) == [(writer, n) for writer in range(4) for n in range(5)]

    def test_names_never_leave_the_store(self, store: Store, folder: Path) -> None:
        """Artifacts, attempts, logs and parts with paths in their names are refused."""
        for artifact, attempt in (("../x", "a-1"), ("x", "../a"), ("/x", "a-1"), ("x", ".hidden"), ("", "a-1")):
            with pytest.raises(UserError):
                save(store, "table", FRAME, artifact=artifact, attempt=attempt)
        for attempt in ("../a", "a/b", ""):
            with pytest.raises(UserError):
                store.staged(attempt)
            with pytest.raises(UserError):
                store.log(attempt if attempt != "a/b" else "a//b")
        parts = {"../up": save(store, "files", folder)}
        with pytest.raises(UserError):
            store.combine("x", "files", parts, "a-1")

    def test_a_wrong_view_is_refused(self, store: Store) -> None:
        """A scalar is no table, a table is no pickle; features need to be declared."""
        scalar, table = save(store, "scalar", 1), save(store, "table", FRAME)
        for version, view in ((scalar, "polars"), (table, "pickle"), (table, "features")):
            with pytest.raises(UserError):
                store.load(version, view)  # type: ignore[arg-type] # the loop's second item is a View
        with pytest.raises(BedplateError):
            store.load(msgspec.structs.replace(scalar, kind="service"), "polars")


def save(store: Store, kind: Kind, value: Any, *, artifact: str = "late", attempt: str = "a-1", number: int = 1, **fields: Any) -> Version:
    """Save a value and commit it."""
    return committed(store.save(Save(kind=kind, artifact=artifact, value=value, attempt=attempt, **fields)), number)
