"""Services that run now: which server serves what, with which model versions, and when it last gave a sign of life."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from datetime import datetime

import msgspec

from bedplate.core.clock import iso, parse
from bedplate.core.records import Record

from .database import Database
from .rows import text


class Service(Record, frozen=True, kw_only=True):
    """One service on one server. `models` maps each artifact that it holds to its version: `gc` keeps these."""

    name: str
    url: str
    pid: int
    host: str
    process_started: float = 0.0
    models: dict[str, int] = msgspec.field(default_factory=dict)
    started_at: datetime
    heartbeat: datetime


class Services:
    """Servers put themselves here when ready and take themselves out when they stop."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def register(self, service: Service) -> None:
        """This server serves this now (again: replaced)."""
        self._database.run(
            "service_put", name=service.name, url=service.url, pid=service.pid, host=service.host,
            process_started=service.process_started, models=text(service.models), started_at=iso(service.started_at),
            heartbeat=iso(service.heartbeat),
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
                started_at=parse(row[6]), heartbeat=parse(row[7]),
            )
            for row in self._database.rows("services_all")
        ]  # fmt: skip
