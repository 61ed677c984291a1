"""Doctor: what is wrong with a project's state, versions and machine, and how to mend it.

Each probe looks and returns findings; none changes anything. `deep` also reads every byte that the record names and checks its
digest.
"""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Literal

from bedplate.compute.accelerators import cuda_of, installed_driver, installed_versions, mismatches
from bedplate.core.errors import BedplateError
from bedplate.core.records import Record, Version
from bedplate.core.units import show_bytes
from bedplate.storage.client_models import ORIGIN

from .due.tasks import tasks
from .due.work import DueWork
from .workspace import Workspace

_LOW_DISK = 1_000_000_000
_LATE = timedelta(hours=1)


class Finding(Record, frozen=True, kw_only=True):
    """One thing looked at: well, worth knowing, or wrong; and what to do about it."""

    level: Literal["ok", "warning", "wrong"]
    area: str
    what: str
    next: str = ""


def examine(workspace: Workspace, *, deep: bool = False) -> tuple[Finding, ...]:
    """Everything there is to say, in the order of the areas."""
    probes = (
        _python(),
        _disk(workspace),
        _database(workspace),
        _clock(workspace),
        _runs(workspace),
        _due(workspace),
        _bytes(workspace, deep),
        _files(workspace) if deep else (),
        _accelerators(),
    )
    return tuple(finding for probe in probes for finding in probe)


def _python() -> Iterator[Finding]:
    yield Finding(level="ok", area="python", what=f"Python {sys.version.split()[0]} at {sys.executable}")


def _disk(workspace: Workspace) -> Iterator[Finding]:
    state = workspace.config.state
    usage = shutil.disk_usage(_nearest(state))
    free = f"{show_bytes(usage.free)} free where the state lies ({state})"
    if usage.free < _LOW_DISK:
        yield Finding(level="wrong", area="disk", what=f"only {free}", next="bedplate gc, or make room")
    else:
        yield Finding(level="ok", area="disk", what=free)


def _database(workspace: Workspace) -> Iterator[Finding]:
    database = workspace.catalog.database
    if "bug" in database.engine:
        yield Finding(level="warning", area="catalog", what=database.engine, next="pip install --upgrade apsw")
    problems = database.faults()
    for problem in problems[:5]:
        yield Finding(level="wrong", area="catalog", what=f"the database is damaged: {problem}", next="restore it from a backup")
    if not problems:
        yield Finding(level="ok", area="catalog", what=f"{database.engine}; quick check passed")


def _clock(workspace: Workspace) -> Iterator[Finding]:
    now = workspace.clock.now()
    ahead = [run.id for run in workspace.catalog.runs.last_of_project(5) if run.started_at > now + timedelta(minutes=1)]
    if ahead:
        yield Finding(
            level="wrong", area="clock", what=f"{ahead[0]} started in the future: this machine's clock has gone back", next="set the clock"
        )
    else:
        yield Finding(level="ok", area="clock", what=f"{now:%Y-%m-%d %H:%M:%S} UTC, after every recorded run")


def _runs(workspace: Workspace) -> Iterator[Finding]:
    running = workspace.catalog.runs.running()
    died = [run.id for run in running if not workspace.is_running(run)]
    if died:
        yield Finding(level="warning", area="runs", what=f"{', '.join(died)} died; the next run takes up what is left", next="bedplate run")
    else:
        yield Finding(level="ok", area="runs", what=f"{len(running)} running, none died")
    for service in workspace.catalog.services.list():
        if service.host == platform.node() and workspace.parts.process_started(service.pid) is None:
            yield Finding(
                level="warning",
                area="services",
                what=f"{service.name} at {service.url} is registered, but its process is gone",
                next="bedplate serve",
            )


def _due(workspace: Workspace) -> Iterator[Finding]:
    """Whether somebody looks for due work, once anybody did, and how it went last."""
    catalog, now = workspace.catalog, workspace.clock.now()
    known = [task.step for task in tasks(workspace.graph) if task.schedule is None or catalog.due.schedule(task.step) is not None]
    late = [
        one for one in DueWork(workspace).plan()
        if one.step in known and one.action == "run" and one.due_at is not None and now - one.due_at > _LATE
    ]  # fmt: skip
    for one in late:
        what = f"{one.step} has been due since {one.due_at:%Y-%m-%d %H:%M:%S} UTC ({one.kind}): nobody looks"
        yield Finding(level="warning", area="due work", what=what, next="bedplate run --due --loop, or --due from cron")
    last = [done for step in known if (done := catalog.due.before(step)) is not None]
    failed = [done for done in last if done.status in ("failed", "stopped")]
    for done in failed:
        next_ = f"bedplate logs {done.step}" if done.status == "failed" else "bedplate plan --due"
        yield Finding(level="warning", area="due work", what=f"{done.step} {done.status}: {done.reason}", next=next_)
    if last and not late and not failed:
        yield Finding(level="ok", area="due work", what=f"what was due was made, and the last of each went well: {len(last)}")


def _bytes(workspace: Workspace, deep: bool) -> Iterator[Finding]:
    heads = workspace.catalog.artifacts.heads()
    versions = workspace.catalog.artifacts.referenced() if deep else list(heads.values())
    wrong = 0
    for version in versions:
        try:
            if deep:
                workspace.store.verify(version)
            elif missing := workspace.store.missing(version):
                wrong += 1
                yield Finding(level="wrong", area="bytes", what=f"{version.ref}: {missing[0]} is gone", next=_made_again(version, "run"))
        except BedplateError as error:
            wrong += 1
            again = "run --fresh" if heads.get(version.artifact) == version else "rerun"
            what = error.what if error.what.startswith(version.ref) else f"{version.ref}: {error.what}"
            yield Finding(level="wrong", area="bytes", what=what, next=_made_again(version, again))
    if not wrong:
        read = "read and their digests agree" if deep else "are all there (--deep reads them)"
        yield Finding(level="ok", area="bytes", what=f"{len(versions)} versions {read}")


def _made_again(version: Version, verb: str) -> str:
    """How a version's bytes come back: a step makes them again; what a client sent is in a backup, or nowhere."""
    if version.meta.get("origin") == ORIGIN:
        return "restore it from a backup"
    return f"bedplate {verb} {version.ref if verb == 'rerun' else version.artifact}"


def _files(workspace: Workspace) -> Iterator[Finding]:
    """Every file that the record names beside versions: what steps kept, and what clients sent."""
    kept = sorted(workspace.catalog.kept_files())
    wrong = 0
    for digest in kept:
        try:
            workspace.store.check(digest)
        except BedplateError as error:
            wrong += 1
            yield Finding(level="wrong", area="files", what=error.what, next="restore it from a backup")
    if not wrong:
        yield Finding(level="ok", area="files", what=f"{len(kept)} files beside versions read and their digests agree")


def _accelerators() -> Iterator[Finding]:
    driver = installed_driver()
    wrong = mismatches(driver, cuda_of(installed_versions()))
    for one in wrong:
        yield Finding(
            level="wrong",
            area="accelerator",
            what=f"{one.framework} is built for CUDA {one.cuda}, which needs driver {one.needs}; this is {one.driver}",
            next=f"install driver {one.needs} or newer, or a {one.framework} for CUDA {one.cuda - 1}",
        )
    if not wrong:
        yield Finding(
            level="ok",
            area="accelerator",
            what="no NVIDIA driver: steps run on the processor" if driver is None else f"NVIDIA driver {driver}",
        )


def _nearest(path: Path) -> Path:
    """The path, or the nearest folder above it that exists."""
    return next(folder for folder in (path, *path.parents) if folder.exists())


def worst(findings: Iterable[Finding]) -> Literal["ok", "warning", "wrong"]:
    """The worst level among the findings."""
    levels = {finding.level for finding in findings}
    return "wrong" if "wrong" in levels else "warning" if "warning" in levels else "ok"
