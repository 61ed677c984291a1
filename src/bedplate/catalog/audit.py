"""The audit log: every act that changed something or was refused, chained, in the transaction of the act itself.

An act whose entry cannot be written does not happen. The chain's end is signed now and then with a key of the state folder; the newest
head is kept there too, so that a record that was cut back, heads and all, is found out. Only writers add, one at a time, so ids have no
gaps.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec

from bedplate.core.clock import iso
from bedplate.security.chain import FIRST, Entry, Finding, Head, linked, sign, verify

from .database import Database
from .rows import text

_PAGE: Final = 1000
_LONGEST: Final = 2000
"""Characters of one text in an entry: what is longer is cut, and says so."""


_QUIET: Final = timedelta(minutes=1)
_MOST_LATELY: Final = 10_000


class _Added(NamedTuple):
    at: datetime
    id: int
    digest: str


class Audit:
    """Who did what."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lately: OrderedDict[tuple[str, str, str], _Added] = OrderedDict()

    def add(
        self, actor: str, action: str, resource: str, now: datetime, outcome: str = "done", data: Mapping[str, Any] | None = None
    ) -> Entry:
        """Add an act to the chain; within the transaction of the act, so that both are there or neither."""

        def work() -> Entry:
            last = self._database.one("audit_last")
            number, before = (0, FIRST) if last is None else (int(last[0]), str(last[1]))
            entry = Entry(
                id=number + 1, at=iso(now), actor=_cut(actor), action=_cut(action), resource=_cut(resource), outcome=outcome,
                data=_json(data or {}),
            )  # fmt: skip
            entry = linked(entry, before)
            self._database.run("audit_add", **msgspec.structs.asdict(entry))
            return entry

        return self._database.transact(work)

    def add_often(self, actor: str, action: str, resource: str, route: str, now: datetime) -> None:
        """Add an act of those that come by the thousand: the first in each minute, for each actor, route and resource.

        One whose transaction was undone does not count as the first.
        """
        key = (actor, route, resource)
        known = self._lately.pop(key, None)
        if known is not None and now - known.at < _QUIET and self._database.value("audit_digest", id=known.id) == known.digest:
            self._lately[key] = known
            return
        entry = self.add(actor, action, resource, now, data={"route": route, "more": "each minute has one entry"})
        self._lately[key] = _Added(now, entry.id, entry.digest)
        if len(self._lately) > _MOST_LATELY:
            self._lately.popitem(last=False)

    def found(self, *, actor: str = "", action: str = "", resource: str = "", before: int | None = None, most: int = 100) -> list[Entry]:
        """The newest acts, newest first, that fit what is given; `before` an id, for the next page."""
        until = (1 << 62) if before is None else before
        rows = self._database.rows("audit_found", actor=actor, action=action, resource=resource, before=until, most=most)
        return [_entry(row) for row in rows]

    def entries(self) -> Iterator[Entry]:
        """All of the chain, oldest first, a page at a time."""
        after = 0
        while rows := self._database.rows("audit_after", after=after, most=_PAGE):
            yield from (_entry(row) for row in rows)
            after = int(rows[-1][0])

    def heads(self) -> list[Head]:
        """Every signed head, oldest first."""
        return [_head(row) for row in self._database.rows("audit_heads")]

    def newest_heads(self, limit: int = 20) -> list[Head]:
        """The newest signed heads, newest first."""
        return [_head(row) for row in self._database.rows("audit_heads_last", limit=limit)]

    def sign(self, seed: bytes, now: datetime) -> Head | None:
        """Sign the chain's end where it grew since; the newest head, None where there is nothing to sign."""

        def work() -> Head | None:
            last, signed = self._database.one("audit_last"), self._database.one("audit_head_last")
            if last is None or (signed is not None and signed[0] >= last[0]):
                return None if signed is None else _head(signed)
            head = sign(Head(entry=int(last[0]), digest=str(last[1]), at=iso(now)), seed)
            self._database.run("audit_head_add", **msgspec.structs.asdict(head))
            return head

        return self._database.transact(work)

    def verify(self, keys: Iterable[str], pinned: Iterable[Head] = ()) -> list[Finding]:
        """What is wrong with the log, oldest first; `keys` may have signed heads, `pinned` are heads known from elsewhere."""

        def work() -> list[Finding]:
            return verify(self.entries(), self.heads(), keys, tuple(pinned))

        return self._database.snapshot(work)


def _cut(said: str) -> str:
    return said if len(said) <= _LONGEST else f"{said[:_LONGEST]}... ({len(said)} characters)"


def _json(data: Mapping[str, Any]) -> str:
    said = text(dict(data))
    return said if len(said) <= _LONGEST else text({"begins": said[:_LONGEST], "characters": len(said)})


def _entry(row: tuple[Any, ...]) -> Entry:
    return Entry(
        id=int(row[0]), at=row[1], actor=row[2], action=row[3], resource=row[4], outcome=row[5], data=row[6], digest=row[7]
    )  # fmt: skip


def _head(row: tuple[Any, ...]) -> Head:
    return Head(entry=int(row[0]), digest=row[1], at=row[2], signature=row[3], key=row[4])
