"""pandas and Arrow frames as tables and back; these need the extra `pandas`."""

from __future__ import annotations

import importlib.util
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import deltalake
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from arro3.core import Table
from polars.testing import assert_frame_equal

from bedplate.core.errors import UserError
from bedplate.storage.local import local_store
from bedplate.storage.store import Store
from bedplate.testing.store_contract import FRAME, save


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return local_store(tmp_path / "store")


def without(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    """As if these packages were not installed."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name in packages else find(name, *rest))


def test_a_table_as_pandas(store: Store) -> None:
    """The consumer's own frame: what it changes nobody else sees."""
    version = save(store, "table", FRAME)
    frame = store.load(version, "pandas")
    assert list(frame.columns) == ["id", "name", "at"]
    assert frame["at"].dt.tz is not None
    frame.loc[0, "id"] = 99
    assert store.load(version, "pandas")["id"].tolist() == [1, 2, 3]


def test_a_pandas_frame_is_kept(store: Store) -> None:
    """Columns with nulls, times, texts and categories; row numbers are dropped, a named index becomes a column."""
    frame = pd.DataFrame(
        {"a": [1, 2], "f": [0.5, float("nan")], "s": ["x", None], "c": pd.Categorical(["u", "v"]), "t": [pd.Timestamp(0, tz="UTC")] * 2},
        index=[7, 3],
    )
    loaded = store.load(save(store, "table", frame), "polars")
    assert loaded.columns == ["a", "f", "s", "c", "t"]
    assert (loaded["s"].to_list(), loaded["f"].to_list()) == (["x", None], [0.5, None])
    assert loaded["t"].to_list() == [datetime(1970, 1, 1, tzinfo=UTC)] * 2
    indexed = save(store, "table", frame[["a"]].rename_axis("id"), attempt="a-2")
    assert store.load(indexed, "polars").rows() == [(7, 1), (3, 2)]


def test_features_join_to_a_pandas_frame(store: Store) -> None:
    """What `at` gives for a Polars frame, in pandas: the same rows, columns and index, whatever else the frame holds."""
    spec = {"entity": ["who"], "time": "time"}
    at = [datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2, 3)]
    kept = save(store, "table", pl.DataFrame({"who": ["a", "b"], "time": at[:2], "value": [1.5, 2.5]}))
    asked = pd.DataFrame({"who": ["b", "a", "b"], "time": [at[2], at[2], at[0]], "own": [object(), "x", 3]}, index=["k", "k", "m"])
    features = store.load(kept, "features", spec)
    joined = features.at(asked)
    assert joined[["who", "time", "own"]].equals(asked)
    assert joined["value"].fillna(-1).tolist() == [2.5, 1.5, -1]
    with pytest.raises(UserError, match="both the labels and late have a column 'value'"):
        features.at(asked.assign(value=0))
    with pytest.raises(UserError, match="no column 'time'"):
        features.at(asked[["who", "own"]])


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "two columns are named 'a'"),
        (pd.DataFrame({"a": [1, "x"]}), "column 'a' cannot be kept"),
        (pd.DataFrame({"a": [object()]}), "column 'a' cannot be kept"),
        (pd.DataFrame({}), "without columns"),
    ],
)
def test_a_pandas_frame_that_is_no_table_is_refused(store: Store, frame: pd.DataFrame, words: str) -> None:
    """By the name of the column."""
    with pytest.raises(UserError, match=words):
        save(store, "table", frame)


def test_a_table_as_arrow_and_back(store: Store) -> None:
    """A pyarrow table where pyarrow is installed."""
    version = save(store, "table", FRAME)
    table = store.load(version, "arrow")
    assert isinstance(table, pa.Table)
    assert save(store, "table", table, attempt="a-2").digest == version.digest


def test_without_the_extra(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """pandas says what to install; Arrow tables come from arro3, and DuckDB relations need neither."""
    version = save(store, "table", FRAME)
    without(monkeypatch, "pandas", "pyarrow")
    with pytest.raises(UserError) as error:
        store.load(version, "pandas")
    assert error.value.next == "pip install 'bedplate[pandas]'"
    with pytest.raises(UserError, match="keep a pandas frame"):
        save(store, "table", pd.DataFrame({"a": [1]}))
    table: Any = store.load(version, "arrow")
    assert isinstance(table, Table)
    assert_frame_equal(pl.DataFrame(table), FRAME)
    assert store.load(version, "duckdb").aggregate("sum(id)").fetchall() == [(6,)]


def test_tables_open_in_pandas_by_path(store: Store) -> None:
    """Without bedplate: `deltalake.DeltaTable(path).to_pandas()`."""
    version = save(store, "table", FRAME)
    frame = deltalake.DeltaTable(str(store.root / version.uri)).to_pandas()
    assert frame["id"].tolist() == [1, 2, 3]
    assert frame["at"].iloc[2] == pd.Timestamp(2, unit="us", tz="UTC")
