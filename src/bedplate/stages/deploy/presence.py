"""Presence: this server in the catalog's list of services, with a sign of life and the versions that it holds.

`gc` keeps what a listed service holds, so the list is renewed when a Deployment is swapped as well as by the clock.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import datetime
from typing import Final, Protocol

import msgspec

from bedplate.catalog.services import Service as Listed
from bedplate.core.clock import Clock

from .deployment import Active
from .holder import Holder

BEAT_S: Final = 5.0
_LOOK_S: Final = 1.0


class Directory(Protocol):
    """Where servers are listed: `catalog.services`."""

    def register(self, service: Listed) -> None:
        """This server serves this now."""
        ...

    def beat(self, name: str, url: str, at: datetime, models: Mapping[str, int]) -> bool:
        """A sign of life; False where it is not listed."""
        ...

    def unregister(self, name: str, url: str) -> None:
        """It serves this no more."""
        ...


class Presence:
    """Keeps every service of this process listed while it serves. `site` is the record that is listed, without name and versions."""

    def __init__(self, directory: Directory, holder: Holder, clock: Clock, site: Listed) -> None:
        self.problem = ""
        self._directory = directory
        self._holder = holder
        self._clock = clock
        self._site = site
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bedplate-presence", daemon=True)

    def open(self) -> None:
        """List every service, then give signs of life."""
        for name, models in self._held().items():
            self._directory.register(self._listed(name, models))
        self._thread.start()

    def close(self) -> None:
        """Take every service off the list. Raises CatalogError."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
            for name in self._held():
                self._directory.unregister(name, self._site.url)

    def _run(self) -> None:
        number, beaten = self._holder.current.number, self._clock.monotonic()
        while not self._stop.wait(_LOOK_S):
            now = self._clock.monotonic()
            if self._holder.current.number == number and now - beaten < BEAT_S:
                continue
            number, beaten = self._holder.current.number, now
            try:
                self._beat()
                self.problem = ""
            except Exception as error:  # a record that cannot be written for a while must not end the signs of life
                self.problem = f"{type(error).__name__}: {error}"

    def _beat(self) -> None:
        at = self._clock.now()
        for name, models in self._held().items():
            if not self._directory.beat(name, self._site.url, at, models):
                self._directory.register(msgspec.structs.replace(self._listed(name, models), heartbeat=at))

    def _held(self) -> dict[str, dict[str, int]]:
        """Each service with the artifacts that it holds, by version number."""
        held = {}
        for name, service in self._holder.current.services.items():
            refs = service.versions.values() if isinstance(service, Active) else ()
            held[name] = {artifact: int(number) for artifact, _, number in (ref.rpartition("@") for ref in refs)}
        return held

    def _listed(self, name: str, models: dict[str, int]) -> Listed:
        return msgspec.structs.replace(self._site, name=name, models=models)
