"""What serves now, from the list that servers keep in the record: for whoever may see it."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from typing import Final

from bedplate.catalog.services import ROUTER, SILENT_S, Service
from bedplate.core.records import Record
from bedplate.interfaces.http.console.tables import State
from bedplate.interfaces.http.door.endpoint import SERVER, Desk

GONE_S: Final = 600.0
FORGOTTEN_S: Final = 86_400.0
"""One that was silent for so long is gone: it ended without a word. After a day nothing but its log tells of it."""
_OWN: Final = "up"
"""How `bedplate up` itself stands in the list."""
MOUNTED: Final = "/services"


class Serving(Record, frozen=True, kw_only=False):
    """A service on one server: `silent_s` since its last sign of life; `here` where this very server answers for it."""

    service: Service
    silent_s: float
    here: bool

    @property
    def alive(self) -> bool:
        """Whether it gave a sign of life lately."""
        return self.silent_s <= SILENT_S

    @property
    def state(self) -> State:
        """In a word."""
        if not self.alive:
            return State("silent", "bad") if self.silent_s <= GONE_S else State("gone", "off")
        return State("serving", "good") if self.service.models else State("waiting", "warn")

    @property
    def docs(self) -> str:
        """Where its own page is; empty for what is no address of the web."""
        return f"{self.service.url}/docs" if self.service.url.startswith(("http://", "https://")) else ""

    @property
    def versions(self) -> str:
        """What it holds, in words."""
        return ", ".join(f"{name}@{number}" for name, number in sorted(self.service.models.items()))


def served(desk: Desk, name: str = "") -> list[Serving]:
    """Every service that was heard of in the last day, or those of a name; nothing for who may not see what is served."""
    if not desk.may("service.read", SERVER):
        return []
    listed = (one for one in desk.catalog.services.list() if one.name not in (_OWN, ROUTER) and name in ("", one.name))
    found = [Serving(one, (desk.now - one.heartbeat).total_seconds(), _here(one)) for one in listed]
    return [one for one in found if one.silent_s <= FORGOTTEN_S]


def routers(desk: Desk) -> list[Serving]:
    """Every router that was heard of in the last day; nothing for who may not see what is served."""
    if not desk.may("service.read", SERVER):
        return []
    listed = (one for one in desk.catalog.services.list() if one.name == ROUTER)
    found = [Serving(one, (desk.now - one.heartbeat).total_seconds(), False) for one in listed]
    return [one for one in found if one.silent_s <= FORGOTTEN_S]


def served_by(desk: Desk) -> dict[str, list[str]]:
    """By model, the services that answer with it now."""
    found: dict[str, list[str]] = {}
    for one in served(desk):
        for model in one.service.models if one.alive else ():
            names = found.setdefault(model, [])
            if one.service.name not in names:
                names.append(one.service.name)
    return found


def held_by(among: Sequence[Serving], model: str, version: int) -> list[str]:
    """The services that answer with that version now."""
    return sorted({one.service.name for one in among if one.alive and one.service.models.get(model) == version})


def _here(service: Service) -> bool:
    return service.pid == os.getpid() and service.host == platform.node() and service.url.endswith(MOUNTED)
