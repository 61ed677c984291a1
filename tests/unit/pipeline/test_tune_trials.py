"""Tuning's arithmetic: trials survive as events, the best is the best, ranges are read from tune(...), another range is another study."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from bedplate import Model, Project, tune
from bedplate.core.errors import UserError
from bedplate.pipeline.tuning.trials import Goal, Range, Trial, best_of, event_of, ranges, study_of, trials_of, words
from bedplate.pipeline.wiring.graph import build

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GOAL = Goal(model="late", step="late", metric="auc")


def test_a_trial_asked_and_never_told_is_still_to_be_run():
    """What a crash left: its settings are known, and it counts as one trial however often it is asked."""
    first, second = Trial(number=0, settings={"late.x": 1.5}), Trial(number=1, settings={"late.x": 2.0})
    told = msgspec.structs.replace(first, state="done", value=0.5, curve={3: 0.25})
    asked = [event_of("s", one, NOW) for one in (first, second, second)]
    found = trials_of(asked, [event_of("s", told, NOW)])
    assert found == [told, second]
    assert [event.kind for event in asked] == ["tune.asked"] * 3


def test_the_best_is_the_first_of_the_highest_or_lowest_that_got_to_the_end():
    trials = [Trial(number=at, settings={}, state="done", value=value) for at, value in enumerate([0.2, 0.9, 0.9, 0.1])]
    trials += [Trial(number=4, settings={}, state="pruned", value=9.0), Trial(number=5, settings={}, state="failed")]
    assert best_of(GOAL, trials) == trials[1]
    assert best_of(msgspec.structs.replace(GOAL, maximise=False), trials) == trials[3]
    assert best_of(GOAL, []) is None


def test_ranges_are_those_that_tune_declares_and_another_one_is_another_study():
    """Whole numbers stay whole; a project without a range has nothing to search."""
    project = Project("p")

    @project.train
    def late(
        leaves: int = tune(15, 127, default=31),
        rate: float = tune(0.01, 1, default=0.1, log=True),
        kind: str = tune("a", "b", default="a"),
        plain: int = 3,
    ) -> Model: ...

    found = ranges(build(project), ["late"])
    assert found == {
        "late.leaves": Range(low=15, high=127, whole=True), "late.rate": Range(low=0.01, high=1, log=True),
        "late.kind": Range(choices=("a", "b")),
    }  # fmt: skip
    assert study_of(GOAL, found, "s") == study_of(GOAL, dict(found), "s")
    assert study_of(GOAL, found | {"late.leaves": Range(low=15, high=63, whole=True)}, "s") != study_of(GOAL, found, "s")
    bare = Project("q")

    @bare.train
    def early() -> Model: ...

    with pytest.raises(UserError, match="nothing to search"):
        ranges(build(bare), ["early"])


def test_settings_are_said_as_the_command_line_takes_them():
    assert words({"a.n": 3, "a.rate": 0.5, "a.kind": "fast", "a.deep": True}) == ["a.n=3", "a.rate=0.5", "a.kind=fast", "a.deep=true"]
