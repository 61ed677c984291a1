"""`bedplate cancel`: stop a run that is going on."""

from __future__ import annotations

from bedplate.core.errors import UserError
from bedplate.pipeline.cancelling import ask_to_stop

from .common import console, put_json
from .verb import Asked, verb


@verb("[RUN]", most=1)
def command(asked: Asked) -> int:
    """Ask the run with this ID (or the only one going on) to checkpoint and stop."""
    workspace, names = asked.open(), asked.names
    going = [run for run in workspace.catalog.runs.running() if not names or run.id == names[0]]
    if not going:
        raise UserError("no such run is going on" if names else "no run is going on", next="bedplate status")
    if len(going) > 1:
        raise UserError(f"{len(going)} runs are going on", why=", ".join(run.id for run in going), next="bedplate cancel RUN")
    run = going[0]
    alive = ask_to_stop(run, workspace.parts.process_started)
    if asked.as_json:
        put_json({"run": run.id, "asked": alive})
    elif alive:
        console().print(f"asked {run.id} to stop; it checkpoints first (10 s at most); the same command again ends it now")
    else:
        console().print(f"{run.id} is dead already; the next run takes up what it left")
    return 0
