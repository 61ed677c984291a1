"""Shared: what several processes that serve together know of requests with an idempotency key: a file for each key, in their folder.

Each process has an empty file of its own, which it keeps locked while it lives. It claims a key by a link to that file under the key's
name, works the request out, and writes the answer in its place; who finds a link to a file that is locked is told to ask again in a second.
An answer that is older than the window, and the claim of a process that ended, is nobody's: one who finds it takes it away, and none but
who holds the folder's lock does that, so that nothing is taken away that another has claimed meanwhile. Only keys are shared: other names
are given to every request by some gateways, and looking for a file costs more than most answers.

Limit: the folder holds at most the answers of one window, within a number of bytes; beyond that no more are shared.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from typing import Final

import msgspec

from .answered import Answered

FOLDER: Final = "again"
_LOCK: Final = ".lock"
_OWNER: Final = ".owner."
_NEW: Final = ".new."
"""In the name of an answer that is being written, which may be empty still."""
_SWEEP: Final = 64
"""Every so many keys, old files are looked for."""


class Said(msgspec.Struct, frozen=True, array_like=True):
    """An answer as it is written: the digest of the request's body, and the answer."""

    digest: bytes
    status: int
    lines: bytes
    body: bytes

    @property
    def answered(self) -> Answered:
        """The answer."""
        return Answered(self.status, self.lines, self.body)


class Busy(Exception):
    """Another process works on the request."""


class Shared:
    """The answers of one window, in a folder. `most` is in bytes."""

    def __init__(self, folder: Path, window_s: float, most: int) -> None:
        folder.mkdir(exist_ok=True)
        self._folder = folder
        self._window_s = window_s
        self._most = most
        self._claims = 0
        self._claimed: set[bytes] = set()
        with self._locked():  # who sweeps takes away what nobody has locked
            self._held, self._own = tempfile.mkstemp(prefix=_OWNER, dir=folder)
            fcntl.flock(self._held, fcntl.LOCK_EX)

    def close(self) -> None:
        """Claim nothing any more: what was claimed and has no answer is nobody's."""
        os.close(self._held)

    def claim(self, key: bytes) -> Said | None:
        """The answer to a key; None where it is this process's to work out. Raises Busy, OSError."""
        self._claims += 1
        if self._claims % _SWEEP == 0:
            self._sweep()
        path = self._path(key)
        if self._take(key, path):
            return None
        said = self._said(path)
        if said is not None:
            return said
        with self._locked():
            said = self._said(path)  # another may have taken it, and answered
            if said is not None:
                return said
            path.unlink(missing_ok=True)
            if not self._take(key, path):
                raise Busy
        return None

    def put(self, key: bytes, said: Said) -> None:
        """Write the answer to a key that was claimed; where that cannot be done, the key is free again."""
        if key not in self._claimed:
            return
        path = self._path(key)
        fresh = path.with_suffix(f"{_NEW}{os.getpid()}")
        try:
            fresh.write_bytes(msgspec.msgpack.encode(said))
            fresh.replace(path)
            self._claimed.discard(key)
        except OSError:  # a full disk: a retry is worked out again
            self.drop(key)

    def drop(self, key: bytes) -> None:
        """Nobody works on it any more, and it has no answer."""
        if key in self._claimed:
            self._claimed.discard(key)
            with suppress(OSError):
                self._path(key).unlink(missing_ok=True)

    def _path(self, key: bytes) -> Path:
        return self._folder / blake2b(key, digest_size=16).hexdigest()

    def _take(self, key: bytes, path: Path) -> bool:
        """Whether there was nothing, and it is this process's now."""
        try:
            os.link(self._own, path)
        except FileExistsError:
            return False
        self._claimed.add(key)
        return True

    def _said(self, path: Path) -> Said | None:
        """The answer; None where there is none, or what is there is nobody's. Raises Busy."""
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return None
        with file:
            look = os.fstat(file.fileno())
            if not look.st_size and not _is_left(file.fileno()):
                raise Busy
            if not look.st_size or time.time() - look.st_mtime > self._window_s:
                return None
            return msgspec.msgpack.decode(file.read(), type=Said)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """While no other takes anything away."""
        with (self._folder / _LOCK).open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _sweep(self) -> None:
        """Delete what is old or left by the dead, and then the oldest, until the rest has room."""
        found = []
        for path in self._folder.iterdir():
            with suppress(OSError):
                look = path.stat()
                found.append((look.st_mtime, look.st_size, path))
        left, now = sum(size for _, size, _ in found), time.time()
        with self._locked():
            for at, size, path in sorted(found):
                is_kept = now - at <= self._window_s and (left <= self._most or _NEW in path.name)
                if path.name == _LOCK or (is_kept and (size or _NEW in path.name)):
                    continue
                with suppress(OSError):
                    if _is_as_it_was(path, at, size):
                        path.unlink()
                        left -= size


def _is_as_it_was(path: Path, at: float, size: int) -> bool:
    """Whether a file that may be deleted still is what was seen: the same answer, or a claim of one who ended. Raises OSError."""
    with path.open("rb") as file:
        look = os.fstat(file.fileno())
        return (look.st_mtime, look.st_size) == (at, size) and (size > 0 or _is_left(file.fileno()))


def _is_left(claim: int) -> bool:
    """Whether a claim is of a process that ended: nobody has its file locked."""
    try:
        fcntl.flock(claim, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
