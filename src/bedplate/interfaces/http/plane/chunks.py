"""Chunks: a body of unknown length, as HTTP/1.1 sends it, read strictly and never beyond a limit.

Refused: chunk extensions, sizes that are not plain hexadecimal, ends that are not CR LF, thousands of chunks of a few bytes (each
costs more to read than it brings). Trailers are read and passed over.
"""

from __future__ import annotations

import re
from typing import Final

from .head import BARE, END, FIELDS, MOST_BYTES, unreadable

_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,8}+)\r\n")
_MAYBE: Final = re.compile(rb"(?:[0-9A-Fa-f]{1,8}+\r?)?")
_MANY: Final = 2048
_TINY: Final = 32


class TooLarge(Exception):
    """The body is over the limit."""


class Chunks:
    """Reads one body of at most `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._pieces: list[bytes] = []
        self._held = b""
        self._missing = 0
        self._ends = False
        self._count = 0
        self._taken = 0

    def feed(self, data: bytes) -> bytes | None:
        """Take what came; what follows the body once it is whole, None until then. Raises Problem 400, TooLarge."""
        data, self._held, at = self._held + data, b"", 0
        while True:
            if self._missing:
                at = self._take(data, at)
                if self._missing:
                    return None
            if self._ends:
                return self._trailed(data, at)
            found = _SIZE.match(data, at)
            if found is None:
                if _MAYBE.fullmatch(data, at) is None:
                    raise unreadable("a chunk does not begin with its size")
                self._held = data[at:]
                return None
            size, at = int(found[1], 16), found.end()
            self._ends = size == 0
            self._missing = size + 2 if size else 0
            self._check(size)

    def body(self) -> bytes:
        """The whole body."""
        return b"".join(self._pieces)

    def _check(self, size: int) -> None:
        self._taken += size
        self._count += 1
        if self._taken > self._limit:
            raise TooLarge
        if self._count > _MANY and self._taken < self._count * _TINY:
            raise unreadable("it comes in thousands of chunks of a few bytes")

    def _take(self, data: bytes, at: int) -> int:
        """Take of a chunk and the line end after it what is there; returns where the next begins."""
        there = min(self._missing, len(data) - at)
        content = min(there, max(self._missing - 2, 0))
        if content:
            self._pieces.append(data[at : at + content])
        ends = b"\n" if self._missing == 1 else b"\r\n"
        if not ends.startswith(data[at + content : at + there]):
            raise unreadable("a chunk is longer than its size")
        self._missing -= there
        return at + there

    def _trailed(self, data: bytes, at: int) -> bytes | None:
        found = FIELDS.match(data, at)
        if found is not None:
            return data[found.end() :]
        if data.find(END, at) >= 0 or len(data) - at > MOST_BYTES or BARE.search(data, at):
            raise unreadable("what follows its body are no headers")
        self._held = data[at:]
        return None
