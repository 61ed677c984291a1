"""`bedplate why`: why a step ran or was skipped last time, and what would happen now."""

from __future__ import annotations

import click
from rich.markup import escape

from bedplate.assembly import open_project

from .common import as_of, console, project_options, put_json, split


@click.command()
@click.argument("names", nargs=-1, required=True)
@project_options
def command(names: tuple[str, ...], project: str | None, target: str, as_json: bool) -> int:
    """Say why NAME ran or was skipped: the function, file and line that changed, or the input version."""
    project, names = split(names, project)
    workspace = open_project(project, target)
    answers = [workspace.why(name) for name in names]
    if as_json:
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
