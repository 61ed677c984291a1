"""What verbs share when they print: the console, tables, JSON and times for people."""

from __future__ import annotations

import re
import sys
from datetime import datetime
from typing import IO, Any, Final, TextIO, cast

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bedplate.core.records import Version

_UNFOLDED: Final = 100_000
"""Columns: more than any row has."""
_SPACES: Final = re.compile(r"[ \t]+$", re.MULTILINE)


def console() -> Console:
    """Where people read: colours on a terminal; in a pipe plain text, where a row is a line and no line ends in spaces."""
    drawn = _Console(highlight=False)
    return drawn if drawn.is_terminal else _Console(file=cast(IO[str], _LineEnds(sys.stdout)), highlight=False, width=_UNFOLDED)


class _Console(Console):
    """Whoever reads may stop reading: that is for the one place where errors become exit codes."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


class _LineEnds:
    """A text file that takes the spaces from the ends of lines: a table fills its last column with them."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def write(self, text: str) -> int:
        return self._file.write(_SPACES.sub("", text))


def put_json(value: Any) -> None:
    """One JSON value on standard output."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=2).decode() + "\n")


def told(version: Version) -> dict[str, Any]:
    """A version for programs: its schema is the list of its columns, not the bytes by which a library reads it."""
    return {**msgspec.to_builtins(version), "schema": version.columns}


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
