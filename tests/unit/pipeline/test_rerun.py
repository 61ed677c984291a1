"""Running an attempt again, and comparing versions and runs."""

from __future__ import annotations

from typing import Any

import pytest

from bedplate.core.errors import NotFound, UserError

TEXT = """
import random

@p.step
def base(size: int = 3) -> list[int]:
    return list(range(size))

@p.step
def drawn(base: list[int], context: Context) -> float:
    context.metric("n", len(base))
    return context.random.random() + sum(base)

@p.step
def luck() -> float:
    return random.random()
"""


def test_a_deterministic_step_is_bit_equal_and_moves_no_head(house: Any) -> None:
    """The seed comes from the key, so that equal work draws equal numbers."""
    house.run(TEXT)
    workspace = house.open()
    rerun = workspace.rerun("drawn")
    assert rerun.equal
    assert rerun.notes == ()
    assert [run.moves_heads for run in workspace.catalog.runs.last(2)] == [False, True]


def test_what_depends_on_chance_differs_and_says_so(house: Any) -> None:
    house.run(TEXT)
    workspace = house.open()
    rerun = workspace.rerun("luck@1")
    assert not rerun.equal
    assert workspace.catalog.artifacts.head("luck").number == 1


def test_it_runs_on_the_inputs_it_had_not_on_today_s(house: Any) -> None:
    house.run(TEXT)
    house.run(TEXT.replace("size: int = 3", "size: int = 5"))
    assert house.open().rerun("drawn@1").equal
    assert house.tasks[-1].inputs["base"].version.number == 1


def test_it_runs_with_the_settings_it_had(house: Any) -> None:
    house.run(TEXT)
    house.run(TEXT, settings={"base.size": 7})
    assert house.open().rerun("base@2").equal
    assert house.tasks[-1].settings == {"size": 7}


def test_code_that_changed_since_is_noted(house: Any) -> None:
    house.run(TEXT)
    rerun = house.open(TEXT.replace("+ sum(base)", "+ sum(base) + 1")).rerun("drawn@1")
    assert not rerun.equal
    assert any("drawn changed (flow.py:" in note for note in rerun.notes)


def test_a_rerun_and_a_side_run_are_nothing_that_why_compares_with(house: Any) -> None:
    """The head's own step is: an old version run again, or a setting tried, changes nothing about what is out of date and why."""
    house.run(TEXT)
    house.run(TEXT.replace("size: int = 3", "size: int = 5"))
    house.run(settings={"base.size": 9})
    house.clock.forward(1.0)
    house.open().rerun("base@1")
    rerun = house.open().catalog.runs.last(1)[0]
    assert [step.why for step in house.open().catalog.runs.steps(rerun.id)] == ["asked for with rerun"]
    why = house.open(TEXT.replace("size: int = 3", "size: int = 6")).why("base")
    assert why.now.why == "setting size: 5 -> 6"
    assert why.last.key_parts.settings == {"size": 5}


def test_an_attempt_is_named_too_and_what_is_not_there_is_said(house: Any) -> None:
    summary = house.run(TEXT)
    workspace = house.open()
    assert workspace.rerun(summary.versions["base"].attempt).equal
    with pytest.raises(NotFound):
        workspace.rerun("drawn@9")
    with pytest.raises(NotFound):
        workspace.rerun("a-nothing")


GATE = """
ROW = {"x": 1.0}

@p.train
def late(score: int = 1) -> Model:
    return Model.of(predict, {"score": score}, example=[ROW])

def predict(params: dict, columns: dict) -> object:
    return columns["x"] * 0 + params["score"]

@p.check(promotes="production")
def better(late: Model, champion: Model = use("late@production")) -> Check:
    return Check.compare("score", late.predict(ROW), champion.predict(ROW) if champion else None)
"""


def test_a_check_is_run_again_against_the_champion_it_had(house: Any) -> None:
    """The first had none, whatever serves by now; and running it again promotes nothing."""
    house.run(GATE)
    house.run(GATE.replace("score: int = 1", "score: int = 2"))
    workspace = house.open()
    assert workspace.rerun("better@1").equal
    assert house.tasks[-1].inputs["champion"].version is None
    assert workspace.catalog.models.aliases("late") == {"production": 2}


def test_a_side_version_that_passed_is_promoted_when_it_becomes_the_default(house: Any) -> None:
    """Everything is a hit then, and still the gate decides: once, and not against a person or a bar."""
    better = GATE.replace("score: int = 1", "score: int = 2")
    house.run(GATE)
    house.run(settings={"late.score": 2})
    models = house.open().catalog.models
    assert models.aliases("late") == {"production": 1}
    summary = house.run(better)
    assert set(house.steps(summary).values()) == {"skipped"}
    assert models.aliases("late") == {"production": 2}
    assert house.told("check.promoted") == ["late@2 is now production"]
    house.open().rollback("late")
    assert house.run(better).ok
    assert models.aliases("late") == {"production": 1}
    assert house.told("check.promoted") == []


def test_a_side_version_that_did_not_pass_is_not_promoted_as_the_default(house: Any) -> None:
    house.run(GATE)
    house.run(settings={"late.score": 0})
    house.run(GATE.replace("score: int = 1", "score: int = 0"))
    assert house.open().catalog.models.aliases("late") == {"production": 1}


def test_a_part_is_run_again_alone(house: Any, parts: str) -> None:
    house.run(parts)
    house.tasks.clear()
    rerun = house.open().rerun("clean[tue]@1")
    assert rerun.equal
    assert [(task.step, task.part) for task in house.tasks] == [("clean", "tue")]
    assert house.tasks[0].inputs["raw"].version.ref == "raw[tue]@1"


def test_what_was_put_together_from_parts_is_not_run_itself(house: Any, parts: str) -> None:
    house.run(parts)
    with pytest.raises(UserError, match="put together from its parts"):
        house.open().rerun("clean@1")


def test_diff_of_versions_names_digest_value_metrics_and_cause(house: Any) -> None:
    house.run(TEXT)
    house.run(TEXT.replace("size: int = 3", "size: int = 5"))
    rows = {row.what: (row.before, row.after) for row in house.open().diff("drawn@1", "drawn@2")}
    assert rows["metric n"] == ("3", "5")
    assert rows["because"][1] == "input base: base@1 -> base@2"
    assert rows["digest"][0] != rows["digest"][1]


def test_diff_of_runs_names_settings_and_what_each_step_stands_for(house: Any) -> None:
    first = house.run(TEXT, "base").run.id
    second = house.run(TEXT, "base", settings={"base.size": 5}).run.id
    rows = {row.what: (row.before, row.after) for row in house.open().diff(first, second)}
    assert rows["base.size"] == ("", "5")
    assert rows["step base"][0].startswith("done")


def test_diff_of_unlike_things_is_refused(house: Any) -> None:
    house.run(TEXT)
    with pytest.raises(UserError, match="two artifacts") as raised:
        house.open().diff("base", "luck")
    assert raised.value.next == "bedplate show base lists its versions"
    house.run(TEXT.replace("size: int = 3", "size: int = 5"))
    with pytest.raises(UserError, match="two artifacts") as raised:
        house.open().diff("base", "luck")
    assert raised.value.next == "bedplate diff base@1 base@2"


def test_diff_of_models_says_what_passed(house: Any) -> None:
    house.run(GATE)
    house.run(GATE.replace("score: int = 1", "score: int = 0"))
    rows = {row.what: (row.before, row.after) for row in house.open().diff("late@1", "late@2")}
    assert rows["check better"] == ("pass", "FAIL")
    assert rows["check better: score"] == ("1", "0")


def test_diff_of_equal_things_is_empty(house: Any) -> None:
    house.run(TEXT)
    assert house.open().diff("base@1", "base") == ()
