"""Asking a run that goes on to stop: the signal that its controller takes for it, wherever the wish comes from."""

from __future__ import annotations

import os
import platform
import signal

from bedplate.core.errors import UserError
from bedplate.core.records import Run

from .recover import ProcessStarted, dead


def ask_to_stop(run: Run, process_started: ProcessStarted) -> bool:
    """Ask a run of this machine to checkpoint and stop; False where its process is dead already.

    Raises UserError for a run that has ended, that is no project's, or that goes on elsewhere.
    """
    if run.status != "running" or run.origin != "project":
        raise UserError(f"{run.id} does not go on", next="bedplate status")
    if run.host != platform.node():
        there = f"on {run.host}: bedplate cancel {run.id}"
        raise UserError(f"{run.id} runs on {run.host}", why="a run is stopped where it runs", next=there)
    if dead(run, process_started):
        return False
    os.kill(run.pid, signal.SIGTERM)
    return True
