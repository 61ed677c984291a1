"""Which version serves, when it is swapped, and what keeps the old one in place."""

from __future__ import annotations

from typing import Any

import pytest

from bedplate.core.features import FeatureSpec
from bedplate.core.model import Model
from bedplate.core.records import Event
from bedplate.stages.deploy.deployment import Active, LoadedModel, Waiting
from bedplate.stages.deploy.holder import Holder
from bedplate.stages.deploy.service import Asked, Wanted, service
from bedplate.testing.serving import ManualClock, Record, Rows, formula

LATE = Wanted(parameter="late", artifact="late", view="model", gate="better")
FREE = Wanted(parameter="late", artifact="late", view="model")


def model(number: int, factor: float | None = None) -> Model:
    weight = number if factor is None else factor
    return formula(f"late@{number}", {"distance": "FP64"}, lambda columns: columns["distance"] * weight, example=[{"distance": 1.0}])


def will_be_late(late: Model, distance: float) -> float:
    return float(late.predict({"distance": distance}))


class Case:
    """A holder over a record, one service, and what it told."""

    def __init__(self, *wanted: Wanted, function: Any = will_be_late) -> None:
        self.record, self.clock, self.events = Record(), ManualClock(), list[Event]()
        one = service("will_be_late", function, wanted, [Asked(name="distance", annotation=float)], float)
        models = [want for want in wanted if want.view == "model" and not want.selector]
        self.holder = Holder(
            [one],
            models,
            self.record,
            self.record.load,
            describe=lambda view: {"mean": "float"},
            clock=self.clock,
            emit=self.events.append,
        )

    @property
    def now(self) -> Active | Waiting:
        return self.holder.current.services["will_be_late"]

    def ask(self, distance: float = 1.0) -> Any:
        assert isinstance(self.now, Active)
        return self.now.call({"distance": distance})[0]


def reason(case: Case) -> str:
    assert isinstance(case.now, Waiting)
    return case.now.reason


def test_a_gated_model_waits_until_its_check_has_passed() -> None:
    case = Case(LATE)
    case.holder.refresh()
    assert case.now == Waiting(name="will_be_late", reason="late has not been made yet", next="bedplate run late")
    case.record.add("late", model(1))
    case.holder.refresh()
    assert reason(case) == "late has no production version: its check better has not passed"
    assert (case.now.next, case.holder.current.waiting["late"].next) == ("bedplate promote late@1",) * 2  # type: ignore[union-attr]  # it waits
    case.record.promote("late", 1)
    case.holder.refresh()
    assert case.ask() == 1.0


def test_production_serves_and_not_the_head() -> None:
    case = Case(LATE)
    for number in (1, 2, 3):
        case.record.add("late", model(number))
    case.record.promote("late", 2)
    case.holder.refresh()
    assert case.ask() == 2.0


def test_the_head_serves_where_no_check_gates_the_model() -> None:
    case = Case(FREE)
    case.record.add("late", model(1))
    case.record.add("late", model(2))
    case.holder.refresh()
    assert case.ask() == 2.0


@pytest.mark.parametrize(("selector", "answer"), [("1", 1.0), ("canary", 3.0), ("production", 2.0)])
def test_use_is_taken_as_written(selector: str, answer: float) -> None:
    case = Case(Wanted(parameter="late", artifact="late", view="model", selector=selector))
    for number in (1, 2, 3):
        case.record.add("late", model(number))
    case.record.promote("late", 2)
    case.record.promote("late", 3, "canary")
    case.holder.refresh()
    assert case.ask() == answer


def test_an_optional_artifact_may_be_absent_and_any_other_is_waited_for() -> None:
    def either(late: Model, other: Model | None, distance: float) -> float:
        return float((other or late).predict({"distance": distance}))

    optional = Wanted(parameter="other", artifact="late", view="model", selector="canary", optional=True)
    case = Case(FREE, optional, function=either)
    case.record.add("late", model(1))
    case.holder.refresh()
    assert case.ask() == 1.0
    strict = Case(Wanted(parameter="late", artifact="late", view="model", selector="canary"))
    strict.record.add("late", model(1))
    strict.holder.refresh()
    assert reason(strict) == "there is no late@canary"


def test_a_promotion_is_swapped_in_and_a_call_under_way_keeps_its_version() -> None:
    case = Case(LATE)
    case.record.add("late", model(1))
    case.record.add("late", model(2))
    case.record.promote("late", 1)
    case.holder.refresh()
    before = case.now
    case.record.promote("late", 2)
    assert case.holder.refresh()
    assert isinstance(before, Active)
    assert before.call({"distance": 1.0})[0] == 1.0
    assert case.ask() == 2.0
    assert (case.holder.swaps, [event.kind for event in case.events]) == (1, ["service.swapped"])


def test_a_swap_tells_which_version_answers_now_and_who_moved_it() -> None:
    """A check, a person, a rollback, and where no check gates the model the newest version."""
    case = Case(LATE)
    for number in (1, 2, 3):
        case.record.add("late", model(number))
    case.holder.refresh()
    assert case.events == []
    told = [
        (1, None, {"check": "better"}, "promoted by better"),
        (2, 1, {"by": "person", "reason": "by root"}, "promoted by root"),
        (3, 2, {"by": "person", "reason": "it is spring"}, "promoted by a person (it is spring)"),
        (2, 3, {"by": "rollback", "reason": "by root"}, "rolled back by root"),
    ]
    for number, before, said, why in told:
        case.record.promote("late", number, **said)
        case.holder.refresh()
        assert case.events[-1].data["changes"] == [{"model": "late", "version": number, "before": before, "why": why}]
    free = Case(FREE)
    for number in (1, 2):
        free.record.add("late", model(number))
        free.holder.refresh()
    assert free.events[-1].data["changes"] == [{"model": "late", "version": 2, "before": 1, "why": "the newest version"}]


def test_nothing_is_loaded_again_when_nothing_changed() -> None:
    case = Case(FREE)
    case.record.add("late", model(1))
    case.holder.refresh()
    first = case.now
    case.record.add("other", model(1))
    assert not case.holder.refresh()
    assert case.now is first
    assert case.record.loads == ["late@1"]


def test_a_version_that_does_not_load_keeps_the_old_one_and_is_tried_again_with_pauses() -> None:
    case = Case(FREE)
    case.record.add("late", model(1))
    case.holder.refresh()
    case.record.add("late", OSError("bytes are gone"))
    case.holder.refresh()
    assert case.ask() == 1.0
    assert case.holder.current.problems == {"late@2": "OSError: bytes are gone"}
    assert [event.subject for event in case.events if event.kind == "service.load_failed"] == ["late@2"]
    case.record.change("late@2", model(2))
    case.holder.refresh()
    assert case.ask() == 1.0, "tried again too soon"
    case.clock.sleep(1.1)
    case.holder.refresh()
    assert case.ask() == 2.0
    assert case.holder.current.problems == {}


def test_a_model_that_fails_on_its_own_example_never_serves() -> None:
    case = Case(FREE)
    case.record.add("late", model(1))
    case.holder.refresh()

    def fails(columns: dict[str, Any]) -> Any:
        raise RuntimeError("another shape")

    case.record.add("late", formula("late@2", {"distance": "FP64"}, fails, example=[{"distance": 1.0}]))
    case.holder.refresh()
    assert case.ask() == 1.0
    assert case.holder.loader.failures == 1


def test_models_are_held_by_themselves_and_shared_with_the_services() -> None:
    case = Case(LATE)
    case.record.add("late", model(1))
    case.record.promote("late", 1)
    case.holder.refresh()
    held = case.holder.current.models["late"]
    assert isinstance(held, LoadedModel)
    assert isinstance(case.now, Active)
    assert case.now.arguments["late"] is held.model
    assert case.record.loads == ["late@1"]


def by_name(delays: Any, distance: float) -> float:
    return float(delays["UA"]["mean"] or 0) + distance


def by_moment(delays: Any, distance: float) -> float:
    return float(delays.at({"carrier": "UA", "at": None, "seats": 9})["mean"]) + distance


@pytest.mark.parametrize("function", [by_name, by_moment])
def test_the_feature_rows_that_were_looked_at_come_with_the_result(function: Any) -> None:
    case = Case(Wanted(parameter="delays", artifact="delays", view="features"), function=function)
    case.record.add("delays", Rows({"UA": {"mean": 4.0}}, FeatureSpec(("carrier",), "at")), kind="table")
    case.holder.refresh()
    assert isinstance(case.now, Active)
    assert case.now.call({"distance": 1.0}) == (5.0, {"delays": {"mean": 4.0}})


class Trouble(Rows):
    """Rows of a store that raises what no store should."""

    artifact = "delays"
    problem = ""

    def check(self) -> str:
        raise RuntimeError("mdb_get: located page was wrong type")


def test_whatever_online_features_raise_the_watch_goes_on() -> None:
    """It is told as a problem, and a version that comes later is still taken up by the thread that watches."""
    case = Case(Wanted(parameter="delays", artifact="delays", view="features"), function=by_name)
    case.record.add("delays", Trouble({"UA": {"mean": 4.0}}, FeatureSpec(("carrier",), "at")), kind="table")
    case.holder.refresh()
    case.holder.check_online()
    assert case.holder.current.problems == {"online delays": "RuntimeError: mdb_get: located page was wrong type"}
