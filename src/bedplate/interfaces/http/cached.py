"""Cached: answers of a service that are given again, where it says so: `service(cache="60 s")`.

A row is known by its decoded fields and by the versions of everything that the service uses, so that an answer of a version that does not
serve any more is never given. Only answers that came out well are kept. A request is answered from here where every row of it can be, else
every row is worked out. While a version is tried beside the one in production nothing is taken from here: what is compared must be asked.

Limit: each server process has its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from bedplate.stages.deploy.deployment import Active
from bedplate.stages.deploy.kept import Keeping, Kept

from .lanes import Lane
from .ledger import FeatureRows

_ENCODER: Final = msgspec.json.Encoder(order="deterministic", enc_hook=str)


class Known(msgspec.Struct, frozen=True, gc=False):
    """What one row was answered, and the prediction that it was worked out for."""

    result: Any
    features: FeatureRows
    prediction_id: str


class Cache:
    """The answers of one service. `count` hears of each request whether it was a `hit` or a `miss`."""

    def __init__(
        self, name: str, time_s: float, keeping: Keeping, timer: Callable[[], float], count: Callable[[str], None], lane: Lane
    ) -> None:
        self.time_s = time_s
        self.lane = lane
        self._name = name.encode()
        self._keeping = keeping
        self._timer = timer
        self._count = count

    def find(self, active: Active, requests: Sequence[Any]) -> tuple[Kept, ...] | None:
        """What is kept for every row; None where one is missing, or there are no rows."""
        if not requests:
            return None
        now = self._timer()
        found = []
        for request in requests:
            kept = self._keeping.get(self._key(active, request), now)
            if kept is None:
                self._count("miss")
                return None
            found.append(kept)
        self._count("hit")
        return tuple(found)

    def put(self, active: Active, request: Any, known: Known) -> None:
        """Keep what a row was answered."""
        size = len(_ENCODER.encode((known.result, known.features)))
        self._keeping.put(self._key(active, request), known, size, self._timer(), self.time_s)

    def lines(self, found: Sequence[Kept]) -> bytes:
        """What the reply says of where it comes from: of several rows, the age of the oldest (RFC 9111, RFC 9211)."""
        now, oldest = self._timer(), min(one.at for one in found)
        left = min(one.until for one in found) - now
        return b"age: %d\r\ncache-status: bedplate; hit; ttl=%d\r\n" % (now - oldest, left)

    def _key(self, active: Active, request: Any) -> bytes:
        return b"c%b\0%b\0%b" % (self._name, active.versions_text, _ENCODER.encode(request))


MISS: Final = b"cache-status: bedplate; fwd=miss; stored\r\n"
