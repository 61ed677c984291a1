"""Append-only Delta tables for `logs.Log`.

An append writes one file and commits its name; Delta numbers commits, so of two writers at once one goes again with the next number
(the library does). A new column is added to the table's schema by a commit of its own before rows with it are appended; of two writers
that add the same one, the second finds it there. A column that is all null has no type yet and waits for a row that gives it one.
Every hundredth commit compacts, and the log of commits is cleaned after a week: nobody travels in time in a log.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import polars as pl
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, create_table_with_add_actions

from bedplate.core.errors import BusyError, UserError
from bedplate.storage import disk

from . import delta, parquet
from .table_source import source
from .table_types import Codec

_TRIES = 20
_SMALL = 100_000
_COMPACTED_EVERY = 100
_CONFIGURATION = {"delta.enableExpiredLogCleanup": "true", "delta.logRetentionDuration": "interval 7 days"}


def append(folder: Path, rows: Any) -> int:
    """Add rows; how many. See `Log.append`."""
    frame = _stored(pl.DataFrame(rows, strict=False) if isinstance(rows, Mapping) else rows)
    if not frame.height or not frame.width:
        return 0
    disk.make_folder(folder)
    name = f"part-{time.time_ns():020}-{os.urandom(4).hex()}.parquet"
    last: Exception | None = None
    for tried in range(_TRIES):
        try:
            with delta.errors("append to", folder):
                table = _grown(folder, frame.schema)
                fitted = _fitted(frame, _schema(table), folder.name)
                version = _commit(table, folder, name, fitted)
            if version % _COMPACTED_EVERY == 0:
                _compact_if_free(folder)
            return frame.height
        except (_AgainError, CommitFailedError) as error:
            last = error
            time.sleep(0.005 * (tried + 1))
    (folder / name).unlink(missing_ok=True)
    raise BusyError(f"the log {folder} could not be appended to", why=f"others write to it all the time: {last}", next="try again")


def files(folder: Path) -> list[Path]:
    """The files of the newest version, oldest first."""
    return [folder / name for name in sorted(delta.active(folder))]


def scan(folder: Path, names: Iterable[str] | None = None) -> pl.LazyFrame:
    """The newest version, or only the files named; columns that a file lacks are null."""
    paths = files(folder) if names is None else [folder / name for name in names]
    if not paths:
        return pl.LazyFrame()
    with delta.errors("read", folder):
        schema = _schema(DeltaTable(str(folder)))
    return pl.scan_parquet(paths, glob=False, hive_partitioning=False, schema=schema, missing_columns="insert")


def compact(folder: Path) -> int:
    """Put small files together, in order; how many files fewer there are."""
    with delta.errors("compact", folder):
        if not DeltaTable.is_deltatable(str(folder)):
            return 0
        table = DeltaTable(str(folder))
        small = [file for file in delta.listed(table) if file.rows < _SMALL]
        if len(small) < 2:
            return 0
        schema = _schema(table)
        writer = parquet.Writer(folder, f"{time.time_ns():020}-{os.urandom(4).hex()}", schema)
        try:
            for file in small:
                frame = pl.read_parquet(folder / file.name, glob=False, hive_partitioning=False, schema=schema, missing_columns="insert")
                writer.add(frame)
            delta.exchange(table, folder, writer.finish(), small)
        except BaseException:
            writer.discard()
            raise
        return len(small) - len(writer.files)


def _compact_if_free(folder: Path) -> None:
    """Compact, unless another writer was first: then it will be done at another time."""
    with contextlib.suppress(CommitFailedError):
        compact(folder)


class _AgainError(Exception):
    """Another writer was first; look at the table again."""


def _stored(rows: Any) -> pl.DataFrame:
    schema, batches = source(rows)
    typed = pl.Schema({name: dtype for name, dtype in schema.items() if dtype != pl.Null})
    if not typed:
        return pl.DataFrame()
    codec = Codec.of(typed)
    frames = [codec.encode(batch.select(list(typed))) for batch in batches]
    return pl.concat(frames) if frames else pl.DataFrame(schema=codec.stored)


def _grown(folder: Path, schema: pl.Schema) -> DeltaTable:
    """The table, having at least these columns; made, or given new columns, where it lacks them."""
    try:
        table = DeltaTable(str(folder))
    except TableNotFoundError:
        _made(folder, schema)
        table = DeltaTable(str(folder))
    known = _schema(table)
    fresh = pl.Schema({name: dtype for name, dtype in schema.items() if name not in known})
    if fresh:
        arrow = delta.arrow_schema(fresh)
        delta.allow(table, arrow)
        try:
            table.alter.add_columns(arrow.fields)
        except DeltaError as error:
            raise _AgainError(str(error)) from error
        table = DeltaTable(str(folder))
    return table


def _made(folder: Path, schema: pl.Schema) -> None:
    try:
        create_table_with_add_actions(str(folder), delta.arrow_schema(schema), [], mode="error", configuration=_CONFIGURATION)
    except DeltaError as error:
        if not DeltaTable.is_deltatable(str(folder)):
            raise
        raise _AgainError(str(error)) from error


def _commit(table: DeltaTable, folder: Path, name: str, frame: pl.DataFrame) -> int:
    size = parquet.write(folder / name, frame)
    action = AddAction(name, size, {}, int(time.time() * 1000), True, json.dumps({"numRecords": frame.height}))
    table.create_write_transaction([action], "append", table.schema())
    table.update_incremental()
    return delta.flushed(folder, table.version())


def _schema(table: DeltaTable) -> pl.Schema:
    return pl.Schema(table.schema())


def _fitted(frame: pl.DataFrame, known: pl.Schema, log: str) -> pl.DataFrame:
    """The rows in the types that the log's columns have. Raises UserError where values would change."""
    for name, given in frame.schema.items():
        kept = known[name]
        if given == kept:
            continue
        column = frame.get_column(name)
        fits = column.cast(kept, strict=False)
        if given.is_nested() or not fits.cast(given, strict=False).equals(column, null_equal=True):
            raise UserError(
                f"log {log}: column '{name}' is {given} and was {kept}",
                why="a column of a log keeps the type that it began with",
                next=f"give the new one another name than '{name}'",
            )
        frame = frame.with_columns(fits)
    return frame
