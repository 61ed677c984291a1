"""SQL over pinned versions: the types that were saved, the files that are listed, and nothing else of the machine."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, assume, given, settings
from polars.testing.parametric import dataframes

from bedplate.core.errors import CorruptError, UserError
from bedplate.storage.backends.warehouse import Warehouse, asked
from bedplate.storage.local import local_store
from bedplate.storage.store import Store
from bedplate.testing.store_contract import save

FRAME = pl.DataFrame(
    {
        "u": pl.Series([255, None], dtype=pl.UInt8),
        "big": pl.Series([2**64 - 1, None], dtype=pl.UInt64),
        "huge": pl.Series([-(2**100), None], dtype=pl.Int128),
        "e": pl.Series(["b", None]).cast(pl.Enum(["a", "b"])),
        "t": pl.Series([datetime(2025, 7, 1, 12), None]).dt.replace_time_zone("Europe/Berlin"),
        "ns": pl.Series([1_500_000_000_000_000_001, None]).cast(pl.Datetime("ns")),
        "d": pl.Series([timedelta(hours=-1), None]).cast(pl.Duration("ms")),
        "time": pl.Series([3_600_000_000_000, None]).cast(pl.Time),
        "l": pl.Series([[timedelta(seconds=1)], None], dtype=pl.List(pl.Duration("us"))),
        "s": pl.Series([{"a 'b'": 7, "q": [1, None]}, None], dtype=pl.Struct({"a 'b'": pl.UInt16, "q": pl.Array(pl.UInt8, 2)})),
        "m": pl.Series([{"k": 1}, None], dtype=pl.Map(pl.String, pl.UInt32)),
        "x": pl.Series([Decimal("1.50"), None], dtype=pl.Decimal(10, 2)),
    }
)


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    with tempfile.TemporaryDirectory() as folder:
        yield local_store(Path(folder))


def test_types_come_back_in_sql(store: Store) -> None:
    """Logical types, not stored ones: numbers, enums, zones, durations, and what is nested."""
    with Warehouse({"late@7": store.pinned(save(store, "table", FRAME, artifact="types"))}) as warehouse:
        columns, rows = warehouse.query('SELECT * FROM "late@7"')
        kinds = dict(warehouse.query("SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'late@7'")[1])
    first = dict(zip(columns, rows[0], strict=True))
    assert rows[1] == (None,) * len(columns)
    assert (kinds["u"], kinds["big"], kinds["huge"], kinds["e"]) == ("UTINYINT", "UBIGINT", "HUGEINT", "ENUM('a', 'b')")
    assert (kinds["t"], kinds["ns"], kinds["d"], kinds["time"]) == ("TIMESTAMP WITH TIME ZONE", "TIMESTAMP_NS", "INTERVAL", "TIME")
    assert (first["u"], first["big"], first["huge"], first["e"]) == (255, 2**64 - 1, -(2**100), "b")
    assert first["t"] == datetime(2025, 7, 1, 10, tzinfo=UTC)
    assert first["d"] == timedelta(hours=-1)
    assert str(first["time"]) == "01:00:00"
    assert (first["s"], first["m"], first["x"]) == ({"a 'b'": 7, "q": [1, None]}, {"k": 1}, Decimal("1.50"))
    assert first["l"] == "['00:00:01']"


ALL = [
    pl.Int8, pl.Int64, pl.Int128, pl.UInt8, pl.UInt64, pl.UInt128, pl.Float16, pl.Float64, pl.Boolean, pl.String, pl.Binary, pl.Date,
    pl.Time, pl.Null, pl.Datetime, pl.Duration, pl.Categorical, pl.Decimal, pl.Enum, pl.List, pl.Array, pl.Struct, pl.Map,
]  # fmt: skip
NUMBERS = itertools.count()


@given(frame=dataframes(min_cols=1, max_cols=3, max_size=4, allowed_dtypes=ALL))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_any_table_can_be_queried(store: Store, frame: pl.DataFrame) -> None:
    """Whatever the types and the names of its columns, each column has its rows and nulls where they were."""
    assume("Extension" not in str(frame.schema))
    version = save(store, "table", frame, artifact=f"any{next(NUMBERS)}")
    with Warehouse({"it": store.pinned(version)}) as warehouse:
        found = warehouse.frame("SELECT * FROM it")
    assert found.columns == frame.columns
    assert found.null_count().rows() == frame.null_count().rows()
    for name, dtype in frame.schema.items():
        if dtype.is_integer() and dtype != pl.UInt128:
            assert [None if v is None else int(v) for v in found[name]] == frame[name].to_list()


def test_the_record_is_copied_in() -> None:
    """Columns of Python values, with times, nulls and nothing at all, and a Polars frame."""
    at = datetime(2025, 1, 1, tzinfo=UTC)
    tables: dict[str, Any] = {
        "runs": {"id": ["r-1", "r-2"], "at": [at, None], "note": [None, None]},
        "empty": {"id": [], "at": []},
        "frame": pl.DataFrame({"id": ["r-1"], "cost": [2.5]}),
    }
    with Warehouse(tables) as warehouse:
        assert warehouse.query("SELECT * FROM runs ORDER BY id") == (["id", "at", "note"], [("r-1", at, None), ("r-2", None, None)])
        assert warehouse.query("SELECT id, cost FROM runs JOIN frame USING (id)") == (["id", "cost"], [("r-1", 2.5)])
        assert warehouse.query("SELECT count(*) FROM empty")[1] == [(0,)]


def test_results_keep_their_columns_apart() -> None:
    """Two columns of one name are numbered; sums of integers are integers; intervals are durations."""
    with Warehouse({"n": {"a": [1, 2]}}) as warehouse:
        assert warehouse.query("SELECT a, a, sum(a) OVER () AS s, INTERVAL 90 minutes AS i FROM n LIMIT 1") == (
            ["a", "a_1", "s", "i"],
            [(1, 1, 3, timedelta(minutes=90))],
        )


@pytest.mark.parametrize(
    "sql",
    [
        "SELEC 1",
        "SELECT * FROM nowhere",
        "SELECT 1 / 'x'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "COPY (SELECT 1) TO 'out.csv'",
        "ATTACH 'other.db'",
        "SET enable_external_access = true",
        "INSTALL httpfs",
        "",
    ],
)
def test_sql_that_may_not_run_is_one_message(sql: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake, another file of the machine, a change of settings: refused, with the reason, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    with Warehouse({"n": {"a": [1]}}) as warehouse:
        if sql:
            with pytest.raises(UserError, match="cannot be run"):
                warehouse.query(sql)
        else:
            assert warehouse.query(sql) == ([], [])
    assert list(tmp_path.iterdir()) == []


def test_only_listed_files_are_open(store: Store) -> None:
    """The files of a pinned version, and not those of another version in the same folder."""
    first = save(store, "table", pl.DataFrame({"a": [1]}), artifact="two")
    second = save(store, "table", pl.DataFrame({"a": [2]}), artifact="two", attempt="a-2")
    with Warehouse({"two": store.pinned(first)}) as warehouse:
        assert warehouse.query("SELECT a FROM two")[1] == [(1,)]
        with pytest.raises(UserError, match="cannot be run"):
            warehouse.query(f"SELECT * FROM read_parquet('{store.files(second)[0]}')")


def test_the_files_of_a_log_may_differ_in_columns(store: Store) -> None:
    """Bare files are joined by the names of their columns."""
    log = store.log("predictions/svc")
    log.append({"a": [1]})
    log.append({"b": ["x"], "a": [2]})
    with Warehouse({"svc": log.files()}) as warehouse:
        assert warehouse.query("SELECT a, b FROM svc ORDER BY a")[1] == [(1, None), (2, "x")]


def test_a_corrupt_file_is_named(store: Store) -> None:
    """And not taken for a mistake in the SQL."""
    version = save(store, "table", pl.DataFrame({"a": list(range(1000))}), artifact="corrupt")
    path = store.files(version)[0]
    pinned = store.pinned(version)
    path.chmod(0o644)
    with Warehouse({"corrupt": pinned}) as warehouse:
        path.write_bytes(b"PAR1" + bytes(100) + b"PAR1")
        with pytest.raises(CorruptError, match="cannot be read"):
            warehouse.query("SELECT sum(a) FROM corrupt")


@pytest.mark.parametrize(
    ("sql", "names"),
    [
        ('SELECT * FROM "late@7" JOIN runs ON a = b', ["late@7", "runs"]),
        ("SELECT 'runs', x -- from costs\nFROM t /* metrics */", ["x", "t"]),
        ('SELECT "a""b" FROM "it\'s@production"', ['a"b', "it's@production"]),
    ],
)
def test_the_names_that_a_query_asks_for(sql: str, names: list[str]) -> None:
    """Quoted or bare, not those in texts and comments."""
    assert set(names) <= set(asked(sql))
    assert not {"costs", "metrics", "'runs'"} & set(asked(sql))


@pytest.mark.parametrize("sql", ["DELETE FROM t", "UPDATE t SET a = 2", "INSERT INTO t VALUES (3)", "DROP TABLE t"])
def test_sql_that_asks_nothing_is_refused(sql: str) -> None:
    """An empty answer would look as if something had been changed."""
    with Warehouse({"t": {"a": [1]}}) as warehouse, pytest.raises(UserError, match=r"this SQL (asks nothing|cannot be run)"):
        warehouse.frame(sql)


def test_a_rotted_file_is_told_with_its_table(store: Store) -> None:
    """Also where the first look at the file's end, before any query, finds it."""
    pinned = store.pinned(save(store, "table", FRAME, artifact="types"))
    path = Path(pinned.paths[0])
    path.chmod(0o644)
    path.write_bytes(b"rot")
    with pytest.raises(CorruptError, match="types cannot be read"):
        Warehouse({"types": pinned})
