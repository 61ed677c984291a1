"""The cache tier: never stale, never wrong, never larger than it may be, and of no consequence when it is gone."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import polars as pl
import pytest

from bedplate.core.records import Version
from bedplate.storage.cache import Cache, Counts, trim
from bedplate.storage.local import local_store
from bedplate.storage.shelf import Save
from bedplate.storage.store import Store

ROWS = pl.DataFrame({"n": range(1_000), "word": pl.Series(["a", "b"] * 500, dtype=pl.Enum(["a", "b"]))})


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache", 1_000_000, boot="1")


@pytest.fixture
def store(tmp_path: Path, cache: Cache) -> Store:
    return local_store(tmp_path / "store", cache=cache)


def put(cache: Cache, name: str, size: int = 100, artifact: str = "rows") -> Path | None:
    return cache.put(f"sha256:{name}", artifact, size, lambda path: path.write_bytes(name.encode() * size) and None)


def keep(store: Store, frame: pl.DataFrame = ROWS, number: int = 1) -> Version:
    draft = store.save(Save(kind="table", artifact="rows", value=frame, attempt=f"a-{number}"))
    said = {name: getattr(draft, name) for name in draft.__struct_fields__}
    return Version(**said, number=number, created_at=None, attempt=f"a-{number}")


def test_a_frame_comes_from_the_copy_the_second_time_and_is_the_same(store: Store, cache: Cache) -> None:
    """Types that Parquet does not know included."""
    version = keep(store)
    first = store.load(version, "polars")
    shutil.rmtree(store.root / "tables")
    assert store.load(version, "polars").equals(first, null_equal=True)
    assert store.load(version, "polars").schema == ROWS.schema
    assert cache.report().counts == Counts(hits=2, misses=1, bytes=2 * cache.report().bytes)


def test_a_lazy_frame_is_copied_when_its_version_is_read_again(store: Store, cache: Cache) -> None:
    """A scan of one column does not cost all of them the first time."""
    version = keep(store)
    assert store.load(version, "polars.lazy").select("n").collect().height == 1_000
    assert cache.report().copies == ()
    for _ in range(2):
        assert store.load(version, "polars.lazy").collect().equals(ROWS)
    assert len(cache.report().copies) == 1
    assert cache.report().counts.hits == 1


def test_another_version_is_another_copy(store: Store) -> None:
    """A copy is named by its content: it cannot be stale."""
    store.load(keep(store), "polars")
    assert store.load(keep(store, ROWS.head(3), 2), "polars").height == 3


def test_a_copy_that_was_touched_is_checked_and_one_that_is_wrong_is_dropped(cache: Cache) -> None:
    path = put(cache, "aa")
    assert path is not None
    path.chmod(0o644)
    os.utime(path)
    assert cache.get("sha256:aa") == path
    path.write_bytes(b"b" * 200)
    assert cache.get("sha256:aa") is None
    assert not path.exists()


def test_after_a_boot_a_copy_is_read_once_before_it_is_trusted(cache: Cache) -> None:
    """A flipped bit that changed neither size nor time."""
    path = put(cache, "aa")
    assert path is not None
    stat = path.stat()
    path.chmod(0o644)
    path.write_bytes(b"ab" + b"a" * 198)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert Cache(cache.folder, cache.most_bytes, boot="2").get("sha256:aa") is None


def test_check_finds_a_flipped_bit_and_drops_the_copy(cache: Cache) -> None:
    path = put(cache, "aa")
    put(cache, "bb")
    assert path is not None
    stat = path.stat()
    path.chmod(0o644)
    path.write_bytes(b"ab" + b"a" * 198)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert [copy.digest for copy in cache.check()] == ["sha256:aa"]
    assert [copy.digest for copy in cache.report().copies] == ["sha256:bb"]


def test_what_was_not_read_for_longest_goes_first_and_what_is_pinned_stays(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", 500, boot="1")
    for age, name in enumerate(("aa", "bb", "cc")):
        put(cache, name, 75, artifact=name)
        os.utime(cache.folder / f"{name}.json", (1_000 + age, 1_000 + age))
    cache.pin("aa")
    cache.get("sha256:bb")
    put(cache, "dd", 75, artifact="dd")
    assert {copy.artifact for copy in cache.report().copies} == {"aa", "bb", "dd"}
    cache.pin("aa", keeps=False)
    assert cache.pinned() == ()


def test_what_is_larger_than_the_cap_is_not_copied(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", 50, boot="1")
    assert put(cache, "aa", 100) is None
    assert cache.report().copies == ()


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    store = local_store(tmp_path / "store", cache=Cache(tmp_path / "file" / "cache", 1_000_000, boot="1"))
    version = keep(store)
    for view in ("polars", "polars.lazy", "polars.lazy"):
        assert store.load(version, view).lazy().collect().equals(ROWS)


def test_a_cache_may_be_deleted_at_any_time(store: Store, cache: Cache) -> None:
    version = keep(store)
    store.load(version, "polars")
    shutil.rmtree(cache.folder)
    assert store.load(version, "polars").equals(ROWS)
    assert cache.clear() > 0
    assert store.load(version, "polars").equals(ROWS)


def test_copies_of_a_bucket_go_by_age_but_not_the_young_nor_those_in_use(tmp_path: Path) -> None:
    for number, name in enumerate(("oldest", "used", "old", "young")):
        (tmp_path / name).write_bytes(b"x" * 10)
        if name != "young":
            os.utime(tmp_path / name, (1_000 + number, 1_000 + number))
    assert trim([tmp_path], 20, {tmp_path / "used"}) == 20
    assert {path.name for path in tmp_path.iterdir()} == {"used", "young"}
