"""`bedplate serve`: the project's services over HTTP, on loopback."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import click

from bedplate.assembly import open_project
from bedplate.core.errors import StoreError
from bedplate.stages.deploy.site import site_of

from .common import console, project_options, put_line, split

SERVER = "bedplate.interfaces.http.server"
"""Loaded by name: doors do not import each other, and only this verb needs a server."""


@click.command()
@click.argument("names", nargs=-1)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8000, show_default=True, help="The port to listen on; 0 takes a free one.")
@project_options
def command(names: tuple[str, ...], host: str, port: int, project: str | None, target: str, as_json: bool) -> int:
    """Serve the project's services and models until Ctrl-C; a promotion is taken up within a second.

    With --json one line says when it is ready: {"url": ..., "models": [...], "services": [...]}.
    """
    project, _ = split(names, project)
    workspace = open_project(project, target, pickles=False)

    def announce(ready: Any, _stop: Callable[[], None]) -> None:
        if as_json:
            put_line({"url": ready.url, "models": ready.models, "services": ready.services})
            return
        out = console()
        out.print(f"serving [bold]{workspace.graph.project_name}[/bold] at [bold]{ready.url}[/bold]")
        for service in ready.services:
            out.print(f"  POST {ready.url}/{service}")
        out.print(f"  try it in a browser: {ready.url}/docs   metrics: {ready.url}/metrics   stop: Ctrl-C")

    server = importlib.import_module(SERVER)
    lost = server.serve(site_of(workspace.parts), host, port, announce)
    if lost:
        raise StoreError(f"{lost} predictions could not be logged", why="the store did not take them", next="bedplate doctor")
    return 0
