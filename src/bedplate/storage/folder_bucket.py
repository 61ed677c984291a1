"""A folder in the words of the port `Bucket`: where a backup goes, and what a local store is copied from and to."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from bedplate.core.errors import CorruptError, StoreError

from . import disk
from .blobs import FOLDER as BLOBS
from .bucket import Object


class FolderBucket:
    """A `Bucket` on the disk; keys are relative paths."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def url(self) -> str:
        """The folder."""
        return f"file://{self.root}"

    @property
    def options(self) -> dict[str, str]:
        """None are needed."""
        return {}

    def path(self, key: str) -> Path:
        """Where an object lies. Raises UserError for a key that would leave the folder."""
        return disk.inside(self.root, key)

    def read(self, key: str) -> bytes | None:
        with disk.guard("read", self.path(key)):
            try:
                return self.path(key).read_bytes()
            except FileNotFoundError:
                return None

    def fetch(self, key: str, path: Path) -> None:
        if not self.path(key).is_file():
            raise StoreError(f"{self.path(key)} is gone", why="it is named, and not there", next="bedplate doctor")
        _copied(self.path(key), path, key)

    def write(self, key: str, content: bytes) -> None:
        disk.write(self.path(key), content)

    def send(self, path: Path, key: str) -> None:
        _copied(path, self.path(key), key)

    def create(self, key: str, content: bytes) -> bool:
        return disk.create(self.path(key), content)

    def size(self, key: str) -> int | None:
        with disk.guard("look at", self.path(key)):
            try:
                return self.path(key).stat().st_size
            except (FileNotFoundError, NotADirectoryError):
                return None

    def list(self, prefix: str) -> Iterator[Object]:
        for path in sorted((self.root / prefix).rglob("*")):
            if path.name.startswith(disk.TEMPORARY) or not path.is_file():
                continue
            with contextlib.suppress(FileNotFoundError):  # deleted since it was listed
                found = path.stat()
                yield Object(path.relative_to(self.root).as_posix(), found.st_size, found.st_mtime)

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            with disk.guard("delete", self.path(key)):
                self.path(key).unlink(missing_ok=True)


def _copied(source: Path, target: Path, key: str) -> None:
    """Copy a file, whole or not at all; a blob's digest is checked on the way."""
    state = hashlib.sha256()
    with disk.new_file(target) as file, disk.guard("read", source), source.open("rb") as opened:
        while piece := opened.read(1 << 20):
            state.update(piece)
            file.write(piece)
        if key.startswith(f"{BLOBS}/") and state.hexdigest() != target.name:
            why = "its bytes do not have the digest that it is named by"
            raise CorruptError(f"{source} is corrupt", why=why, next="bedplate doctor --deep")
