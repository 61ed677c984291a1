"""Tells other tools of a run that has ended, as the settings `openlineage` and `otlp` say: a file that grows by lines, or an address.

Choices: what cannot be told fails no run: it is said, and recorded as an event `outlet.failed`. An address is reached through the one
guarded client, so that one of this machine or its neighbours must be among `allow_networks`. Limits: a run is told when it has ended.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import metadata
from typing import Any, Final

import msgspec

from bedplate.catalog.catalog import Catalog
from bedplate.core.clock import Clock
from bedplate.core.config import Config
from bedplate.core.errors import BedplateError, WorldError
from bedplate.core.extras import load
from bedplate.core.records import Event
from bedplate.network.guard import networks

from .gathered import gather
from .openlineage import events
from .spans import request

FAILED: Final = "outlet.failed"
_NONE: Final = "none"
_LIMIT_BYTES: Final = 1 << 20
_LIMIT_S: Final = 10.0
_JSON: Final = {"Content-Type": "application/json"}


class Telling:
    """What is told of runs on a target."""

    def __init__(self, config: Config, catalog: Catalog, clock: Clock) -> None:
        self._config = config
        self._catalog = catalog
        self._clock = clock

    def run(self, run: str) -> None:
        """Tell of a run that has ended; what could not be told is an event. Raises CatalogError where not even that can be kept."""
        for setting, tell in (("openlineage", self._openlineage), ("otlp", self._otlp)):
            place = self._config[setting]
            if place != _NONE:
                try:
                    tell(place, run)
                except (BedplateError, OSError) as error:
                    why = error.line if isinstance(error, BedplateError) else str(error)
                    self._catalog.events.add(Event(kind=FAILED, subject=setting, at=self._clock.now(), data={"run": run, "why": why}))

    def _openlineage(self, place: str, run: str) -> None:
        told = [msgspec.json.encode(event) for event in events(gather(self._catalog, run))]
        if _is_address(place):
            url = place if place.rstrip("/").endswith("/lineage") else f"{place.rstrip('/')}/api/v1/lineage"
            self._send(url, told)
        else:
            self._append(place, told)

    def _otlp(self, place: str, run: str) -> None:
        told = msgspec.json.encode(request(gather(self._catalog, run), metadata.version("bedplate")))
        if _is_address(place):
            url = place if place.rstrip("/").endswith("/v1/traces") else f"{place.rstrip('/')}/v1/traces"
            self._send(url, [told])
        else:
            self._append(place, [told])

    def _append(self, place: str, lines: Sequence[bytes]) -> None:
        """Add lines in one write: who tells at the same time writes before or after."""
        path = self._config.folder / place.removeprefix("file://")
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = b"".join(line + b"\n" for line in lines)
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(descriptor, whole)
        finally:
            os.close(descriptor)

    def _send(self, url: str, bodies: Sequence[bytes]) -> None:
        module: Any = load("bedplate.network.backends.client", "telling an address", "http")
        client = module.Client(self._clock, networks(self._config["allow_networks"]))
        limits = module.Limits(_LIMIT_BYTES, _LIMIT_S)
        for body in bodies:
            with client.ask("POST", url, limits, body=body, headers=_JSON) as answer:
                if not 200 <= answer.status < 300:
                    raise WorldError(f"{url} answered {answer.status}")
                for _ in answer.body:
                    pass


def _is_address(place: str) -> bool:
    return place.startswith(("http://", "https://"))
