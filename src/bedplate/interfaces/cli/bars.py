"""A bar for each step that runs: how far it says it is, else how far it should be by its own history, else that it runs."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, ProgressColumn, SpinnerColumn, Task, TaskID, TextColumn
from rich.progress_bar import ProgressBar
from rich.text import Text

from bedplate.core.units import show_seconds
from bedplate.pipeline.starting import Said

_BAR = 30
_FULL = 0.97
"""Where a bar that goes by history stops: it knows when a step should end, not that it has."""
_ENDED = ("step.done", "step.failed", "step.retried", "step.cancelled")


class Bars:
    """Hears what a run says and moves the bars; `progress` is what draws them."""

    def __init__(self, console: Console, width: int) -> None:
        name = TextColumn(f"{{task.description:<{width}}}")
        self.progress = Progress(SpinnerColumn(style="cyan"), name, _Bar(), _Time(), _Note(), console=console, transient=True)
        self._tasks: dict[tuple[str, str], TaskID] = {}

    def __call__(self, said: Said) -> None:
        """Take up what was said."""
        unit = (said.step, said.part)
        if said.kind == "step.started":
            name = f"{said.step}[{said.part}]" if said.part else said.step
            self._tasks[unit] = self.progress.add_task(escape(name), total=None, note="", expect_s=said.data.get("expect_s"))
        elif unit not in self._tasks:
            return
        elif said.kind == "step.progress":
            done, total = said.data["value"]
            self.progress.update(self._tasks[unit], completed=done, total=total, note=_counted(done, total, said.text))
        elif said.kind == "step.metric":
            self.progress.update(self._tasks[unit], note=f"{said.text} {said.data['value']:.4g}")
        elif said.kind in _ENDED:
            self.progress.remove_task(self._tasks.pop(unit))


class _Bar(ProgressColumn):
    """Filled by what the step reports, else by the time that it should take."""

    def render(self, task: Task) -> ProgressBar:
        expected = task.fields.get("expect_s")
        if task.total is None and expected:
            return ProgressBar(1.0, min((task.elapsed or 0.0) / expected, _FULL), _BAR)
        return ProgressBar(task.total, task.completed, _BAR, pulse=task.total is None, animation_time=task.get_time())


class _Time(ProgressColumn):
    """How long it has run, and how long is left: by its pace, or of what it took before."""

    def render(self, task: Task) -> Text:
        elapsed, expected = task.elapsed or 0.0, task.fields.get("expect_s")
        text = f"{show_seconds(elapsed) if elapsed >= 1 else '':>8}"
        if task.total and task.completed and elapsed > 2:
            text += f", {show_seconds(elapsed / task.completed * (task.total - task.completed))} left"
        elif expected and expected > 2:
            text += f" of about {show_seconds(expected)}"
        return Text(text, style="cyan")


class _Note(ProgressColumn):
    """The last thing that the step said."""

    def render(self, task: Task) -> Text:
        return Text(str(task.fields.get("note", "")), style="dim")


def _counted(done: float, total: float | None, label: str) -> str:
    return f"{done:,.6g}{f' of {total:,.6g}' if total else ''} {label}".rstrip()
