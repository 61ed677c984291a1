"""Append-only Delta tables for `logs.Log`.

An append writes one file and commits its name; Delta numbers commits, so of two writers at once one goes again with the next number. A
new column comes with the first commit that has rows with it; of two writers that add one, the second finds it there. A column that is all
null has no type yet and waits for a row that gives it one.

Every 100th commit puts small files together and forgets older commits: nobody travels in time in a log. A child does that, which is gone
with the memory it took; of a bucket, whose keys no child is told, it is done here.
"""

from __future__ import annotations

import importlib
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import polars as pl

from bedplate.core.errors import BusyError, StoreError, UserError
from bedplate.storage import disk

from . import parquet
from .log_commits import Commits
from .parquet import PartFile
from .place import Place
from .table_source import source
from .table_types import Codec

_LOG: Final = logging.getLogger("bedplate.storage")
_TRIES: Final = 20
_TENDED_EVERY: Final = 100
_FILES: Final = "bedplate.storage.backends.log_files"
"""What reads and tends a log, by the library; loaded by name, as who only appends does without."""
_COMMAND: Final = (sys.executable, "-P", "-m", _FILES)
_ENVIRON: Final = {"POLARS_MAX_THREADS": "1", "RAYON_NUM_THREADS": "1"}


class LogTable:
    """One log. What others committed since is met by the commit itself, and read before the next one."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._folder = place.folder
        self._commits = Commits(place)
        self._lock = threading.Lock()
        self._read: Any = None

    def append(self, rows: Any) -> int:
        """Add rows; how many. See `Log.append`."""
        frame = _stored(pl.DataFrame(rows, strict=False) if isinstance(rows, Mapping) else rows)
        if not frame.height or not frame.width:
            return 0
        name = f"part-{time.time_ns():020}-{os.urandom(4).hex()}.parquet"
        disk.make_folder(self._folder)
        for tried in range(_TRIES):
            with self._lock:
                version = self._added(name, frame)
            if version is not None:
                if version % _TENDED_EVERY == _TENDED_EVERY - 1:
                    self._tend()
                return frame.height
            time.sleep(0.005 * (tried + 1))
        (self._folder / name).unlink(missing_ok=True)
        raise BusyError(f"the log {self._folder} could not be appended to", why="others write to it all the time", next="try again")

    def files(self, *, anew: bool = False) -> list[Path]:
        """The files of the newest version, oldest first; copies fetched now where `anew`."""
        return self._place.fetch(self._files().names(), anew=anew)

    def scan(self, names: Iterable[str] | None = None) -> pl.LazyFrame:
        """The newest version, or only the files named; columns that a file lacks are null."""
        paths = self.files() if names is None else self._place.fetch(names)
        if not paths:
            return pl.LazyFrame()
        return pl.scan_parquet(paths, glob=False, hive_partitioning=False, schema=self._files().schema(), missing_columns="insert")

    def compact(self) -> int:
        """Put small files together, in order; how many files fewer there are."""
        fewer: int = self._files().compact()
        return fewer

    def _added(self, name: str, frame: pl.DataFrame) -> int | None:
        known = self._commits.fitting(frame.schema)
        fitted = _fitted(frame, known.schema, self._folder.name)
        size = parquet.write(self._folder / name, fitted)
        self._place.send([name])
        return self._commits.add(known, PartFile(name, size, fitted.height))

    def _files(self) -> Any:
        with self._lock:
            if self._read is None:
                self._read = importlib.import_module(_FILES).LogFiles(self._place)
            return self._read

    def _tend(self) -> None:
        """Keep what the log costs its readers small. It can wait for the next time: the rows are there."""
        try:
            if self._place.is_far:
                self._files().tend()
                return
            done = subprocess.run([*_COMMAND, *self._place.local], capture_output=True, check=False, env={**os.environ, **_ENVIRON})
            problem = done.stderr.decode(errors="replace").strip()[-300:] if done.returncode else ""
        except (OSError, StoreError) as error:
            problem = str(error)
        if problem:
            _LOG.warning("the log %s was not put together: %s", self._folder.name, problem)


def _stored(rows: Any) -> pl.DataFrame:
    schema, batches = source(rows)
    typed = pl.Schema({name: dtype for name, dtype in schema.items() if dtype != pl.Null})
    if not typed:
        return pl.DataFrame()
    codec = Codec.of(typed)
    frames = [codec.encode(batch if typed == schema else batch.select(list(typed))) for batch in batches]
    return pl.concat([pl.DataFrame(schema=codec.stored), *frames]) if len(frames) != 1 else frames[0]


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
