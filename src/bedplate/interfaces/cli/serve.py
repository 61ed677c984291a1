"""`bedplate serve`: the project's services over HTTP, on loopback."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import click
import msgspec
from rich.markup import escape

from bedplate.core.errors import StoreError
from bedplate.core.records import Event
from bedplate.pipeline.served import LOST, SWAPPED
from bedplate.pipeline.wiring.services import services
from bedplate.stages.deploy.holder import LOAD_FAILED
from bedplate.stages.deploy.site import site_of

from .common import console, put_line
from .verb import Asked, verb

SERVER = "bedplate.interfaces.http.server"
"""Loaded by name: doors do not import each other, and only this verb needs a server."""


@verb("[SERVICE]...")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8000, show_default=True, help="The port to listen on; 0 takes a free one.")
def command(asked: Asked, host: str, port: int) -> int:
    """Serve the project's services (or those named) and models until Ctrl-C; a promotion is taken up within a second.

    It says which version took over and who promoted it. With --json one line says when it is ready: {"url": ..., "models": [...],
    "services": [...], "versions": {...}, "waiting": {...}}; then each event is a line.
    """
    workspace = asked.open(pickles=False)
    site = site_of(workspace.parts, crew=int(workspace.parts.config["model_workers"]))
    if asked.names:
        chosen = {node.name for node in services(workspace.graph, asked.names)}
        site = msgspec.structs.replace(site, services=tuple(one for one in site.services if one.name in chosen))

    teller = Teller(asked.as_json)
    site = msgspec.structs.replace(site, emit=heard(site.emit, teller.tell))

    def announce(ready: Any, _stop: Callable[[], None]) -> None:
        if asked.as_json:
            put_line(ready)
        else:
            out = console()
            for line in opening(workspace.graph.project_name, ready):
                out.print(line, soft_wrap=True)
        teller.begin()

    server = importlib.import_module(SERVER)
    lost = server.serve(site, host, port, announce)
    if lost:
        raise StoreError(f"{lost} predictions could not be logged", why="the store did not take them", next="bedplate doctor")
    return 0


def opening(project: str, ready: Any) -> list[str]:
    """What a server says to people when it begins to answer: which versions do, where, and what waits for what (rich markup)."""
    models = ", ".join(f"{name}@{number}" for name, number in ready.versions.items())
    waiting: dict[str, list[Any]] = {}
    for one in ready.waiting.values():
        waiting.setdefault(one.reason, []).append(one)
    return [
        f"serving [bold]{project}[/bold] at [bold]{ready.url}[/bold]{f' with {models}' if models else ''}",
        *(f"  POST     {ready.url}/{service}" for service in ready.services if service not in ready.waiting),
        *(_waits(ready, group) for group in waiting.values()),
        f"  try it   {ready.url}/docs",
        f"  metrics  {ready.url}/metrics",
        "  stop     Ctrl-C",
    ]


def _waits(ready: Any, group: list[Any]) -> str:
    """The services that wait for one thing; the thing itself where no service does."""
    names = [one.name for one in group if one.name in ready.services] or [group[0].name]
    step = f"; next: [bold]{group[0].next}[/bold]" if group[0].next else ""
    return f"  [yellow]waits[/yellow]    {', '.join(names)}: {escape(group[0].reason)}{step}"


def heard(record: Callable[[Event], None], tell: Callable[[Event], None]) -> Callable[[Event], None]:
    """Record what happens while serving, and tell it here."""

    def emit(event: Event) -> None:
        record(event)
        tell(event)

    return emit


class Teller:
    """Says what happens once the server has said that it is ready: its first line is that one."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._early: list[Event] | None = []

    def begin(self) -> None:
        """The server is ready: say what has happened so far."""
        early, self._early = self._early or [], None
        for event in early:
            say(event, self._as_json)

    def tell(self, event: Event) -> None:
        """Say what happened, now or once the server is ready."""
        if self._early is None:
            say(event, self._as_json)
        else:
            self._early.append(event)


def say(event: Event, as_json: bool) -> None:
    """Say what happened; a reader who is gone stops no server."""
    with suppress(OSError, ValueError):
        if as_json:
            put_line(event)
        for line in [] if as_json else lines(event):
            console().print(escape(line), soft_wrap=True)
        sys.stdout.flush()


def lines(event: Event) -> list[str]:
    """What an event of a server says to people: who answers now and why, or what would not load."""
    if event.kind == LOAD_FAILED:
        return [f"{event.subject} could not be loaded, so what served before serves on: {event.data['reason']}"]
    if event.kind == LOST:
        return [f"{event.subject}: {event.data['count']:,} answers could not be recorded: {event.data['why']}"]
    if event.kind != SWAPPED:
        return []
    return [f"{one['model']}: now version {one['version']}{_was(one['before'])}, {one['why']}" for one in event.data["changes"]]


def _was(before: int | None) -> str:
    return f" (was {before})" if before is not None else ""
