"""`bedplate logs`: what a step printed, and where its code failed."""

from __future__ import annotations

import sys

import click

from bedplate.catalog.catalog import Catalog
from bedplate.core.errors import NotFound
from bedplate.core.records import Attempt
from bedplate.pipeline.workspace import Workspace

from .common import put_json
from .paths import near
from .verb import Asked, verb

WHERE = "-- where it failed:\n"
"""Behind it a run appends the frames of the step's code to what the step printed."""
_RUNS = 50


@verb("STEP", least=1, most=1)
@click.option("--run", "run_id", default="", help="Of this run instead of the last.")
def command(asked: Asked, run_id: str) -> int:
    """Print what the step NAME printed in its last attempt and, where that failed, the frames of its code."""
    name, _, part = asked.names[0].removesuffix("]").partition("[")
    record = asked.record()
    attempt = _last(record.catalog, name, part, run_id) or _of_artifact(asked.look(), name, part, run_id)
    path = record.config.state / "logs" / attempt.log
    text = path.read_text(errors="replace") if path.is_file() else ""
    if asked.as_json:
        put_json({"attempt": attempt, "log": str(path), "text": text})
        return 0
    printed, where, frames = text.rpartition(WHERE)
    sys.stdout.write(f"{printed}{where}{near(frames)}" if where else text or f"{attempt.step} printed nothing in {attempt.run}\n")
    if attempt.message:
        sys.stdout.write(f"-- {attempt.status}: {near(attempt.message)}\n")
    return 0


def _last(catalog: Catalog, step: str, part: str, run_id: str) -> Attempt | None:
    """The last attempt at a step (or at one part of it), in this run or any of late."""
    runs = [run_id] if run_id else [run.id for run in catalog.runs.last_of_project(_RUNS)]
    return next((a for run in runs for a in reversed(catalog.runs.attempts(run, step)) if not part or a.part == part), None)


def _of_artifact(workspace: Workspace, name: str, part: str, run_id: str) -> Attempt:
    """The same of the step that makes an artifact of that name. Raises NotFound for no name of the project, and where nothing has run."""
    node, catalog = workspace.graph.node(name), workspace.catalog
    attempt = _last(catalog, node.name, part, run_id)
    if attempt is not None:
        return attempt
    runs = [run_id] if run_id else [run.id for run in catalog.runs.last_of_project(_RUNS)]
    why = next((s.why for run in runs for s in catalog.runs.steps(run) if s.name == node.name and s.status == "failed"), "")
    raise NotFound(f"{node.name} has not run", why=why, next="bedplate run")
