"""`bedplate why`: why a step ran or was skipped last time, and what would happen now."""

from __future__ import annotations

from datetime import datetime

from rich.markup import escape

from bedplate.core.records import Step
from bedplate.pipeline.why import FIRST

from .common import ago, console, put_json
from .paths import near
from .verb import Asked, verb

_DID = {"done": "ran", "skipped": "was skipped"}
_NOW = {
    "run": "[green]would run[/green]",
    "skip": "would be skipped",
    "maybe": "[yellow]may run[/yellow]",
    "blocked": "[red]is blocked[/red]",
}


@verb("NAME...", least=1)
def command(asked: Asked) -> int:
    """Say why NAME ran or was skipped: the function, file and line that changed, or the input version."""
    workspace = asked.look()
    answers = [workspace.why(name) for name in asked.names]
    if asked.as_json:
        put_json(answers)
        return 0
    out = console()
    for answer in answers:
        out.print(f"[bold]{answer.name}[/bold]")
        at = workspace.clock.now()
        if answer.failed is not None:
            out.print(
                f"  failed {ago(answer.failed.ended_at, at)} in {answer.failed.run}: {escape(near(answer.failed.why))}", soft_wrap=True
            )
        if answer.last is not None or answer.failed is None:
            out.print(f"  last  {_last(answer.last, at)}", soft_wrap=True)
        if answer.made is not None:
            out.print(f"  made  {_last(answer.made, at)}", soft_wrap=True)
        out.print(f"  now   {_NOW[answer.now.action]}: {escape(answer.now.why)}", soft_wrap=True)
    return 0


def _last(step: Step | None, now: datetime) -> str:
    if step is None:
        return "it has not run yet"
    why = escape(near(step.why).replace(FIRST.text, "it had never run"))
    return f"{_DID.get(step.status, step.status)} {ago(step.ended_at, now)} in {step.run}: {why}"
