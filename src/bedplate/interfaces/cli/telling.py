"""Telling: what happens to a server's services, in lines for people or as events in JSON, while `serve` or `up --serve` answers."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress

from rich.markup import escape

from bedplate.core.records import Event
from bedplate.pipeline.served import BEGUN, CONCLUDED, ENDED, LOAD_FAILED, LOST, PROCESS_DIED, SWAPPED
from bedplate.planner.rollout.rule import SHADOW

from .common import console, put_line


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
        with suppress(OSError, ValueError):
            sys.stdout.flush()  # who reads a pipe waits for that line
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
    if event.kind == PROCESS_DIED:
        again = f"in {event.data['again_s']:.0f} s" if event.data["again_s"] else "now"
        return [f"{event.subject}: a process that predicted for it died, another is started {again}: {event.data['how']}"]
    if event.kind == CONCLUDED:
        ended = "promoted" if event.data["by"] == "verdict" else "rolled back"
        if event.data["trial"] == event.data["alias"]:
            return [f"{event.subject} is rolled back from {event.data['trial']}: {event.data['why']}"]
        return [f"{event.subject}, the {event.data['trial']}, is {ended}: {event.data['why']}"]
    if event.kind == BEGUN:
        how = "is asked beside production for" if event.data["trial"] == SHADOW else "answers"
        return [f"{event.subject} is {event.data['trial']} now: {how} {event.data['rule']} (begun by {event.data['by'] or 'a person'})"]
    if event.kind == ENDED:
        return [f"{event.subject} is {event.data['trial']} no more: {event.data['why']}"]
    if event.kind != SWAPPED:
        return []
    return [f"{one['model']}: now version {one['version']}{_was(one['before'])}, {one['why']}" for one in event.data["changes"]]


def _was(before: int | None) -> str:
    return f" (was {before})" if before is not None else ""
