"""Where a table is: a folder here, or an address in a bucket, of whose files the folder then holds copies.

Parquet files are always written and read as local files. In a bucket they are sent before a commit names them, and fetched when they are
wanted; the table's log is only in the bucket, and its commits are decided there (put-if-absent).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from deltalake import DeltaTable

from bedplate.storage import disk
from bedplate.storage.bucket import Bucket


class Place:
    """One table, by its path relative to the store."""

    def __init__(self, root: Path, relative: str, bucket: Bucket | None = None) -> None:
        self.folder = root / relative
        self._relative = relative
        self._bucket = bucket

    @property
    def uri(self) -> str:
        """What the library opens."""
        return str(self.folder) if self._bucket is None else f"{self._bucket.url}/{self._relative}"

    @property
    def options(self) -> dict[str, str] | None:
        """What the library is told to reach it."""
        return None if self._bucket is None else self._bucket.options

    def is_table(self) -> bool:
        """Whether there is a table. In a bucket the library is not asked: it would hold up all of Python's threads until it is answered."""
        if self._bucket is None:
            return DeltaTable.is_deltatable(self.uri)
        return any(found.key.endswith(".json") for found in self._bucket.list(f"{self._relative}/_delta_log/"))

    def open(self) -> DeltaTable:
        """Its newest version."""
        return DeltaTable(self.uri, storage_options=self.options)

    def send(self, names: Iterable[str]) -> None:
        """Have these files where a commit may name them."""
        if self._bucket is not None:
            for name in names:
                self._bucket.send(self.folder / name, f"{self._relative}/{name}")

    def fetch(self, names: Iterable[str], *, anew: bool = False) -> list[Path]:
        """These files, here; with `anew`, fetched now."""
        paths = [self.folder / name for name in names]
        if self._bucket is not None:
            for path in paths:
                if anew or not path.exists():
                    self._bucket.fetch(f"{self._relative}/{path.name}", path)
        return paths

    def flushed(self, version: int) -> int:
        """Have the commit of this version, and the names of its files, on the disk; the version. A bucket has them by then."""
        if self._bucket is None:
            log = self.folder / "_delta_log"
            disk.flush(log / f"{version:020}.json")
            disk.flush_folder(log)
            disk.flush_folder(self.folder)
        return version

    def remove(self) -> None:
        """Remove the table."""
        if self._bucket is not None:
            self._bucket.delete(found.key for found in self._bucket.list(f"{self._relative}/"))
        shutil.rmtree(self.folder, ignore_errors=self._bucket is not None)
        disk.flush_folder(self.folder.parent)
