"""`bedplate run --due` and `bedplate plan --due`: what is due now, done once or in a loop, and what waits for when.

The loop looks when the next schedule is due, and at least every `look` (setting): it trusts no wait to end when it should, so that a
clock that jumps and a machine that sleeps cost one look. It opens the project anew where its files were edited, and goes on where the
world is in trouble; a signal ends it when the step that runs has checkpointed. Run after run uses one executor, so that what is due often
does not wait for a fork server each time; it is let go when nothing was due for a minute.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from types import FrameType
from typing import Any, Final

import msgspec
from rich.markup import escape

from bedplate.assembly import OpenProject
from bedplate.catalog.due import Occurrence
from bedplate.compute.eventloop import EventLoop
from bedplate.core.errors import BedplateError, UserError, WorldError
from bedplate.core.units import seconds
from bedplate.pipeline.commit import check_of
from bedplate.pipeline.due.rules import Ruling
from bedplate.pipeline.due.work import Turn
from bedplate.pipeline.spending import spent

from .common import as_of, console, put_json, put_line, table
from .following import follower
from .verb import Asked

DONE, STEP_FAILED, REFUSED, CHECK_FAILED, INTERRUPTED = 0, 1, 5, 6, 130
_WARM_S: Final = 60.0
"""How long the loop keeps the executor when nothing is due: until then the next run starts at once."""
_TURNS: Final = 20
"""Looks that one command takes: what it did may make more due, as data that came meanwhile, or drift that a watch found."""
_MARKS = {
    "run": "[green]due[/green]", "record": "[yellow]passed over[/yellow]", "wait": "[dim]waits[/dim]",
    "done": "[green]+ done[/green]", "failed": "[bold red]x failed[/bold red]", "refused": "[bold red]x refused[/bold red]",
    "stopped": "[bold red]x stopped[/bold red]", "missed": "[yellow]- missed[/yellow]", "overlapped": "[yellow]- overlapped[/yellow]",
    "running": "~ running",
}  # fmt: skip


class Stop:
    """Whether a signal asked to stop; it also stops the run that goes on. It takes no lock: a signal may interrupt its own handler."""

    def __init__(self) -> None:
        self.asked = False
        self.workspace: OpenProject | None = None
        self._bell = EventLoop()

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True
        self._bell.ring()
        if self.workspace is not None:
            self.workspace.stop()

    def wait(self, seconds: float) -> None:
        """Wait until a signal asks, at most that long."""
        self._bell.turn(seconds)

    def close(self) -> None:
        """Give the bell back."""
        self._bell.close()


def once(asked: Asked) -> int:
    """Do what is due now, until nothing more is; the exit code says how the worst of it ended."""
    with _stoppable() as stop:
        turns = []
        with _opened(asked, stop) as workspace:
            for _ in range(_TURNS):
                turns.append(_turn(workspace, asked))
                if not turns[-1].ended or stop.asked:
                    break
    ended = [one for turn in turns for one in turn.ended]
    if asked.as_json:
        put_line({"kind": "due.summary", "ended": ended, "next": _next(turns[-1])})
    elif not ended:
        console().print(f"nothing is due{_said_next(turns[-1])}")
    return INTERRUPTED if any(turn.stopped for turn in turns) else _exit_code(turns)


def loop(asked: Asked) -> int:
    """Look and do what is due until a signal; what goes wrong is said and does not end it."""
    with _stoppable() as stop, ExitStack() as held:
        workspace = held.enter_context(_opened(asked, stop))
        look_s, trouble, first, busy = seconds(workspace.config["look"]), "", True, time.monotonic()
        while not stop.asked:
            waits_s = look_s
            try:
                if workspace.parts.loaded.changed():
                    held.close()
                    workspace = held.enter_context(_opened(asked, stop))
                turn = _turn(workspace, asked)
                waits_s = 0.0 if turn.ended else _patience(turn, workspace.clock.now(), look_s)
                if first and not turn.ended:
                    _quiet(asked, turn, workspace.clock.now())
                trouble, first = "", bool(turn.ended)
                busy = time.monotonic() if turn.ended else busy
            except (UserError, WorldError) as error:
                if str(error) != trouble:
                    _trouble(asked, error)
                trouble = str(error)
            if time.monotonic() + waits_s > busy + _WARM_S:
                workspace.warm.cool()
            stop.wait(waits_s)
    return DONE


def plan(asked: Asked) -> int:
    """Say what is due, what waits for when and why, the last decisions, and where the budget stands. Changes nothing."""
    workspace = asked.look()
    ruled, decided, money = workspace.due().plan(), workspace.catalog.due.newest(20), budget(workspace)
    if asked.as_json:
        put_json({"due": ruled, "decided": decided, "budget": money})
        return DONE
    out = console()
    if not ruled:
        out.print("nothing here can become due; every=, on_drift=, label_delay=, each=daily(...) or a source make it so")
    drawn = table("", "step", "by", "why", "next (UTC)")
    for one in ruled:
        drawn.add_row(_MARKS[one.action], one.step, one.kind, escape(one.reason), as_of(one.next))
    if ruled:
        out.print(drawn)
    if decided:
        past = table("decided (UTC)", "step", "by", "", "why", title="\nthe last decisions")
        for done in decided:
            past.add_row(as_of(done.decided_at), done.step, done.kind, _MARKS[done.status], escape(done.reason))
        out.print(past)
    if money:
        out.print(f"\nbudget: {money['spent']:.2f} of {money['limit']:.2f} {money['currency']} spent, {money['held']:.2f} set aside")
    return DONE


def budget(workspace: OpenProject) -> dict[str, Any]:
    """What was spent of the project's budget in its period, and what is set aside; empty without one."""
    declared, now = workspace.parts.loaded.project.budget, workspace.clock.now()
    if declared is None:
        return {}
    catalog = workspace.catalog
    return {
        "limit": float(declared.money.amount), "currency": declared.money.currency, "period_s": declared.period_s,
        "spent": spent(catalog, declared, now), "held": catalog.spending.held(now),
    }  # fmt: skip


@contextmanager
def _opened(asked: Asked, stop: Stop) -> Iterator[OpenProject]:
    """The project, whose runs share one executor for as long as the block lasts."""
    workspace = stop.workspace = asked.open()
    workspace.warm.keep()
    try:
        yield workspace
    finally:
        workspace.warm.cool()


def _turn(workspace: OpenProject, asked: Asked) -> Turn:
    with follower(asked.as_json, tuple(workspace.graph.nodes)) as follow:
        turn = workspace.due().turn(follow)
    for one in turn.ended:
        _tell(asked, one)
    for ruling in turn.rulings:
        if ruling.action == "record":
            _tell_ruling(asked, ruling, workspace.clock.now())
    sys.stdout.flush()
    return turn


def _tell(asked: Asked, one: Occurrence) -> None:
    if asked.as_json:
        put_line({**msgspec.to_builtins(one), "trigger": one.kind, "kind": "due.ended"})
    else:
        console().print(f"[dim]{as_of(one.ended_at)}[/dim]  {_MARKS[one.status]}  {one.step}: {escape(one.reason)}", soft_wrap=True)


def _tell_ruling(asked: Asked, ruling: Ruling, now: datetime) -> None:
    if asked.as_json:
        put_line({"kind": "due.passed_over", "step": ruling.step, "trigger": ruling.kind, "status": ruling.status, "reason": ruling.reason})
    else:
        console().print(f"[dim]{as_of(now)}[/dim]  {_MARKS[ruling.status]}  {ruling.step}: {escape(ruling.reason)}", soft_wrap=True)


def _quiet(asked: Asked, turn: Turn, now: datetime) -> None:
    """Where the loop begins to wait, say for what."""
    if asked.as_json:
        put_line({"kind": "due.waits", "next": _next(turn)})
    else:
        console().print(f"[dim]{as_of(now)}[/dim]  nothing is due{_said_next(turn)}", soft_wrap=True)
    sys.stdout.flush()


def _trouble(asked: Asked, error: BedplateError) -> None:
    """Say what went wrong, and that the loop goes on."""
    if asked.as_json:
        put_line({"kind": "due.trouble", "what": error.what, "why": error.why, "next": error.next})
    else:
        console().print(f"[bold red]trouble[/bold red]: {escape(str(error))}\nthe loop goes on", soft_wrap=True)


def _patience(turn: Turn, now: datetime, look_s: float) -> float:
    """Seconds to the next look."""
    coming = [one.next for one in turn.rulings if one.next is not None and one.next > now]
    return min([look_s, *((at - now) / timedelta(seconds=1) for at in coming)])


def _next(turn: Turn) -> Ruling | None:
    waiting = [one for one in turn.rulings if one.next is not None]
    return min(waiting, key=lambda one: one.next or datetime.max, default=None)


def _said_next(turn: Turn) -> str:
    coming = _next(turn)
    return f"; next is {coming.step} at {as_of(coming.next)} UTC ({escape(coming.reason)})" if coming is not None else ""


def _exit_code(turns: list[Turn]) -> int:
    statuses = {one.status for turn in turns for one in turn.ended}
    if "failed" in statuses:
        return STEP_FAILED
    if statuses & {"refused", "stopped"}:
        return REFUSED
    versions = [version for turn in turns for summary in turn.summaries for version in summary.versions.values()]
    return CHECK_FAILED if any((check := check_of(version)) is not None and not check.passed for version in versions) else DONE


@contextmanager
def _stoppable() -> Iterator[Stop]:
    """Ctrl-C, SIGTERM and a closed terminal ask to checkpoint and stop; a second one ends the steps at once."""
    stop = Stop()
    hangup = [] if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [signal.SIGHUP]  # nohup
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM, *hangup)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        stop.close()
