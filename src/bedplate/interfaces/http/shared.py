"""Shared: what several processes that serve together know of requests with an idempotency key: a file for each key, in their folder.

Who is the first to make the file puts its number into it, works the request out, and writes the answer in its place; who finds the number
of a process that lives is told to ask again in a second. Files older than the window, and those of processes that died, are nobody's. Only
keys are shared: other names are given to every request by some gateways, and looking for a file costs more than most answers.

Limit: the folder holds at most the answers of one window, within a number of bytes; beyond that no more are shared.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Final

import msgspec

from .answered import Answered

FOLDER: Final = "again"
_OWNER: Final = b"pid:"
_LONGEST: Final = 32
_WRITTEN_S: Final = 1.0
"""A process that made a file has put its number into it by then, or has died."""
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

    def claim(self, key: bytes) -> Said | None:
        """The answer to a key; None where it is this process's to work out. Raises Busy, OSError."""
        self._claims += 1
        if self._claims % _SWEEP == 0:
            self._sweep()
        path = self._path(key)
        if self._is_nobodys(path):
            path.unlink(missing_ok=True)
        try:
            made = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        except FileExistsError:
            data = path.read_bytes()
            if not data or data.startswith(_OWNER):
                raise Busy from None
            return msgspec.msgpack.decode(data, type=Said)
        with os.fdopen(made, "wb") as file:
            file.write(b"%b%d" % (_OWNER, os.getpid()))
        return None

    def put(self, key: bytes, said: Said) -> None:
        """Write the answer to a key that was claimed; where that cannot be done, the key is free again."""
        path = self._path(key)
        fresh = path.with_suffix(f".{os.getpid()}")
        try:
            fresh.write_bytes(msgspec.msgpack.encode(said))
            fresh.replace(path)
        except OSError:  # a full disk: a retry is worked out again
            self.drop(key)

    def drop(self, key: bytes) -> None:
        """Nobody works on it any more, and it has no answer."""
        with suppress(OSError):
            self._path(key).unlink(missing_ok=True)

    def _path(self, key: bytes) -> Path:
        return self._folder / blake2b(key, digest_size=16).hexdigest()

    def _is_nobodys(self, path: Path) -> bool:
        """Whether a file is too old, or of a process that died before it answered."""
        try:
            age = time.time() - path.stat().st_mtime
            if age > self._window_s:
                return True
            with path.open("rb") as file:
                begin = file.read(_LONGEST)
            if not begin:  # its process is about to write its number, or died before
                return age > _WRITTEN_S
            if not begin.startswith(_OWNER):
                return False
            os.kill(int(begin.removeprefix(_OWNER)), 0)
        except ProcessLookupError:
            return True
        except (OSError, ValueError):
            return False
        return False

    def _sweep(self) -> None:
        """Delete what is old, and then the oldest, until the rest has room."""
        found = []
        for path in self._folder.iterdir():
            with suppress(OSError):
                look = path.stat()
                found.append((look.st_mtime, look.st_size, path))
        left, now = sum(size for _, size, _ in found), time.time()
        for at, size, path in sorted(found):
            if now - at <= self._window_s and left <= self._most:
                return
            with suppress(OSError):
                path.unlink()
            left -= size
