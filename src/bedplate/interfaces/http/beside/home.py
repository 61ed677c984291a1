"""Where the project is that children look at and run, and how they are started."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from bedplate.core.records import Record


class Home(Record, frozen=True, kw_only=True):
    """The project file, the name that it declares (empty: it is worked out), its target, and the environment that leads to the record."""

    project: Path
    name: str = ""
    target: str = ""
    environ: Mapping[str, str]

    def command(self, *words: str) -> list[str]:
        """A command of bedplate about this project, for programs."""
        target = [f"--target={self.target}"] if self.target else []
        return [sys.executable, "-m", "bedplate", *words, self.project.name, *target, "--json"]

    def start(self, *words: str, errors: int) -> subprocess.Popen[str]:
        """Start it in the project's folder, in a session of its own; `errors` is where it says what goes wrong."""
        return subprocess.Popen(
            self.command(*words), cwd=self.project.parent, env=dict(self.environ), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=errors, text=True, errors="replace", start_new_session=True,
        )  # fmt: skip


class Problem(Record, frozen=True, kw_only=True):
    """What a child said that went wrong: what, why, and the next command."""

    what: str
    why: str = ""
    next: str = ""


def problem_of(said: str) -> Problem:
    """What a child said last on its way out, in its own words."""
    for line in reversed(said.splitlines()):
        try:
            told: Any = msgspec.json.decode(line)["error"]
            return Problem(what=str(told["what"]), why=str(told["why"]), next=str(told["next"]))
        except (msgspec.DecodeError, KeyError, TypeError):
            continue
    tail = "\n".join(said.strip().splitlines()[-20:])
    return Problem(what="the look at the project ended with an error", why=tail[-4000:], next="bedplate plan")
