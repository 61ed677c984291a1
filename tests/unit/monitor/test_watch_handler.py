"""The watch handler: the Check that a watch returns is its result, and its figures become metrics."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import polars as pl
import pytest

from bedplate.core.check import Check
from bedplate.core.context import Context
from bedplate.core.errors import UserError
from bedplate.core.project import Project
from bedplate.core.records import Task
from bedplate.pipeline.handlers import Work
from bedplate.pipeline.wiring.graph import build
from bedplate.stages.monitor import Watch

project = Project("watching")


@project.service
def quote(distance: float) -> float:
    return distance * 2


@project.watch(every="1 day")
def still_right(quote: pl.DataFrame) -> Check:
    if not quote.height:
        return cast(Check, None)
    return Check.at_most("mae", {"near": quote["error"][0], "": quote["error"][1]}, 0.5)


def work(frame: pl.DataFrame) -> Work:
    nothing: Any = None
    return Work(
        task=Task(attempt="a-1", run="r-1", step="still_right", project_file="watching.py"), node=build(project).nodes["still_right"],
        arguments={"quote": frame}, context=Context.test(), store=nothing, folder=Path(),
    )  # fmt: skip


def test_the_verdict_is_the_result_and_each_finding_a_metric() -> None:
    given = work(pl.DataFrame({"error": [0.2, 0.9]}))
    found = Watch().call(given)["still_right"]
    assert not found.passed
    assert [(one.name, one.value) for one in given.context.noted if one.what == "metric"] == [("mae[near]", 0.2), ("mae", 0.9)]


def test_a_watch_that_returns_no_check_is_refused() -> None:
    with pytest.raises(UserError, match=r"still_right returned nothing \(None\)"):
        Watch().call(work(pl.DataFrame({"error": pl.Series([], dtype=pl.Float64)})))
