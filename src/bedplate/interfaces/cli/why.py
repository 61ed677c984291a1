"""`bedplate why`: why a step ran or was skipped last time, and what would happen now."""

from __future__ import annotations

from rich.markup import escape

from .common import as_of, console, put_json
from .verb import Asked, verb


@verb("NAME...", least=1)
def command(asked: Asked) -> int:
    """Say why NAME ran or was skipped: the function, file and line that changed, or the input version."""
    workspace = asked.open()
    answers = [workspace.why(name) for name in asked.names]
    if asked.as_json:
        put_json(answers)
        return 0
    out = console()
    for answer in answers:
        if answer.last is None:
            out.print(f"[bold]{answer.name}[/bold] has not run yet")
        else:
            did = {"done": "ran", "skipped": "was skipped"}.get(answer.last.status, answer.last.status)
            out.print(f"[bold]{answer.name}[/bold] {did} in {answer.last.run} ({as_of(answer.last.ended_at)}): {escape(answer.last.why)}")
        out.print(f"  now: {answer.now.action} - {escape(answer.now.why)}")
    return 0
