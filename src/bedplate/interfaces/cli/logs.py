"""`bedplate logs`: what a step printed."""

from __future__ import annotations

import sys

import click

from bedplate.assembly import open_project
from bedplate.core.errors import NotFound

from .common import project_options, put_json, split


@click.command()
@click.argument("names", nargs=-1, required=True)
@click.option("--run", "run_id", default="", help="Of this run instead of the last.")
@project_options
def command(names: tuple[str, ...], run_id: str, project: str | None, target: str, as_json: bool) -> int:
    """Print what the step NAME printed in its last attempt."""
    project, names = split(names, project)
    workspace = open_project(project, target)
    name, _, part = names[0].removesuffix("]").partition("[")
    node = workspace.graph.node(name)
    runs = [run_id] if run_id else [run.id for run in workspace.catalog.runs.last(50)]
    attempts = (a for run in runs for a in reversed(workspace.catalog.runs.attempts(run, node.name)) if not part or a.part == part)
    attempt = next(attempts, None)
    if attempt is None:
        why = next((s.why for run in runs for s in workspace.catalog.runs.steps(run) if s.name == node.name and s.status == "failed"), "")
        raise NotFound(f"{node.name} has not run", why=why, next="bedplate run")
    path = workspace.config.state / "logs" / attempt.log
    text = path.read_text(errors="replace") if path.is_file() else ""
    if as_json:
        put_json({"attempt": attempt, "log": str(path), "text": text})
        return 0
    sys.stdout.write(text or f"{node.name} printed nothing in {attempt.run}\n")
    if attempt.message:
        sys.stdout.write(f"-- {attempt.status}: {attempt.message}\n")
    return 0
