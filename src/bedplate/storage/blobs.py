"""Blobs: bytes under their own digest, `blobs/sha256/ab/<64 hex digits>`.

The same bytes are kept once, whoever writes them and however many at once: each writer fills its own temporary file, and the last rename
wins with equal content. A blob is read-only and its digest is checked whenever it is read whole. Writing bytes that are there already
renews the blob's time, so that `gc` does not take it from under a version that is about to be committed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from bedplate.core import digests
from bedplate.core.errors import CorruptError, GoneError, InternalError, StoreError

from . import disk

_CHUNK = 1 << 20
FOLDER = "blobs"


class Blobs:
    """Content-addressed bytes under a store's root."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, content: bytes) -> str:
        """Keep bytes; their digest."""
        digest = digests.of_bytes(content)
        if not self._renew(digest):
            disk.write(self.path(digest), content)
            self._seal(digest)
        return digest

    def put_file(self, source: Path) -> tuple[str, int]:
        """Keep a copy of a file; its digest and size in bytes. Read once, hashed while it is copied."""
        with self.writer() as sink:
            for piece in _pieces(source):
                sink.write(piece)
        return sink.digest, sink.size

    @contextmanager
    def writer(self) -> Iterator[Sink]:
        """A sink to write to; when the block ends its bytes are kept and `sink.digest` says under which digest."""
        folder = disk.make_folder(self.root / FOLDER / "incoming")
        with disk.guard("write", folder):
            temporary = folder / f"{disk.TEMPORARY}{os.getpid()}-{os.urandom(8).hex()}"
            try:
                with temporary.open("xb") as file:
                    sink = Sink(file)
                    yield sink
                    file.flush()
                    os.fsync(file.fileno())
                if not self._renew(sink.digest):
                    target = self.path(sink.digest)
                    disk.make_folder(target.parent)
                    temporary.replace(target)
                    disk.flush_folder(target.parent)
                    self._seal(sink.digest)
            finally:
                temporary.unlink(missing_ok=True)

    def get(self, digest: str) -> bytes:
        """The bytes, checked. Raises StoreError where they are gone, CorruptError where they are others."""
        path = self.path(digest)
        content = self._read(path)
        if digests.of_bytes(content) != digest:
            raise corrupt(path, "its bytes do not have the digest that it is named by")
        return content

    def check(self, digest: str) -> None:
        """Read the blob and compare its digest. Raises StoreError or CorruptError."""
        path = self.path(digest)
        if not path.exists():
            raise gone(path)
        with disk.guard("read", path):
            found = digests.of_file(path)
        if found != digest:
            raise corrupt(path, "its bytes do not have the digest that it is named by")

    def shed(self, relative: str) -> bool:
        """Delete the blob at this path where its bytes are others than it is named by; whether it was so."""
        path = self.root / relative
        try:
            self.check(digests.PREFIX + path.name)
        except CorruptError:
            with disk.guard("delete", path):
                path.unlink(missing_ok=True)
            return True
        except StoreError:
            return False
        return False

    def has(self, digest: str, size: int | None = None) -> bool:
        """Whether the blob is there, and has `size` bytes where given."""
        try:
            found = self.path(digest).stat().st_size
        except OSError:
            return False
        return size is None or found == size

    def path(self, digest: str) -> Path:
        """Where the blob of this digest lies."""
        return self.root / self.relative(digest)

    @staticmethod
    def relative(digest: str) -> str:
        """The blob's path relative to the store. Raises InternalError for what is not a digest."""
        text = digest.removeprefix(digests.PREFIX)
        if len(text) != 64 or text.strip("0123456789abcdef"):
            raise InternalError(f"{digest!r} is not a digest")
        return f"{FOLDER}/sha256/{text[:2]}/{text}"

    def _read(self, path: Path) -> bytes:
        try:
            return path.read_bytes()
        except FileNotFoundError:
            raise gone(path) from None
        except OSError as error:
            raise disk.store_error(error, "read", path) from error

    def _renew(self, digest: str) -> bool:
        """Whether the blob is there; if so it counts as written now."""
        try:
            os.utime(self.path(digest))
        except FileNotFoundError:
            return False
        except PermissionError:
            return self.path(digest).exists()
        return True

    def _seal(self, digest: str) -> None:
        self.path(digest).chmod(0o444)


def _pieces(source: Path) -> Iterator[bytes]:
    with disk.guard("read", source):
        file = source.open("rb")
    with file:
        while True:
            with disk.guard("read", source):
                piece = file.read(_CHUNK)
            if not piece:
                return
            yield piece


class Sink:
    """Takes bytes, counts and hashes them."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._state = hashlib.sha256()
        self.size = 0

    def write(self, piece: bytes) -> int:
        """Take some bytes."""
        self._state.update(piece)
        self.size += len(piece)
        return self._file.write(piece)

    @property
    def digest(self) -> str:
        """The digest of everything written so far."""
        return digests.PREFIX + self._state.hexdigest()


def copied(path: Path, digest: str, sink: Sink) -> None:
    """Write the bytes of a blob to a sink. Raises StoreError, and CorruptError where they are others than it is named by."""
    state = hashlib.sha256()
    for piece in _pieces(path):
        state.update(piece)
        sink.write(piece)
    if state.hexdigest() != digest.removeprefix(digests.PREFIX):
        raise corrupt(path, "its bytes do not have the digest that it is named by")


def corrupt(path: Path, why: str) -> CorruptError:
    """The error for bytes that are not what they should be."""
    return CorruptError(f"{path} is corrupt", why=why, next="bedplate doctor --deep (it names the step that makes these bytes again)")


def gone(path: Path) -> GoneError:
    """The error for bytes that are no longer there."""
    return GoneError(f"{path} is gone", why="a version that the record names needs it", next="run again: what made it runs again")
