"""Online features: the row now from an online store, everything else from the table; published by whoever misses it.

The version is the very one that the record names. Where it is not in the store (it is new, or the store came back empty) it is published
from the table, by one thread while others wait; a store that is out of reach is an OnlineError for those who ask, and a `problem`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import msgspec

from bedplate.core import digests
from bedplate.core.clock import SystemClock
from bedplate.core.errors import UserError
from bedplate.core.features import Features, entities
from bedplate.core.records import Version
from bedplate.storage.online import Missing, OnlineError, OnlineStore

from .features_packed import Packing
from .features_view import TableFeatures

_FORMAT: Final = 1
_CLOCK: Final = SystemClock()


class OnlineFeatures:
    """Implements `core.features.Features`: `at` as the table does, `[entity]` from the store."""

    def __init__(self, table: TableFeatures, version: Version, store: OnlineStore, now: Callable[[], datetime] = _CLOCK.now) -> None:
        self.spec = table.spec
        self.artifact = table.artifact
        self.names = table.names
        self.schema = table.schema
        self.problem = ""
        self._table = table
        self._store = store
        self._now = now
        self._lock = threading.Lock()
        how = digests.of_json([_FORMAT, msgspec.to_builtins(table.spec), list(map(str, table.stored.items()))])
        self._version = f"{version.number}-{digests.short(version.digest)}-{digests.short(how)}".replace(":", "_")
        self._packing = Packing(table.spec, table.entity_schema, table.stored, table.windows)
        self._ttl, self._window = table.asking.seconds(table.spec.ttl_s), table.asking.seconds(table.spec.window_s)

    def at(self, labels: Any, *more: Features) -> Any:
        """The as-of join, by the table."""
        return self._table.at(labels, *more)

    def __getitem__(self, entity: Any) -> Any:
        """The entity's values now; a list of entities gives a list, read at once. Raises OnlineError where the store is out of reach."""
        read, key_of, entity = self._packing.read, self._packing.key, entities(entity)
        if not isinstance(entity, list):
            key = key_of(entity)
            packed = None if key is None else self._get([key])[0]
            return read(packed, self._clock, self._ttl, self._window)
        keys = [key_of(one) for one in entity]
        found = iter(self._get([key for key in keys if key is not None]))
        now = self._clock()
        return [read(None if key is None else next(found), lambda: now, self._ttl, self._window) for key in keys]

    def _get(self, keys: list[bytes]) -> list[bytes | None]:
        try:
            return self._store.get(self.artifact, self._version, keys)
        except Missing:
            self.publish()
            return self._store.get(self.artifact, self._version, keys)

    def _clock(self) -> int:
        return self._table.asking.of_clock(self._now())

    def publish(self) -> bool:
        """See to it that the version is in the store; whether it was not. Raises OnlineError."""
        with self._lock:
            if self._store.has(self.artifact, self._version):
                return False
            now = self._table.asking.of_clock(self._now())
            rows = self._packing.rows(self._table.index(), now, now - self._window)
            self._store.publish(self.artifact, self._version, rows)
            return True

    def check(self) -> str:
        """Look whether the store answers and has the version, and publish it where it has not; what is wrong, empty where nothing is."""
        try:
            self.publish()
            self.problem = ""
        except (OnlineError, UserError) as error:
            self.problem = f"{error.what}: {error.why}" if error.why else error.what
        return self.problem


def online(table: TableFeatures, version: Version, store: OnlineStore, now: Callable[[], datetime] = _CLOCK.now) -> OnlineFeatures:
    """A view of a committed version whose rows now come from the store; it is published before this returns. Raises OnlineError."""
    made = OnlineFeatures(table, version, store, now)
    made.publish()
    return made
