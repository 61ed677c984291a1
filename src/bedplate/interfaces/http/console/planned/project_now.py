"""What the record says of a project now, gathered for its pages: the run that goes on, what failed, what is served, what a look saw."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from bedplate.catalog.services import SILENT_S
from bedplate.compute import machine
from bedplate.core.records import Record, Run
from bedplate.interfaces.http.beside.begun import Begun
from bedplate.interfaces.http.beside.glance import Seen
from bedplate.interfaces.http.console.graphs import MOST
from bedplate.interfaces.http.door.endpoint import Desk
from bedplate.pipeline.commit import check_of
from bedplate.pipeline.recover import dead

from .step_states import Now, Stand, judged, recorded, stands

_FAILED: Final = 20
"""Steps whose failure is read in words; of more only that they failed is told."""
_NEVER: Final = 1 << 62
_JUDGING: Final = ("validate", "monitor")
_JUDGES: Final = 40
_FINDINGS: Final = 3


class Going(Record, frozen=True, kw_only=True):
    """A run that goes on: how long, and where its process is on this machine what it takes: bytes now, processors on average."""

    run: Run
    since_s: float
    bytes: int | None = None
    processors: float | None = None


class Picture(Record, frozen=True, kw_only=True):
    """A project as its pages show it."""

    stood: tuple[Stand, ...]
    now: Now
    seen: Seen = Seen()
    going: Going | None = None
    begun: Begun | None = None
    last: Run | None = None

    @property
    def by_name(self) -> dict[str, Stand]:
        """Each step."""
        return {one.name: one for one in self.stood}


def picture(desk: Desk) -> Picture:
    """Everything about the project of this state, as it stands."""
    catalog, beside = desk.catalog, desk.beside
    running = [run for run in catalog.runs.running() if not dead(run, machine.started)]
    going = running[-1] if running else None
    names = sorted(catalog.runs.failed_steps())
    failed = dict.fromkeys(names, "its last attempt failed")
    for name in names[:_FAILED]:
        step = catalog.tallies.newest_step(name, "failed")
        failed[name] = step.why if step is not None else failed[name]
    served = frozenset(
        one.name for one in catalog.services.list() if (desk.now - one.heartbeat).total_seconds() <= SILENT_S
    )  # fmt: skip
    now = Now(run=going.id if going else "", tallies=tuple(catalog.tallies.of_run(going.id)) if going else (), failed=failed, served=served)
    last = next(iter(catalog.runs.last_of_project(1)), None)
    seen = look(desk)
    stood = stands(seen.whole, now) if seen.whole is not None else _recorded(desk, now)
    return Picture(
        stood=judged(stood, _refused(desk, stood)), now=now, seen=seen,
        going=_going(going, desk.now) if going else None,
        begun=beside.begun if beside is not None else None, last=last,
    )  # fmt: skip


def _refused(desk: Desk, stood: Sequence[Stand]) -> dict[str, str]:
    """What checks found whose newest verdict is that something did not pass, in words; of very many checks the first."""
    found: dict[str, str] = {}
    for one in [one for one in stood if one.stage in _JUDGING][:_JUDGES]:
        version = desk.catalog.artifacts.find(one.name)
        check = check_of(version) if version is not None else None
        if check is not None and not check.passed:
            failed = [str(finding).removeprefix("FAIL ") for finding in check.findings if not finding.passed]
            found[one.name] = "; ".join(failed[:_FINDINGS]) or "it found nothing"
    return found


def _recorded(desk: Desk, now: Now) -> tuple[Stand, ...]:
    """What runs have recorded; of very many steps the first, without arrows: none would be drawn."""
    steps = desk.catalog.tallies.newest_steps(MOST + 1)
    return recorded(steps, desk.catalog.tallies.arrows() if len(steps) <= MOST else (), now)


def look(desk: Desk) -> Seen:
    """What was seen of the project last; nothing where the state has none."""
    if desk.beside is None:
        return Seen()
    last = next(iter(desk.catalog.runs.last_of_project(1)), None)
    return desk.beside.look((*desk.catalog.tallies.moved(), last.id if last else "", last.status if last else ""))


def _going(run: Run, now: datetime) -> Going:
    since_s = max((now - run.started_at).total_seconds(), 0.001)
    if run.host != platform.node():
        return Going(run=run, since_s=since_s)
    lived_s = max(now.timestamp() - run.process_started, 0.001)
    return Going(
        run=run, since_s=since_s, bytes=machine.tree_bytes(run.pid, _NEVER) or None,
        processors=round(machine.tree_cpu_s(run.pid) / lived_s, 2),
    )  # fmt: skip
