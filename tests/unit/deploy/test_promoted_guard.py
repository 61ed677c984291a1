"""A version that was promoted outright: what its answers are held against, when it is rolled back, and when it is let be."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import polars as pl
import pytest

from bedplate.core.records import Promotion
from bedplate.stages.deploy.deployment import Active
from bedplate.stages.deploy.guard import Guard, Outcomes
from bedplate.stages.deploy.service import Service, service
from bedplate.testing.serving import START, Record

LOG = "predictions/ask"
ASK: Service = service("ask", lambda late: 1.0, [], [], float)


def frame(version: int, n: int, bad: Callable[[int], bool] = lambda _: False, **how: Any) -> pl.DataFrame:
    """Rows of a log that a version answered; the bad ones as `how` says."""
    usual = {"latency_ms": 1.0, "status": 200, "result": 1.0, "models": f'{{"late":{version}}}'}
    rows = [{**usual, **(how if bad(at) else {})} for at in range(n)]
    return pl.DataFrame(rows, schema={"latency_ms": pl.Float64, "status": pl.Int64, "result": pl.Float64, "models": pl.String})


class Watched:
    """A record in which version 2 was just promoted, and what its guard sees."""

    def __init__(self, time_s: float = 600.0) -> None:
        self.record, self.outcomes = Record(), Outcomes()
        for number in (1, 2):
            self.record.add("late", object())
            self.record.promote("late", number, by="person")
        self.guard = Guard(self.record, self.outcomes, time_s)
        self.active = Active(service=ASK, arguments={}, versions={"late": "late@2"}, models={"late": 2})

    def note(self, rows: pl.DataFrame) -> None:
        self.outcomes.note(LOG, rows, '{"late":2}')

    def looks(self, times: int, after_s: float = 60.0) -> list[tuple[Promotion, Promotion, str]]:
        now = START + timedelta(seconds=after_s)
        return [end for _ in range(times) for end in self.guard.judge({"ask": self.active}, {}, now)]


BAD: dict[str, dict[str, Any]] = {
    "answers failed": {"status": 500, "result": None},
    "answers were no numbers": {"result": None},
    "answers took longer than": {"latency_ms": 500.0},
    "answers failed (production: 0": {"status": 504, "models": "{}", "result": None},
}


@pytest.mark.parametrize("what", BAD)
def test_a_version_that_is_worse_is_rolled_back_at_the_second_look(what: str) -> None:
    """Fails, gives no numbers, is slow, does not return: each against what the version before did."""
    watched = Watched()
    watched.note(frame(1, 200))
    watched.note(frame(2, 100, lambda at: at % 4 != 0, **BAD[what]))
    assert watched.looks(1) == []
    ((move, undone, why),) = watched.looks(1)
    assert (move.version, undone.version, undone.by, what in why) == (2, 1, "rollback", True)
    assert watched.record.aliases["late", "production"] == 1
    assert watched.looks(3) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (frame(1, 200, lambda at: at % 5 == 0, status=500), frame(2, 200, lambda at: at % 5 == 1, status=500)),
        (frame(1, 200), frame(2, 200, lambda at: at < 2, status=500)),
        (frame(1, 20), frame(2, 40, lambda at: at % 3 == 0, status=500)),
        (frame(1, 200), frame(2, 0)),
        (frame(1, 200), frame(2, 200, lambda at: at % 3 == 0, latency_ms=500.0)),
    ],
    ids=["what both get wrong", "two requests", "no baseline, and not most", "nobody asked", "a busy hour"],
)
def test_a_version_that_is_no_worse_is_let_be(old: pl.DataFrame, new: pl.DataFrame) -> None:
    watched = Watched()
    watched.note(old)
    watched.note(new)
    assert watched.looks(5) == []


def test_without_a_baseline_only_what_mostly_fails_is_rolled_back() -> None:
    """As after a restart right behind a promotion."""
    watched = Watched()
    watched.note(frame(2, 20, lambda at: at % 10 != 0, status=500))
    assert len(watched.looks(2)) == 1


@pytest.mark.parametrize(("time_s", "after_s"), [(0.0, 1.0), (600.0, 601.0)])
def test_past_its_time_or_where_it_is_off_nothing_is_watched(time_s: float, after_s: float) -> None:
    watched = Watched(time_s)
    watched.note(frame(1, 200))
    watched.note(frame(2, 100, lambda _: True, status=500))
    assert watched.looks(3, after_s) == []


def test_a_rollback_is_not_rolled_back_and_a_person_s_later_move_stands() -> None:
    """What production moved to since is not touched."""
    watched = Watched()
    watched.note(frame(1, 200))
    watched.note(frame(2, 100, lambda _: True, status=500))
    watched.record.promote("late", 1, by="rollback")
    assert watched.looks(3) == []
    watched.record.promote("late", 2, by="person")
    watched.looks(1)
    watched.record.add("late", object())
    watched.record.promote("late", 3, by="person")
    assert watched.looks(2) == []
    assert watched.record.aliases["late", "production"] == 3


def test_only_the_last_thousand_are_kept() -> None:
    watched = Watched()
    watched.note(frame(1, 5000))
    watched.note(frame(2, 5000, lambda at: at < 3900, status=500))
    assert len(watched.outcomes.of(LOG, '{"late":2}')) == 1000
    assert watched.looks(2) == []
