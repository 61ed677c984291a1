"""Gates: what was measured is recorded, and a verdict is on the model received by name, never on the champion."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from bedplate import Check, Context, Model, Project, use
from bedplate.core.errors import UserError
from bedplate.core.records import Draft, Input, Task, Version
from bedplate.pipeline.handlers import Work
from bedplate.pipeline.wiring.graph import build
from bedplate.stages.validate import Validate

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def project() -> Project:
    flights = Project("flights")

    @flights.train
    def late() -> Model: ...

    @flights.check(promotes="production")
    def good_enough(champion: Model = use("late@production"), *, late: Model) -> Check:
        return Check.at_least("auc", {"EWR": 0.8, "JFK": float("nan")}, 0.7)

    @flights.check
    def any_data(limit: int = 3) -> Check:
        return Check()

    return flights


def work(name: str) -> Work:
    node = build(project()).nodes[name]
    arguments = {wire.name: Model() for wire in node.wires if wire.kind == "model"}
    task = Task(attempt="a-1", run="r-1", step=name, project_file="flights.py")
    return Work(task=task, node=node, arguments=arguments, context=Context.test(), store=None, folder=Path())


def version(number: int) -> Version:
    return Version(artifact="late", kind="model", digest="sha256:1", number=number, created_at=NOW, attempt="a")


def draft(check: Check) -> Draft:
    return Draft(artifact="good_enough", kind="check", digest="sha256:2", value=msgspec.json.encode(check).decode())


def test_findings_become_metrics_and_not_a_number_fails_the_gate():
    """A slice without a value is recorded as failed, not as a figure."""
    asked = work("good_enough")
    check = Validate().call(asked)["good_enough"]
    assert not check.passed
    assert [(noted.name, noted.value) for noted in asked.context.noted] == [("auc[EWR]", 0.8)]
    assert str(check.findings[1]) == "FAIL auc[JFK] = not a number (>= 0.7)"


@pytest.mark.parametrize("value", [0.8, 0.6, float("nan")])
def test_the_verdict_is_on_the_model_received_by_name(value):
    """Not on the champion, whatever the order of parameters; passed as the Check says, after a way through JSON."""
    check = Check.at_least("auc", value, 0.7)
    inputs = {
        "champion": Input(artifact="late@production", view="model", version=version(3)),
        "late": Input(artifact="late", view="model", version=version(7)),
    }
    verdict = Validate().conclude(work("good_enough").node, [draft(check)], inputs, "a-1", NOW).verdict
    assert (verdict.model, verdict.model_version, verdict.passed, verdict.promotes) == ("late", 7, value == 0.8, "production")
    assert (verdict.check, verdict.attempt, verdict.at) == ("good_enough", "a-1", NOW)


def test_a_check_of_data_gives_no_verdict():
    """It receives no model."""
    assert Validate().conclude(work("any_data").node, [draft(Check.at_least("rows", 5, 1))], {}, "a-1", NOW).verdict is None


def test_a_check_of_nothing_is_refused():
    """Silence does not pass a gate."""
    with pytest.raises(UserError, match="any_data returned a Check without findings"):
        Validate().call(work("any_data"))


def test_a_champion_without_a_value_bars_nobody():
    """What cannot be compared is not held against the candidate; the candidate's own missing value is."""
    assert Check.compare("auc", 0.5, float("nan")).passed
    assert Check.compare("auc", 0.5, None).passed
    assert not Check.compare("auc", float("nan"), None).passed
    assert not Check.compare("auc", 0.5, 0.6, margin=0.05).passed
    assert Check.compare("loss", {"EWR": 0.5, "LGA": 9.0}, {"EWR": 0.6}, lower_is_better=True).passed
