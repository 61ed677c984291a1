"""`bedplate up`: the record, open to every tool that speaks the tracking API, and to nobody without a token."""

from __future__ import annotations

import functools
import importlib
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.markup import escape

from bedplate.assembly import build
from bedplate.catalog.first_start import TOKEN_FILE, first_start
from bedplate.catalog.keys import Keys
from bedplate.compute import machine
from bedplate.core.config import port as port_of
from bedplate.core.errors import UserError
from bedplate.core.units import byte_count
from bedplate.pipeline.code.load import declared_name, find_project

from .common import console, put_line
from .platform import Standing, stand
from .telling import Teller, heard
from .verb import Asked, verb

SERVER = "bedplate.interfaces.http.up.server"
PLACE = "bedplate.interfaces.http.up.place"
HOME = "bedplate.interfaces.http.beside.home"
CHILD = "bedplate.interfaces.http.up.child"
SERVICES = "bedplate.interfaces.http.server"
"""Loaded by name: doors do not import each other, and only this verb needs them."""


@verb()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on; beyond this machine only with TLS.")
@click.option("--port", default=5000, show_default=True, help="The port to listen on; 0 takes a free one.")
@click.option("--state", default="", metavar="URL", help="The record: postgresql://..., or a folder (default: the project's).")
@click.option("--store", default="", metavar="URL", help="The bytes: s3://..., or a folder (default: the project's).")
@click.option("--serve", is_flag=True, help="Answer the project's services too, under /services/.")
@click.option("--grpc-port", default="", metavar="PORT", help="With --serve, the port for gRPC (default: the setting `grpc_port`).")
@click.option("--no-due", is_flag=True, help="Do no due work of the project.")
@click.option("--public-url", multiple=True, metavar="URL", help="A URL under which it is reached, as https://HOST behind a proxy.")
@click.option("--tls-cert", metavar="FILE", help="A certificate (PEM), with --tls-key.")
@click.option("--tls-key", metavar="FILE", help="Its key (PEM).")
def command(
    asked: Asked,
    host: str,
    port: int,
    state: str,
    store: str,
    serve: bool,
    grpc_port: str,
    no_due: bool,
    public_url: tuple[str, ...],
    tls_cert: str | None,
    tls_key: str | None,
) -> int:
    """Put one server in front of the record, for MLflow clients, people and programs, until Ctrl-C; do due work while it is up.

    The first time it prints a token of the account `admin`: MLflow clients take it from MLFLOW_TRACKING_TOKEN. It is kept in the state
    folder, for its owner alone. With --json one line says when it is ready: {"url": ..., "grpc": ..., "token": ...}; then each line is an
    event. What is answered under /services/ answers over gRPC too, on a port of its own and to the same tokens.
    """
    place = importlib.import_module(PLACE).Place(
        host=host, port=port, public=public_url, tls_cert=tls_cert, tls_key=tls_key
    )  # fmt: skip
    importlib.import_module(PLACE).check(place)
    if grpc_port:
        port_of(grpc_port)
        if not serve:
            raise UserError("gRPC answers for the project's models", why="--grpc-port goes with --serve", next="bedplate up --serve")
    if serve:
        find_project(Path.cwd(), asked.project)
    standing = stand(asked.project, asked.target, state=state, store=store)
    if serve:
        place = msgspec.structs.replace(place, grpc=grpc_port or standing.config["grpc_port"])
    begun = first_start(standing.catalog, standing.config.state, standing.clock.now(), standing.random_bits)
    _own_experiment(standing)
    child = None if no_due or standing.project is None else _due(asked, standing)

    teller = Teller(asked.as_json)

    def announce(url: str, _stop: Callable[[], None], grpc: str | None) -> None:
        _say(asked, standing, url, begun, serve, grpc)
        teller.begin()
        if child is not None:
            child.open()

    try:
        importlib.import_module(SERVER).up(_platform(asked, standing), place, announce, _services(standing, teller) if serve else None)
    finally:
        if child is not None:
            child.close()
        standing.catalog.close()
    return 0


def _own_experiment(standing: Standing) -> None:
    """Make the project's experiment before anybody can ask for its name: who makes one is its maintainer."""
    name = declared_name(standing.project) if standing.project is not None else ""
    if name:
        now = standing.clock.now()
        standing.catalog.tracking.experiments.of_project(name, int(now.timestamp() * 1000))


def _platform(asked: Asked, standing: Standing) -> Any:
    project = standing.project
    return importlib.import_module(SERVER).Platform(
        opens=standing.opens, store=standing.store(), clock=standing.clock, random_bits=standing.random_bits,
        keys=Keys(standing.config.state), config=standing.config,
        body_limit=byte_count(standing.config["body_limit"]), process_started=machine.started(os.getpid()) or 0.0,
        home=importlib.import_module(HOME).Home(
            project=project, name=declared_name(project), target=asked.target, environ=standing.environ
        ) if project else None,
    )  # fmt: skip


def _services(standing: Standing, teller: Teller) -> Any:
    """What mounts the project's services, on the same state. Only here is the project's code imported into the server."""
    site = importlib.import_module("bedplate.stages.deploy.site").site_of(build(standing.config, pickles=False).parts)
    site = msgspec.structs.replace(site, emit=heard(site.emit, teller.tell))
    return functools.partial(importlib.import_module(SERVICES).mounted, site)


def _due(asked: Asked, standing: Standing) -> Any:
    """What does due work beside the server."""
    words = [sys.executable, "-m", "bedplate", "run", "--due", "--loop", f"--child-of={os.getpid()}", "--project", str(standing.project)]
    words += [*(["--target", asked.target] if asked.target else []), *(["--json"] if asked.as_json else [])]

    def heard(line: str) -> None:
        with suppress(OSError, ValueError):  # a reader who is gone stops no server
            if not asked.as_json:
                console().print(f"[dim]due[/dim] {escape(line)}", soft_wrap=True)
            else:
                put_line(msgspec.Raw(line.encode()) if _is_json(line) else {"kind": "due.said", "line": line})
            sys.stdout.flush()

    return importlib.import_module(CHILD).Child(words, standing.environ, standing.clock, heard)


def _is_json(line: str) -> bool:
    if not line.startswith("{"):
        return False
    try:
        msgspec.json.decode(line)
    except msgspec.DecodeError:
        return False
    return True


def _say(asked: Asked, standing: Standing, url: str, begun: Any, serve: bool, grpc: str | None) -> None:
    """Say that the server answers, and the first time with which token."""
    if asked.as_json:
        put_line({"url": url, "grpc": grpc, "token": begun.token, "new": begun.is_new, "pid": os.getpid()})
    else:
        out = console()
        out.print(f"bedplate is up at [bold]{url}[/bold]", soft_wrap=True)
        if begun.is_new:
            out.print(f"  token     [bold]{escape(begun.token)}[/bold] (of the account admin; it is not shown again)", soft_wrap=True)
        kept = f"$(cat {standing.config.state / TOKEN_FILE})" if begun.token else "..."
        out.print(f"  clients   export MLFLOW_TRACKING_URI={url} MLFLOW_TRACKING_TOKEN={escape(kept)}", soft_wrap=True)
        if not begun.token:
            out.print("            no token that counts is kept here: [bold]bedplate token new NAME[/bold] makes one", soft_wrap=True)
        if serve:
            out.print(f"  services  {url}/services/docs", soft_wrap=True)
        if grpc:
            out.print(f"  gRPC      {grpc}, with the metadata authorization: Bearer TOKEN", soft_wrap=True)
        out.print("  others    bedplate account add NAME --password", soft_wrap=True)
        out.print("  stop      Ctrl-C", soft_wrap=True)
    sys.stdout.flush()
