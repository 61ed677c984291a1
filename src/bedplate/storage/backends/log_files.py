"""The files of a log, by Delta's library: which there are, and how they are put together.

As a program (`python -m bedplate.storage.backends.log_files STORE LOG`) it tends a log once, for a process that only appends to it.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path
from typing import Final

import polars as pl
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from bedplate.core.errors import StoreError

from . import delta, parquet
from .log_commits import Commits, exchange
from .parquet import PartFile
from .place import Place

_SMALL: Final = 100_000
_KIND: Final = 10
_TRIES: Final = 100


class LogFiles:
    """Reads and tends one log. It keeps the table open."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._table: DeltaTable | None = None
        self._lock = threading.Lock()

    def names(self) -> list[str]:
        """The files of the newest version, oldest first; none where there is no log yet."""
        with self._lock, delta.errors("read", self._place.folder):
            table = self._newest()
            return [] if table is None else sorted(file.name for file in delta.listed(table))

    def schema(self) -> pl.Schema:
        """The columns of the newest version, in stored types."""
        with self._lock, delta.errors("read", self._place.folder):
            return _schema(self._newest() or delta.opened(self._place))

    def compact(self) -> int:
        """Put small files together, in order; how many files fewer there are."""
        with self._lock, delta.errors("compact", self._place.folder):
            table = self._newest()
            return 0 if table is None else _compacted(table, self._place)

    def tend(self) -> None:
        """Compact, unless another does; then have the log begin with what there is now, and forget old commits."""
        self.compact()
        with self._lock, delta.errors("tend", self._place.folder):
            table = delta.opened(self._place)
            table.create_checkpoint()
            table.cleanup_metadata()
            Commits(self._place).say_again()

    def _newest(self) -> DeltaTable | None:
        """The table as it is now; None where there is none yet."""
        if self._table is not None:
            try:
                self._table.update_incremental()
            except DeltaError:  # its log was cleaned since
                self._table = None
        if self._table is None and self._place.is_table():
            self._table = delta.opened(self._place)
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
        is_done = _exchanged(table, place, files, small)
    except BaseException:
        writer.discard()
        raise
    if not is_done:
        writer.discard()
    return len(small) - len(files) if is_done else 0


def _exchanged(table: DeltaTable, place: Place, files: list[PartFile], small: list[PartFile]) -> bool:
    """Put the new files in the place of the small ones; False where another did so, or others append without an end."""
    for _ in range(_TRIES):
        if not set(small) <= set(delta.listed(table)):
            return False
        if exchange(place, table.version(), files, small):
            table.update_incremental()
            return True
        table.update_incremental()
    return False


def _schema(table: DeltaTable) -> pl.Schema:
    return pl.Schema(table.schema())


def main(root: str, relative: str) -> None:
    """Tend a log; say what went wrong."""
    os.nice(_KIND)
    try:
        LogFiles(Place(Path(root), relative)).tend()
    except StoreError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main(*sys.argv[1:])
