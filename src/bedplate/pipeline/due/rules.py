"""The rules of due work: what is due now, what waits for when, and why. Pure: facts and the time in, rulings out.

The rules, for people, are in `docs/reference/due-work.md`; a property test holds the schedule's to one sentence: what is carried out
are the newest occurrences at the moments at which somebody looked.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, Literal

import msgspec

from bedplate.catalog.due import Kind, Occurrence, Status
from bedplate.core.clock import iso
from bedplate.core.parameters import Keys
from bedplate.core.records import Event, Record, Version
from bedplate.core.schedules import Schedule
from bedplate.core.units import show_seconds
from bedplate.pipeline import times

TRIES: Final = 5
"""Processes that may die over one occurrence before it is given up."""


class Ruling(Record, frozen=True, kw_only=True):
    """What is to be done about a step for one reason: run it now, only record that it is not (`status` says as what), or wait.

    `mark` is which occurrence it is, `next` when it will be due again (or first), as far as that is known. `pins` is the version that it is
    about, where that need not be the newest one.
    """

    step: str
    kind: Kind
    action: Literal["run", "record", "wait"]
    reason: str
    mark: str = ""
    due_at: datetime | None = None
    next: datetime | None = None
    status: Status = "running"
    pins: Version | None = None


class Past(Record, frozen=True, kw_only=True):
    """What is on record of a step's schedule: since when it counts, what was decided of the newest occurrence, the newest one decided
    before (none from a clock that was ahead), and the one of any kind that was carried out last (`alive`: by a process that still is).
    """

    since: datetime
    decided: Occurrence | None = None
    last: Occurrence | None = None
    before: Occurrence | None = None
    alive: bool = False


def scheduled(step: str, schedule: Schedule, past: Past, now: datetime, not_before: datetime | None = None) -> tuple[Ruling, ...]:
    """A step with a schedule: the newest occurrence is due, whatever was missed before it is recorded as one.

    One that fell while the step was still being made is passed over; before `not_before` (labels are not old enough) none is due.
    """
    at, coming = times.newest(schedule, past.since, now), times.following(schedule, past.since, now)
    if at is None or past.decided is not None:
        reason = f"every {schedule.text}" + (f"; {_done(past.decided)}" if past.decided is not None else "")
        return (Ruling(step=step, kind="schedule", action="wait", reason=reason, next=coming),)
    if not_before is not None and now < not_before:
        return (Ruling(step=step, kind="schedule", action="wait", reason="its labels are not old enough yet", next=not_before),)
    common = Ruling(step=step, kind="schedule", action="run", reason=f"every {schedule.text}", mark=iso(at), due_at=at, next=coming)
    if (overlap := _overlap(past, at)) is not None:
        said = f"{common.reason}; the one of {_at(overlap.due_at)} was still being made"
        return (*_missed(step, schedule, past, at), _with(common, action="record", status="overlapped", reason=said))
    missed = _missed(step, schedule, past, at)
    caught = f"; catches up once for {missed[0].reason}" if missed else ""
    late = f", {show_seconds((now - at).total_seconds())} late" if now - at >= timedelta(minutes=1) else ""
    return (*missed, _with(common, reason=f"{common.reason}: that of {_at(at)}{late}{caught}"))


def arrived(step: str, changed: str, mark: str, decided: Occurrence | None) -> Ruling:
    """A step that reads sources: due where they hold something else than it was made from, once for each such state."""
    if not changed:
        return Ruling(step=step, kind="data", action="wait", reason="its sources hold nothing new")
    if decided is not None:
        return Ruling(
            step=step, kind="data", action="wait", reason=f"{changed}; {_done(decided)}, and waits for other data or bedplate run"
        )
    return Ruling(step=step, kind="data", action="run", reason=changed, mark=mark)


def drifted(step: str, event: Event | None, made: datetime | None, decided: Occurrence | None) -> Ruling:
    """A step that trains on drift: due where the newest drift was found since it last began, once for each finding."""
    if event is None:
        return Ruling(step=step, kind="drift", action="wait", reason="no drift was found")
    said = f"drift was found in what {event.subject} was asked ({', '.join(event.data.get('columns', ())) or 'its inputs'})"
    if made is not None and made >= event.at:
        return Ruling(step=step, kind="drift", action="wait", reason=f"{said}, and {step} was made, or found unchanged, since")
    if decided is not None:
        return Ruling(step=step, kind="drift", action="wait", reason=f"{said}; {_done(decided)}")
    return Ruling(step=step, kind="drift", action="run", reason=said, mark=f"{event.subject} {iso(event.at)}", due_at=event.at)


def labelled(
    step: str, versions: tuple[Version, ...], delay_s: float, judged: frozenset[int], decided: frozenset[str], now: datetime
) -> tuple[Ruling, ...]:
    """A check with a label delay: the newest version that is old enough is due, unless it was judged or tried; older ones are missed.

    `versions` are the model's, newest first.
    """
    delay = timedelta(seconds=delay_s)
    old = [version for version in versions if version.created_at + delay <= now]
    young = [version.created_at + delay for version in versions if version.created_at + delay > now]
    coming = min(young, default=None)
    left = [version for version in old if version.number not in judged and version.ref not in decided]
    if not left or left[0] is not old[0]:
        waits = "every version old enough was judged" if versions else "nothing was made yet that it could judge"
        waits = f"its labels are old enough {_span(delay_s)} after it was made" if young else waits
        return (Ruling(step=step, kind="labels", action="wait", reason=waits, next=coming),)
    found = [
        Ruling(
            step=step, kind="labels", action="record", status="missed", mark=version.ref, due_at=version.created_at + delay,
            reason=f"{left[0].ref} was old enough too when somebody looked",
        ) for version in left[1:]
    ]  # fmt: skip
    said = f"the labels of {left[0].ref} are old enough: it was made {_span(delay_s)} ago or more"
    due_at = left[0].created_at + delay
    return (
        *found, Ruling(step=step, kind="labels", action="run", reason=said, mark=left[0].ref, due_at=due_at, next=coming, pins=left[0])
    )  # fmt: skip


def parted(step: str, keys: Keys, made: frozenset[str], decided: Occurrence | None, now: datetime) -> Ruling:
    """A step with `each=` of a calendar: due where a part is missing, once for each newest part."""
    wanted = keys.until(now)
    missing = [key for key in wanted if key not in made]
    coming = _next_key(keys, now)
    if not missing:
        return Ruling(step=step, kind="keys", action="wait", reason=f"all {len(wanted)} parts are there", next=coming)
    said = f"{len(missing)} of {len(wanted)} parts are missing, from {missing[0]} on"
    if decided is not None:
        return Ruling(step=step, kind="keys", action="wait", reason=f"{said}; {_done(decided)}", next=coming)
    return Ruling(step=step, kind="keys", action="run", reason=said, mark=wanted[-1], next=coming)


def _overlap(past: Past, at: datetime) -> Occurrence | None:
    """The occurrence that was still being made when this one came."""
    before = past.before
    if before is None or before.decided_at > at:
        return None
    if before.status == "running":
        return before if past.alive else None
    return before if before.ended_at is not None and at <= before.ended_at else None


def _missed(step: str, schedule: Schedule, past: Past, at: datetime) -> tuple[Ruling, ...]:
    """One ruling for all occurrences between the last one decided and this one."""
    after = max(past.since, past.last.due_at) if past.last is not None else past.since
    count, first, last = times.between(schedule, past.since, after, at)
    if not count or first is None or last is None:
        return ()
    many = f"{times.COUNTED} or more" if count >= times.COUNTED else str(count)
    said = f"{many} missed from {_at(first)} to {_at(last)}" if count > 1 else f"one missed, of {_at(first)}"
    mark = f"{iso(first)} to {iso(last)}"
    return (Ruling(step=step, kind="schedule", action="record", status="missed", reason=said, mark=mark, due_at=last),)


def _next_key(keys: Keys, now: datetime) -> datetime | None:
    """When the next part's period is over; None where there is no further one."""
    step = timedelta(seconds=keys.step_s)
    start = datetime.fromisoformat(keys.start).replace(tzinfo=now.tzinfo)
    coming = start + (max(0, (now - start) // step) + 1) * step
    return None if keys.end and coming > datetime.fromisoformat(keys.end).replace(tzinfo=now.tzinfo) else coming


def _done(decided: Occurrence) -> str:
    if decided.status == "running":
        return f"that of {_at(decided.due_at)} is running"
    return "the last failed" if decided.status == "failed" else f"the last was {decided.status}"


def _span(delay_s: float) -> str:
    days = delay_s / 86400
    return f"{days:g} day{'' if days == 1 else 's'}" if days >= 1 and days == int(days) else show_seconds(delay_s)


def _at(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"


def _with(ruling: Ruling, **changed: object) -> Ruling:
    return msgspec.structs.replace(ruling, **changed)
