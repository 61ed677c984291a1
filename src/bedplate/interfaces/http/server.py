"""The server: one process, one event loop, on loopback.

`serve` binds, loads what should serve, answers until SIGTERM or Ctrl-C, then stops accepting, finishes what is in flight, writes the
prediction log and takes itself off the list of services.

Limits: one process; no credentials yet, hence no other address than loopback.
"""

from __future__ import annotations

import contextlib
import gc
import os
import platform
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

import bedplate
from bedplate.catalog.services import Service as Listed
from bedplate.compute.machine import started as process_started
from bedplate.compute.system import leave_libraries
from bedplate.core import extras
from bedplate.core.errors import Refused, UserError
from bedplate.core.records import Event, Record
from bedplate.pipeline.heart import Heart
from bedplate.pipeline.served import LOST, PREDICTIONS
from bedplate.pipeline.spending import NEXT
from bedplate.stages.deploy.bill import Bill
from bedplate.stages.deploy.deployment import Waiting
from bedplate.stages.deploy.holder import Holder
from bedplate.stages.deploy.logs import Logs
from bedplate.stages.deploy.presence import Presence
from bedplate.stages.deploy.recorder import Recorder
from bedplate.stages.deploy.site import Site

from . import grpc_port
from .again import Again
from .binding import address, bind, many_files
from .calls import Calls
from .front import Front
from .grpc_calls import Answers
from .inference import Inference
from .ledger import Ledger
from .messages import Messages
from .metrics import Metrics
from .pages import Pages
from .plane.counts import Counts
from .plane.doors import Doors
from .plane.hung import Watchdog, end
from .plane.plane import Plane
from .plane.seat import Seat
from .pool import Pool
from .predict import Predicting
from .replies import App
from .rolled import Trying
from .shared import FOLDER
from .tracing import Tracer


class Ready(Record, frozen=True, kw_only=True):
    """What a server says when it begins to answer: its address, the names of what it is for, the version of each model that answers, and
    what waits. `grpc` is where the Open Inference Protocol is answered over gRPC, None where nothing is: `no_grpc` says why. `tried` are
    the versions that are rolled out: `late@7 as canary: 5 %`.
    """

    url: str
    models: list[str]
    services: list[str]
    grpc: str | None = None
    no_grpc: str = ""
    versions: dict[str, int] = msgspec.field(default_factory=dict)
    waiting: dict[str, Waiting] = msgspec.field(default_factory=dict)
    tried: list[str] = msgspec.field(default_factory=list)


Announce = Callable[[Ready, Callable[[], None]], None]
"""Hears that a server answers, and gets what stops it."""


class Serving:
    """A server's parts, built and wired; `open` and `close` are its life, `doors` what answers, `app` the same in another server."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.holder = Holder(
            site.services, site.models, site.record, site.load, describe=site.describe, clock=site.clock, emit=site.emit,
            guard_s=site.guard_s,
        )  # fmt: skip
        self.recorder = Recorder(Logs(self.holder, site.services, site.append).open, limit=site.queue, clock=site.clock, lost=self._lost)
        self._pool = Pool()
        self.metrics = metrics = Metrics(self.holder, self.recorder, site.project, bedplate.__version__)
        tracer = Tracer(site.trace_share, site.trace_over_s, site.random_bits)
        ledger = Ledger(self.recorder, metrics, site.clock, site.random_bits, tracer)
        self._trying = trying = Trying(metrics.tried)
        metrics.held = lambda: self._pool.lost + trying.held
        self.again = again = Again(site.answer_memory, site.retry_window_s, time.perf_counter, metrics, self._pool)
        self.inference = inference = Inference(self.holder, ledger, self._pool, bedplate.__version__, site.body_limit, trying, again.once)
        pages = Pages(self.holder, self.recorder, metrics, site.services, site.project)
        calls = Calls(site.services, self.holder, ledger, self._pool, site.body_limit, trying, again)
        predicting = Predicting(inference)
        messages = Messages(self.methods, site.body_limit)
        app = pages.app(inference, predicting, messages)
        self.app = Front(calls, app)
        self.doors = Doors(
            calls.desk, inference.desk, {**pages.said(), **inference.said()}, app, site.body_limit, predicts=predicting.desk,
            messages=messages,
        )  # fmt: skip

    def _lost(self, log: str, count: int, why: str) -> None:
        data = {"count": count, "why": why}
        self.site.emit(Event(kind=LOST, subject=log.removeprefix(f"{PREDICTIONS}/"), at=self.site.clock.now(), data=data))

    def methods(self) -> Answers:
        """What answers calls of gRPC. Raises UserError for a package that is missing."""
        made: Answers = extras.load(grpc_port.METHODS, "gRPC", "grpc").Methods(self.inference)
        return made

    def open(self) -> None:
        """Load what should serve, watch the record, write the log; of what only starting needed, keep nothing."""
        self.holder.open()
        self.recorder.open()
        gc.collect()
        gc.freeze()
        leave_libraries()

    def close(self) -> int:
        """Stop; returns how many predictions could not be logged."""
        self.holder.close()
        self._pool.close()
        self._trying.close()
        self.again.close()
        return self.recorder.close()

    def ready(self, url: str, grpc: str | None, no_grpc: str) -> Ready:
        """What this server says when it begins to answer."""
        current = self.holder.current
        return Ready(
            url=url,
            grpc=grpc,
            no_grpc=no_grpc,
            models=list(current.models),
            services=list(current.services),
            versions=current.versions,
            waiting=current.waiting,
            tried=[f"{move.model}@{move.version} as {move.alias}: {move.check}" for move in self.holder.rolled_out],
        )


def serve(site: Site, host: str, port: int, announce: Announce, seat: Seat | None = None, grpc: str = "none") -> int:
    """Serve until told to stop; returns how many predictions could not be logged.

    `announce` hears when it answers, and gets what stops it (SIGTERM and Ctrl-C do the same). Port 0 takes any free one; `grpc` is the
    port of gRPC, as the setting has it. A process that serves beside others answers where its `seat` says, and only the first of them
    keeps the bill. Raises Refused
    for an address beyond this machine and where the budget does not bear it (any more), WorldError where the port cannot be had, UserError
    for a project with nothing to serve.
    """
    if not site.services and not site.models:
        why = "the project has no service and no model"
        raise UserError("there is nothing to serve", why=why, next="decorate a function with @project.service")
    with contextlib.ExitStack() as sockets:
        listening, *beyond = map(sockets.enter_context, _bound(host, port, grpc) if seat is None else seat.sockets())
        serving = Serving(site)
        if seat is not None:
            serving.again.share(Path(seat.folder) / FOLDER)
        url = (seat.url if seat is not None else "") or address(listening)
        presence = Presence(site.directory, serving.holder, site.clock, _listed(site, url, os.getpid() if seat is None else os.getppid()))
        counts = Counts(seat, serving.metrics) if seat is not None else None
        bill = site.billed(url) if site.billed and (seat is None or seat.is_first) else None

        def begin() -> None:
            presence.open()
            announce(serving.ready(url, at, "" if at else grpc_port.absent(grpc)), plane.stop)

        guests = [grpc_port.relay(one, serving.methods, site.body_limit) for one in beyond]
        at = guests[0].address if guests else (seat.grpc_at if seat is not None else "") or None
        plane = Plane(serving.doors, begin, guests=guests)
        many_files()
        serving.open()
        try:
            watched = Watchdog(lambda: plane.now, lambda: end(serving.recorder.close)) if seat is not None else contextlib.nullcontext()
            with paid(bill, plane.stop), counts or contextlib.nullcontext(), watched:
                plane.run([listening])
        finally:
            lost = serving.close()
            presence.close()
    return lost


def _bound(host: str, port: int, grpc: str) -> list[socket.socket]:
    """The sockets of HTTP and, where it is wanted, of gRPC. Raises what `bind` and `grpc_port.bound` do."""
    return [bind(host, port), *grpc_port.bound(host, grpc)]


@contextlib.contextmanager
def mounted(site: Site, url: str, stop: Callable[[], None]) -> Iterator[App]:
    """A project's services within another server, which reaches them under `url` and is told to `stop` when the budget is spent.

    Raises UserError for a project with nothing to serve.
    """
    if not site.services and not site.models:
        raise UserError("there is nothing to serve", why="the project has no service and no model", next="bedplate up, without --serve")
    serving = Serving(site)
    presence = Presence(site.directory, serving.holder, site.clock, _listed(site, url, os.getpid()))
    serving.open()
    try:
        presence.open()
        with paid(site.billed(url) if site.billed else None, stop):
            yield serving.app
    finally:
        serving.close()
        presence.close()


@contextlib.contextmanager
def paid(bill: Bill | None, stop: Callable[[], None]) -> Iterator[None]:
    """Keep a server's bill while it serves, and stop it when the budget is spent. Raises Refused then, and where it is at the start."""
    if bill is None:
        yield
        return
    whys: list[str] = []

    def beat() -> None:
        if not whys and (why := bill.beat()):
            whys.append(why)
            stop()

    bill.open()
    try:
        with Heart("bill", bill.interval_s, beat):
            yield
    finally:
        bill.close()
    if whys:
        raise Refused("the server was stopped", why=whys[0], next=NEXT)


def _listed(site: Site, url: str, pid: int) -> Listed:
    now = site.clock.now()
    return Listed(
        name="",
        url=url,
        pid=pid,
        host=platform.node(),
        process_started=site.process_started if pid == os.getpid() else process_started(pid) or 0.0,
        started_at=now,
        heartbeat=now,
    )
