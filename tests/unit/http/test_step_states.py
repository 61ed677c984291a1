"""How steps stand, from a look at the project and the record: pure."""

from __future__ import annotations

from typing import Any

from bedplate.catalog.tallies import Tally
from bedplate.core.records import Forecast, Step, Usage
from bedplate.interfaces.http.beside.glance import waits
from bedplate.interfaces.http.beside.home import problem_of
from bedplate.interfaces.http.console.graphs import Graph, Node
from bedplate.interfaces.http.console.planned.plan_view import planned, record, scatter, time_line, totals
from bedplate.interfaces.http.console.planned.step_states import Now, counted, drawn, judged, recorded, stands
from bedplate.pipeline.whole import Placing, Unit, Whole
from bedplate.planner.forecasts.critical import WallTime
from bedplate.planner.forecasts.sums import together

NOTHING = WallTime(total=Forecast(quantity="wall_s", middle=0.0, low=0.0, high=0.0, basis="history"))


def whole(*steps: Placing, **more: Any) -> Whole:
    return Whole(project="p", target="local", files={}, steps=steps, wall=NOTHING, **more)


def step(name: str, action: str = "skip", *after: str, **more: Any) -> Placing:
    given: dict[str, Any] = {"actions": {action: 1}, "why": f"why {name}", **more}
    return Placing(name=name, stage="prepare", decorator="prepare", after=after, **given)


def tally(name: str, status: str, count: int = 1) -> Tally:
    return Tally(name=name, stage="prepare", status=status, count=count)


def test_a_look_says_what_is_fresh_and_what_is_stale_and_why() -> None:
    """Without a run the plan's word and reason stand; what is not served says how to serve it."""
    service = Placing(name="will", stage="deploy", decorator="service", after=("late",))
    found = {one.name: one for one in stands(whole(step("raw"), step("late", "run", "raw"), step("next", "maybe", "late"), service), Now())}
    assert {name: one.state for name, one in found.items()} == {
        "raw": "fresh", "late": "stale", "next": "perhaps stale", "will": "not served",
    }  # fmt: skip
    assert found["late"].why == "why late"


def test_while_a_run_goes_on_steps_run_wait_for_what_runs_or_have_failed() -> None:
    """What the run has come to goes before what was seen; what has not begun waits for those before it, by name."""
    seen = whole(step("raw", "run"), step("late", "maybe", "raw"), step("check", "maybe", "late"), step("other", "run"), step("kept"))
    now = Now(run="r", tallies=(tally("raw", "running"), tally("other", "failed")), failed={"other": "no such column"})
    found = {one.name: (one.state, one.why) for one in stands(seen, now)}
    assert found["raw"][0] == "running"
    assert found["late"] == ("waiting", "for raw")
    assert found["check"] == ("waiting", "for late")
    assert found["other"] == ("failed", "no such column")
    assert found["kept"][0] == "fresh"


def test_parts_are_counts_and_what_a_run_has_not_begun_waits() -> None:
    """Forty thousand parts are one box: how many are done, run and wait; the worst of them is its state."""
    units = tuple(Unit(part=f"p{at}", action="run", why="") for at in range(40_000))
    placing = step("raw", actions={"run": 40_000}, units=units)
    (found,) = stands(whole(placing), Now(run="r", tallies=(tally("raw", "done", 10), tally("raw", "running", 2))))
    assert (found.state, found.counts) == ("running", {"fresh": 10, "running": 2, "waiting": 39_988})
    assert len(drawn([found]).json()) < 2000


def test_before_a_look_what_runs_have_recorded_is_shown() -> None:
    """Made, failed or running, with arrows from what attempts were handed; whether it is fresh is not claimed."""
    failed = Step(run="r", name="late", stage="train", status="failed", why="no")
    steps = [Step(run="r", name="raw", stage="ingest", status="skipped"), failed]
    found = recorded(steps, [("raw", "late")], Now(failed={"late": "no such column"}))
    told = [(one.name, one.state, one.why, one.after) for one in found]
    assert told == [("raw", "made", "", ()), ("late", "failed", "no such column", ("raw",))]
    assert counted(found) == {"failed": 1, "made": 1}


def test_why_a_step_was_made_is_not_said_of_it_as_it_is_now() -> None:
    """Of what is made since, `has never run` would be wrong; what was unchanged still is."""
    steps = [
        Step(run="r", name=name, stage="prepare", status=status, why=why)
        for name, status, why in (
            ("first", "done", "it has never run"), ("again", "done", "input a: a@1 -> a@2"), ("kept", "skipped", "unchanged since kept@1"),
        )
    ]  # fmt: skip
    assert [one.why for one in recorded(steps, [], Now())] == [
        "made for the first time", "made again: input a: a@1 -> a@2", "unchanged since kept@1",
    ]  # fmt: skip


def test_a_check_whose_verdict_is_a_refusal_is_not_drawn_as_fine() -> None:
    """What is up to date but did not pass is bad, with its findings; what is stale or failed keeps its own word."""
    stood = judged(stands(whole(step("good"), step("watch"), step("old", "run")), Now()), {"watch": "auc = 0.5 (>= 0.7)", "old": "auc = 0"})
    assert [(one.state, one.shown.tone) for one in stood] == [("fresh", "good"), ("did not pass", "bad"), ("stale", "warn")]
    assert stood[1].why == "auc = 0.5 (>= 0.7); why watch"
    assert list(counted(stood)) == ["did not pass", "stale", "fresh"]


def test_a_name_cannot_leave_the_drawing() -> None:
    """Text of a box is JSON without a bracket or ampersand, and its address is quoted."""
    stood = recorded([Step(run="r", name="</script>&x", status="done")], [], Now())
    told = drawn(stood, "</script>&x").json()
    assert "<" not in told
    assert "&x" not in told
    assert drawn(stood).nodes[0].href == "/?step=%3C%2Fscript%3E%26x"
    assert Graph(name="g", title="", nodes=[Node(str(at), "") for at in range(601)], edges=()).is_large


def test_looks_are_seconds_apart_and_further_where_they_take_long() -> None:
    """Three seconds at least, three times what the last one took."""
    assert waits(0.0, 0.1) == 3.0
    assert waits(1.0, 10.0) == 29.0
    assert waits(60.0, 10.0) < 0


def test_what_a_child_says_last_is_the_problem_in_its_own_words() -> None:
    """The error as the command line tells programs; of anything else the last lines."""
    told = problem_of('warning\n{"error": {"what": "flights.py:3: nothing is called x", "why": "w", "next": "n", "exit_code": 3}}\n')
    assert (told.what, told.why, told.next) == ("flights.py:3: nothing is called x", "w", "n")
    assert "Killed" in problem_of("some\nKilled\n").why


def forecast(middle: float, low: float, high: float, **more: Any) -> Forecast:
    given: dict[str, Any] = {"quantity": "wall_s", "basis": "history", "samples": 3, **more}
    return Forecast(middle=middle, low=low, high=high, **given)


def test_a_plan_says_what_it_takes_and_what_binds_it() -> None:
    """The longest chain, or too few processors, or the budget before all; parts count as often as they are."""
    cost = forecast(1.0, 0.5, 2.0, quantity="cost_usd")
    one = step("raw", "run", starts_s=0.0, ends_s=10.0, forecasts=(forecast(10, 5, 20), cost))
    two = step("late", "maybe", "raw", starts_s=10.0, ends_s=20.0, actions={"maybe": 4})
    bound = whole(one, two, chain_s=20.0, slots=2.0)
    assert totals(bound).binds.startswith("the longest chain")
    assert totals(bound).steps == 2
    assert totals(whole(one, two, chain_s=8.0, slots=2.0)).binds.startswith("2 processors")
    over = {"limit": 1.0, "spent": 0.9, "held": 0.0, "currency": "USD"}
    assert totals(whole(one, two, chain_s=20.0, budget=over)).binds.startswith("the budget")
    assert [(one.label, list(one.words)) for one in time_line(bound).series] == [("runs", ["raw"]), ("perhaps runs", ["late (4 parts) ?"])]
    assert [row[3] for row in planned(bound).rows] == ["5.0 to 20.0 s", None]


def test_past_forecasts_stand_beside_what_happened() -> None:
    """Inside or not, how far off, each as a point; what was never known promised nothing."""
    said, unknown = forecast(10, 5, 20), forecast(0, 0, 0, basis="unknown")
    pairs = {"late": [(said, Usage(wall_s=40.0)), (said, Usage(wall_s=10.0))], "raw": [(unknown, Usage(wall_s=1.0))]}
    (row,) = record(pairs).rows
    assert row[1:5] == (2, 1, "50 %", "38 %")
    assert [(one.label, list(one.x), list(one.y)) for one in scatter(pairs).series] == [("late", [10, 10], [40.0, 10.0])]


def test_a_sum_of_ranges_is_narrower_than_all_highs_together() -> None:
    """Four equal steps: the middle adds up, the halves of the range as squares do; nothing known is nothing."""
    found = together([(forecast(10, 8, 14), 4)])
    assert found is not None
    assert (found.middle, found.low, found.high) == (40.0, 36.0, 48.0)
    assert together([(forecast(0, 0, 0, basis="unknown"), 1)]) is None
