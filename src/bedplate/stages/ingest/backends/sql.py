"""Rows of a database, through SQLAlchemy.

Choices: a query is wrapped, never rewritten: `SELECT ... FROM (query) AS q WHERE q.watermark <= :most`. The upper bound is the one that
was planned, so that a row that comes while others are read waits for the next run. Rows come in batches, one of which is in memory, on a
connection of their own, opened when the frame is collected.
Limits: a column has the type that its first batch shows. Text watermarks are compared as the database collates them.
"""

from __future__ import annotations

import datetime as dt
import decimal
import hashlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

import msgspec
import polars as pl
from polars.io.plugins import register_io_source

from bedplate.core import extras
from bedplate.core.errors import UserError, WorldError
from bedplate.core.sources import Entry, Sql
from bedplate.stages.ingest.address import shown

_ROWS = "rows"
_BATCH = 50_000
_SQLITE_MISTAKE = "SQLITE_ERROR"
"""What SQLite calls a query that it cannot run; a file that is locked, full or gone has a name of its own."""
_Mark = int | float | decimal.Decimal | dt.datetime | dt.date | str


def entries(source: Sql, url: str, before: Sequence[Entry]) -> tuple[Entry, ...]:
    """The rows that there are, as one entry, which follows the one `before` where its rows are all still there and none came among them."""
    with _connected(url) as connection:
        if not source.watermark:
            return (_digested(connection, source),)
        total, most = _counted(connection, source, {})
        none, _ = _counted(connection, source, {}, " WHERE q.{mark} IS NULL")
        if none:
            raise UserError(
                f"{none:,} rows have no {source.watermark}", why="it says which rows are new", next="leave them out in the query"
            )
        last = next((entry for entry in before if entry.name == _ROWS), None)
        follows = ""
        if last is not None and last.stamp:
            kept, _ = _counted(connection, source, {"last": read_mark(last.stamp)}, " WHERE q.{mark} <= :last")
            follows = last.stamp if kept == last.size and total > kept else ""
        return (Entry(_ROWS, shown(source.url), total, write_mark(most), follows),)


def _digested(connection: Any, source: Sql) -> Entry:
    """A result without a watermark: nothing short of all of it says whether it is the same."""
    digest, count = hashlib.sha256(), 0
    for batch in _batches(connection, source.query, {}):
        digest.update(batch.write_ndjson().encode())
        count += batch.height
    return Entry(_ROWS, shown(source.url), count, f"sha256:{digest.hexdigest()}")


def rows(source: Sql, url: str, now: Sequence[Entry], seen: Sequence[Entry]) -> pl.LazyFrame:
    """The rows up to what was planned, beyond what was seen."""
    where, bounds = _between(source, now, seen)
    query = f"SELECT * FROM ({source.query}\n) AS q{where}"
    with _connected(url) as connection:
        with closing(_batches(connection, query, bounds)) as batches:
            first = next(batches)
        schema = {name: _type(connection, query, bounds, name) if kind == pl.Null else kind for name, kind in first.schema.items()}

    def read(columns: list[str] | None, predicate: pl.Expr | None, most: int | None, _: int | None) -> Iterator[pl.DataFrame]:
        with _connected(url) as again, closing(_batches(again, query, bounds)) as batches:
            for batch in batches:
                frame = _cast(batch, schema)
                frame = frame if predicate is None else frame.filter(predicate)
                frame = frame if columns is None else frame.select(columns)
                yield frame if most is None else frame.head(most)
                most = None if most is None else most - frame.height
                if most is not None and most <= 0:
                    return

    return register_io_source(read, schema=schema)


def _between(source: Sql, now: Sequence[Entry], seen: Sequence[Entry]) -> tuple[str, dict[str, Any]]:
    if not now:
        return " WHERE 1 = 0", {}
    if not source.watermark or not now[0].stamp:
        return "", {}
    mark = _named(source.watermark)
    last = next((entry for entry in seen if entry.stamp and entry.stamp == now[0].follows), None)
    if last is None:
        return f" WHERE q.{mark} <= :most ORDER BY q.{mark}", {"most": read_mark(now[0].stamp)}
    bounds = {"most": read_mark(now[0].stamp), "last": read_mark(last.stamp)}
    return f" WHERE q.{mark} > :last AND q.{mark} <= :most ORDER BY q.{mark}", bounds


def write_mark(mark: Any) -> str:
    """A watermark as text that says its type: `datetime:2026-01-02T03:04:05`. Empty for none. Raises UserError for another type."""
    if mark is None:
        return ""
    if isinstance(mark, bool) or not isinstance(mark, _Mark):
        raise UserError(
            f"a watermark cannot be a {type(mark).__name__}", why="times, numbers and texts only grow", next="name another column"
        )
    return f"{type(mark).__name__}:{mark.isoformat() if isinstance(mark, dt.date) else mark}"


def read_mark(text: str) -> _Mark:
    """The watermark that `write_mark` wrote."""
    kind, _, value = text.partition(":")
    types: dict[str, Any] = {"int": int, "float": float, "Decimal": decimal.Decimal, "datetime": dt.datetime, "date": dt.date}
    found: _Mark = msgspec.convert(value, types[kind], strict=False) if kind in types else value
    return found


def _named(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def _counted(connection: Any, source: Sql, bounds: dict[str, Any], where: str = "") -> tuple[int, Any]:
    """How many rows there are and their largest watermark."""
    query = f"SELECT COUNT(*), MAX(q.{{mark}}) FROM ({source.query}\n) AS q{where}"
    with _told(source.query):
        count, largest = connection.execute(_text(query.replace("{mark}", _named(source.watermark))), bounds).one()
    return int(count), largest


def _batches(connection: Any, query: str, bounds: dict[str, Any]) -> Generator[pl.DataFrame, None, None]:
    """The result in frames, at least one."""
    with _told(query), closing(connection.execution_options(stream_results=True).execute(_text(query), bounds)) as result:
        names = list(result.keys())
        none = True
        for rows in result.partitions(_BATCH):
            none = False
            yield _frame([tuple(row) for row in rows], names)
        if none:
            yield pl.DataFrame(schema=dict.fromkeys(names, pl.Null))


def _frame(rows: list[tuple[Any, ...]], names: list[str]) -> pl.DataFrame:
    try:
        return pl.DataFrame(rows, schema=names, orient="row", infer_schema_length=None)
    except pl.exceptions.DuplicateError as error:
        twice = ", ".join(sorted({name for name in names if names.count(name) > 1}))
        raise UserError(f"the query gives {twice} twice", why="a column has one name", next="name them in the query: AS") from error
    except (pl.exceptions.PolarsError, TypeError, ValueError, OverflowError) as error:
        why = str(error).splitlines()[0]
        raise UserError("a column of the query has values of several types", why=why, next="CAST it in the query") from error


def _type(connection: Any, query: str, bounds: dict[str, Any], name: str) -> pl.DataType:
    """The type of a column whose first batch is empty: of its first value, if it has one."""
    asked = f"SELECT c.{_named(name)} FROM ({query}\n) AS c WHERE c.{_named(name)} IS NOT NULL"
    with _told(query):
        value = connection.execute(_text(asked), bounds).scalar()
    return pl.Series([value]).dtype if value is not None else pl.Null()


def _cast(batch: pl.DataFrame, schema: dict[str, pl.DataType]) -> pl.DataFrame:
    try:
        return batch.select(pl.col(name).cast(kind) for name, kind in schema.items())
    except pl.exceptions.PolarsError as error:
        why = str(error).splitlines()[0]
        raise UserError("a column of the query changed its type", why=why, next="CAST it in the query") from error


def _text(query: str) -> Any:
    return _sqlalchemy().text(query)


def _sqlalchemy() -> Any:
    return extras.load("sqlalchemy", "Sql(...)", "sql")


@contextmanager
def _connected(url: str) -> Iterator[Any]:
    library = _sqlalchemy()
    try:
        engine = library.create_engine(url, poolclass=library.pool.NullPool)
    except (library.exc.ArgumentError, ImportError) as error:
        raise UserError(f"{shown(url)} cannot be opened", why=str(error), next="look at the address, or install its driver") from error
    try:
        with engine.connect() as connection:
            yield connection
    except library.exc.OperationalError as error:
        raise WorldError(f"{shown(url)} did not answer", why=_why(error), next="bedplate run, when it is back") from error
    finally:
        engine.dispose()


@contextmanager
def _told(query: str) -> Iterator[None]:
    library = _sqlalchemy()
    try:
        yield
    except library.exc.OperationalError as error:
        if error.connection_invalidated or getattr(error.orig, "sqlite_errorname", "") != _SQLITE_MISTAKE:
            raise
        raise _unfit(query, error) from error
    except library.exc.DBAPIError as error:
        if error.connection_invalidated:
            raise WorldError("the database went away", why=_why(error), next="bedplate run, when it is back") from error
        raise _unfit(query, error) from error
    except library.exc.SQLAlchemyError as error:
        raise _unfit(query, error) from error


def _unfit(query: str, error: Any) -> UserError:
    return UserError(f"the query cannot be run: {_why(error)}", why=_short(query), next="mend it in Sql(...)")


def _why(error: Any) -> str:
    return str(getattr(error, "orig", None) or error).strip().splitlines()[0]


def _short(query: str) -> str:
    plain = " ".join(query.split())
    return plain if len(plain) <= 80 else f"{plain[:80]}..."
