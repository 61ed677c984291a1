"""The signed head of the audit log: renewed each minute while the log grows, and at the end; kept in the record and in the state folder."""

from __future__ import annotations

from contextlib import suppress

from bedplate.catalog.catalog import Catalog
from bedplate.catalog.keys import Keys
from bedplate.core.clock import Clock
from bedplate.core.errors import BedplateError

EVERY_S = 60.0


class Anchor:
    """Signs the log's end with the key of the state; on a connection of its own."""

    def __init__(self, catalog: Catalog, keys: Keys, clock: Clock) -> None:
        self._catalog = catalog
        self._keys = keys
        self._clock = clock

    def sign(self) -> None:
        """Sign what was added since."""
        head = self._catalog.audit.sign(self._keys.audit, self._clock.now())
        if head is not None and head != self._keys.head():
            self._keys.keep_head(head)

    def close(self) -> None:
        """Sign once more, and let go; a record that is away does not keep a server from ending."""
        with suppress(BedplateError):
            self.sign()
        self._catalog.close()
