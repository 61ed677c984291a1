"""The cache tier: tables as Arrow files that are mapped, in front of the lake; it may be deleted at any time.

Choices: a copy is named by the version's digest, so that it is never stale. The frame that a step asked for whole is copied at once, as it
is in memory already; a lazy one is copied when its version is read a second time, because a scan of a few columns should not cost all of
them. A copy's bytes are checked against their checksum once after each boot, then its size and times say that nobody touched it; one that
is not what was written is dropped, and read anew. What was not read for longest goes first when the cap is reached; what belongs to a
pinned artifact stays. Hits and misses of all processes are counted in one small file.
A bucket's objects are kept as files (`copies/`), as many bytes again, the oldest dropped when others are fetched.
"""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from bedplate.core import digests
from bedplate.core.kinds import View
from bedplate.core.records import Record

from . import disk

FOLDER = "cache"
_COUNTS = "counts.json"
_PINS = "pins.json"
_ENDING = ".arrow"
CACHED: frozenset[View] = frozenset({"polars", "polars.lazy"})
"""The views of a table that copies are kept for."""
_PIECE = 1 << 20
Kept = TypeVar("Kept")


class Counts(Record, frozen=True):
    """How often a copy was there and was not, since the cache was made; bytes that were given from it."""

    hits: int = 0
    misses: int = 0
    bytes: int = 0

    @property
    def rate(self) -> float | None:
        """Hits of all, 0 to 1; None before the first."""
        asked = self.hits + self.misses
        return self.hits / asked if asked else None


class Copy(Record, frozen=True, kw_only=True):
    """One copy: its artifact, its size in bytes, its checksum (CRC-32), and what it looked like when that was last checked."""

    artifact: str
    digest: str
    size: int
    checksum: int
    seen: tuple[int, int, str] = (0, 0, "")
    """Inode, time of the last change (ns), and boot."""


class Report(Record, frozen=True, kw_only=True):
    """What is in the cache."""

    copies: tuple[Copy, ...]
    pinned: tuple[str, ...]
    counts: Counts
    most_bytes: int

    @property
    def bytes(self) -> int:
        """Of all copies."""
        return sum(copy.size for copy in self.copies)


class Cache:
    """Copies of tables under `folder`, `most_bytes` of them. `boot` tells one start of the machine from another."""

    def __init__(self, folder: Path, most_bytes: int, boot: str = "") -> None:
        self.folder = folder
        self.most_bytes = most_bytes
        self._boot = boot or _boot()

    def get(self, digest: str) -> Path | None:
        """The copy of a version's rows, whole; None where there is none. Counts."""
        path, copy = self._path(digest), self._read(digest)
        if copy is None or not self._is_whole(path, copy):
            self._count(misses=1)
            return None
        with suppress(OSError):
            os.utime(self._side(digest))
        self._count(hits=1, size=copy.size)
        return path

    def wanted(self, digest: str) -> bool:
        """Whether that version was asked for before; remembers that it was asked for now."""
        mark = self.folder / f"{_name(digest)}.asked"
        with suppress(OSError):
            if mark.exists():
                return True
            self.folder.mkdir(parents=True, exist_ok=True)
            mark.touch()
        return False

    def put(self, digest: str, artifact: str, size: int, write: Callable[[Path], None]) -> Path | None:
        """Have `write(path)` make a copy of about `size` bytes; None where it or the disk has no room, and all goes on without it."""
        if size > self.most_bytes:
            return None
        path = self._path(digest)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._make_room(size)
            arriving = path.with_name(f"{disk.TEMPORARY}{os.getpid()}-{path.name}")
            try:
                write(arriving)
                arriving.chmod(0o444)
                arriving.replace(path)
            finally:
                arriving.unlink(missing_ok=True)
            copy = Copy(artifact=artifact, digest=digest, size=path.stat().st_size, checksum=_checksum(path), seen=self._seen(path))
            self._write(copy)
        except OSError:
            return None
        self._make_room(0)
        return path if path.exists() else None

    def pin(self, artifact: str, keeps: bool = True) -> tuple[str, ...]:
        """Keep an artifact's copies whatever the cap says, or no longer; what is pinned now."""
        disk.make_folder(self.folder)
        with self._locked():
            pinned = set(self.pinned()) | {artifact} if keeps else set(self.pinned()) - {artifact}
            disk.write(self.folder / _PINS, msgspec.json.encode(sorted(pinned)))
        return tuple(sorted(pinned))

    def pinned(self) -> tuple[str, ...]:
        """The artifacts whose copies stay."""
        return self._decoded(self.folder / _PINS, tuple[str, ...]) or ()

    def clear(self) -> int:
        """Drop every copy, pinned or not; how many bytes went."""
        gone = 0
        for copy in self._copies():
            gone += copy.size
            self._drop(copy.digest)
        for mark in self.folder.glob("*.asked"):
            mark.unlink(missing_ok=True)
        return gone

    def check(self) -> list[Copy]:
        """Read every copy; those that were not what was written, which are dropped."""
        bad = [copy for copy in self._copies() if not self._is_whole(self._path(copy.digest), copy, anew=True)]
        for copy in bad:
            self._drop(copy.digest)
        return bad

    def report(self) -> Report:
        """What is there, most recently read first."""
        counts = self._decoded(self.folder / _COUNTS, Counts) or Counts()
        copies = sorted(self._copies(), key=lambda copy: -self._age(copy))
        return Report(copies=tuple(copies), pinned=self.pinned(), counts=counts, most_bytes=self.most_bytes)

    def _make_room(self, size: int) -> None:
        """Drop what was not read for longest until `size` bytes more fit."""
        copies, pinned = list(self._copies()), set(self.pinned())
        held = sum(copy.size for copy in copies)
        for copy in sorted((one for one in copies if one.artifact not in pinned), key=self._age):
            if held + size <= self.most_bytes:
                return
            self._drop(copy.digest)
            held -= copy.size

    def _is_whole(self, path: Path, copy: Copy, *, anew: bool = False) -> bool:
        """Whether the copy is what was written, by its looks where they were checked since the last boot."""
        try:
            looks = self._seen(path)
            if path.stat().st_size != copy.size:
                self._drop(copy.digest)
                return False
            if looks == copy.seen and not anew:
                return True
            if _checksum(path) != copy.checksum:
                self._drop(copy.digest)
                return False
            self._write(msgspec.structs.replace(copy, seen=looks))
        except OSError:
            return False
        return True

    def _seen(self, path: Path) -> tuple[int, int, str]:
        stat = path.stat()
        return stat.st_ino, stat.st_mtime_ns, self._boot

    def _age(self, copy: Copy) -> float:
        try:
            return self._side(copy.digest).stat().st_mtime
        except OSError:
            return 0.0

    def _copies(self) -> Iterator[Copy]:
        for side in self.folder.glob("*.json"):
            if side.name not in (_COUNTS, _PINS) and (copy := self._decoded(side, Copy)) is not None:
                yield copy

    def _drop(self, digest: str) -> None:
        for path in (self._side(digest), self._path(digest)):
            with suppress(OSError):
                path.unlink(missing_ok=True)

    def _count(self, hits: int = 0, misses: int = 0, size: int = 0) -> None:
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._locked():
                before = self._decoded(self.folder / _COUNTS, Counts) or Counts()
                now = Counts(before.hits + hits, before.misses + misses, before.bytes + size)
                _replaced(self.folder / _COUNTS, msgspec.json.encode(now))

    def _locked(self) -> AbstractContextManager[None]:
        return disk.locked(self.folder / ".lock")

    def _read(self, digest: str) -> Copy | None:
        return self._decoded(self._side(digest), Copy)

    def _write(self, copy: Copy) -> None:
        _replaced(self._side(copy.digest), msgspec.json.encode(copy))

    def _path(self, digest: str) -> Path:
        return self.folder / f"{_name(digest)}{_ENDING}"

    def _side(self, digest: str) -> Path:
        return self.folder / f"{_name(digest)}.json"

    @staticmethod
    def _decoded(path: Path, kind: type[Kept]) -> Kept | None:
        """What a small file says; None where it is not there or is no such thing: a cache may forget."""
        try:
            return msgspec.json.decode(path.read_bytes(), type=kind)
        except (OSError, msgspec.DecodeError):
            return None


def trim(folders: Iterable[Path], most_bytes: int, spare: set[Path], least_age_s: float = 3_600.0) -> int:
    """Drop copies of a bucket's objects, the oldest first, until they are `most_bytes`; how many bytes went.

    What is in `spare` stays, and what is younger than `least_age_s`: somebody may be about to read it, or it may not have been sent yet.
    """
    found = []
    for folder in folders:
        for path in folder.rglob("*"):
            with suppress(OSError):
                if path.is_file():
                    stat = path.stat()
                    found.append((stat.st_mtime, stat.st_size, path))
    held, gone, before = sum(size for _, size, _ in found), 0, time.time() - least_age_s
    for at, size, path in sorted(found):
        if held - gone <= most_bytes or at > before:
            break
        if path not in spare:
            with suppress(OSError):
                path.unlink()
                gone += size
    return gone


def _name(digest: str) -> str:
    return digest.removeprefix(digests.PREFIX)


def _replaced(path: Path, content: bytes) -> None:
    """Write a small file that nobody sees half of. Not flushed: after a power cut a cache may be another."""
    arriving = path.with_name(f"{disk.TEMPORARY}{os.getpid()}-{path.name}")
    arriving.write_bytes(content)
    arriving.replace(path)


def _checksum(path: Path) -> int:
    found = 0
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            found = zlib.crc32(piece, found)
    return found


def _boot() -> str:
    """What tells this start of the machine from another, where the system says it."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "unknown"
