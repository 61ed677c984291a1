"""Listed: a router on the record's list of services, with how each of its replicas stands, so that `status` and the console show them.

It is renewed when a replica stands otherwise, and every few seconds. Limits: a record that is away keeps no router from its work; what was
listed by one that was killed is taken off the list by the next on that machine.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol

import msgspec

from bedplate.catalog.services import ROUTER, Replica, Service
from bedplate.compute.machine import started
from bedplate.core.clock import Clock
from bedplate.core.errors import BedplateError

from .member import Member, said_of

EVERY_S: Final = 1.0
_BEAT_S: Final = 5.0


class Directory(Protocol):
    """Where servers are listed: `catalog.services`."""

    def register(self, service: Service) -> None:
        """This server serves this now (again: replaced)."""
        ...

    def unregister(self, name: str, url: str) -> None:
        """It serves this no more."""
        ...

    def list(self) -> list[Service]:
        """Every one that is listed."""
        ...


Opens = Callable[[], tuple[Directory, Clock]]
"""Gives the list of a record, and its clock."""


class Listed:
    """Keeps a router at `url` listed. `opens` is called at the first beat: a record may be away when a router starts."""

    def __init__(self, opens: Opens, members: Sequence[Member], url: str) -> None:
        self._opens = opens
        self._members = members
        self._url = url
        self._listed: tuple[Directory, Clock, Service] | None = None
        self._stood: Any = None

    def beat(self) -> None:
        """Say how the replicas stand, where they stand otherwise or nothing was said for a while. Raises BedplateError."""
        directory, clock, before = self._listed or self._begin()
        now = clock.now()
        replicas = tuple(Replica(name=one.name, **said_of(one)) for one in list(self._members))
        stands = [(one.name, one.state, one.versions) for one in replicas]
        if stands != self._stood or (now - before.heartbeat).total_seconds() >= _BEAT_S:
            told = msgspec.structs.replace(before, heartbeat=now, replicas=replicas)
            directory.register(told)
            self._stood, self._listed = stands, (directory, clock, told)

    def close(self) -> None:
        """It routes no more."""
        if self._listed is not None:
            with suppress(BedplateError):  # a record that is away does not keep a router from ending
                self._listed[0].unregister(ROUTER, self._url)

    def _begin(self) -> tuple[Directory, Clock, Service]:
        directory, clock = self._opens()
        for one in directory.list():
            if one.name == ROUTER and one.host == platform.node() and started(one.pid) is None:
                directory.unregister(ROUTER, one.url)
        pid, at = os.getpid(), clock.now()
        site = Service(
            name=ROUTER, url=self._url, pid=pid, host=platform.node(), process_started=started(pid) or 0.0, started_at=at, heartbeat=at
        )
        self._listed = directory, clock, site
        return self._listed
