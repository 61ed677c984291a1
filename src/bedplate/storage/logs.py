"""Logs: append-only tables, as the predictions of a service, under `logs/<name>/`.

Each append is one Parquet file and one Delta commit, safe for several writers at once; rows of different appends have no order but the
one of their columns. Columns may be added by any append, and are null in older rows; a column keeps the stored type that it began with.
Types are the stored ones of `backends/table_types.py` (an enum comes back as text, a UInt8 as Int16). `compact` puts many small files
together; nothing but `gc` deletes what it leaves behind.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from . import disk
from .bucket import Bucket

FOLDER = "logs"


class Log:
    """One append-only table; light until it is used."""

    def __init__(self, root: Path, name: str, bucket: Bucket | None = None) -> None:
        for part in name.split("/"):
            disk.name(part, "the name of a log")
        self.name = name
        self.folder = root / FOLDER / name
        self._root = root
        self._bucket = bucket
        self._table: Any = None

    def append(self, rows: Any) -> int:
        """Add rows: a frame, or a mapping of column names to lists. Returns how many. Raises UserError for a column of another type."""
        added: int = self._backend().append(rows)
        return added

    def files(self, *, anew: bool = False) -> list[Path]:
        """The Parquet files of the log as it is now, copies fetched now where `anew`; empty before the first append."""
        found: list[Path] = self._backend().files(anew=anew)
        return found

    def scan(self, names: Iterable[str] | None = None) -> Any:
        """The log as it is now, a Polars LazyFrame; without columns before the first append. `names`: of its files only these."""
        return self._backend().scan(names)

    def compact(self) -> int:
        """Put small files together; how many files fewer there are. Appends go on meanwhile."""
        fewer: int = self._backend().compact()
        return fewer

    def missing(self, names: Iterable[str]) -> list[str]:
        """Which of these files are gone, by path relative to the store."""
        paths = [f"{FOLDER}/{self.name}/{name}" for name in names]
        if self._bucket is not None:
            return [path for path in paths if self._bucket.size(path) is None]
        return [path for path in paths if not (self._root / path).is_file()]

    def _backend(self) -> Any:
        if self._table is None:
            place = importlib.import_module(".backends.place", __package__).Place(self._root, f"{FOLDER}/{self.name}", self._bucket)
            self._table = importlib.import_module(".backends.log_table", __package__).LogTable(place)
        return self._table
