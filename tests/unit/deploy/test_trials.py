"""What is tried beside what serves: it follows the record, and its outcomes end it."""

from __future__ import annotations

from typing import Any

from bedplate.core.model import Model
from bedplate.core.records import Event
from bedplate.pipeline.served import BEGUN, CONCLUDED, ENDED
from bedplate.planner.rollout.verdict import LEAST, Outcome
from bedplate.stages.deploy.deployment import Active
from bedplate.stages.deploy.holder import Holder
from bedplate.stages.deploy.service import Asked, Wanted, service
from bedplate.stages.deploy.trials import Tried
from bedplate.testing.serving import ManualClock, Record, formula

LATE = Wanted(parameter="late", artifact="late", view="model")


def model(number: int) -> Model:
    return formula(f"late@{number}", {"distance": "FP64"}, lambda columns: columns["distance"] * number, example=[{"distance": 1.0}])


def will_be_late(late: Model, distance: float) -> float:
    return float(late.predict({"distance": distance}))


class Case:
    """A holder over a record with two versions, the first in production."""

    def __init__(self, *wanted: Wanted) -> None:
        self.record, self.clock, self.events = Record(), ManualClock(), list[Event]()
        for number in (1, 2):
            self.record.add("late", model(number))
        self.record.promote("late", 1)
        one = service("will_be_late", will_be_late, wanted or [LATE], [Asked(name="distance", annotation=float)], float)
        self.holder = Holder(
            [one], [LATE], self.record, self.record.load, describe=lambda view: {}, clock=self.clock, emit=self.events.append
        )
        self.holder.refresh()

    def roll_out(self, number: int = 2, alias: str = "canary", rule: str = "50 %") -> None:
        self.record.promote("late", number, alias, by="person", check=rule)
        self.holder.refresh()

    def tried(self, name: str = "will_be_late") -> Tried:
        return self.holder.tried[name]

    def outcomes(self, outcome: Outcome, count: int) -> None:
        """So many requests of the canary ended so, and as many of production well."""
        canary = self.tried().canary
        assert canary is not None
        canary.seen.new.extend([outcome] * count)
        canary.seen.old.extend([Outcome(0.001)] * count)

    @property
    def concluded(self) -> list[tuple[str, Any]]:
        return [(event.subject, event.data["by"]) for event in self.events if event.kind == CONCLUDED]

    def told(self, kind: str) -> list[tuple[str, dict[str, Any]]]:
        return [(event.subject, event.data) for event in self.events if event.kind == kind]


def test_the_beginning_of_a_roll_out_and_an_end_that_a_person_made_are_told() -> None:
    """A new rule is a new beginning and no end; what this server judged itself is told as that."""
    case = Case()
    case.roll_out(rule="5 %")
    case.roll_out(rule="20 %")
    begun = [("late@2", {"trial": "canary", "rule": rule, "by": ""}) for rule in ("5 %", "20 %")]
    assert (case.told(BEGUN), case.told(ENDED)) == (begun, [])
    assert [(move.alias, move.check) for move in case.holder.rolled_out] == [("canary", "20 %")]
    case.record.promote("late", 1, "canary", by="rollback", reason="by anna")
    case.holder.refresh()
    case.roll_out(rule="20 %")
    case.record.promote("late", 2, by="person", reason="by anna")
    case.holder.refresh()
    whys = ["rolled back by anna", "late@2 is production now, promoted by anna"]
    assert [(subject, data["trial"], data["why"]) for subject, data in case.told(ENDED)] == [("late@2", "canary", why) for why in whys]


def test_what_another_server_judged_is_told_as_that_and_what_this_one_did_once() -> None:
    case = Case()
    case.roll_out()
    (trial,) = case.record.rolled_out("late")
    case.record.conclude(trial, case.clock.now(), "late@2 as canary: it failed", promotes=False)
    case.holder.refresh()
    ended = {"trial": "canary", "why": "rolled back by a server (late@2 as canary: it failed)", "by_person": False}
    assert case.told(ENDED) == [("late@2", ended)]
    case.roll_out()
    case.outcomes(Outcome(0.001, failed=True), LEAST)
    for _ in range(3):
        case.holder.judge()
    case.holder.refresh()
    assert (len(case.told(ENDED)), case.concluded) == (1, [("late@2", "rollback")])


def test_without_a_roll_out_nothing_is_tried() -> None:
    case = Case()
    assert case.holder.tried == {}
    assert case.record.loads == ["late@1"]


def test_a_candidate_is_the_service_with_the_other_version() -> None:
    """It is loaded once for the service and the model itself, and what serves stays what it was."""
    case = Case()
    before = case.holder.current.services["will_be_late"]
    case.roll_out()
    canary = case.tried().canary
    assert canary is not None
    assert isinstance(canary.active, Active)
    assert canary.active.call({"distance": 3.0}) == (6.0, None)
    assert (canary.active.models_text, canary.active.label) == ('{"late":2}', "late@2")
    assert case.holder.current.services["will_be_late"] is before
    beside = case.tried("model/late").canary
    assert beside is not None
    assert beside.loaded is not None
    assert beside.loaded.version.ref == "late@2"
    assert case.record.loads == ["late@1", "late@2"]


def test_a_version_that_is_named_stays_the_one_that_is_named() -> None:
    case = Case(Wanted(parameter="late", artifact="late", view="model", selector="1"))
    case.roll_out()
    assert list(case.holder.tried) == ["model/late"]


def test_what_was_seen_stays_while_the_roll_out_does() -> None:
    """Another swap forgets nothing; another rule begins anew."""
    case = Case()
    case.roll_out()
    case.outcomes(Outcome(0.001), 5)
    case.record.add("late", model(3))
    case.holder.refresh()
    canary = case.tried().canary
    assert canary is not None
    assert len(canary.seen.new) == 5
    case.roll_out(rule="60 %")
    canary = case.tried().canary
    assert canary is not None
    assert len(canary.seen.new) == 0


def test_a_bad_canary_goes_back_after_two_looks_and_is_let_go() -> None:
    case = Case()
    case.roll_out()
    case.outcomes(Outcome(0.001, failed=True), 10)
    case.holder.judge()
    assert case.concluded == []
    case.holder.judge()
    assert case.concluded == [("late@2", "rollback")]
    assert "10 of 10 answers failed" in case.record.moves[-1].reason
    case.holder.refresh()
    assert case.holder.tried == {}
    case.holder.judge()
    assert len(case.concluded) == 1


def test_a_good_canary_takes_over_when_its_time_is_over() -> None:
    case = Case()
    case.roll_out(rule="50 % for 60 s")
    case.outcomes(Outcome(0.001), LEAST)
    case.holder.judge()
    assert case.concluded == []
    case.clock.sleep(60)
    case.holder.judge()
    assert case.concluded == [("late@2", "verdict")]
    case.holder.refresh()
    assert case.holder.current.versions == {"late": 2}
    assert case.holder.tried == {}


def test_a_shadow_is_never_promoted_by_itself() -> None:
    case = Case()
    case.roll_out(alias="shadow", rule="100 % for 60 s")
    shadow = case.tried().shadow
    assert shadow is not None
    shadow.seen.new.extend([Outcome(0.001)] * LEAST)
    case.clock.sleep(600)
    case.holder.judge()
    assert case.concluded == []


def test_a_version_that_does_not_load_is_rolled_back_for_that() -> None:
    """What serves goes on, and the record says why."""
    case = Case()
    case.record.add("late", ValueError("a torn file"))
    case.roll_out(3)
    assert case.holder.tried == {}
    case.holder.judge()
    assert case.concluded == [("late@3", "rollback")]
    assert "a torn file" in case.record.moves[-1].reason


def test_a_record_that_is_away_is_told_later(monkeypatch: Any) -> None:
    """The verdict is not lost, and what is wrong is on the health page meanwhile."""
    case = Case()
    case.roll_out()
    case.outcomes(Outcome(0.001, failed=True), 10)
    case.holder.judge()
    with monkeypatch.context() as patched:
        patched.setattr(case.record, "conclude", lambda *_, **__: (_ for _ in ()).throw(OSError("the disk is full")))
        case.holder.judge()
    assert case.holder.current.problems == {"roll-out": "OSError: the disk is full"}
    case.holder.judge()
    assert (case.concluded, case.holder.current.problems) == ([("late@2", "rollback")], {})
