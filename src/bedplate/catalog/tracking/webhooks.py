"""Webhooks: who is told of what by HTTP, and the deliveries that wait.

A delivery is queued in the transaction of what it tells of, so that it is told if and only if that took place; it keeps its number and its
body through all tries. `take` is how one of several servers gets it; who dies while he tells it leaves it waiting, so that it may be told
twice and is never lost. A webhook that is deleted keeps its row, for the deliveries that name it.
Events are named ENTITY.ACTION as in the protocol of trackers, or in lower case with dots for bedplate's own (`run.finished`, `drift`);
`*` is all of bedplate's own.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

import msgspec

from bedplate.catalog.database import Database, Row
from bedplate.catalog.rows import event_of
from bedplate.core.clock import iso
from bedplate.core.errors import NotFound
from bedplate.core.records import Event, Record

from .runs import CLIENT_FAILED

Status = Literal["ACTIVE", "DISABLED"]
ALL: Final = "*"
SOURCE: Final = "/bedplate"
"""How this record names itself in CloudEvents."""
_EVENTS_AT_ONCE: Final = 500
_names = msgspec.json.Decoder(tuple[str, ...])


class Webhook(Record, frozen=True, kw_only=True):
    """Where to tell what; times in ms. Without a `secret` what is sent is not signed."""

    id: str
    name: str
    url: str
    events: tuple[str, ...]
    description: str = ""
    secret: str = ""
    status: Status = "ACTIVE"
    created_ms: int = 0
    updated_ms: int = 0

    def wants(self, event: str) -> bool:
        """Whether it is told of such an event."""
        return event in self.events or (ALL in self.events and event == event.lower())


class Delivery(Record, frozen=True, kw_only=True):
    """One thing to tell: `tries` is how often it was tried before."""

    number: int
    event: str
    body: str
    tries: int
    url: str
    secret: str


class Webhooks:
    """The webhooks of the record."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, webhook: Webhook) -> Webhook:
        """Keep a webhook as it is now."""
        values: dict[str, Any] = msgspec.structs.asdict(webhook)
        self._database.run("webhook_put", **{**values, "events": msgspec.json.encode(webhook.events).decode()})
        return webhook

    def get(self, webhook: str) -> Webhook:
        """One webhook. Raises NotFound."""
        row = self._database.one("webhook_get", id=webhook)
        if row is None:
            raise NotFound(f"Webhook with ID {webhook[:100]} not found.")
        return _webhook(row)

    def page(self, limit: int, after: tuple[int, str] = (-1, "")) -> list[Webhook]:
        """The next webhooks after a place (made when, id)."""
        return [_webhook(row) for row in self._database.rows("webhooks_all", after_ms=after[0], after_id=after[1], limit=limit)]

    def delete(self, webhook: str, now_ms: int) -> None:
        """Take a webhook away, and what waits for it. Raises NotFound."""

        def work() -> None:
            values: dict[str, Any] = msgspec.structs.asdict(self.get(webhook))
            values |= {"events": "[]", "secret": "", "status": "DELETED", "updated_ms": now_ms}
            self._database.run("webhook_put", **values)
            self._database.run("deliveries_given_up", webhook=webhook)

        self._database.transact(work)

    def queue(self, event: str, make: Callable[[], str], now_ms: int) -> int:
        """Queue a delivery for each webhook that wants the event; inside the transaction of what it tells of. `make` gives the body."""
        wanting = [one for one in map(_webhook, self._database.rows("webhooks_active")) if one.wants(event)]
        if wanting:
            body = make()
            for one in wanting:
                self._database.run("delivery_add", webhook=one.id, event=event, body=body, next_ms=now_ms)
        return len(wanting)

    def follow(self, source: str, now_ms: int) -> int:
        """Queue what was recorded as events since the last look, as CloudEvents of `source`; how many were looked at."""

        def work() -> int:
            after = self._database.value("webhook_cursor")
            if after is None:
                self._database.run("webhook_cursor_put", value=self._database.value("event_newest"))
                return 0
            found = self._database.rows("events_after_id", after=after, limit=_EVENTS_AT_ONCE)
            for row in (row for row in found if row[1] != CLIENT_FAILED):  # that one was queued with the request that said so
                self.queue(row[1], functools.partial(cloud_event, source, str(row[0]), event_of(row)), now_ms)
            if found:
                self._database.run("webhook_cursor_put", value=found[-1][0])
            return len(found)

        return self._database.transact(work)

    def take(self, now_ms: int, until_ms: int, limit: int = 20) -> list[Delivery]:
        """What is to be told now, for the caller alone until `until_ms`."""

        def work() -> list[Delivery]:
            rows = self._database.rows("deliveries_due", now_ms=now_ms, limit=limit)
            return [
                Delivery(number=row[0], event=row[1], body=row[2], tries=row[3], url=row[4], secret=row[5])
                for row in rows
                if self._database.run("delivery_take", id=row[0], tries=row[3], until_ms=until_ms)
            ]

        return self._database.transact(work)

    def settle(self, number: int, status: Literal["done", "failed", "waiting"], next_ms: int, answer: str) -> None:
        """How telling it went; a waiting one is tried again at `next_ms`."""
        self._database.run("delivery_settle", id=number, status=status, next_ms=next_ms, answer=answer)

    def deliveries(self, webhook: str, limit: int = 100) -> list[dict[str, Any]]:
        """The newest deliveries of a webhook, for people."""
        names = ("number", "event", "status", "tries", "next_ms", "answer")
        return [dict(zip(names, row, strict=True)) for row in self._database.rows("deliveries_of", webhook=webhook, limit=limit)]

    def forget(self, before_ms: int) -> int:
        """Forget what was settled before a time; how many."""
        return self._database.run("deliveries_forget", before_ms=before_ms)


def cloud_event(source: str, key: str, event: Event) -> str:
    """An event as CloudEvents 1.0 has it, in JSON."""
    told: Mapping[str, Any] = {
        "specversion": "1.0", "id": key, "source": source, "type": f"bedplate.{event.kind}", "subject": event.subject,
        "time": iso(event.at), "datacontenttype": "application/json", "data": event.data,
    }  # fmt: skip
    return msgspec.json.encode(told).decode()


def _webhook(row: Row) -> Webhook:
    return Webhook(
        id=row[0], name=row[1], description=row[2], url=row[3], events=_names.decode(row[4]), secret=row[5], status=row[6],
        created_ms=row[7], updated_ms=row[8],
    )  # fmt: skip
