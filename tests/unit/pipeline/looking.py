"""What tests of due work share: a project on the clock, a look by a process of its own, and what it did."""

from __future__ import annotations

from typing import Any

from bedplate.catalog.due import Occurrence
from bedplate.pipeline.due.rules import Ruling
from bedplate.pipeline.due.work import DueWork, Turn
from bedplate.pipeline.workspace import Workspace

DAY = 86400.0

NIGHTLY = """
@p.ingest(every="1 day")
def raw(source: Files = Files("in/*.txt")) -> list[str]:
    return sorted(path.read_text() for path in source.paths)

@p.prepare
def clean(raw: list[str]) -> list[str]:
    return [line.strip() for line in raw]

@p.step(every="0 2 * * * Europe/Berlin")
def weekly(clean: list[str]) -> int:
    return len(clean)
"""


def turn(house: Any, text: str = "", workspace: Workspace | None = None) -> Turn:
    """One look by a process of its own."""
    return DueWork(workspace or house.open(text)).turn()


def did(found: Turn) -> list[tuple[str, str, str]]:
    """Step, kind and how it ended."""
    return [(one.step, one.kind, one.status) for one in found.ended]


def made(found: Turn) -> list[str]:
    """The steps that ran."""
    return [step.name for summary in found.summaries for step in summary.steps if step.status == "done"]


def ruling(found: Turn, step: str) -> Ruling:
    return next(one for one in reversed(found.rulings) if one.step == step)


def kept(house: Any, status: str) -> list[Occurrence]:
    return [one for one in house.open().catalog.due.newest(100) if one.status == status]


class Killed(BaseException):
    """The process is gone."""
