"""The warehouse: SQL by DuckDB over pinned tables and in-memory columns.

Each table is a view over the Parquet files that its version lists, with the types that were saved: times with their kind, durations as
intervals, enums. After set-up DuckDB may open those files and nothing else, and its settings are locked. In-memory columns (runs,
metrics, costs) are copied in. A name such as "late@7" is quoted in SQL; `asked` finds the names that a query refers to, so that only
those versions need be pinned.

Limits: a Time or Duration in nanoseconds is cut to microseconds, an Array is a list,
UInt128 and nested intervals come out as text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
from arro3.core import Table

from bedplate.core.errors import CorruptError, UserError
from bedplate.storage.tables import Pinned

from .table_types import Codec, children

_NAME = re.compile(r'"((?:[^"]|"")+)"|\b([A-Za-z_]\w*)\b')
_WIDE = {"HUGEINT", "UHUGEINT"}


class Warehouse:
    """A DuckDB database of views; close it, or use it in a `with` block."""

    def __init__(self, tables: Mapping[str, Pinned | Sequence[Path] | Mapping[str, Sequence[Any]] | pl.DataFrame]) -> None:
        """`tables` maps each name to a pinned version, bare Parquet files, columns or a Polars frame. Raises UserError for a bad column."""
        self._connection = _connected()
        paths: list[Path] = []
        for name, table in tables.items():
            if isinstance(table, Pinned):
                self._view(name, select(table.paths, table.schema))
                paths += table.paths
            elif isinstance(table, pl.DataFrame | Mapping):
                self._copy(name, pl.DataFrame(table) if not isinstance(table, pl.DataFrame) else table)
            else:
                self._view(name, select(list(table), ""))
                paths += table
        listed = ", ".join(_text(str(path)) for path in paths)
        self._connection.execute(f"SET allowed_paths = [{listed}]")
        self._connection.execute("SET enable_external_access = false")
        self._connection.execute("SET lock_configuration = true")

    def query(self, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Column names and rows as Python values. Raises UserError for what DuckDB does not take."""
        frame = self.frame(sql)
        return frame.columns, frame.rows()

    def frame(self, sql: str) -> pl.DataFrame:
        """The result as a Polars frame; columns of one name are numbered. Raises UserError, CorruptError for unreadable files."""
        try:
            relation = self._connection.sql(sql)
            if relation is None and sql.strip():
                raise UserError("this SQL asks nothing", why="bedplate sql reads: it changes nothing in the record", next="write a SELECT")
            return pl.DataFrame() if relation is None else _fetched(relation)
        except duckdb.Error as error:
            if _is_of_files(error):
                raise CorruptError("a table cannot be read", why=_first(error), next="bedplate doctor --deep") from error
            raise _refused(error) from error

    def close(self) -> None:
        """Let go of the database."""
        self._connection.close()

    def __enter__(self) -> Warehouse:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _view(self, name: str, sql: str) -> None:
        try:
            self._connection.execute(f"CREATE VIEW {_quoted(name)} AS {sql}")
        except duckdb.Error as error:  # it reads the files' ends
            if not _is_of_files(error):
                raise
            raise CorruptError(f"the table {name} cannot be read", why=_first(error), next="bedplate doctor --deep") from error

    def _copy(self, name: str, frame: pl.DataFrame) -> None:
        frame = frame.with_columns(pl.col(pl.Null).cast(pl.String), pl.col(pl.Object).map_elements(str, return_dtype=pl.String))
        self._connection.from_arrow(_Stream(frame)).create(_quoted(name))


def answer(sql: str, tables: Mapping[str, Any]) -> pl.DataFrame:
    """What these tables answer; see `Warehouse`."""
    with Warehouse(tables) as warehouse:
        return warehouse.frame(sql)


class _Stream:
    """A frame that shows DuckDB its Arrow stream and nothing else: shown a Polars frame it would ask for pyarrow."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self._frame = frame

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self._frame.__arrow_c_stream__(requested_schema)


def asked(sql: str) -> list[str]:
    """Every name in the SQL that could be a table, quoted or bare, each once; `late@7` only when quoted."""
    return list(dict.fromkeys((quoted or bare).replace('""', '"') for quoted, bare in _NAME.findall(_without_text(sql))))


def relation(name: str, paths: Sequence[Path], schema: str) -> Any:
    """A `DuckDBPyRelation` over these files, in stored order and saved types, on a connection of its own."""
    return _connected().sql(select(paths, schema)).set_alias(name)


def relation_of(name: str, frame: pl.DataFrame) -> Any:
    """A `DuckDBPyRelation` over a frame in memory, on a connection of its own."""
    return _connected().from_arrow(Table.from_arrow(frame)).set_alias(name)


def select(paths: Sequence[Path], schema: str) -> str:
    """The SELECT that reads these files with the types of the schema; without a schema, as they are stored."""
    listed = ", ".join(_text(str(path)) for path in paths)
    files = f"read_parquet([{listed}], hive_partitioning = false, union_by_name = {str(not schema).lower()})"
    if not schema:
        return f"SELECT * FROM {files}"
    logical = Codec.read(schema).schema
    columns = ", ".join(f"{_decoded(_quoted(name), dtype)} AS {_quoted(name)}" for name, dtype in logical.items())
    return f"SELECT {columns} FROM {files}"


def _connected() -> duckdb.DuckDBPyConnection:
    """A database in memory that fetches no extension, and shows times in UTC whatever the machine's zone."""
    connection = duckdb.connect(config={"autoinstall_known_extensions": "false"})
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def _decoded(value: str, dtype: pl.DataType, depth: int = 0) -> str:
    """SQL that turns a stored value back into its logical type."""
    plain = _PLAIN.get(type(dtype).__name__)
    if plain is not None:
        return f"CAST({value} AS {plain})"
    item = f"x{depth}"
    match dtype:
        case pl.Time():
            return f"(TIME '00:00:00' + to_microseconds({value} // 1000))"
        case pl.Duration():
            return f"to_microseconds({_microseconds(value, dtype.time_unit)})"
        case pl.Datetime(time_unit="ns") if dtype.time_zone:
            return f"(make_timestamp({value} // 1000) AT TIME ZONE 'UTC')"
        case pl.Datetime(time_unit="ns"):
            return f"make_timestamp_ns({value})"
        case pl.Enum() if len(dtype.categories):
            return f"CAST({value} AS ENUM({', '.join(_text(category) for category in dtype.categories)}))"
        case pl.List() | pl.Array() if _changes(dtype):
            inner = _decoded(item, children(dtype)[0], depth + 1)
            return f"list_transform({value}, lambda {item}: {inner})"
        case pl.Struct() if _changes(dtype):
            fields = [
                f"{_quoted(field.name)} := {_decoded(f'{value}[{_text(field.name)}]', inner, depth + 1)}"
                for field, inner in zip(dtype.fields, children(dtype), strict=True)
            ]
            return f"CASE WHEN {value} IS NULL THEN NULL ELSE struct_pack({', '.join(fields)}) END"
        case pl.Map():
            key, inner = (
                _decoded(f"{item}['{part}']", child, depth + 1) for part, child in zip(("key", "value"), children(dtype), strict=True)
            )
            return f"map_from_entries(list_transform({value}, lambda {item}: struct_pack(key := {key}, value := {inner})))"
    return value


_PLAIN = {
    "UInt8": "UTINYINT", "UInt16": "USMALLINT", "UInt32": "UINTEGER", "UInt64": "UBIGINT", "Int128": "HUGEINT", "UInt128": "UHUGEINT",
}  # fmt: skip


def _changes(dtype: pl.DataType) -> bool:
    return _decoded("x", dtype) != "x" if not children(dtype) else isinstance(dtype, pl.Map) or any(map(_changes, children(dtype)))


def _microseconds(value: str, unit: str) -> str:
    return {"ms": f"{value} * 1000", "us": value, "ns": f"{value} // 1000"}[unit]


def _fetched(relation: Any) -> pl.DataFrame:
    """Run the relation; types that do not travel through Arrow go as others and are turned back."""
    names = _numbered(relation.columns)
    kinds = [str(kind) for kind in relation.types]
    columns = ", ".join(
        f"{_sent(f'#{number}', kind)} AS {_quoted(name)}" for number, (name, kind) in enumerate(zip(names, kinds, strict=True), 1)
    )
    frame = pl.DataFrame(relation.project(columns))
    for name, kind in zip(names, kinds, strict=True):
        if kind == "INTERVAL":
            frame = frame.with_columns(pl.col(name).cast(pl.Duration("us")))
        elif kind == "HUGEINT" and frame.get_column(name).drop_nulls().is_between(-(2**63), 2**63 - 1).all():
            frame = frame.with_columns(pl.col(name).cast(pl.Int64))
    return frame


def _sent(column: str, kind: str) -> str:
    if kind == "INTERVAL":
        return f"epoch_us({column})"
    return f"CAST({column} AS VARCHAR)" if "INTERVAL" in kind or "UHUGEINT" in kind else column


def _numbered(names: list[str]) -> list[str]:
    taken: list[str] = []
    for name in names:
        fresh, number = name, 0
        while fresh in taken:
            number += 1
            fresh = f"{name}_{number}"
        taken.append(fresh)
    return taken


def _without_text(sql: str) -> str:
    return re.sub(r"'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/", " ", sql, flags=re.DOTALL)


def _is_of_files(error: duckdb.Error) -> bool:
    """Whether it tells of the files, not of the SQL: it names one, or is none of DuckDB's kinds but of a library that decodes them."""
    kinds = (duckdb.IOException, duckdb.InvalidInputException)
    return type(error) is duckdb.Error or (isinstance(error, kinds) and ".parquet" in str(error))


def _refused(error: Exception) -> UserError:
    return UserError("this SQL cannot be run", why=_first(error), next="bedplate sql without a query lists the tables")


def _first(error: Exception) -> str:
    return str(error).split("\n\nLINE")[0].strip()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
