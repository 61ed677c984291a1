"""Provenance: who runs, where, and from which code, as every run's record keeps it."""

from __future__ import annotations

import getpass
import os
import platform
import subprocess
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from bedplate.core.config import Config
from bedplate.core.records import Run

from .request import Request


def begun(
    run_id: str, request: Request, project: str, config: Config, now: datetime, process_started: Callable[[int], float | None]
) -> Run:
    """The record of a run that this process begins. Only one with default settings on the project's target moves heads (invariant 8)."""
    commit, dirty = git_state(config.folder)
    pid = os.getpid()
    return Run(
        id=run_id,
        project=project,
        target=config.target,
        command=request.command,
        started_at=now,
        settings={f"{step}.{name}": value for step, values in request.settings.items() for name, value in values.items()},
        moves_heads=not (request.settings or request.side or config.aside),
        git_commit=commit,
        git_dirty=dirty,
        host=platform.node(),
        pid=pid,
        process_started=process_started(pid) or 0.0,
    )


def who() -> str:
    """Who does this, as a reason on record: `by ada`."""
    try:
        return f"by {getpass.getuser()}"
    except (KeyError, OSError):  # a container's user without a name
        return f"by user {os.getuid()}"


def git_state(folder: Path) -> tuple[str, bool]:
    """The commit that a folder is at, and whether its files differ from it; empty outside a repository."""
    command = ["git", "status", "--porcelain=v2", "--branch", "--untracked-files=no"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return "", False
    lines = done.stdout.splitlines()
    commit = next((line.split()[-1] for line in lines if line.startswith("# branch.oid")), "")
    return ("" if commit == "(initial)" else commit), any(not line.startswith("#") for line in lines)
