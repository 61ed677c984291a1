"""How long who guesses wrongly must wait: after a few free tries twice as long each time, up to a minute. On this server only.

A try counts as failed before it is checked and is taken back where it was right, so that many at once are no way around. What was not
tried for a quarter of an hour is forgotten, the oldest first where there is no room. Limits: two servers count apart.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final, NamedTuple

LONGEST_S: Final = 60.0
_FORGOTTEN_S: Final = 900.0
_MOST: Final = 10_000


class _Tries(NamedTuple):
    failed: int
    until: float
    last: float


class Throttle:
    """Wrong guesses by key; `free` of them cost no wait. Times are seconds."""

    def __init__(self, free: int) -> None:
        self._free = free
        self._tries: OrderedDict[str, _Tries] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self, key: str, now: float) -> float:
        """Begin a try: 0, and it counts as failed until it is taken back; or how many seconds to wait first."""
        with self._lock:
            known = self._tries.pop(key, None)
            if known is not None and now - known.last > _FORGOTTEN_S:
                known = None
            if known is not None and now < known.until:
                self._tries[key] = known
                return known.until - now
            failed = 1 if known is None else known.failed + 1
            wait = 0.0 if failed <= self._free else min(LONGEST_S, 2.0 ** min(failed - self._free - 1, 10))
            self._tries[key] = _Tries(failed, now + wait, now)
            if len(self._tries) > _MOST:
                self._tries.popitem(last=False)
            return 0.0

    def right(self, key: str) -> None:
        """The try was right after all: nothing is held against this key."""
        with self._lock:
            self._tries.pop(key, None)
