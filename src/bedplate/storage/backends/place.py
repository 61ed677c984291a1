"""Where a table is: a folder here, or an address in a bucket, of whose files the folder then holds copies.

Parquet files are always written and read as local files. In a bucket they are sent before a commit names them, and fetched when they are
wanted; the table's log is only in the bucket, and its commits are decided there (put-if-absent).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from bedplate.storage import disk
from bedplate.storage.bucket import Bucket

LOG: Final = "_delta_log"
"""Where a table's commits are, below it."""


class Place:
    """One table, by its path relative to the store. It does not know the library that reads and writes commits."""

    def __init__(self, root: Path, relative: str, bucket: Bucket | None = None) -> None:
        self.folder = root / relative
        self._root = root
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

    @property
    def is_far(self) -> bool:
        """Whether it is in a bucket."""
        return self._bucket is not None

    @property
    def local(self) -> tuple[str, str]:
        """The store's folder here, and the table's path below it."""
        return str(self._root), self._relative

    def is_table(self) -> bool:
        """Whether there is a table. The library is not asked: of a bucket it would hold up all of Python's threads until it is answered."""
        return any(name.endswith((".json", ".checkpoint.parquet")) for name in self.commits())

    def commits(self) -> list[str]:
        """The names of what is in the table's log; none where there is no table."""
        if self._bucket is not None:
            return [found.key.rpartition("/")[2] for found in self._bucket.list(f"{self._relative}/{LOG}/")]
        with disk.guard("read", self.folder):
            try:
                return [path.name for path in (self.folder / LOG).iterdir()]
            except FileNotFoundError:
                return []

    def commit(self, name: str) -> bytes | None:
        """What a file of the table's log says; None where it is not there (any more)."""
        if self._bucket is not None:
            return self._bucket.read(f"{self._relative}/{LOG}/{name}")
        with disk.guard("read", self.folder):
            try:
                return (self.folder / LOG / name).read_bytes()
            except FileNotFoundError:
                return None

    def has_commit(self, name: str) -> bool:
        """Whether a file of the table's log is there."""
        if self._bucket is not None:
            return self._bucket.size(f"{self._relative}/{LOG}/{name}") is not None
        return (self.folder / LOG / name).exists()

    def add_commit(self, name: str, content: bytes) -> bool:
        """Commit, durably, what is durable itself; False where there is such a commit already."""
        if self._bucket is not None:
            return self._bucket.create(f"{self._relative}/{LOG}/{name}", content)
        disk.flush_folder(disk.make_folder(self.folder))
        return disk.create(self.folder / LOG / name, content, beside=self.folder)

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
            log = self.folder / LOG
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
