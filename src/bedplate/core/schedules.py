"""Schedules: when a step is due, as `every=` says it.

Either a duration (`"1 day"`, `"15 min"`), counted from when the schedule was first seen, or a cron expression of five fields, with the
time zone in which it is read (`"0 2 * * * Europe/Berlin"`; without one UTC). What the fields mean is read where occurrences are worked
out; here they only have to be five.
"""

from __future__ import annotations

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from .errors import UserError
from .units import seconds

_FIELDS = 5
_SHORTEST_S = 1.0


class Schedule(msgspec.Struct, frozen=True):
    """When a step is due. Either `every_s` (seconds) or `cron` in `zone` is given; `text` is as it was written."""

    text: str
    every_s: float = 0.0
    cron: str = ""
    zone: str = "UTC"


def schedule(text: str) -> Schedule:
    """Read `every=`: a duration of a second or more, or five fields of cron and perhaps a time zone. Raises UserError."""
    words = text.split()
    if len(words) < _FIELDS:
        every_s = seconds(text)
        if every_s < _SHORTEST_S:
            raise UserError(f"every='{text}' is too often", why="a second is the least", next="write every='1 min'")
        return Schedule(text, every_s=every_s)
    if len(words) > _FIELDS + 1:
        raise UserError(
            f"every='{text}' is not a schedule",
            why=f"it has {len(words)} words: five fields of cron and a time zone are the most",
            next="write every='1 day' or every='0 2 * * * Europe/Berlin'",
        )
    zone = words[_FIELDS] if len(words) > _FIELDS else "UTC"
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # a folder's name is an OSError
        raise UserError(
            f"every='{text}': there is no time zone '{zone}'",
            why="the time zones of this machine do not have it",
            next="write one as 'Europe/Berlin'; where none is known: pip install tzdata",
        ) from None
    return Schedule(text, cron=" ".join(words[:_FIELDS]), zone=zone)
