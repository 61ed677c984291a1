"""A period's money and energy: sums that keep measured and assumed energy apart, a budget's standing, a forecast."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import jinja2
import pytest

from bedplate.catalog.money import Took
from bedplate.core.units import show_days, show_usd
from bedplate.interfaces.http import console
from bedplate.interfaces.http.console.planned.money_view import MOST_STEPS, Budget, charts, forecast, summed, tables


def took(day: str, name: str, **more: Any) -> Took:
    given = {"kind": "attempt", "stage": "train", "basis": "assumed", "attempts": 1, "up_s": 10.0, "busy_s": 4.0, "joules": 5.0, "usd": 1.0}
    return Took(day=day, name=name, **{**given, **more})


def test_energy_of_two_bases_is_never_one_number() -> None:
    """What a meter read and what was worked out stand in columns of their own; what rests on nothing is no measurement."""
    found = summed([took("2026-11-01", "a", basis="measured"), took("2026-11-01", "a"), took("2026-11-01", "a", basis="unknown")])
    assert (found.measured, found.assumed, found.attempts) == (5.0, 10.0, 3)


def test_every_way_of_looking_comes_to_the_same() -> None:
    """By stage, step, and day the money is the same money, and a service stands among the steps."""
    rows = [took("2026-11-01", "late"), took("2026-11-02", "late"), took("2026-11-02", "http://x", kind="service", stage="deploy", usd=7.0)]
    for table in tables(rows, [], ""):
        if table.rows:
            assert sum(float(str(row[-1])) for row in table.rows) == 9.0, table.name
    steps = next(one for one in tables(rows, [], "") if one.name == "steps")
    assert steps.rows[0][:2] == ("http://x", "service")


def test_every_row_has_words() -> None:
    """What was spent on no step says so and leads nowhere; a server that was started twice at one address is one row."""
    served = {"kind": "service", "stage": "deploy", "attempts": 0}
    twice = [took("2026-11-01", f"http://x since 2026-11-0{day}T00:00:00Z", **served) for day in (1, 2)]
    steps = next(one for one in tables([took("2026-11-01", "", stage=""), *twice], [], "") if one.name == "steps")
    words = {str(row[0]): row for row in steps.rows}
    assert set(words) == {"http://x", "no step: an attempt that is no longer on record"}
    assert words["http://x"][2] is None
    assert words["http://x"][-1] == 2.0


def test_ten_thousand_steps_are_the_dearest_and_the_others() -> None:
    """The page stays light, and what its rows come to is still the whole."""
    rows = [took("2026-11-01", f"step_{number:05d}", usd=float(number)) for number in range(10_000)]
    steps = next(one for one in tables(rows, [], "") if one.name == "steps")
    assert len(steps.rows) == MOST_STEPS + 1
    assert (steps.rows[0][-1], steps.rows[-1][0]) == (9_999.0, "9,800 others")
    assert sum(float(str(row[-1])) for row in steps.rows) == sum(range(10_000))


@pytest.mark.parametrize("page", ["{{ budget_card(budget) }}", "{% call budget_card(budget) %}held back{% endcall %}"])
def test_a_budget_is_one_card_on_every_page(page: str) -> None:
    """With words of the page in it and without, it says what is spent, set aside and left."""
    loader = jinja2.FileSystemLoader(Path(console.__file__).with_name("templates"))
    words = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    words.filters |= {"usd": show_usd, "seconds": show_days}
    drawn = words.from_string('{% from "budget.html" import budget_card %}' + page).render(
        budget=Budget(limit=30.0, currency="USD", period_s=30 * 86400, spent=6.0, held=1.0, pace_day=0.5)
    )
    assert all(one in drawn for one in ("$30.00 in 30.0 days", "$6.00 spent", "$1.00 set aside", "$23.00 left", "<svg preserveAspectRatio"))
    assert ("held back" in drawn) == ("call" in page)


def test_hostile_names_are_text_in_a_drawing() -> None:
    """What anybody named a stage or a step cannot end an element."""
    drawn = charts([took("2026-11-01", "x", stage="train")], date(2026, 11, 1), date(2026, 12, 1))
    assert [one.name for one in drawn] == ["money", "processors", "energy"]
    assert all("<script" not in one.svg for one in drawn)
    assert charts([took("2026-11-01", "x", usd=0.0)], date(2026, 11, 1), date(2026, 12, 1))[0].name == "processors"


@pytest.mark.parametrize(
    ("now", "expected"),
    [(datetime(2026, 11, 16, tzinfo=UTC), 20.0), (datetime(2026, 12, 2, tzinfo=UTC), None), (datetime(2026, 11, 1, 12, tzinfo=UTC), None)],
)
def test_a_month_is_forecast_while_it_goes_on(now: datetime, expected: float | None) -> None:
    """At its own pace, once a day of it is known; nothing is said of one that is over."""
    assert forecast(10.0, date(2026, 11, 1), date(2026, 12, 1), now) == expected


def test_a_budget_says_when_it_ends() -> None:
    """Within it, on the way over it, and used up."""
    calm = Budget(limit=30.0, currency="USD", period_s=30 * 86400, spent=6.0, held=1.0, pace_day=0.5)
    assert (calm.comes_to, calm.is_over, calm.breaks_in_days) == (15.0, False, None)
    quick = Budget(limit=30.0, currency="USD", period_s=30 * 86400, spent=20.0, held=2.0, pace_day=4.0)
    assert quick.breaks_in_days == 2.0
    assert Budget(limit=1.0, currency="USD", period_s=86400, spent=1.0, held=0.5, pace_day=2.0).is_over
