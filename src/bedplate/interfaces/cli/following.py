"""How a run is shown as it goes: bars on a terminal, plain lines in a pipe, one JSON object a line for programs.

Marks carry the meaning, colour only helps: + made, = skipped, x failed, - not reached, ! warned, ? judged, ^ promoted.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from bedplate.core.units import show_bytes, show_seconds
from bedplate.pipeline.starting import Said

_MARKS = {
    "step.done": ("+", "green"),
    "step.skipped": ("=", "dim"),
    "step.failed": ("x", "bold red"),
    "step.cancelled": ("-", "yellow"),
    "step.retried": ("~", "yellow"),
    "step.warned": ("!", "yellow"),
    "step.held": (".", "yellow"),
    "check.said": ("?", "cyan"),
    "check.promoted": ("^", "bold green"),
}


class Follower:
    """Receives what a run says. Use as a context manager around the run."""

    def __init__(self, draw: Callable[[Said], None], around: AbstractContextManager[object]) -> None:
        self._draw = draw
        self._around = around

    def __enter__(self) -> Follower:
        self._around.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._around.__exit__(None, None, None)

    def __call__(self, said: Said) -> None:
        self._draw(said)


def follower(as_json: bool, console: Console | None = None) -> Follower:
    """The right way to show a run here."""
    if as_json:
        return Follower(_json, nullcontext())
    console = console or Console(highlight=False)
    if console.is_terminal:
        bars = Bars(console)
        return Follower(bars.draw, bars.progress)
    file = console.file
    return Follower(lambda said: _plain(said, file.write), nullcontext())


class Bars:
    """A bar per running step; what has ended scrolls up as a line."""

    def __init__(self, console: Console) -> None:
        self.progress = Progress(
            SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=28), TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(), console=console, transient=True,
        )  # fmt: skip
        self._tasks: dict[tuple[str, str], TaskID] = {}

    def draw(self, said: Said) -> None:
        """Move the bars, and print what has ended."""
        unit = (said.step, said.part)
        if said.kind == "step.started":
            self._tasks[unit] = self.progress.add_task(escape(_name(said)), total=None, note="")
        elif said.kind == "step.progress" and unit in self._tasks:
            done, total = said.data["value"]
            self.progress.update(self._tasks[unit], completed=done, total=total, note=said.text)
        elif said.kind == "step.metric" and unit in self._tasks:
            self.progress.update(self._tasks[unit], note=f"{said.text} {said.data['value']:.4g}")
        elif said.kind in ("step.done", "step.failed", "step.retried") and unit in self._tasks:
            self.progress.remove_task(self._tasks.pop(unit))
        _line(said, self.progress.console)


def _line(said: Said, console: Console) -> None:
    if said.kind == "run.started":
        console.print(f"run [bold]{said.data['run']}[/bold]  {said.data['steps']} steps")
    if said.kind not in _MARKS:
        return
    mark, style = _MARKS[said.kind]
    text = escape(said.text)
    if said.kind == "step.done":
        text += f"  [dim]{show_seconds(said.data['wall_s'])}, {show_bytes(said.data['peak_bytes'])}[/dim]"
    console.print(f" [{style}]{mark}[/{style}] {escape(f'{_name(said):<22}')} {text}", soft_wrap=True)
    if said.kind == "step.failed" and said.data.get("traceback"):
        console.print(escape(said.data["traceback"].rstrip()), style="dim", soft_wrap=True)


def _plain(said: Said, write: Callable[[str], object]) -> None:
    """The same for a pipe, by hand: drawing a line that nobody sees took half a millisecond a step."""
    if said.kind == "run.started":
        write(f"run {said.data['run']}  {said.data['steps']} steps\n")
    if said.kind not in _MARKS:
        return
    took = f"  {show_seconds(said.data['wall_s'])}, {show_bytes(said.data['peak_bytes'])}" if said.kind == "step.done" else ""
    write(f" {_MARKS[said.kind][0]} {_name(said):<22} {said.text}{took}\n")
    if said.kind == "step.failed" and said.data.get("traceback"):
        write(said.data["traceback"].rstrip() + "\n")


def _name(said: Said) -> str:
    return f"{said.step}[{said.part}]" if said.part else said.step


def _json(said: Said) -> None:
    sys.stdout.write(msgspec.json.encode(said).decode() + "\n")
    sys.stdout.flush()
