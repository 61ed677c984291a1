"""`bedplate run` and `bedplate step`: make what is out of date, and show it as it goes."""

from __future__ import annotations

import importlib
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import click

from bedplate.compute.system import die_with_parent
from bedplate.core.errors import UserError
from bedplate.pipeline.account import Summary
from bedplate.pipeline.commit import check_of
from bedplate.pipeline.request import Request, back_filled, read_settings
from bedplate.pipeline.workspace import Workspace

from . import due
from .common import console, put_line
from .following import follower
from .run_view import draw
from .sets import SETS, settings_of
from .verb import Asked, typed, verb

CHECK_FAILED = 6
STEP_FAILED = 1
STOPPED = 5
INTERRUPTED = 130


@verb("[NAME]...")
@SETS
@click.option("--fresh", is_flag=True, help="Run what is named (or everything) even where nothing changed.")
@click.option("--due", "is_due", is_flag=True, help="Do what is due now: for cron, or a person who wonders.")
@click.option("--loop", "loops", is_flag=True, help="With --due: go on looking until a signal.")
@click.option("--child-of", type=int, hidden=True, help="Stop as on SIGTERM when that process, the parent, ends (`bedplate up`).")
@click.option("--since", default="", metavar="KEY", help="Back-fill the parts of calendars from this day or hour on: 2026-01-31.")
@click.option("--until", default="", metavar="KEY", help="Back-fill the parts of calendars before this day or hour, exclusive.")
@click.option("--over", default="", metavar="TABLE", help="Call the service NAME for each row of a table, or line of a file or of `-`.")
@click.option("--to", default="", metavar="FILE", help="With --over FILE.jsonl: the file of its answers, which is gone on with.")
@click.option("--shard-rows", default=100_000, show_default=True, help="With --over: how many rows are scored at a time, and kept.")
def command(
    asked: Asked,
    sets: tuple[str, ...],
    fresh: bool,
    is_due: bool,
    loops: bool,
    child_of: int | None,
    since: str,
    until: str,
    over: str,
    to: str,
    shard_rows: int,
) -> int:
    """Make what is out of date: everything, or the artifacts NAMED and what they need.

    With --due only what is due: by schedules, new data, drift, labels and missing parts, each once, whoever looks and however often.

    With --over nothing is made but the answers of one service: to the rows of a table (SERVICE_over_TABLE), or to lines of JSON, each a
    request, from standard input (`-`) or a file, in their order. Killed, the same command goes on, but from standard input.

    Exit code 1 where a step failed, 5 where the budget refused or stopped it, 6 where a check did not pass, 130 where it was stopped.
    """
    if child_of is not None:
        die_with_parent(signal.SIGTERM)
        if os.getppid() != child_of:
            return INTERRUPTED
    if is_due or loops:
        _alone(asked, sets, fresh or since or until, loops=loops, is_due=is_due)
        return due.loop(asked) if loops else due.once(asked)
    if over or to:
        return int(importlib.import_module(".over", __package__).over(asked, over, to, shard_rows))
    return _run(asked, sets, fresh=fresh, only=False, between=(since, until))


def _alone(asked: Asked, sets: tuple[str, ...], more: object, *, loops: bool, is_due: bool) -> None:
    """Raises UserError for words that make no sense with --due or --loop."""
    if loops and not is_due:
        raise UserError("--loop is about what is due", next="bedplate run --due --loop")
    if asked.names or sets or more:
        raise UserError(
            "--due runs what is due, with no names and no other options",
            why="what is due follows from the record and the time",
            next="bedplate run --due, or bedplate run NAME",
        )


@verb("NAME...", least=1)
@SETS
@click.option("--fresh", is_flag=True, help="Run it even where nothing changed.")
def step(asked: Asked, sets: tuple[str, ...], fresh: bool) -> int:
    """Run only the steps NAMED, on the versions of their inputs that are there."""
    return _run(asked, sets, fresh=fresh, only=True)


def exit_code(summary: Summary, failed_checks: list[str]) -> int:
    """0 done, 1 a step failed, 5 stopped by the budget, 6 a check did not pass, 130 stopped."""
    if summary.stopped:
        return STOPPED
    if summary.run.status == "cancelled":
        return INTERRUPTED
    if summary.failures:
        return STEP_FAILED
    return CHECK_FAILED if failed_checks else 0


@contextmanager
def stoppable(workspace: Workspace) -> Iterator[None]:
    """Ctrl-C, SIGTERM and a closed terminal ask the run to checkpoint and stop; a second one ends its steps at once."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        workspace.stop()

    hangup = [] if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [signal.SIGHUP]  # nohup
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM, *hangup)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _run(asked: Asked, sets: tuple[str, ...], *, fresh: bool, only: bool, between: tuple[str, str] = ("", "")) -> int:
    workspace = asked.open()
    settings = read_settings(workspace.graph, settings_of(sets))
    request = Request(names=asked.names, settings=settings, fresh=fresh, only=only, command=typed())
    if any(between):
        request = back_filled(workspace.graph, request, *between, workspace.clock.now())
    with stoppable(workspace), follower(asked.as_json, tuple(workspace.graph.nodes)) as follow:
        summary = workspace.start(request, follow)
    failed_checks = [v.artifact for v in summary.versions.values() if (check := check_of(v)) is not None and not check.passed]
    if asked.as_json:
        run = {"run": summary.run.id, "status": summary.run.status}
        put_line({"kind": "run.summary", **run, "failures": summary.failures, "checks_failed": failed_checks})
    else:
        draw(console(), workspace, summary, failed_checks, asked.target)
    return exit_code(summary, failed_checks)
