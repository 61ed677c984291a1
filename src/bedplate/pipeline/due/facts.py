"""Facts: what due work has to know of the world and of the record, gathered for the rules.

The world (what sources hold, whether a service has answered) is looked at before any transaction; the record inside one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from bedplate.catalog.catalog import Catalog
from bedplate.core.clock import iso
from bedplate.core.digests import of_json, short
from bedplate.core.errors import BedplateError
from bedplate.core.records import Event, Record
from bedplate.core.schedules import Schedule
from bedplate.pipeline import times
from bedplate.pipeline.served import SWAPPED, served
from bedplate.pipeline.why import changes, source
from bedplate.pipeline.workspace import Workspace

from .rules import Past, Ruling, arrived, drifted, labelled, parted, scheduled
from .tasks import Task

DRIFT = "drift.found"
"""The kind of event that a watch leaves where it found drift (`subject`: the service)."""


class Seen(Record, frozen=True, kw_only=True):
    """What was seen of the world for a task: how its sources changed (with a mark for that state), or why it has to wait."""

    changed: str = ""
    mark: str = ""
    waits: str = ""


def lease_name(step: str) -> str:
    """The lease under which a step's due work is done."""
    return f"due {step}"


def look(workspace: Workspace, task: Task) -> Seen:
    """Look at what the task's sources hold, and whether the services that it watches have answered."""
    node, catalog = workspace.graph.nodes[task.step], workspace.catalog
    now = workspace.clock.now()
    for service in task.watches:
        if served(workspace.store, service, now) is None:
            return Seen(waits=f"{service} has answered nothing yet")
    if not task.polls:
        return Seen()
    told, state = [], []
    for wire in node.by_role("source"):
        known = catalog.sources.entries(node.name, wire.name)
        try:
            found = workspace.parts.list_source(wire.source, workspace.config.folder, known) if wire.source is not None else ()
        except BedplateError as error:
            return Seen(waits=f"its sources cannot be listed: {error.line}")
        if text := changes(found, known):
            told.append(f"{source(wire.name)}: {text}")
        state.append([entry.mark for entry in found])
    last = catalog.runs.last_step(node.name)
    return Seen(changed="; ".join(told), mark=f"{last.run if last else 'first'} {short(of_json(state))}" if told else "")


def rulings(catalog: Catalog, tasks: Mapping[str, tuple[Task, Seen]], now: datetime, *, enrols: bool) -> list[Ruling]:
    """What the rules say of every task; with `enrols`, schedules seen for the first time are written down. Inside a transaction."""
    return [ruling for task, seen in tasks.values() for ruling in _of(catalog, task, seen, now, enrols)]


def _of(catalog: Catalog, task: Task, seen: Seen, now: datetime, enrols: bool) -> Iterator[Ruling]:
    if seen.waits:
        yield Ruling(step=task.step, kind="schedule" if task.schedule else "data", action="wait", reason=seen.waits)
        return
    if task.schedule is not None:
        past = _past(catalog, task.step, task.schedule, now, enrols)
        yield from scheduled(task.step, task.schedule, past, now, _answered_for(catalog, task))
    if task.polls:
        yield arrived(task.step, seen.changed, seen.mark, catalog.due.get(task.step, "data", seen.mark))
    if task.drifts:
        yield _on_drift(catalog, task)
    if task.judges:
        yield from _on_labels(catalog, task, now)
    if task.keys is not None:
        made = catalog.due.parts_made(task.step)
        last = (task.keys.until(now) or ("",))[-1]
        yield parted(task.step, task.keys, made, catalog.due.get(task.step, "keys", last), now)


def _past(catalog: Catalog, step: str, schedule: Schedule, now: datetime, enrols: bool) -> Past:
    """What is on record of a schedule. One that was edited, or that a clock since set back has written, begins anew."""
    kept = catalog.due.schedule(step)
    if kept is None or kept[0] != schedule.text or kept[1] > now:
        last = catalog.runs.last_step(step)
        kept = (schedule.text, times.begins(schedule, last.ended_at if last is not None else None, now))
        if enrols:
            catalog.due.enrol(step, *kept)
    since = kept[1]
    at, before = times.newest(schedule, since, now), catalog.due.before(step)
    held = catalog.leases.holder(lease_name(step))
    return Past(
        since=since, decided=catalog.due.get(step, "schedule", iso(at)) if at is not None else None,
        last=catalog.due.last(step, "schedule", now), before=before, alive=held is not None and held.expires_at > now,
    )  # fmt: skip


def _answered_for(catalog: Catalog, task: Task) -> datetime | None:
    """When the services that a watch waits for have answered for as long as its labels take; None where it does not wait."""
    if task.label_delay_s is None or not task.watches:
        return None
    first = min((event.at for event in catalog.events.about(SWAPPED, "services")), default=None)
    return None if first is None else first + timedelta(seconds=task.label_delay_s)


def _on_drift(catalog: Catalog, task: Task) -> Ruling:
    found = [event for service in task.drifts if (event := catalog.events.last(DRIFT, service)) is not None]
    newest: Event | None = max(found, key=lambda one: one.at, default=None)
    last = catalog.runs.last_step(task.step)
    begun = last.started_at if last is not None else None
    decided = catalog.due.get(task.step, "drift", f"{newest.subject} {iso(newest.at)}") if newest is not None else None
    return drifted(task.step, newest, begun, decided)


def _on_labels(catalog: Catalog, task: Task, now: datetime) -> Iterator[Ruling]:
    versions = tuple(version for version in catalog.artifacts.versions(task.judges) if version.head)
    judged = frozenset(verdict.model_version for verdict in catalog.models.verdicts(task.judges) if verdict.check == task.step)
    decided = frozenset(one.ref for one in versions if catalog.due.get(task.step, "labels", one.ref) is not None)
    yield from labelled(task.step, versions, task.label_delay_s or 0.0, judged, decided, now)
