"""How a run is shown as it goes: bars on a terminal, plain lines in a pipe, one JSON object a line for programs.

Marks carry the meaning, colour only helps: + made, = skipped, x failed, - not reached, ~ tried again, ! warned, . held by another
run, ^ promoted. What a check found stands below its step. The parts of a step that are skipped are counted, not listed.
"""

from __future__ import annotations

import sys
import textwrap
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import msgspec
from rich.console import Console
from rich.text import Text

from bedplate.core.units import show_bytes, show_seconds
from bedplate.pipeline.starting import Said

from .bars import Bars
from .paths import near

_MARKS = {
    "step.done": ("+", "green"),
    "step.skipped": ("=", "dim"),
    "step.failed": ("x", "bold red"),
    "step.cancelled": ("-", "yellow"),
    "step.retried": ("~", "yellow"),
    "step.warned": ("!", "yellow"),
    "step.held": (".", "yellow"),
    "check.promoted": ("^", "bold green"),
}
_FOUND = {"pass": "green", "FAIL": "bold red"}
_TEXT = 40
_LONGEST_NAME = 28
Write = Callable[[str, str, str], None]
"""Prints a line: its mark, the mark's style, and the rest."""


class Follower:
    """Receives what a run says. Use as a context manager around the run."""

    def __init__(self, hear: Callable[[Said], None], around: AbstractContextManager[object]) -> None:
        self._hear = hear
        self._around = around

    def __enter__(self) -> Follower:
        self._around.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._around.__exit__(None, None, None)

    def __call__(self, said: Said) -> None:
        self._hear(said)


def follower(as_json: bool, names: tuple[str, ...] = (), console: Console | None = None) -> Follower:
    """The right way to show a run here; `names` are the steps that it may be about, for the width of their column."""
    if as_json:
        return Follower(_json, nullcontext())
    console = console or Console(highlight=False)
    width = min(max((len(name) for name in names), default=12), _LONGEST_NAME)
    if not console.is_terminal:
        write = console.file.write
        plain = Lines(width, lambda mark, _style, rest: _plain(write, mark, rest))

        def read(said: Said) -> None:
            plain(said)
            if said.kind == "run.stopping":  # what follows may take a while
                console.file.flush()

        return Follower(read, nullcontext())
    bars = Bars(console, width)
    lines = Lines(width, lambda mark, style, rest: _styled(console, mark, style, rest))

    def hear(said: Said) -> None:
        bars(said)
        lines(said)

    return Follower(hear, bars.progress)


class Lines:
    """A line for whatever has ended, aligned by the longest name."""

    def __init__(self, width: int, write: Write) -> None:
        self._width = width
        self._write = write
        self._skipped: Counter[str] = Counter()

    def __call__(self, said: Said) -> None:
        """Print what was said, if it is worth a line."""
        if said.kind == "run.started":
            steps = said.data["steps"]
            self._write("", "", f"run {said.data['run']}  {steps} step{'s' if steps != 1 else ''}")
        elif said.kind == "check.said":
            word, _, rest = said.text.partition(" ")
            self._write(f"{'':{self._width}}     {word}", _FOUND.get(word, ""), f" {rest}")
        elif said.kind == "run.stopping":
            self._write("", "", said.text)
        elif said.kind == "step.skipped" and said.part:
            self._skipped[said.step] += 1
        elif said.kind in _MARKS:
            self._line(said)

    def _line(self, said: Said) -> None:
        mark, style = _MARKS[said.kind]
        text = self._indented(near(said.text))
        if parts := self._skipped.pop(said.step, 0) if not said.part else 0:
            text += f", {parts} part{'s' if parts != 1 else ''} unchanged"
        if said.kind == "step.done":
            first, *rest = said.data["made"] if len(said.data["made"]) > 1 else [text]
            text = "\n".join([self._took(first, said), *(f"{'':{self._width + 5}}{one}" for one in rest)])
        self._write(f" {mark}", style, f" {_name(said):<{self._width}}  {text}")
        if said.kind == "step.failed" and said.data.get("traceback"):
            self._write("", "dim", textwrap.indent(textwrap.dedent(near(said.data["traceback"].rstrip())), "     "))

    def _took(self, text: str, said: Said) -> str:
        return f"{text:<{_TEXT}} {show_seconds(said.data['wall_s']):>8} {show_bytes(said.data['peak_bytes']):>9}"

    def _indented(self, text: str) -> str:
        first, *rest = text.split("\n")
        return "\n".join([first, *(f"{'':{self._width + 5}}{line.strip()}" for line in rest)])


def _plain(write: Callable[[str], object], mark: str, rest: str) -> None:
    """By hand: drawing a line that nobody sees took half a millisecond a step."""
    write(f"{mark}{rest}\n")


def _styled(console: Console, mark: str, style: str, rest: str) -> None:
    line = Text(mark, style=style)
    line.append(rest, style="dim" if style == "dim" else "")
    console.print(line, soft_wrap=True)


def _name(said: Said) -> str:
    return f"{said.step}[{said.part}]" if said.part else said.step


def _json(said: Said) -> None:
    sys.stdout.write(msgspec.json.encode(said).decode() + "\n")
    sys.stdout.flush()
