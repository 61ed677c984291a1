"""Append-only Delta tables for `logs.Log`.

An append writes one file and commits its name; Delta numbers commits, so of two writers at once one goes again with the next number
(the library does). A new column is added to the table's schema by a commit of its own before rows with it are appended; of two writers
that add the same one, the second finds it there. A column that is all null has no type yet and waits for a row that gives it one.
Every 25th commit compacts (what a commit costs grows with the files that there are), and commits are forgotten after an hour: nobody
travels in time in a log.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import polars as pl
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.transaction import AddAction, create_table_with_add_actions

from bedplate.core.errors import BusyError, UserError
from bedplate.storage import disk

from . import delta, parquet
from .place import Place
from .table_source import source
from .table_types import Codec

_TRIES = 20
_SMALL = 100_000
_COMPACTED_EVERY = 25
_CONFIGURATION = {"delta.enableExpiredLogCleanup": "true", "delta.logRetentionDuration": "interval 1 hours"}


class LogTable:
    """One log. It keeps the table open: what others committed since is met by the commit itself, and read before the next one."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._folder = place.folder
        self._table: DeltaTable | None = None
        self._lock = threading.Lock()

    def append(self, rows: Any) -> int:
        """Add rows; how many. See `Log.append`."""
        frame = _stored(pl.DataFrame(rows, strict=False) if isinstance(rows, Mapping) else rows)
        if not frame.height or not frame.width:
            return 0
        name = f"part-{time.time_ns():020}-{os.urandom(4).hex()}.parquet"
        disk.make_folder(self._folder)
        last: Exception | None = None
        for tried in range(_TRIES):
            try:
                with self._lock:
                    self._append(name, frame)
                return frame.height
            except (_AgainError, CommitFailedError) as error:
                last, self._table = error, None
                time.sleep(0.005 * (tried + 1))
        (self._folder / name).unlink(missing_ok=True)
        raise BusyError(
            f"the log {self._folder} could not be appended to", why=f"others write to it all the time: {last}", next="try again"
        )

    def files(self, *, anew: bool = False) -> list[Path]:
        """The files of the newest version, oldest first; copies fetched now where `anew`."""
        with self._lock, delta.errors("read", self._folder):
            table = self._newest()
            return [] if table is None else self._place.fetch(sorted(file.name for file in delta.listed(table)), anew=anew)

    def scan(self, names: Iterable[str] | None = None) -> pl.LazyFrame:
        """The newest version, or only the files named; columns that a file lacks are null."""
        paths = self.files() if names is None else self._place.fetch(names)
        if not paths:
            return pl.LazyFrame()
        with self._lock, delta.errors("read", self._folder):
            schema = _schema(self._newest() or self._place.open())
        return pl.scan_parquet(paths, glob=False, hive_partitioning=False, schema=schema, missing_columns="insert")

    def compact(self) -> int:
        """Put small files together, in order; how many files fewer there are."""
        with self._lock, delta.errors("compact", self._folder):
            table = self._newest()
            return 0 if table is None else _compacted(table, self._place)

    def _append(self, name: str, frame: pl.DataFrame) -> None:
        with delta.errors("append to", self._folder):
            table = _grown(self._table or self._newest(), self._place, frame.schema)
            version = _commit(table, self._place, name, _fitted(frame, _schema(table), self._folder.name))
            self._table = table
            if version % _COMPACTED_EVERY == 0:
                with contextlib.suppress(CommitFailedError):  # another writer was first: then it will be done at another time
                    _compacted(table, self._place)

    def _newest(self) -> DeltaTable | None:
        """The table as it is now; None where there is none yet."""
        if self._table is not None:
            try:
                self._table.update_incremental()
            except DeltaError:  # its log was cleaned since
                self._table = None
        if self._table is None and self._place.is_table():
            self._table = self._place.open()
        return self._table


def _compacted(table: DeltaTable, place: Place) -> int:
    small = [file for file in delta.listed(table) if file.rows < _SMALL]
    if len(small) < 2:
        return 0
    schema = _schema(table)
    writer = parquet.Writer(place.folder, f"{time.time_ns():020}-{os.urandom(4).hex()}", schema)
    try:
        for path in place.fetch(file.name for file in small):
            frame = pl.read_parquet(path, glob=False, hive_partitioning=False, schema=schema, missing_columns="insert")
            writer.add(frame)
        files = writer.finish()
        place.send(file.name for file in files)
        delta.exchange(table, place, files, small)
    except BaseException:
        writer.discard()
        raise
    return len(small) - len(writer.files)


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


def _grown(table: DeltaTable | None, place: Place, schema: pl.Schema) -> DeltaTable:
    """The table, having at least these columns; made, or given new columns, where it lacks them."""
    if table is None:
        _made(place, schema)
        table = place.open()
    known = _schema(table)
    fresh = pl.Schema({name: dtype for name, dtype in schema.items() if name not in known})
    if fresh:
        arrow = delta.arrow_schema(fresh)
        delta.allow(table, arrow)
        try:
            table.alter.add_columns(arrow.fields)
        except DeltaError as error:
            raise _AgainError(str(error)) from error
        table = place.open()
    return table


def _made(place: Place, schema: pl.Schema) -> None:
    try:
        create_table_with_add_actions(
            place.uri, delta.arrow_schema(schema), [], mode="error", configuration=_CONFIGURATION, storage_options=place.options
        )
    except DeltaError as error:
        if not place.is_table():
            raise
        raise _AgainError(str(error)) from error


def _commit(table: DeltaTable, place: Place, name: str, frame: pl.DataFrame) -> int:
    size = parquet.write(place.folder / name, frame)
    place.send([name])
    action = AddAction(name, size, {}, int(time.time() * 1000), True, json.dumps({"numRecords": frame.height}))
    table.create_write_transaction([action], "append", table.schema())
    table.update_incremental()
    return place.flushed(table.version())


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
        if not _comparable(given, kept) or not fits.cast(given, strict=False).equals(column, null_equal=True):
            raise UserError(
                f"log {log}: column '{name}' is {given} and was {kept}",
                why="a column of a log keeps the type that it began with",
                next=f"give the new one another name than '{name}'",
            )
        frame = frame.with_columns(fits)
    return frame


def _comparable(given: pl.DataType, kept: pl.DataType) -> bool:
    """Whether a cast there and back shows that no value changed: plain types, and structs of the same fields."""
    if isinstance(given, pl.Struct) and isinstance(kept, pl.Struct):
        return [field.name for field in given.fields] == [field.name for field in kept.fields]
    return not given.is_nested() and not kept.is_nested()
