"""The as-of join is exact: compared row by row with the definition, for late, early, doubled and outdated rows."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import hypothesis.strategies as st
import msgspec
import polars as pl
import pytest
from hypothesis import given, settings
from polars.testing import assert_frame_equal

from bedplate.core.errors import UserError
from bedplate.core.features import FeatureSpec
from bedplate.storage.backends import features_build, features_index
from bedplate.storage.backends.features_build import index_of
from bedplate.storage.backends.features_view import TableFeatures
from bedplate.storage.local import local_store
from bedplate.storage.store import Store
from bedplate.testing.store_contract import save

START = datetime(2025, 1, 1)
PLAIN = FeatureSpec(("key",), "time")
LATE = FeatureSpec(("key",), "time", "created")

Row = tuple[str | None, int, int | None, int]
"""Entity, time, created and value; times in hours after START."""


def table(rows: list[Row]) -> pl.DataFrame:
    frame = pl.DataFrame(rows, schema={"key": pl.String, "time": pl.Int64, "created": pl.Int64, "value": pl.Int64}, orient="row")
    return frame.with_columns(hour("time"), hour("created"))


def labels(asked: list[tuple[str | None, int | None]]) -> pl.DataFrame:
    return pl.DataFrame(asked, schema={"key": pl.String, "time": pl.Int64}, orient="row").with_columns(
        hour("time"), n=pl.int_range(pl.len())
    )


def hour(name: str) -> pl.Expr:
    return (pl.lit(START) + pl.duration(hours=name)).cast(pl.Datetime("us")).alias(name)


def expected(rows: list[Row], key: str | None, at: int | None, spec: FeatureSpec) -> int | None:
    """The definition, in words of its own: of the entity's rows known then, the one with the latest (time, created, place)."""
    if key is None or at is None:
        return None
    known = [
        (time, created or 0, place, value)
        for place, (entity, time, created, value) in enumerate(rows)
        if entity == key and time <= at and (not spec.created or (created is not None and created <= at))
    ]
    known = [row for row in known if not spec.ttl_s or row[0] >= at - spec.ttl_s / 3600]
    if not spec.created:
        known = [(time, 0, place, value) for time, _, place, value in known]
    return max(known)[3] if known else None


small = st.integers(0, 6)
keys = st.sampled_from(["a", "b", None])


@given(
    rows=st.lists(st.tuples(keys, small, st.one_of(st.none(), small), st.integers(0, 99)), max_size=12),
    asked=st.lists(st.tuples(keys, st.one_of(st.none(), small)), max_size=8),
    created=st.booleans(),
    ttl_h=st.sampled_from([0, 1, 3]),
)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_each_label_gets_what_was_known_then(
    rows: list[Row], asked: list[tuple[str | None, int | None]], created: bool, ttl_h: int
) -> None:
    """Every label once, in order, with the value that the definition gives; lazily and one row at a time as well."""
    spec = FeatureSpec(("key",), "time", "created" if created else "", ttl_h * 3600.0)
    frame = table(rows) if created else table(rows).drop("created")
    features = TableFeatures(frame.lazy(), spec)
    given_labels = labels(asked)
    joined = features.at(given_labels)
    assert_frame_equal(joined.drop("value"), given_labels)
    values = [expected(rows, key, at, spec) for key, at in asked]
    assert joined["value"].to_list() == values
    lazily = features.at(given_labels.lazy())
    assert isinstance(lazily, pl.LazyFrame)
    assert_frame_equal(lazily.collect(), joined)
    assert [features.at(row)["value"] for row in given_labels.select("key", "time").rows(named=True)] == values


@pytest.mark.parametrize("bits", [3, 8, 40])
def test_a_key_too_coarse_for_the_moments_changes_nothing(monkeypatch: pytest.MonkeyPatch, bits: int) -> None:
    """Many entities over many years in nanoseconds do not fit a key: what it cannot tell apart is searched again, exactly."""
    rows: list[Row] = [("abcdef"[i % 6], (i * 13) % 97, (i * 29) % 131, i) for i in range(900)]
    asked = labels([(key, at) for key in "abcdefz" for at in range(-2, 140)])
    fine = TableFeatures(table(rows).lazy(), LATE).at(asked)
    monkeypatch.setattr(features_index, "KEY_BITS", bits)
    coarse = TableFeatures(table(rows).lazy(), LATE)
    assert_frame_equal(coarse.at(asked), fine)
    assert coarse.index().scale.shift > 0 or bits == 40
    assert fine["value"].to_list() == [expected(rows, key, at, LATE) for key in "abcdefz" for at in range(-2, 140)]


def test_a_late_row_does_not_hide_an_older_known_one() -> None:
    """The trap of a plain as-of join: the newest row by time is not known yet, the one before is."""
    features = TableFeatures(table([("a", 1, 1, 10), ("a", 3, 9, 30)]).lazy(), LATE)
    assert features.at(labels([("a", 5), ("a", 9)]))["value"].to_list() == [10, 30]


def test_a_correction_of_the_past_does_not_replace_the_present() -> None:
    """A row that arrives later about an earlier time is not the latest."""
    features = TableFeatures(table([("a", 5, 5, 50), ("a", 1, 8, 10)]).lazy(), LATE)
    assert features.at(labels([("a", 9)]))["value"].to_list() == [50]
    assert features["a"] == {"value": 50}


@pytest.mark.parametrize("dtype", [pl.Datetime("us"), pl.Datetime("ns", "UTC"), pl.Datetime("ms", "Europe/Berlin"), pl.Date()])
def test_a_row_that_is_too_old_for_training_is_too_old_for_a_service(dtype: pl.DataType) -> None:
    """A look-up now and the join as of now agree, to the microsecond at which `ttl` ends."""
    moment = datetime(2025, 1, 1, tzinfo=UTC if getattr(dtype, "time_zone", None) else None)
    frame = pl.LazyFrame({"key": ["a"], "time": pl.Series([moment]).cast(dtype), "value": [10]})
    for late, value in ((timedelta(hours=12), 10), (timedelta(hours=12, microseconds=1), None)):
        now = moment + late
        view = TableFeatures(frame, FeatureSpec(("key",), "time", ttl_s=12 * 3600), now=lambda now=now: now.replace(tzinfo=UTC))  # type: ignore[misc]  # bound
        assert view["a"] == {"value": value}
        assert view.at({"key": "a", "time": now})["value"] == value


def test_several_entity_columns() -> None:
    """Rows match on all of them; the entity of a look-up is a tuple."""
    spec = FeatureSpec(("key", "n"), "time")
    frame = table([("a", 1, 1, 10), ("a", 2, 2, 20), ("b", 1, 1, 30)]).drop("created").with_columns(n=pl.Series([0, 1, 0]))
    features = TableFeatures(frame.lazy(), spec)
    assert features.at(labels([("a", 5), ("a", 5), ("b", 5)]))["value"].to_list() == [10, 20, None]
    assert (features["a", 1], features["a", 7]) == ({"value": 20}, {"value": None})


@pytest.mark.parametrize(
    ("kept", "asked"),
    [
        (pl.Datetime("ms"), pl.Datetime("ns")),
        (pl.Datetime("ns"), pl.Datetime("ms")),
        (pl.Datetime("us", "UTC"), pl.Datetime("ms", "Europe/Berlin")),
        (pl.Date(), pl.Datetime("us")),
        (pl.Datetime("us"), pl.Date()),
        (pl.Date(), pl.Date()),
        (pl.Int32(), pl.Int64()),
    ],
)
def test_times_of_other_units_compare(kept: pl.DataType, asked: pl.DataType) -> None:
    """Units, zones and dates compare exactly; the labels' own column keeps its type."""

    def moments(dtype: pl.DataType, day: int) -> pl.Series:
        if dtype.is_integer():
            return pl.Series("time", [day], dtype=dtype)
        zone = getattr(dtype, "time_zone", None)
        return pl.Series("time", [datetime(2025, 1, day, tzinfo=UTC if zone else None)]).cast(dtype)

    frame = pl.DataFrame([pl.Series("key", ["a"]), moments(kept, 2), pl.Series("value", [1])])
    asked_for = pl.DataFrame([pl.Series("key", ["a", "a"]), pl.concat([moments(asked, 1), moments(asked, 2)])])
    joined = TableFeatures(frame.lazy(), PLAIN).at(asked_for)
    assert joined["value"].to_list() == [None, 1]
    assert joined.schema["time"] == asked


def test_a_row_created_within_the_day_of_a_date() -> None:
    """Time is a date, created a moment: the row is known from that moment on, not from midnight."""
    frame = pl.DataFrame({"key": ["a"], "time": [date(2025, 1, 1)], "created": [datetime(2025, 1, 1, 15)], "value": [1]})
    asked = pl.DataFrame({"key": ["a", "a"], "time": [datetime(2025, 1, 1, 14), datetime(2025, 1, 1, 15)]})
    assert TableFeatures(frame.lazy(), LATE).at(asked)["value"].to_list() == [None, 1]


def test_columns_that_are_no_keys_of_the_labels_stay() -> None:
    """`created` of the features is not added, and may be a column of the labels."""
    features = TableFeatures(table([("a", 1, 1, 10)]).lazy(), LATE)
    joined = features.at(labels([("a", 2)]).with_columns(created=pl.lit("mine")))
    assert joined.drop("time").rows() == [("a", 0, "mine", 10)]


@pytest.mark.bad_input("a duplicate event")
def test_a_repeated_event_changes_nothing() -> None:
    """Twice the same row is once the row; of two of one moment the one created last counts, else the last in the table."""
    once, twice = (TableFeatures(table([("a", 1, 1, 10)] * n).lazy(), LATE) for n in (1, 2))
    asked = labels([("a", 0), ("a", 1), ("a", 5)])
    assert_frame_equal(once.at(asked), twice.at(asked))
    corrected = TableFeatures(table([("a", 1, 4, 40), ("a", 1, 1, 10), ("a", 1, 1, 11)]).lazy(), LATE)
    assert corrected.at(labels([("a", 1), ("a", 4)]))["value"].to_list() == [11, 40]


@pytest.mark.bad_input("a label without entity")
def test_a_label_without_entity_is_kept_with_nulls() -> None:
    """A null or unknown entity, a value that no entity has, a null time: nulls, and no label is lost; another sort is a mistake."""
    numbers = pl.LazyFrame({"key": [1, 2], "time": [START, START], "value": [10, 20]})
    features = TableFeatures(numbers, PLAIN)
    asked = pl.DataFrame({"key": [1.0, 1.5, None, 2.0, 7.0], "time": [START, START, START, None, START]})
    joined = features.at(asked)
    assert joined["value"].to_list() == [10, None, None, None, None]
    assert_frame_equal(joined.drop("value"), asked)
    categories = TableFeatures(table([("a", 1, 1, 10)]).with_columns(pl.col("key").cast(pl.Enum(["a"]))).lazy(), LATE)
    assert categories.at(labels([("a", 2), ("never seen", 2)]))["value"].to_list() == [10, None]
    with pytest.raises(UserError, match="'key' is String, that of features is Int64"):
        features.at(labels([("a", 2)]))


def test_a_number_far_from_every_entity_is_none_of_them() -> None:
    """Also where its distance to the least of them has no room in 64 bits; a frame says what one row says."""
    far = [2**63 - 1, -(2**63), 3, -2]
    features = TableFeatures(pl.LazyFrame({"key": [-1, 0, 1], "time": [START] * 3, "value": [9, 10, 11]}), PLAIN)
    joined = features.at(pl.DataFrame({"key": [*far, -1], "time": [START] * 5}))
    assert joined["value"].to_list() == [None] * len(far) + [9]
    assert [features.at({"key": one, "time": START})["value"] for one in far] == [None] * len(far)


def test_several_views_are_joined_at_once() -> None:
    """To a frame, a lazy one and one row; a view of the same column is refused."""
    one = TableFeatures(table([("a", 1, 1, 10)]).lazy(), LATE)
    two = TableFeatures(table([("a", 2, 2, 20)]).rename({"value": "other"}).lazy(), LATE)
    asked = labels([("a", 1), ("a", 3)])
    joined = one.at(asked, two)
    assert joined.select("value", "other").rows() == [(10, None), (10, 20)]
    assert_frame_equal(one.at(asked.lazy(), two).collect(), joined)
    assert one.at({"key": "a", "time": START + timedelta(hours=3)}, two)["other"] == 20
    with pytest.raises(UserError, match="have a column 'value'"):
        one.at(asked, one)


@pytest.mark.parametrize("whole_bytes", [10**9, 20_000])
def test_an_index_that_is_kept_gives_what_memory_gives(tmp_path: Path, whole_bytes: int) -> None:
    """Written in one piece or split by entity, read again by the next one, with nulls, text, times and nothing at all in its columns."""
    rows: list[Row] = [("abcdefghij"[i % 10], (i * 7) % 40, (i * 11) % 60, i) for i in range(3000)]
    frame = table(rows).with_columns(
        text=pl.col("value").cast(pl.String), gap=pl.when(pl.col("value") % 3 > 0).then("value"), day=pl.col("time").dt.date(),
        odd=pl.col("value") % 2 == 1, empty=pl.lit(None, pl.Float64),
    )  # fmt: skip
    plain = TableFeatures(frame.lazy(), LATE)
    asked = labels([(key, at) for key in "abjz" for at in range(0, 60, 7)])
    wanted = plain.at(asked)
    for turn in range(2):
        kept = TableFeatures(frame.lazy(), LATE)
        kept._made = index_of(kept._source, tmp_path / "features", whole_bytes)
        assert_frame_equal(kept.at(asked), wanted)
        assert kept["a"] == plain["a"]
        assert (len(list((tmp_path / "features").glob("*"))) == 1) == (whole_bytes < 10**9), turn


def test_a_kept_index_that_is_not_whole_is_made_again(tmp_path: Path) -> None:
    """Cut off, or with a file gone: as if there were none."""
    rows: list[Row] = [("ab"[i % 2], i % 40, i % 60, i) for i in range(3000)]
    asked = labels([("a", 30), ("b", 5)])
    wanted = TableFeatures(table(rows).lazy(), LATE).at(asked)
    for spoil in (lambda path: path.write_bytes(path.read_bytes()[:-8]), Path.unlink):
        for name in ("key", "moment", "0.npy", "entities.arrow", "meta.json"):
            for _ in range(2):
                view = TableFeatures(table(rows).lazy(), LATE)
                view._made = index_of(view._source, tmp_path / "features", 20_000)
                assert_frame_equal(view.at(asked), wanted)
            (folder,) = (tmp_path / "features").iterdir()
            spoil(folder / name)


def test_many_who_make_the_same_index_at_once_do_not_take_it_from_each_other(tmp_path: Path) -> None:
    """A server and a step that both meet a new version: each gets the whole index, and one is left."""
    rows: list[Row] = [("ab"[i % 2], i % 40, i % 60, i) for i in range(2000)]
    asked = labels([("a", 30), ("b", 5)])
    wanted = TableFeatures(table(rows).lazy(), LATE).at(asked)

    def made(home: Path, start: Barrier) -> pl.DataFrame:
        view = TableFeatures(table(rows).lazy(), LATE)
        start.wait(30)
        view._made = index_of(view._source, home, 20_000)
        return view.at(asked)

    with ThreadPoolExecutor(4) as people:
        for turn in range(10):
            home, start = tmp_path / str(turn), Barrier(4)
            for found in [people.submit(made, home, start) for _ in range(4)]:
                assert_frame_equal(found.result(), wanted)
            assert len(list(home.iterdir())) == 1


WRONG: list[tuple[Any, str]] = [
    (labels([("a", 1)]).drop("key"), "no column 'key'"),
    (labels([("a", 1)]).drop("time"), "no column 'time'"),
    (labels([("a", 1)]).with_columns(value=1), "both the labels and late have a column 'value'"),
    (labels([("a", 1)]).with_columns(pl.col("time").dt.replace_time_zone("UTC")), "'time' is Datetime"),
    (labels([("a", 1)]).with_columns(time=pl.lit("2025")), "'time' is String"),
    ([1, 2], "takes a frame or one row"),
]


@pytest.mark.parametrize(("asked", "words"), WRONG, ids=[words for _, words in WRONG])
def test_labels_that_do_not_fit_are_refused(asked: Any, words: str) -> None:
    """Each with what is wrong and what to do."""
    features = TableFeatures(table([("a", 1, 1, 10)]).lazy(), PLAIN, "late")
    with pytest.raises(UserError, match=words):
        features.at(asked)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return local_store(tmp_path / "store")


def test_features_come_from_a_committed_version(store: Store) -> None:
    """The view `features` of a table, keyed by the spec that the pipeline passes along."""
    version = save(store, "table", table([("a", 1, 1, 10), ("b", 1, 1, 20)]).lazy(), spec=LATE)
    features = store.load(version, "features", msgspec.to_builtins(LATE))
    assert features.spec == LATE
    assert (features["b"], features["none"]) == ({"value": 20}, {"value": None})
    assert features.at(labels([("b", 1)]))["value"].to_list() == [20]


def test_an_index_is_kept_beside_its_version_and_collected_with_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made once, read by the next; `gc` leaves it while the version is named, and takes it afterwards; it may go at any time."""
    monkeypatch.setattr(features_build, "KEPT_FROM_ROWS", 1)
    version = save(store, "table", table([("a", 1, 1, 10), ("b", 1, 1, 20)]).lazy(), spec=LATE)
    spec = msgspec.to_builtins(LATE)
    assert store.load(version, "features", spec)["b"] == {"value": 20}
    (folder,) = (store.root / "features").iterdir()
    later = datetime.now(UTC) + timedelta(days=1)
    store.gc([version], later, dry_run=False)
    assert folder.is_dir()
    shutil.rmtree(folder)
    assert store.load(version, "features", spec)["b"] == {"value": 20}
    assert store.gc([], later, dry_run=False).freed["features"].files > 0
    assert not folder.exists()


BAD: list[tuple[pl.DataFrame, FeatureSpec, str]] = [
    (table([]), FeatureSpec(("carrier",), "time"), "the entity column 'carrier' is not in the frame"),
    (table([]), FeatureSpec(("key",), "when"), "the time column 'when' is not in the frame"),
    (table([]), FeatureSpec(("key",), "time", "landed"), "the created column 'landed' is not in the frame"),
    (table([]), FeatureSpec(("key",), "key"), "the time column 'key' is String"),
    (table([]).with_columns(time=pl.lit(1)), FeatureSpec(("key",), "time", ttl_s=5), "ttl needs a time column"),
    (table([]).with_columns(created=pl.lit(1)), LATE, "cannot be compared"),
    (table([("a", 1, 1, 1)]).with_columns(time=pl.lit(None, pl.Datetime("us"))), PLAIN, "1 rows have no 'time'"),
]


@pytest.mark.parametrize(("frame", "spec", "words"), BAD, ids=[words for *_, words in BAD])
def test_a_features_table_without_its_keys_is_refused(store: Store, frame: pl.DataFrame, spec: FeatureSpec, words: str) -> None:
    """When it is saved, not when it is used, and nothing is left behind."""
    with pytest.raises(UserError, match=words):
        save(store, "table", frame, spec=spec)
    assert not [path for path in store.root.rglob("*") if path.is_file()]
