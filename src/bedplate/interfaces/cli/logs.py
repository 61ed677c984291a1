"""`bedplate logs`: what a step printed, and where its code failed."""

from __future__ import annotations

import sys

import click

from bedplate.core.errors import NotFound

from .common import put_json
from .verb import Asked, verb


@verb("STEP", least=1, most=1)
@click.option("--run", "run_id", default="", help="Of this run instead of the last.")
def command(asked: Asked, run_id: str) -> int:
    """Print what the step NAME printed in its last attempt and, where that failed, the frames of its code."""
    workspace = asked.open()
    name, _, part = asked.names[0].removesuffix("]").partition("[")
    node = workspace.graph.node(name)
    runs = [run_id] if run_id else [run.id for run in workspace.catalog.runs.last(50)]
    attempts = (a for run in runs for a in reversed(workspace.catalog.runs.attempts(run, node.name)) if not part or a.part == part)
    attempt = next(attempts, None)
    if attempt is None:
        why = next((s.why for run in runs for s in workspace.catalog.runs.steps(run) if s.name == node.name and s.status == "failed"), "")
        raise NotFound(f"{node.name} has not run", why=why, next="bedplate run")
    path = workspace.config.state / "logs" / attempt.log
    text = path.read_text(errors="replace") if path.is_file() else ""
    if asked.as_json:
        put_json({"attempt": attempt, "log": str(path), "text": text})
        return 0
    sys.stdout.write(text or f"{node.name} printed nothing in {attempt.run}\n")
    if attempt.message:
        sys.stdout.write(f"-- {attempt.status}: {attempt.message}\n")
    return 0
