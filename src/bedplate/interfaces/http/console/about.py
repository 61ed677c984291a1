"""What pages are about: which experiments somebody may see, and the project whose state this is."""

from __future__ import annotations

from typing import Any, Final

from bedplate.catalog.tracking.experiments import ExperimentQuestion
from bedplate.catalog.tracking.tracked import Experiment
from bedplate.core.errors import NotFound
from bedplate.interfaces.http.door.endpoint import Desk, Resource, missing

_MOST: Final = 1000


def experiments(desk: Desk) -> list[Experiment]:
    """The experiments that the actor may see, the newest first; a thousand at most."""
    seen = desk.sees("experiment")
    numbers = None if seen is None else frozenset(int(one) for one in seen if one.isdecimal())
    found, _ = desk.catalog.tracking.experiments.search(ExperimentQuestion(seen=numbers, limit=_MOST))
    return found


def project(desk: Desk) -> Experiment | None:
    """The experiment of the project whose state this is; None where there is none, and nothing of one ever ran here."""
    declared = [desk.beside.home.name] if desk.beside is not None else []
    for name in (*(run.project for run in desk.catalog.runs.last_of_project(1)), *declared):
        try:
            return desk.catalog.tracking.experiments.find(name)
        except NotFound:
            continue
    return None


def seen_project(desk: Desk) -> Experiment | None:
    """The same where the actor may read it: for pages that everybody gets, with nothing on them for who may not."""
    found = project(desk)
    return found if found is not None and desk.may("run.read", Resource("experiment", str(found.id))) else None


def on_project(desk: Desk, _asked: Any) -> Resource:
    """The project's experiment: who may read it may read the project's artifacts, steps and figures. Raises Fault where there is none."""
    found = project(desk)
    if found is None:
        raise missing("no project has run on this state yet: bedplate run")
    return Resource("experiment", str(found.id))
