"""What verbs share: the project-file argument, --json, --target, and printing."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

import click
import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

_NO_PATH = re.compile(r"[\s\[(]")
"""In SQL (`select a/b`) and in the name of a part (`raw[2026/01]`); a folder with a space in its name goes behind --project."""
Command = TypeVar("Command", bound=Callable[..., Any])


def console() -> Console:
    """Where people read: colours on a terminal, plain text in a pipe (wide: nothing there breaks lines for the eye)."""
    drawn = Console(highlight=False)
    return drawn if drawn.is_terminal else Console(highlight=False, width=160)


def project_options(command: Command) -> Command:
    """Add the options that every verb has: --json, --target, --project."""
    command = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")(command)
    command = click.option("--target", default="", help="The target in bedplate.toml to use.")(command)
    return click.option("--project", "-p", "project", default=None, help="The project file or its folder.")(command)


def split(names: tuple[str, ...], project: str | None) -> tuple[str | None, tuple[str, ...]]:
    """`bedplate why late flights.py` and `bedplate why flights.py late`: the argument that is a file names the project."""
    files = [name for name in names if name.endswith(".py") or name == "." or ("/" in name and not _NO_PATH.search(name))]
    if project is None and files:
        project = files[0]
    return project, tuple(name for name in names if name not in files)


def put_json(value: Any) -> None:
    """One JSON value on standard output."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=2).decode() + "\n")


def table(*columns: str, title: str = "") -> Table:
    """A light table; columns that begin with '#' hold numbers."""
    drawn = Table(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        drawn.add_column(column.removeprefix("#"), justify="right" if column.startswith("#") else "left", overflow="fold")
    return drawn


def unit(name: str, part: str) -> str:
    """A step, or one part of it, safe to print: `raw[2026-01-31]`."""
    return escape(f"{name}[{part}]" if part else name)


def ago(at: datetime | None, now: datetime) -> str:
    """How long ago, for people."""
    if at is None:
        return ""
    seconds = (now - at).total_seconds()
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"


def put_line(value: Any) -> None:
    """One JSON value on one line of standard output."""
    sys.stdout.write(msgspec.json.encode(value, enc_hook=str).decode() + "\n")


def as_of(at: datetime | None) -> str:
    """A time for people, to the second, UTC."""
    return at.strftime("%Y-%m-%d %H:%M:%S") if at else ""
