"""Site: everything that a server of this project is given, so that it is built from values and knows no assembly.

`site_of` makes one from the parts of a workspace. This module and `frames` import Polars: a server writes tables.
"""

from __future__ import annotations

import difflib
import functools
import os
import sys
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import msgspec

from bedplate.catalog.catalog import Catalog
from bedplate.compute.machine import cpu_count
from bedplate.compute.meter import Meter
from bedplate.core.clock import Clock
from bedplate.core.config import watts
from bedplate.core.errors import NotFound
from bedplate.core.kinds import View
from bedplate.core.records import Event, Promotion, Version
from bedplate.core.units import byte_count, dollars_per_hour, seconds, share
from bedplate.pipeline.workspace import Parts
from bedplate.storage import online, runtimes

from . import declared
from .batchers import manned
from .bill import Bill
from .choose import PRODUCTION
from .frames import feature_columns
from .holder import WatchedRecord
from .loader import Describe, Load
from .logs import AppendFrame
from .presence import Directory
from .runtime import equip
from .service import Service, Wanted

MEMBER: Final = "bedplate.interfaces.worker.member"
"""Started as a command, not imported: it stands above."""


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """What a server needs: what to serve, the record, the bytes, where to log and to register, time and chance.

    `process_started` is when this process did (seconds since the epoch), `queue` is how many predictions may wait to be logged,
    `body_limit` the largest request body in bytes.
    """

    project: str
    services: tuple[Service, ...]
    models: tuple[Wanted, ...]
    record: WatchedRecord
    load: Load
    describe: Describe
    append: AppendFrame
    directory: Directory
    emit: Callable[[Event], None]
    clock: Clock
    random_bits: Callable[[int], int]
    process_started: float = 0.0
    queue: int = 20_000
    body_limit: int = 16_000_000
    answer_memory: int = 64_000_000
    """Bytes for answers that are given again."""
    retry_window_s: float = 60.0
    trace_share: float = 0.0
    trace_over_s: float = 1.0
    guard_s: float = 0.0
    """For how long after its promotion a version is watched, to be rolled back where it is worse than the one before."""
    billed: Callable[[str], Bill] | None = None
    """Gives the bill of a server at a URL."""


class CatalogRecord:
    """The catalog as the holder asks it."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def find(self, ref: str) -> Version | None:
        """The version that a reference names now."""
        return self._catalog.artifacts.find(ref)

    def alias(self, model: str, alias: str) -> int | None:
        """The version number that an alias names."""
        return self._catalog.models.alias(model, alias)

    def stamp(self) -> Any:
        """Grows whenever a head or an alias moves."""
        return self._catalog.stamp()

    def last_move(self, model: str) -> Promotion | None:
        """The last move of any of a model's aliases."""
        return next(reversed(self._catalog.models.history(model)), None)

    def rolled_out(self, model: str) -> list[Promotion]:
        """The moves that try a version of a model now."""
        return self._catalog.models.rolled_out(model)

    def in_production(self, model: str) -> Promotion | None:
        """The move that made a model's production version what it is."""
        return next(reversed(self._catalog.models.history(model, PRODUCTION)), None)

    def retreat(self, move: Promotion, at: datetime, reason: str) -> Promotion | None:
        """Undo that move."""
        return self._catalog.models.retreat(move, at, reason)

    def conclude(self, trial: Promotion, at: datetime, reason: str, *, promotes: bool) -> Promotion | None:
        """End a roll-out by what came of it."""
        return self._catalog.models.conclude(trial, at, reason, promotes=promotes)


def no_service(name: str, site: Site, each: str) -> NotFound:
    """The error for a name that is none of the site's services, of which `--over` asks one for `each`."""
    known = [one.name for one in site.services]
    near = difflib.get_close_matches(name, known, 1)
    next = f"did you mean '{near[0]}'?" if near else f"services: {', '.join(known)}" if known else "bedplate lint"
    return NotFound(f"{name} is no service", why=f"--over calls a service for each {each}", next=next)


def site_of(parts: Parts, only: str = "", *, crew: int = 0) -> Site:
    """The site of a workspace; `only`: the runtime to ask models by, `crew`: processes for each that is too slow for a server's loop.

    Raises ProjectError for a service that cannot be deployed.
    """
    store, catalog, tolerance = parts.store, parts.catalog, float(parts.config["runtime_tolerance"])
    on_loop_s = seconds(parts.config["loop_limit"])
    opened = functools.cache(parts.online)

    def load(version: Version, view: View, spec: dict[str, Any] | None) -> Any:
        value = store.load(version, view, spec)
        if view == "model":
            folder = runtimes.place(parts.config.state, version.digest)
            value = equip(
                value, store.source(version, value), folder, tolerance=tolerance, timer=time.perf_counter, only=only, on_loop_s=on_loop_s,
            )  # fmt: skip
            return manned(value, version.ref, functools.partial(_member, parts, version.ref), crew, time.perf_counter)
        if view != "features" or not spec:
            return value
        return online.serve(value, version, opened(), parts.clock.now) if spec.get("online") else value.by(parts.clock.now)

    def billed(url: str) -> Bill:
        return Bill(
            catalog, parts.loaded.project, url=url, price=dollars_per_hour(parts.config["price"]), clock=parts.clock,
            interval_s=seconds(parts.config["lease"]) / 3, meter=Meter(watts(parts.config["watts"]) / cpu_count()),
            cpu_s=time.process_time,
        )  # fmt: skip

    return Site(
        project=parts.graph.project_name,
        services=declared.services(parts.graph),
        models=declared.models(parts.graph),
        record=CatalogRecord(catalog),
        load=load,
        describe=lambda view: feature_columns(view.schema),
        append=lambda name, frame: store.log(name).append(frame),
        directory=catalog.services,
        emit=catalog.events.add,
        clock=parts.clock,
        random_bits=parts.random_bits,
        process_started=parts.process_started(os.getpid()) or 0.0,
        queue=int(parts.config["queue"]),
        body_limit=byte_count(parts.config["body_limit"]),
        answer_memory=byte_count(parts.config["answer_memory"]),
        retry_window_s=seconds(parts.config["retry_window"]),
        trace_share=share(parts.config["trace_share"]),
        trace_over_s=seconds(parts.config["trace_over"]),
        guard_s=seconds(parts.config["guard"]),
        billed=billed,
    )


def _member(parts: Parts, ref: str, runtime: str) -> list[str]:
    """The command of a process that predicts for a version: it assembles a platform of its own."""
    about = ["--project", str(parts.config.project_file), "--target", parts.config.target, "--model", ref, "--runtime", runtime]
    return [sys.executable, "-m", MEMBER, *about]
