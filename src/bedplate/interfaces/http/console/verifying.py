"""Whether the audit log is whole: `GET /audit/verified`, a piece of a page with the chain drawn.

All of the log is read, one reader at a time; what was found is kept until the log has another end, for a minute at most: an entry that is
changed behind our back moves no end. It says what `bedplate audit verify` says.
"""

from __future__ import annotations

import threading
from typing import Final

from bedplate.catalog.catalog import Catalog
from bedplate.catalog.keys import Keys
from bedplate.core.records import Record
from bedplate.interfaces.http.door.endpoint import Asks, Desk, Endpoint, Reply, on_server
from bedplate.security.chain import Finding

from .frame import page

_WIDTH: Final = 1000
_KEPT_MS: Final = 60_000
_MOST_SHOWN: Final = 50
_LEAST: Final = 4.0


class Verified(Record, frozen=True, kw_only=True):
    """How the log stood: entries, those up to which it is signed, what was wrong, when it was looked at (ms)."""

    entries: int
    signed: int
    findings: tuple[Finding, ...]
    at_ms: int

    @property
    def marks(self) -> tuple[tuple[float, float, int], ...]:
        """Where the chain is broken, on a line of 1000: place, width, entry."""
        each = _WIDTH / max(self.entries, 1)
        width = max(each, _LEAST)
        places = dict.fromkeys(one.entry for one in self.findings[:_MOST_SHOWN])
        return tuple((min(max((number - 1) * each, 0), _WIDTH - width), width, number) for number in places)

    @property
    def signed_to(self) -> float:
        """How far it is signed, on a line of 1000."""
        return _WIDTH * min(self.signed, self.entries) / max(self.entries, 1)


class Verifying:
    """Verifies with the keys of the state."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._one = threading.Lock()
        self._last: Verified | None = None

    def endpoint(self) -> Endpoint:
        """`GET /audit/verified`, for who may read the log."""

        def answer(desk: Desk, _asked: Asks) -> Reply:
            found = self.verified(desk.catalog, desk.now_ms)
            return page(desk, "audit_verified.html", title="Audit", at="events", found=found, findings=found.findings[:_MOST_SHOWN])

        return Endpoint("GET", "/audit/verified", Asks, "audit.read", on_server, answer)

    def verified(self, catalog: Catalog, now_ms: int) -> Verified:
        """How the log stands."""
        with self._one:
            newest = catalog.audit.found(most=1)
            entries = newest[0].id if newest else 0
            last = self._last
            if last is not None and last.entries == entries and now_ms - last.at_ms < _KEPT_MS:
                return last
            head = self._keys.head()
            findings = catalog.audit.verify([self._keys.audit_public], [head] if head is not None else [])
            signed = max((one.entry for one in (head, *catalog.audit.heads()[-1:]) if one is not None), default=0)
            self._last = Verified(entries=entries, signed=signed, findings=tuple(findings), at_ms=now_ms)
            return self._last
