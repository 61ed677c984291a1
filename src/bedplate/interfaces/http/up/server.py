"""`bedplate up`: one process in front of one record, which clients of the tracking API, people and other tools share.

It binds, makes the record current, answers until SIGTERM or Ctrl-C, then accepts nothing more, finishes what is in flight (what was
acknowledged is committed), and takes itself off the list of services. Any number of them may stand on one record.
"""

from __future__ import annotations

import gc
import os
import platform as machine
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from typing import Final

import bedplate
from bedplate.catalog.catalog import Catalog
from bedplate.catalog.keys import Keys
from bedplate.catalog.services import Service as Listed
from bedplate.compute.machine import started as process_started
from bedplate.compute.system import give_memory_back, share_heaps
from bedplate.core.clock import Clock
from bedplate.core.config import Config
from bedplate.core.errors import BedplateError
from bedplate.core.records import Record
from bedplate.core.units import byte_count
from bedplate.interfaces.http import grpc_port
from bedplate.interfaces.http.accounts.mine import Mine
from bedplate.interfaces.http.beside.beside import Beside
from bedplate.interfaces.http.beside.home import Home
from bedplate.interfaces.http.binding import address, bind, many_files
from bedplate.interfaces.http.console.changes import Changes
from bedplate.interfaces.http.console.frame import shows
from bedplate.interfaces.http.console.verifying import Verifying
from bedplate.interfaces.http.door.app import MOUNTED, Door, Site
from bedplate.interfaces.http.door.checking import Checks
from bedplate.interfaces.http.door.desk import Emitted
from bedplate.interfaces.http.door.endpoint import Endpoint, Limits
from bedplate.interfaces.http.door.lanes import Lanes
from bedplate.interfaces.http.door.login import Kit, Login
from bedplate.interfaces.http.door.names import Names
from bedplate.interfaces.http.door.oidc import provider_of
from bedplate.interfaces.http.door.routes import Routes
from bedplate.interfaces.http.door.who import Who
from bedplate.interfaces.http.listening import Listener, config
from bedplate.interfaces.http.replies import App
from bedplate.interfaces.http.tracking.hooks import hear
from bedplate.pipeline.heart import Heart
from bedplate.storage.job_logs import JobLogs
from bedplate.storage.store import Store

from .anchor import EVERY_S, Anchor
from .calls import Calls, tls_of
from .counts import Counts
from .outside import PARTING_S, Outside
from .place import Place, check, hosts_of
from .table import ANSWERED, endpoints

NAME: Final = "up"
"""How the server stands in the list of services."""
_BEAT_S: Final = 15.0
_HEAPS: Final = 2


class Platform(Record, frozen=True, kw_only=True):
    """What a server stands on. `opens` gives a catalog with a connection of its own; `process_started` is in seconds since the epoch.

    `home` is where the project is; None where the state has none.
    """

    opens: Callable[[], Catalog]
    store: Store
    clock: Clock
    random_bits: Callable[[int], int]
    body_limit: int
    process_started: float
    keys: Keys
    config: Config
    extra: tuple[Endpoint, ...] = ()
    home: Home | None = None
    listeners: tuple[Callable[[Sequence[Emitted]], None], ...] = ()


Announce = Callable[[str, Callable[[], None], str | None], None]
"""Hears the URL when it answers, gets what stops it, and hears where gRPC is answered (None: nowhere)."""
Mount = Callable[[str, Callable[[], None]], AbstractContextManager[App]]
"""Given the URL under which they are reached and what stops the server, the services of a project, until the end of the context."""


def up(platform: Platform, place: Place, announce: Announce, mount: Mount | None = None) -> None:
    """Answer until told to stop; `mount` gives the project's services, to be answered too.

    Raises Refused for an address that may not be taken, WorldError where the port cannot be had.
    """
    check(place)
    many_files()
    share_heaps(_HEAPS)
    with ExitStack() as stack:
        sockets = (bind(place.host, place.port, "up", beyond=True), *grpc_port.bound(place.host, place.grpc, "up", beyond=True))
        listening, *beyond = map(stack.enter_context, sockets)
        url = address(listening, "https" if place.tls_cert else "http")
        lanes = Lanes(platform.opens(), platform.opens)
        checks = Checks(platform.random_bits)
        who = Who(platform.keys.server, checks)
        counts = Counts(lanes, bedplate.__version__)
        beside = Beside(platform.home, platform.clock) if platform.home is not None else None
        outside = Outside(platform.opens, platform.clock, platform.random_bits, platform.config, counts)
        site = Site(
            store=platform.store, clock=platform.clock, random_bits=platform.random_bits,
            names=Names(place.public, hosts_of(place.host)), who=who, lanes=lanes,
            body_limit=platform.body_limit, counted=outside.counted, told=lambda emitted: _tell(platform, emitted),
            tells=outside.sender, hears=hear, shows=shows, logs=JobLogs(platform.config.state / "logs"), beside=beside,
            limits=Limits(
                file_bytes=byte_count(platform.config["upload_limit"]), experiment_bytes=byte_count(platform.config["upload_quota"]),
                drift_psi=float(platform.config["drift_psi"]),
            ),
        )  # fmt: skip
        mine = Mine(platform.keys.server, checks)
        login = _login(platform, place, lanes, checks, who)
        changes = Changes(lanes, f"{platform.random_bits(64):016x}", lambda: listener.should_exit, beside)
        more = (*mine.endpoints(), counts.endpoint(), changes.endpoint(), Verifying(platform.keys).endpoint(), *platform.extra)
        door = Door(site, Routes([*endpoints(), *more]), {**ANSWERED, **login.routes()})
        presence, anchor = _Presence(platform, url), Anchor(platform.opens(), platform.keys, platform.clock)

        def begin() -> None:
            presence.open()
            announce(url, listener.stop, guests[0].address if guests else None)

        calls = Calls(door, url.partition(":")[0])
        guests = [grpc_port.relay(one, lambda: calls, platform.body_limit, calls.meets, tls_of(place)) for one in beyond]
        listener = Listener(config(door, tls_cert=place.tls_cert, tls_key=place.tls_key), begin, guests)
        lanes.open()
        gc.collect()
        gc.freeze()
        try:
            with (
                mount(f"{url}{MOUNTED[:-1]}", listener.stop) if mount is not None else nullcontext() as app,
                Heart("up", _BEAT_S, presence.beat, patience_s=PARTING_S),
                Heart("audit", EVERY_S, anchor.sign, patience_s=PARTING_S),
                outside.beating(),
            ):
                if app is not None:
                    door.mount(app)
                listener.run(sockets=[listening])
        finally:
            if beside is not None:
                beside.close()
            lanes.close()
            _part(anchor.close, outside.close, presence.close)


def _part(*words: Callable[[], None]) -> None:
    """Say all of these at once, and wait a few seconds for them: a record that is away keeps no server from ending."""
    saying = [threading.Thread(target=word, name="bedplate-parting", daemon=True) for word in words]
    for one in saying:
        one.start()
    until = time.monotonic() + PARTING_S
    for one in saying:
        one.join(max(until - time.monotonic(), 0))


def _login(platform: Platform, place: Place, lanes: Lanes, checks: Checks, who: Who) -> Login:
    key, clock = platform.keys.server, platform.clock
    return Login(
        Kit(
            lanes=lanes, checks=checks, key=key, cookie=who.cookie, clock=clock, random_bits=platform.random_bits,
            public=next(iter(place.public), ""), oidc=provider_of(platform.config, clock, key),
        )
    )  # fmt: skip


class _Presence:
    """Keeps the server on the list of services, so that `status` shows it and others see that it lives."""

    def __init__(self, platform: Platform, url: str) -> None:
        self._platform = platform
        self._catalog = platform.opens()
        now = platform.clock.now()
        self._listed = Listed(
            name=NAME, url=url, pid=os.getpid(), host=machine.node(), process_started=platform.process_started,
            started_at=now, heartbeat=now,
        )  # fmt: skip

    def open(self) -> None:
        for one in self._catalog.services.list():
            if one.name == NAME and one.host == self._listed.host and process_started(one.pid) is None:
                self._catalog.services.unregister(NAME, one.url)
        self._catalog.services.register(self._listed)

    def beat(self) -> None:
        give_memory_back()
        if not self._catalog.services.beat(NAME, self._listed.url, self._platform.clock.now(), {}):
            self.open()

    def close(self) -> None:
        with suppress(BedplateError):  # a record that is away does not keep a server from ending
            self._catalog.services.unregister(NAME, self._listed.url)
        self._catalog.close()


def _tell(platform: Platform, emitted: Sequence[Emitted]) -> None:
    for listener in platform.listeners:
        listener(emitted)
