"""`bedplate serve`: the project's services over HTTP, on loopback."""

from __future__ import annotations

import functools
import importlib
import json
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.markup import escape

from bedplate.assembly import configure
from bedplate.compute.system import die_with_parent
from bedplate.core.config import NONE, Config, number, span, whole
from bedplate.core.config import port as port_of
from bedplate.core.errors import StoreError, UserError
from bedplate.core.records import Event
from bedplate.core.units import byte_count, seconds
from bedplate.pipeline.code.load import find_project
from bedplate.pipeline.served import CONCLUDED, ENDED, LOST, PROCESS_DIED
from bedplate.pipeline.wiring.services import services
from bedplate.planner.routing.records import Rules
from bedplate.planner.scaling.scale import Scale

from .common import console, put_line
from .platform import stand
from .telling import Teller, heard
from .verb import Asked, verb

ROUTER = "bedplate.interfaces.http.router.serving"
SERVER = "bedplate.interfaces.http.server"
TOGETHER = "bedplate.interfaces.http.together"
SITE = "bedplate.stages.deploy.site"
"""Loaded by name: doors do not import each other, only this verb needs a server, and who starts others needs nothing of theirs."""


@verb("[SERVICE]...")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8000, show_default=True, help="The port to listen on; 0 takes a free one.")
@click.option("--grpc-port", default="", metavar="PORT", help="The port for gRPC; 0 takes a free one (default: the setting `grpc_port`).")
@click.option("--processes", default=1, show_default=True, type=click.IntRange(1, 256), help="How many processes answer on the port.")
@click.option("--replicas", default="", metavar="N|A..B", help="Replicas behind a router: 2, or 1..4 by load, or 0..4.")
@click.option("--replica", multiple=True, metavar="URL[,zone=Z,region=R]", help="A replica elsewhere (may be repeated).")
@click.option("--seat", default="", hidden=True, help="Be one of several processes (started by bedplate itself).")
def command(
    asked: Asked, host: str, port: int, grpc_port: str, processes: int, replicas: str, replica: tuple[str, ...], seat: str
) -> int:  # fmt: skip
    """Serve the project's services (or those named) and models until Ctrl-C; a promotion is taken up within a second.

    It says which version took over and who promoted it, and which is tried. With --json one line says when it is ready: {"url": ...,
    "grpc": ..., "models": [...], "services": [...], "versions": {...}, "waiting": {...}}; then each event is a line. Several processes
    answer as one: one that ends is started again, and their metrics are added up. Replicas stand behind a router, which takes each
    request to the nearest that does best, and to another where one fails it.
    """
    if grpc_port:
        port_of(grpc_port)
    if processes > 1:
        if replicas or replica:
            raise UserError(
                "--processes and --replicas are two ways", why="processes have one port, replicas a router", next="leave one out"
            )
        return _together(asked, host, port, grpc_port, processes)
    routes = None if seat else _routes(asked, replicas, replica)
    if routes is not None:
        return _routed(asked, host, port, grpc_port, routes)
    server = importlib.import_module(SERVER)
    taken = server.Seat.read(seat) if seat else None
    if taken is not None:
        die_with_parent(signal.SIGTERM)
    workspace = asked.open(pickles=False)
    site = importlib.import_module(SITE).site_of(workspace.parts, crew=int(workspace.parts.config["model_workers"]))
    if asked.names:
        chosen = {node.name for node in services(workspace.graph, asked.names)}
        site = msgspec.structs.replace(site, services=tuple(one for one in site.services if one.name in chosen))
    teller = Teller(asked.as_json)
    emit = heard(site.emit, teller.tell)
    if taken is not None:
        emit = _of_first(emit) if taken.is_first else _own(emit)
    site = msgspec.structs.replace(site, emit=emit)

    def announce(ready: Any, _stop: Callable[[], None]) -> None:
        said = [] if asked.as_json else opening(workspace.graph.project_name, ready)
        if taken is not None:
            put_line({"ready": ready, "said": said, "p95": {one.name: one.p95_s for one in site.services if one.p95_s}})
        else:
            _announce(ready, said, asked.as_json)
        teller.begin()

    lost = server.serve(site, host, port, announce, taken, grpc_port or workspace.parts.config["grpc_port"])
    if lost:
        raise StoreError(f"{lost} predictions could not be logged", why="the store did not take them", next="bedplate doctor")
    return 0


def _together(asked: Asked, host: str, port: int, grpc_port: str, processes: int) -> int:
    """Have several processes serve, each this command with a seat of its own."""
    words, server = _words(asked), importlib.import_module(TOGETHER)
    wish = grpc_port or _config(asked)["grpc_port"]
    return int(server.together(processes, host, port, lambda seat: [*words, "--seat", seat], functools.partial(_hear, asked), wish))


def _config(asked: Asked) -> Config:
    return configure(find_project(Path.cwd(), asked.project), asked.target)


def _routes(asked: Asked, replicas: str, remotes: tuple[str, ...]) -> Any:
    """What a router is given, where options or settings ask for one: options are asked first. Raises UserError."""
    config = _config(asked)
    named = {name: "" if config[name] == NONE else config[name] for name in ("remotes", "place", "regions")}
    remotes = remotes or tuple(named["remotes"].split())
    count = span(replicas or config["replicas"])
    if count is None and not remotes:
        return None
    return importlib.import_module(ROUTER).routed(
        count, remotes, named["place"], named["regions"].split(),
        Rules(most=whole(config["replica_queue"])),
        Scale(aim=number(config["replica_load"]), down_s=seconds(config["scale_in"]), idle_s=seconds(config["scale_to_zero"])),
        byte_count(config["body_limit"]),
    )  # fmt: skip


def _routed(asked: Asked, host: str, port: int, grpc_port: str, routes: Any) -> int:
    """Have replicas serve behind a router, each this command with a seat of its own."""
    words, router = _words(asked), importlib.import_module(ROUTER)
    wish = grpc_port or _config(asked)["grpc_port"]

    def opens() -> Any:
        standing = stand(asked.project, asked.target)
        return standing.catalog.services, standing.clock

    heard = functools.partial(_hear, asked)
    return int(router.serve_routed(routes, host, port, lambda seat: [*words, "--seat", seat.word], heard, opens, wish))


def _words(asked: Asked) -> list[str]:
    """This command, as a process of it is started."""
    about = [*(["--project", asked.project] if asked.project else []), *(["--target", asked.target] if asked.target else [])]
    return [sys.executable, "-m", "bedplate", "serve", *asked.names, *about, *(["--json"] if asked.as_json else [])]


def _hear(asked: Asked, line: bytes, is_ready: bool) -> None:
    """Say what the process said that speaks for all."""
    with suppress(OSError, ValueError):
        if is_ready:
            told = json.loads(line)
            _announce(told["ready"], [*told["said"][:1], *replicas_of(told["ready"]), *told["said"][1:]], asked.as_json)
        else:
            sys.stdout.write(line.decode())
        sys.stdout.flush()


def _announce(ready: Any, said: list[str], as_json: bool) -> None:
    """Say that the server answers, to programs or (`said`) to people."""
    if as_json:
        put_line(ready)
    for line in [] if as_json else said:
        console().print(line, soft_wrap=True)


def _own(emit: Callable[[Event], None]) -> Callable[[Event], None]:
    """Of what happens in one of several processes, what happens to it alone: the first one tells the rest."""

    def told(event: Event) -> None:
        if event.kind in (LOST, CONCLUDED, PROCESS_DIED):
            emit(event)

    return told


def _of_first(emit: Callable[[Event], None]) -> Callable[[Event], None]:
    """Of what happens, what the first of several processes tells: a roll-out that another one judged, that one tells."""

    def told(event: Event) -> None:
        if event.kind != ENDED or event.data["by_person"]:
            emit(event)

    return told


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
        *(f"  tried    {escape(one)}" for one in ready.tried),
        f"  gRPC     {escape(ready.grpc or f'none: {ready.no_grpc}')}",
        f"  try it   {ready.url}/docs",
        f"  metrics  {ready.url}/metrics",
        "  stop     Ctrl-C",
    ]


def replicas_of(ready: dict[str, Any]) -> list[str]:
    """Where the replicas are and how each stands, where a router has any (rich markup)."""
    replicas: dict[str, dict[str, Any]] = ready.get("replicas", {})
    lines = []
    if ready.get("scale"):
        least, most = ready["scale"]
        lines = [f"  replicas {least if least == most else f'{least} to {most}, by load'}, on this machine"]
        replicas = {name: one for name, one in replicas.items() if one["address"]}
    return lines + [f"  replica  {escape(name)}{where(one)}: {one['state']}" for name, one in replicas.items()]


def where(one: dict[str, Any]) -> str:
    """The zone and region of a replica, as far as they are known (rich markup)."""
    return "".join(f", {what} {escape(one[what])}" for what in ("zone", "region") if one[what])


def _waits(ready: Any, group: list[Any]) -> str:
    """The services that wait for one thing; the thing itself where no service does."""
    names = [one.name for one in group if one.name in ready.services] or [group[0].name]
    step = f"; next: [bold]{group[0].next}[/bold]" if group[0].next else ""
    return f"  [yellow]waits[/yellow]    {', '.join(names)}: {escape(group[0].reason)}{step}"
