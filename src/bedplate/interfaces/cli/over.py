"""`bedplate run SERVICE --over TABLE`: the answers of a service to every row of a table, or to every line of a stream."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

import click
from rich.console import Console

from bedplate.core.errors import StoreError, UserError
from bedplate.stages.deploy.line_files import opened
from bedplate.stages.deploy.lines import Answering, Counted, run
from bedplate.stages.deploy.over import Scored, Scoring
from bedplate.stages.deploy.site import site_of

from .common import console, put_json, told
from .verb import Asked

INPUT: Final = "-"
_REFERENCE: Final = re.compile(r"\w+(?:@\S+)?")
"""What names a table; anything else is a file."""


def over(asked: Asked, what: str, to: str, shard_rows: int) -> int:
    """Answer, and say what came of it; the exit code. Raises UserError for words that make no sense together."""
    if len(asked.names) != 1 or not what:
        raise UserError("--over is about one service", next=f"bedplate run SERVICE --over {what or 'TABLE'}")
    if shard_rows < 1:
        raise UserError(f"--shard-rows {shard_rows} is no number of rows", next="--shard-rows 100000")
    if what == INPUT or _REFERENCE.fullmatch(what) is None:
        return _lines(asked, what, to)
    if to:
        why, step = "the answers to a table are a table", f"bedplate run {asked.names[0]} --over {what}"
        raise UserError("--to is about a file of lines", why=why, next=step)
    return _table(asked, what, shard_rows)


def _table(asked: Asked, table: str, shard_rows: int) -> int:
    scoring = Scoring(asked.open(), asked.names[0], table, shard_rows=shard_rows)
    out = console()

    def say(done: int, count: int) -> None:
        if not asked.as_json and count > 1:
            out.print(f"   {done} of {count} shards", end="\r" if out.is_terminal and done < count else "\n")

    found = scoring.run(say)
    if asked.as_json:
        put_json({"version": told(found.version), "rows": found.rows, "refused": found.refused, "shards": found.shards, "kept": found.kept})
    else:
        _draw(out, found)
    return 0


def _draw(out: Console, found: Scored) -> None:
    _came(out, found)
    query = f"select * from {found.version.artifact} limit 10"
    out.print(f'next: [bold]bedplate sql "{query}"[/bold], or bedplate lineage {found.version.artifact}', soft_wrap=True)


def _came(out: Console, found: Scored) -> None:
    """What came of it."""
    if not found.shards and not found.kept:
        out.print(f"[bold]{found.version.ref}[/bold] has these answers already: the same rows, artifacts and code")
        return
    before = f", {found.kept} of its {found.kept + found.shards} shards were there" if found.kept else ""
    out.print(f"[bold]{found.version.ref}[/bold] ({found.rows:,} rows){before}")
    if found.refused:
        query = f"select error, count(*) from {found.version.artifact} where error is not null group by error"
        out.print(f'[yellow]{found.refused:,} rows were refused[/yellow]: bedplate sql "{query}"', soft_wrap=True)


def _lines(asked: Asked, what: str, to: str) -> int:
    lines = Path(what)
    if what != INPUT and not lines.is_file():
        why = "a table is named by its artifact, and lines lie in a file"
        raise UserError(f"there is no file {what}", why=why, next="--over TABLE, --over FILE.jsonl, or --over - for standard input")
    if what == INPUT and to:
        raise UserError("--to goes with a file of lines", why="standard input cannot be read again", next=f"--over - > {to}")
    workspace = asked.open(pickles=False)
    answering = Answering(site_of(workspace.parts), asked.names[0])
    answering.open()
    before, lost = Counted(), 0
    try:
        with stoppable():
            if to:
                with opened(lines, Path(to), workspace.clock) as files:
                    before = files.place.counted
                    found = run(answering, files.given, files.out, before, files.done)
            elif what == INPUT:
                with open(sys.stdin.fileno(), "rb", closefd=False) as given:
                    found = run(answering, given, sys.stdout.buffer, before)
            else:
                with lines.open("rb") as given:
                    found = run(answering, given, sys.stdout.buffer, before)
    finally:
        lost = answering.close()
    _tell(asked, to, found, before)
    if lost:
        raise StoreError(f"{lost} predictions could not be logged", why="the store did not take them", next="bedplate doctor")
    return 0


def _tell(asked: Asked, to: str, found: Counted, before: Counted) -> None:
    """Say how many there were: on standard output only where no answers are."""
    if asked.as_json and to:
        put_json({"lines": found.lines, "refused": found.refused, "before": before.lines})
        return
    words = [f"{found.lines:,} {'line' if found.lines == 1 else 'lines'}"]
    words += [f"{before.lines:,} answered before"] if before.lines else []
    words += [f"{found.refused:,} {'was' if found.refused == 1 else 'were'} refused"] if found.refused else []
    click.echo(", ".join(words), err=True)


@contextmanager
def stoppable() -> Iterator[None]:
    """SIGTERM stops as Ctrl-C does: between two lines, or while the function is called, whose line is then not answered."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
