"""Cron expressions through cronsim, which reads them as Debian's cron does.

Choices: where hour and minute are fixed, an occurrence that daylight saving skips takes place right after the gap, and one that it
repeats takes place once; where either is a star, the clock on the wall is taken as it goes.
Limits: five fields; no `@daily` words. cronsim looks at most 50 years ahead.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from bedplate.core.errors import UserError
from bedplate.core.schedules import Schedule


def check(schedule: Schedule) -> None:
    """Raises UserError for fields that are no cron expression, and for one that never comes."""
    try:
        next(CronSim(schedule.cron, datetime(2024, 1, 1, tzinfo=UTC)))
    except (CronSimError, StopIteration) as error:
        raise UserError(
            f"every='{schedule.text}' is not a schedule",
            why=f"'{schedule.cron}': {str(error) or 'that day never comes'}",
            next="minute, hour, day, month, day of the week: every='0 2 * * * Europe/Berlin' is each day at two",
        ) from None


def after(schedule: Schedule, at: datetime) -> Iterator[datetime]:
    """The occurrences after `at`, as UTC, oldest first."""
    for found in CronSim(schedule.cron, at.astimezone(ZoneInfo(schedule.zone))):
        yield found.astimezone(UTC)


def until(schedule: Schedule, at: datetime) -> datetime | None:
    """The newest occurrence at `at` or before, as UTC; None where there was none in 50 years."""
    whole = at.replace(microsecond=0) + timedelta(seconds=1)
    found = next(CronSim(schedule.cron, whole.astimezone(ZoneInfo(schedule.zone)), reverse=True), None)
    return None if found is None else found.astimezone(UTC)
