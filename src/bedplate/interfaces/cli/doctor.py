"""`bedplate doctor`: what is wrong here, and how to mend it."""

from __future__ import annotations

import socket

import click
from rich.markup import escape

from bedplate.core.errors import WorldError
from bedplate.pipeline.doctor import Finding, examine, worst

from .common import console, put_json, table
from .paths import near
from .platform import at_a_state, workspace
from .verb import Asked, verb

_MARKS = {"ok": "[green]ok[/green]", "warning": "[yellow]! warning[/yellow]", "wrong": "[bold red]x wrong[/bold red]"}
_PORT = 8000


@verb()
@at_a_state
@click.option("--deep", is_flag=True, help="Read every byte that the record names and check its digest.")
def command(asked: Asked, state: str, store: str, deep: bool) -> int:
    """Look at state, versions, disk, clock, ports, SQLite and accelerators. Exit code 4 where something is wrong."""
    findings = (*examine(workspace(asked, state, store), deep=deep), _port())
    if asked.as_json:
        put_json(findings)
    else:
        drawn = table("", "area", "what", "next")
        for finding in findings:
            drawn.add_row(_MARKS[finding.level], finding.area, escape(near(finding.what)), escape(finding.next))
        console().print(drawn)
    return WorldError.exit_code if worst(findings) == "wrong" else 0


def _port() -> Finding:
    """Whether the port that `serve` takes by default is free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", _PORT))
        except OSError:
            return Finding(level="warning", area="ports", what=f"port {_PORT} is in use", next="bedplate serve --port 0")
    return Finding(level="ok", area="ports", what=f"port {_PORT} is free")
