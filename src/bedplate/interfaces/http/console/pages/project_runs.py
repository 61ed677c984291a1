"""Running the project from a page, and asking a run to stop: who did it and why is in the audit log before it begins."""

from __future__ import annotations

from typing import Any, Final

from bedplate.catalog.catalog import Catalog
from bedplate.compute import machine
from bedplate.core.errors import BusyError, NotFound
from bedplate.interfaces.http.beside.beside import Beside
from bedplate.interfaces.http.console.about import seen_project
from bedplate.interfaces.http.console.planned.project_now import look
from bedplate.interfaces.http.door.endpoint import Asks, Desk, Endpoint, Fault, invalid, missing, on_server
from bedplate.pipeline.cancelling import ask_to_stop

_LONGEST: Final = 1000


class RunProject(Asks, frozen=True, kw_only=True):
    """Make what is out of date: all of it, or the steps named and what they need; `fresh`: whether anything changed or not."""

    names: tuple[str, ...] = ()
    fresh: bool = False
    reason: str = ""


class RunDue(Asks, frozen=True, kw_only=True):
    """Do what is due now."""

    reason: str = ""


class CancelRun(Asks, frozen=True, kw_only=True):
    """Ask a run to checkpoint and stop."""

    run: str
    reason: str = ""


def run(desk: Desk, asked: RunProject) -> dict[str, Any]:
    """Begin a run beside the server."""
    beside = _beside(desk)
    for name in asked.names:
        if name not in _known(desk):
            raise invalid(f"the project has no step called '{name[:100]}'")
    words = (*dict.fromkeys(asked.names), *(["--fresh"] if asked.fresh else []))
    _begin(desk, beside, "project.run", words, asked.reason)
    return {"begun": True}


def run_due(desk: Desk, asked: RunDue) -> dict[str, Any]:
    """Begin a run of what is due."""
    _begin(desk, _beside(desk), "due.run", ("--due",), asked.reason)
    return {"begun": True}


def cancel(desk: Desk, asked: CancelRun) -> dict[str, Any]:
    """Ask a run of the project to stop. Raises UserError for one that has ended, or goes on elsewhere."""
    if seen_project(desk) is None:
        raise missing("there is no such run")
    try:
        found = desk.catalog.runs.get(asked.run)
    except NotFound:
        raise missing("there is no such run") from None
    _audit(desk, "project.run", {"cancel": found.id, "reason": asked.reason[:_LONGEST]})
    return {"asked": ask_to_stop(found, machine.started)}


def _beside(desk: Desk) -> Beside:
    if desk.beside is None or seen_project(desk) is None:
        raise missing("this server has no project: bedplate up in a project's folder")
    return desk.beside


def _begin(desk: Desk, beside: Beside, action: str, words: tuple[str, ...], reason: str) -> None:
    """Record who begins what and why, and begin it. Raises Fault while another goes on."""
    reason = reason[:_LONGEST]
    if beside.begun is not None and beside.begun.is_going:
        raise Fault("RESOURCE_CONFLICT", f"a run that {beside.begun.by} began here goes on: wait for it, or cancel it")
    _audit(desk, action, {"begins": " ".join(["bedplate run", *words]), "reason": reason})
    try:
        beside.begin(words, desk.actor.name, reason)
    except BusyError as error:
        raise Fault("RESOURCE_CONFLICT", f"{error.what}: {error.next}") from None


def _known(desk: Desk) -> set[str]:
    """The steps of the project, as the last look saw them or as runs have recorded them."""
    whole = look(desk).whole
    return {one.name for one in (whole.steps if whole is not None else desk.catalog.tallies.newest_steps())}


def _audit(desk: Desk, action: str, said: dict[str, str]) -> None:
    def work(catalog: Catalog) -> None:
        catalog.audit.add(desk.actor.name, action, "server", desk.now, data=said)

    desk.write(work)


ENDPOINTS: Final = (
    Endpoint("POST", "/project/run", RunProject, "project.run", on_server, run),
    Endpoint("POST", "/project/due", RunDue, "due.run", on_server, run_due),
    Endpoint("POST", "/project/cancel", CancelRun, "project.run", on_server, cancel),
)
