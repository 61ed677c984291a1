"""Occurrences of schedules: daylight saving, leap days and odd durations, with the time as an argument."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.core.errors import UserError
from bedplate.core.schedules import schedule
from bedplate.pipeline import times

START = datetime(2026, 1, 1, tzinfo=UTC)


def walk(text: str, start: datetime, end: datetime) -> list[str]:
    """Every occurrence after `start` until `end`, as `following` gives them."""
    found, at, one = [], start, schedule(text)
    while (coming := times.following(one, start, at)) is not None and coming <= end:
        found.append(coming.strftime("%m-%d %H:%M"))
        at = coming
    return found


def test_an_hour_that_daylight_saving_skips_takes_place_right_after_the_gap() -> None:
    """29 March 2026, Berlin: 02:00 becomes 03:00 (01:00 UTC); what was due at 02:30 runs then, once, and not twice with 03:00's own."""
    day, end = datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 3, 30, 12, tzinfo=UTC)
    assert walk("30 2 * * * Europe/Berlin", day, end) == ["03-29 01:00", "03-30 00:30"]
    assert walk("0 3 * * * Europe/Berlin", day, end) == ["03-29 01:00", "03-30 01:00"]


def test_an_hour_that_daylight_saving_repeats_takes_place_once() -> None:
    """25 October 2026, Berlin: 02:30 comes at 00:30 and 01:30 UTC; only the first counts."""
    day, end = datetime(2026, 10, 24, 12, tzinfo=UTC), datetime(2026, 10, 26, 12, tzinfo=UTC)
    assert walk("30 2 * * * Europe/Berlin", day, end) == ["10-25 00:30", "10-26 01:30"]


def test_every_hour_stays_every_hour_over_daylight_saving() -> None:
    """Where the hour is a star, 23, 24 or 25 occurrences make a day, each an hour after the other."""
    for start, count in ((datetime(2026, 3, 28, 23, tzinfo=UTC), 23), (datetime(2026, 10, 24, 22, tzinfo=UTC), 25)):
        found = walk("0 * * * * Europe/Berlin", start, start + timedelta(hours=count))
        assert len(found) == count == len(set(found))


def test_a_duration_knows_no_daylight_saving() -> None:
    """A day is 24 hours."""
    day = datetime(2026, 3, 28, 2, tzinfo=UTC)
    assert walk("1 day", day, day + timedelta(days=2)) == ["03-29 02:00", "03-30 02:00"]


def test_a_leap_day_comes_every_four_years() -> None:
    """And what is due on the 31st skips short months."""
    one = schedule("0 0 29 2 *")
    assert times.following(one, START, START) == datetime(2028, 2, 29, tzinfo=UTC)
    assert walk("0 0 31 * *", START, datetime(2026, 6, 1, tzinfo=UTC)) == ["01-31 00:00", "03-31 00:00", "05-31 00:00"]


def test_a_schedule_seen_first_begins_at_once_for_what_was_never_made_and_else_when_its_time_has_passed() -> None:
    """A cron expression begins with its next time."""
    day, now = schedule("1 day"), START + timedelta(days=9)
    assert times.newest(day, times.begins(day, None, now), now) == now
    made = now - timedelta(hours=5)
    since = times.begins(day, made, now)
    assert times.newest(day, since, now) is None
    assert times.following(day, since, now) == made + timedelta(days=1)
    long_ago = times.begins(day, now - timedelta(days=40), now)
    assert times.newest(day, long_ago, now) == now
    nightly = schedule("0 2 * * *")
    assert times.newest(nightly, times.begins(nightly, None, now), now) is None


@pytest.mark.bad_input
@pytest.mark.parametrize(
    "text",
    [
        "0 25 * * *", "0 2 30 2 *", "x 2 * * *", "0 2 * * * Europe/Atlantis", "0 2 * * * Europe", "0 2 * * * UTC extra", "soon",
        "0 s", "1 ms", "* * * *", "@daily", "0 2 * * * ../../etc/passwd", "0 2 * * * \x00",
    ],
)  # fmt: skip
def test_what_is_no_schedule_is_refused_with_what_to_write(text: str) -> None:
    """Durations under a second, fields out of range, days that never come, time zones that are none."""
    with pytest.raises(UserError) as refused:
        times.check(schedule(text))
    assert refused.value.next


_TEXTS = ["1 day", "90 min", "7 s", "0 2 * * * Europe/Berlin", "*/15 * * * * Europe/Berlin", "30 2 * * * Europe/Berlin", "0 0 1 * *"]


@given(st.sampled_from(_TEXTS), st.integers(0, 400 * 86400), st.integers(0, 3 * 86400))
def test_looking_back_and_looking_ahead_agree(text: str, begun_s: int, later_s: int) -> None:
    """The newest occurrence until then is the last that walking ahead gives, and those between are counted right."""
    one, since = schedule(text), START + timedelta(seconds=begun_s)
    now = since + timedelta(seconds=min(later_s, 3000 if text == "7 s" else later_s))
    walked, at = [], since
    while (coming := times.following(one, since, at)) is not None and coming <= now:
        walked.append(coming)
        at = coming
    assert times.newest(one, since, now) == (walked[-1] if walked else None)
    assert all(later > earlier for earlier, later in pairwise(walked))
    if walked:
        count, first, last = times.between(one, since, since, walked[-1])
        before = walked[:-1]
        assert (count, first, last) == (len(before), before[0] if before else None, before[-1] if before else None)
