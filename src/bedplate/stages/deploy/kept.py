"""Kept: values that are given again for a while, within a number of bytes.

The least recently used go first, whatever they are kept for: a service's answers and the answers to requests that may be sent again share
one memory. Times are seconds of the caller's clock. Used by one thread.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Final

import msgspec

_OVERHEAD: Final = 600
"""Bytes that an entry takes beside its key and what it holds: objects, and its places in the tables."""
_TURN: Final = 2
"""Old entries that are looked at whenever one is added."""


class Kept(msgspec.Struct, frozen=True, gc=False):
    """A value, since when (`at`) and until when it is given, and the bytes that it takes."""

    value: Any
    at: float
    until: float
    size: int


class Keeping:
    """Keeps values by key; `most` is in bytes."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.size = 0
        self._kept: OrderedDict[bytes, Kept] = OrderedDict()

    def __len__(self) -> int:
        """How many there are."""
        return len(self._kept)

    def get(self, key: bytes, now: float) -> Kept | None:
        """What is kept under a key; None where there is nothing, or it is too old."""
        found = self._kept.get(key)
        if found is None:
            return None
        if found.until <= now:
            self.drop(key)
            return None
        self._kept.move_to_end(key)
        return found

    def put(self, key: bytes, value: Any, size: int, now: float, time_s: float) -> bool:
        """Keep a value of `size` bytes for a while; False where it would take more than a quarter of the room."""
        size += len(key) + _OVERHEAD
        if size > self.most // 4:
            return False
        self.drop(key)
        self._forget(now)
        self._kept[key] = Kept(value, now, now + time_s, size)
        self.size += size
        while self.size > self.most:
            self.size -= self._kept.popitem(last=False)[1].size
        return True

    def drop(self, key: bytes) -> None:
        """Forget it."""
        found = self._kept.pop(key, None)
        if found is not None:
            self.size -= found.size

    def _forget(self, now: float) -> None:
        """Let the oldest go whose time is over: what nobody asks for again is not kept until the room is full."""
        for _ in range(_TURN):
            oldest = next(iter(self._kept), None)
            if oldest is None or self._kept[oldest].until > now:
                return
            self.drop(oldest)
