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
    """The experiment of the project whose state this is; None where nothing of a project ever ran here."""
    for run in desk.catalog.runs.last_of_project(1):
        try:
            return desk.catalog.tracking.experiments.find(run.project)
        except NotFound:
            return None
    return None


def on_project(desk: Desk, _asked: Any) -> Resource:
    """The project's experiment: who may read it may read the project's artifacts, steps and figures. Raises Fault where there is none."""
    found = project(desk)
    if found is None:
        raise missing("no project has run on this state yet: bedplate run")
    return Resource("experiment", str(found.id))
