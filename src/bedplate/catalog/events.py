"""Events: what happened, for people, the console and due work."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from bedplate.core.clock import iso
from bedplate.core.records import Event, Record

from .database import Database
from .rows import event_of, event_values

_LATEST: Final = "9999"
_MOST_ID: Final = 1 << 62


class Wanted(Record, frozen=True, kw_only=True):
    """Which events are looked for; what is empty is passed over. `since` and `until` are times as the record has them (ISO, UTC)."""

    kind: str = ""
    subject: str = ""
    since: str = ""
    until: str = ""


class Events:
    """An append-only list; each event has an id that grows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, *events: Event) -> None:
        """Record events, in one transaction."""
        write_events(self._database, events)

    def since(self, after: int | datetime = 0, limit: int = 1000) -> list[tuple[int, Event]]:
        """Events after an id, or at or after a time, oldest first, each with its id (pass the last one next time)."""
        if isinstance(after, datetime):
            found = self._database.rows("events_since", since=iso(after), limit=limit)
        else:
            found = self._database.rows("events_after_id", after=after, limit=limit)
        return [(row[0], event_of(row)) for row in found]

    def page(self, wanted: Wanted, before: tuple[str, int] | None = None, limit: int = 100) -> list[tuple[int, Event]]:
        """The newest events that fit, newest first, each with its id; `before` is the time and id of the last one of the page before."""
        until, number = before or (wanted.until or _LATEST, _MOST_ID)
        if wanted.kind:
            found = self._database.rows(
                "events_page_of_kind", kind=wanted.kind, subject=wanted.subject, since=wanted.since, until=until, before=number, limit=limit
            )
        else:
            found = self._database.rows(
                "events_page", subject=wanted.subject, since=wanted.since, until=wanted.until, before=number, limit=limit
            )
        return [(row[0], event_of(row)) for row in found]

    def kinds(self) -> list[str]:
        """Every kind that there is."""
        return [str(row[0]) for row in self._database.rows("event_kinds")]

    def last(self, kind: str, subject: str = "") -> Event | None:
        """The newest event of a kind (about one subject)."""
        row = self._database.one("event_last", kind=kind, subject=subject)
        return None if row is None else event_of(row)

    def about(self, kind: str, subject: str, since: datetime | None = None) -> list[Event]:
        """Every event of a kind about one subject, oldest first; with `since`, at or after that time."""
        found = self._database.rows("events_about", kind=kind, subject=subject, since=iso(since) if since else "")
        return [event_of(row) for row in found]


def write_events(database: Database, events: Sequence[Event]) -> None:
    """Record events."""
    if events:
        database.many("event_add", [event_values(event) for event in events])
