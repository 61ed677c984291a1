"""Packs: many small files as a few shards and one table of where each lies.

Choices: files are appended to shards of about 256 MB, which are blobs like any other, and are flushed to the disk once each; reading one
file is one `pread`. Content that is there already, in this version or the one before, is not written again: the table points at it. The
digest of the version is that of names and contents, as of files kept one by one, so that how they are packed changes nothing.
Limits: what a later version dropped stays in a shard as long as one of its files is needed.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import msgspec

from bedplate.core import digests
from bedplate.core.errors import UserError

from . import disk
from .blobs import Blobs, Sink

LEAST_FILES = 1_000
MOST_MEAN_BYTES = 1 << 20
_SHARD = 256 << 20
_AT_ONCE = 16 << 20
_PIECE = 1 << 20


class Packed(msgspec.Struct, frozen=True):
    """One file: its name, the SHA-256 of its bytes, its size, and where it lies: in which shard (a blob's digest), from which byte."""

    name: str
    sha256: bytes
    size: int
    shard: str
    offset: int


def pays(found: Sequence[tuple[str, Path]]) -> bool:
    """Whether these files are many and small enough to be packed."""
    if len(found) < LEAST_FILES:
        return False
    with disk.guard("read", found[0][1]):
        return sum(path.stat().st_size for _, path in found) <= MOST_MEAN_BYTES * len(found)


def pack(blobs: Blobs, found: Sequence[tuple[str, Path]], known: Iterator[Packed]) -> list[Packed]:
    """Append files to shards: (name, path) pairs, sorted, to where each lies. Raises UserError for a name twice or outside, StoreError."""
    packer = _Packer(blobs, {one.sha256: (one.shard, one.offset) for one in known})
    with packer:
        for name, path in found:
            disk.inside(Path(), name)
            packer.add(name, path)
    return packer.packed()


def digest_of(packed: Sequence[Packed]) -> str:
    """The version's digest: as that of the same files kept one by one."""
    return digests.of_parts((one.name, f"{digests.PREFIX}{one.sha256.hex()}") for one in packed)


def table() -> Any:
    """The module that keeps the table, as an Arrow file."""
    return importlib.import_module("bedplate.storage.backends.packed")


class _Packer:
    """Writes shards, one at a time."""

    def __init__(self, blobs: Blobs, known: dict[bytes, tuple[str, int]]) -> None:
        self._blobs = blobs
        self._known = known
        self._members: dict[str, tuple[bytes, int]] = {}
        self._here: dict[bytes, int] = {}
        self._writer: AbstractContextManager[Sink] | None = None
        self._sink: Sink | None = None

    def __enter__(self) -> _Packer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        if kind is None:
            self._close()
        elif self._writer is not None:
            self._writer.__exit__(kind, error, trace)

    def packed(self) -> list[Packed]:
        """Every file that was added, by name."""
        found = ((name, sha256, size, *self._known[sha256]) for name, (sha256, size) in sorted(self._members.items()))
        return [Packed(*one) for one in found]

    def add(self, name: str, path: Path) -> None:
        """Add a file, read once where it is small, else twice."""
        if name in self._members:
            raise UserError(f"two files are named '{name}'", why="files are kept by name", next="give them different names")
        with disk.guard("read", path), path.open("rb") as file:
            first = file.read(_AT_ONCE)
            state = hashlib.sha256(first)
            size = len(first)
            large = len(first) == _AT_ONCE
            while large and (piece := file.read(_PIECE)):
                state.update(piece)
                size += len(piece)
            sha256 = state.digest()
            self._members[name] = (sha256, size)
            if sha256 in self._known or sha256 in self._here:
                return
            sink = self._open()
            self._here[sha256] = sink.size
            if not large:
                sink.write(first)
            else:
                file.seek(0)
                while piece := file.read(_PIECE):
                    sink.write(piece)
        if sink.size >= _SHARD:
            self._close()

    def _open(self) -> Sink:
        if self._sink is None:
            self._writer = self._blobs.writer()
            self._sink = self._writer.__enter__()
        return self._sink

    def _close(self) -> None:
        if self._writer is None or self._sink is None:
            return
        writer, sink = self._writer, self._sink
        self._writer = self._sink = None
        writer.__exit__(None, None, None)
        self._known.update((sha256, (sink.digest, offset)) for sha256, offset in self._here.items())
        self._here = {}
