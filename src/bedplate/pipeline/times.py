"""Occurrences of a schedule, by the rules that `docs/reference/due-work.md` states. Pure: the time is an argument.

A duration is a grid from when it was first seen: daylight saving does not touch it. A cron expression is asked of its library.
"""

from __future__ import annotations

import importlib
import math
from datetime import datetime, timedelta
from itertools import islice, takewhile
from typing import Any, Final

from bedplate.core.schedules import Schedule

COUNTED: Final = 1000
"""Missed occurrences that are counted; more are said to be `1000 or more`."""


def check(schedule: Schedule) -> None:
    """Raises UserError for a cron expression that cannot be read."""
    if schedule.cron:
        _cron().check(schedule)


def begins(schedule: Schedule, made: datetime | None, now: datetime) -> datetime:
    """Since when a schedule first seen now counts: the first occurrence is after that.

    Of a duration so that it is due when that long has passed since the step was last made, and at once where it never was or that is
    longer ago. Of a cron expression from now.
    """
    if schedule.cron:
        return now
    latest = now - timedelta(seconds=schedule.every_s)
    return latest if made is None or made > now else max(made, latest)


def newest(schedule: Schedule, since: datetime, now: datetime) -> datetime | None:
    """The newest occurrence after `since`, at `now` or before; None where there was none yet."""
    if schedule.cron:
        found = _cron().until(schedule, now)
        return found if found is not None and found > since else None
    passed = math.floor((now - since) / timedelta(seconds=schedule.every_s))
    return since + passed * timedelta(seconds=schedule.every_s) if passed >= 1 else None


def following(schedule: Schedule, since: datetime, at: datetime) -> datetime | None:
    """The first occurrence after `at` (and after `since`); None where a cron expression never comes again."""
    if schedule.cron:
        return next(_cron().after(schedule, max(since, at)), None)
    passed = max(0, math.floor((at - since) / timedelta(seconds=schedule.every_s)))
    return since + (passed + 1) * timedelta(seconds=schedule.every_s)


def between(schedule: Schedule, since: datetime, after: datetime, before: datetime) -> tuple[int, datetime | None, datetime | None]:
    """How many occurrences lie after `after` (and `since`) and before `before`, at most COUNTED, with the first and the last of them."""
    start = max(since, after)
    if schedule.cron:
        found = list(islice(takewhile(lambda at: at < before, _cron().after(schedule, start)), COUNTED))
        last = _cron().until(schedule, before - timedelta(microseconds=1)) if found else None
        return len(found), found[0] if found else None, last
    step = timedelta(seconds=schedule.every_s)
    first = math.floor((start - since) / step) + 1
    last_number = math.ceil((before - since) / step) - 1
    count = last_number - first + 1
    return (min(count, COUNTED), since + first * step, since + last_number * step) if count > 0 else (0, None, None)


def _cron() -> Any:
    """The library, imported only where a cron expression stands."""
    return importlib.import_module("bedplate.pipeline.backends.cron")
