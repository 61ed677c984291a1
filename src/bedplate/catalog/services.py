"""Services that run now: which server serves what, with which model versions, and when it last gave a sign of life."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from datetime import datetime
from typing import Final

import msgspec

from bedplate.core.clock import iso, parse
from bedplate.core.records import Record

from .database import Database
from .rows import text

ROUTER: Final = "(router)"
"""What a router calls itself on the list: no service can have that name."""
SILENT_S: Final = 60.0
"""A server beats every few seconds; one that was not heard of for so long is taken to be gone."""


class Replica(Record, frozen=True, kw_only=True):
    """One server behind a router: its `address` (empty for a process of the router's own), where it is, how it stands, how many requests it
    has in hand, its failures in a row, and the version of each model that it answers with.
    """

    name: str
    address: str = ""
    zone: str = ""
    region: str = ""
    state: str
    running: int = 0
    failures: int = 0
    versions: dict[str, int] = msgspec.field(default_factory=dict)


class Service(Record, frozen=True, kw_only=True):
    """One service on one server. `models` maps each artifact that it holds to its version: `gc` keeps these. A router is on the list as
    ROUTER, with its `replicas`.
    """

    name: str
    url: str
    pid: int
    host: str
    process_started: float = 0.0
    models: dict[str, int] = msgspec.field(default_factory=dict)
    started_at: datetime
    heartbeat: datetime
    replicas: tuple[Replica, ...] = ()


_REPLICAS: Final = msgspec.json.Decoder(tuple[Replica, ...])


class Services:
    """Servers put themselves here when ready and take themselves out when they stop."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def register(self, service: Service) -> None:
        """This server serves this now (again: replaced)."""
        self._database.run(
            "service_put", name=service.name, url=service.url, pid=service.pid, host=service.host,
            process_started=service.process_started, models=text(service.models), started_at=iso(service.started_at),
            heartbeat=iso(service.heartbeat), replicas=msgspec.json.encode(service.replicas).decode(),
        )  # fmt: skip

    def beat(self, name: str, url: str, at: datetime, models: Mapping[str, int]) -> bool:
        """A sign of life, with the versions served now; False where the service is not registered."""
        return self._database.run("service_beat", name=name, url=url, heartbeat=iso(at), models=text(dict(models))) > 0

    def unregister(self, name: str, url: str) -> None:
        """It serves this no more."""
        self._database.run("service_drop", name=name, url=url)

    def list(self) -> builtins.list[Service]:
        """Every registered service; the process of one may be dead (`host`, `pid`, `process_started` tell)."""
        return [
            Service(
                name=row[0], url=row[1], pid=row[2], host=row[3], process_started=row[4], models=msgspec.json.decode(row[5]),
                started_at=parse(row[6]), heartbeat=parse(row[7]), replicas=_REPLICAS.decode(row[8]),
            )
            for row in self._database.rows("services_all")
        ]  # fmt: skip
