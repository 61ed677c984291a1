"""The plan: what would run and why, what may, and what it should take."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from bedplate.core.records import Usage
from bedplate.pipeline.plan import Planned, total

CHAIN = """
@p.step
def a(size: int = 3) -> list[int]:
    return list(range(size))

@p.step
def b(a: list[int]) -> int:
    return len(a)

@p.step
def c(b: int) -> int:
    return b * 2

@p.step
def other() -> int:
    return 1
"""


def actions(planned: tuple[Planned, ...]) -> dict[str, str]:
    return {f"{one.name}[{one.part}]" if one.part else one.name: one.action for one in planned}


def whys(planned: tuple[Planned, ...]) -> dict[str, str]:
    return {one.name: one.why for one in planned}


def test_before_anything_ran_everything_will(house: Any) -> None:
    """Not 'maybe': what has never run cannot be skipped."""
    planned = house.open(CHAIN).plan()
    assert actions(planned) == {"a": "run", "b": "run", "c": "run", "other": "run"}
    assert set(whys(planned).values()) == {"it has never run"}


def test_when_nothing_changed_nothing_will(house: Any) -> None:
    house.run(CHAIN)
    planned = house.open(CHAIN).plan()
    assert set(actions(planned).values()) == {"skip"}
    assert whys(planned)["b"] == "unchanged since b@1"


def test_what_is_behind_a_change_may_run(house: Any) -> None:
    """If `a` makes the same again, the wave stops there."""
    house.run(CHAIN)
    planned = house.open(CHAIN.replace("range(size)", "range(0, size)")).plan()
    assert actions(planned) == {"a": "run", "b": "maybe", "c": "maybe", "other": "skip"}
    assert whys(planned)["b"] == "runs if a changes"


def test_what_is_behind_a_change_and_changed_itself_will_run(house: Any) -> None:
    house.run(CHAIN)
    planned = house.open(CHAIN.replace("range(size)", "range(0, size)").replace("b * 2", "b * 3")).plan()
    assert actions(planned)["c"] == "run"
    assert whys(planned)["c"].startswith("c changed (flow.py:")


def test_a_plan_is_what_then_happens(house: Any) -> None:
    """`plan` and `run` ask the same rules: what was planned to run or skip did."""
    house.run(CHAIN)
    text = CHAIN.replace("b * 2", "b * 3")
    planned = actions(house.open(text).plan())
    ran = house.steps(house.run(text))
    assert {name: {"done": "run", "skipped": "skip"}[status] for name, status in ran.items()} == planned


def test_planning_runs_and_writes_nothing(house: Any) -> None:
    house.run(CHAIN)
    stamp, runs = house.open().catalog.stamp(), len(house.open().catalog.runs.last(50))
    house.open(CHAIN.replace("b * 2", "b * 3")).plan()
    assert (house.open().catalog.stamp(), len(house.open().catalog.runs.last(50))) == (stamp, runs)


def test_fresh_and_settings_are_planned_too(house: Any) -> None:
    house.run(CHAIN)
    assert set(actions(house.open().plan(fresh=True)).values()) == {"run"}
    assert actions(house.open().plan(settings={"a.size": "4"}))["a"] == "run"
    assert whys(house.open().plan(settings={"a.size": "4"}))["a"] == "setting size: 3 -> 4"


def test_what_cannot_run_is_blocked_and_what_needs_it_too(house: Any) -> None:
    text = """
    @p.ingest
    def names(source: Files = Files("data/*.txt")) -> list[str]:
        return []

    @p.step
    def count(names: list[str]) -> int:
        return len(names)
    """
    planned = house.open(text).plan()
    assert actions(planned) == {"names": "blocked", "count": "blocked"}
    assert "no file matches 'data/*.txt'" in whys(planned)["names"]
    assert whys(planned)["count"] == "it needs names, which is blocked"


def test_parts_are_planned_one_by_one_and_a_gone_key_makes_the_whole_anew(house: Any) -> None:
    text = """
    @p.ingest
    def days() -> list[str]:
        return ["mon", "tue"]

    @p.prepare(each="days")
    def raw(days: str) -> str:
        return days
    """
    house.run(text)
    assert actions(house.open().plan()) == {"days": "skip", "raw[mon]": "skip", "raw[tue]": "skip", "raw": "skip"}
    assert actions(house.open(text.replace('"mon", "tue"', '"tue"')).plan())["raw"] == "maybe"
    house.run(text.replace('"mon", "tue"', '"tue"'), "days")
    assert actions(house.open().plan())["raw"] == "run"


def test_without_history_a_forecast_is_unknown_and_with_it_a_range(house: Any) -> None:
    before = house.open(CHAIN).plan()
    assert {forecast.basis for one in before for forecast in one.forecasts} == {"unknown"}
    house.run(CHAIN)
    after = house.open(CHAIN.replace("b * 2", "b * 3")).plan()
    wall = next(one for one in after if one.name == "c").forecasts[0]
    assert (wall.quantity, wall.basis, wall.samples) == ("wall_s", "history", 1)
    assert 0 < wall.low < wall.middle < wall.high
    assert next(one for one in after if one.name == "a").forecasts == ()


def test_the_total_follows_the_longest_chain_and_the_processors(house: Any) -> None:
    """Three steps in a row and one beside them, a second each: three seconds on two processors, four on one."""
    workspace = house.open(CHAIN)
    house.run(CHAIN)
    planned = house.open().plan(fresh=True)
    second = msgspec.structs.replace(planned[0].forecasts[0], middle=1.0, low=1.0, high=1.0)
    exact = tuple(msgspec.structs.replace(one, forecasts=(second, *one.forecasts[1:])) for one in planned)
    assert total(exact, workspace.graph, 2.0).total.middle == pytest.approx(3.0)
    assert total(exact, workspace.graph, 1.0).total.middle == pytest.approx(4.0)
    assert total(exact, workspace.graph, 2.0).path == ("a", "b", "c")


def test_what_was_predicted_is_held_against_what_happened(house: Any) -> None:
    house.run(CHAIN)
    for at in range(4):
        house.run(CHAIN.replace("b * 2", f"b * {at + 3}"), "c")
    record = next(one for one in house.open().plan() if one.name == "c").record
    assert record.n == 4
    assert record.share is not None


def test_a_budget_refuses_a_plan_that_must_break_it(house: Any) -> None:
    """Even at the low end of its forecast; a target without a price costs nothing."""
    text = "from bedplate.core.units import budget as of\np.budget = of('1 USD/month')\n" + CHAIN
    house.run(text)
    house.settings["price"] = "100000000 USD/hour"
    with pytest.raises(Exception, match="does not allow this") as refused:
        house.run(text, fresh=True)
    assert getattr(refused.value, "exit_code", 0) == 5
    house.settings["price"] = "0 USD/hour"
    assert house.run(text, fresh=True).ok


def test_usage_carries_the_price_of_its_time(house: Any) -> None:
    house.settings["price"] = "3600 USD/hour"
    summary = house.run("@p.step\ndef a() -> int:\n    return 1\n")
    usage: Usage = house.open().catalog.runs.attempt(summary.versions["a"].attempt).usage
    assert usage.cost_usd == pytest.approx(usage.wall_s)


def test_who_looks_features_up_may_run_where_these_may_change(house: Any) -> None:
    """How features are keyed is known before they are made: only what was edited is named."""
    text = """
    import polars as pl
    from bedplate import Features

    @p.step
    def days(last: int = 3) -> list[int]:
        return list(range(1, last))

    @p.features(entity="who", time="at")
    def habit(days: list[int]) -> pl.DataFrame:
        at = pl.Series("at", days).cast(pl.Datetime("us"))
        return pl.DataFrame({"who": days, "at": at, "x": days})

    @p.step
    def used(habit: Features) -> int:
        return len(habit.at(pl.DataFrame({"who": [1], "at": pl.Series([5]).cast(pl.Datetime("us"))})))
    """
    assert house.run(text).ok
    assert actions(house.open(text).plan()) == {"days": "skip", "habit": "skip", "used": "skip"}
    more = house.open(text.replace("= 3", "= 4")).plan()
    assert (actions(more), whys(more)["used"]) == ({"days": "run", "habit": "maybe", "used": "maybe"}, "runs if habit changes")
    keyed = house.open(text.replace('time="at"', 'time="at", ttl="1 hour"')).plan()
    assert whys(keyed)["used"] == "how habit is looked up: ttl none -> 60 min"
