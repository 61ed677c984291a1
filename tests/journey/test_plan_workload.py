"""`bedplate plan` of a project that declares workloads: what the planner says before the first run, and what attempts make of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Person

PROJECT = """\
from typing import Any
import polars as pl
from bedplate import Model, Project, Workload

chat = Project("chat"{budget})

@chat.step
def texts() -> pl.DataFrame:
    return pl.DataFrame({{"x": [1.0, 2.0]}})

def predict(params: dict[str, Any], columns: dict[str, Any]) -> Any:
    return columns["x"]

@chat.train(workload=Workload(model="llama-3.1-8b", tokens="2B", seq_len=8192))
def tuned(texts: pl.DataFrame) -> Model:
    return Model.of(predict, {{"w": 1.0}}, example=texts)

@chat.step(workload=Workload(model="llama-3.1-70b", tokens="2B"))
def larger(texts: pl.DataFrame) -> int:
    return 1

@chat.service(workload=Workload(model="llama-3.1-8b", isl=2000, osl=300, rate="4/s"))
def answer(tuned: Model, x: float) -> float:
    return float(tuned.predict({{"x": x}}))
"""
HOUR = 3600.0


@pytest.fixture
def chat(someone: Person) -> Person:
    """Somebody with that project on eight accelerators."""
    write(someone)
    return someone


def write(someone: Person, machines: str = 'machines = "8 x h100"\n', budget: str = "") -> None:
    (someone.folder / "chat.py").write_text(PROJECT.format(budget=budget))
    (someone.folder / "bedplate.toml").write_text(machines)


def planned(someone: Person, *words: str) -> dict[str, Any]:
    """Step -> what the plan says of it, its forecasts by quantity."""
    rows = someone.reads("plan", *words)
    return {row["name"]: row | {"by": {one["quantity"]: one for one in row["forecasts"]}} for row in rows}


def test_a_workload_is_forecast_before_its_first_run_and_kept_beside_what_happened(chat: Person) -> None:
    """Before: the planner's hours. The function here takes a moment, so afterwards its own attempt speaks; both are on record."""
    before = planned(chat)
    wall = before["tuned"]["by"]["wall_s"]
    assert (wall["basis"], wall["samples"]) == ("planner", 0)
    assert 5 * HOUR < wall["low"] < wall["high"] < 12 * HOUR
    assert {"accelerator_bytes", "energy_joules", "cost_usd"} <= set(before["tuned"]["by"])
    assert before["texts"]["by"]["wall_s"]["basis"] == "unknown"
    assert "by the planner, with 8 x H100" in chat.types("plan").stdout

    assert chat.ran() == {"texts": "done", "tuned": "done", "larger": "done"}
    after = planned(chat, "--fresh")["tuned"]
    assert after["by"]["wall_s"]["high"] < 60, "hours are contradicted by an attempt of a moment"
    assert after["expected"]["forecasts"][0] == wall
    assert (after["record"]["n"], after["record"]["inside"]) == (1, 0)
    rows = chat.reads("sql", "SELECT quantity, basis, middle, actual FROM forecasts WHERE step = 'tuned' ORDER BY quantity")
    kept = {row["quantity"]: row for row in rows}
    assert kept["wall_s"]["middle"] == pytest.approx(wall["middle"])
    assert 0 < kept["wall_s"]["actual"] < 60
    assert kept["energy_joules"]["actual"] is None, "no meter reads the accelerators"
    assert "the planner says" in chat.types("plan", "--fresh").stdout


def test_what_does_not_fit_is_told_by_plan_and_by_run(chat: Person) -> None:
    """Why, and how many of the same machines would do; the run goes on."""
    row = planned(chat)["larger"]
    assert row["expected"]["fits"] is False
    said = "it does not fit 8 x h100: "
    assert said in chat.types("plan").stdout
    assert "it would fit 32 x h100" in chat.types("plan").stdout
    assert [e["step"] for e in chat.events("run") if e.get("kind") == "step.warned" and said in e["text"]] == ["larger"]


def test_a_service_is_listed_with_what_a_month_should_cost(chat: Person) -> None:
    row = planned(chat)["answer"]
    assert row["action"] == "serve"
    assert row["by"]["cost_usd"]["middle"] > 100
    assert "wall_s" not in row["by"]


def test_a_workload_is_no_part_of_the_key_and_a_run_that_skips_loads_no_planner(chat: Person) -> None:
    chat.types("run")
    chat.edits("chat.py", 'tokens="2B", seq_len=8192', 'tokens="3B", seq_len=4096')
    done = chat.types("run", env=os.environ | {"PYTHONPROFILEIMPORTTIME": "1"})
    assert "bedplate.planner.search" not in done.stderr
    assert "bedplate.planner.forecasts.history" in done.stderr, "imports are told"
    assert set(chat.ran().values()) == {"skipped"}


def test_a_budget_refuses_what_the_planner_says_before_it_ever_ran(someone: Person) -> None:
    write(someone, 'machines = "8 x h100"\nprice = "20 USD/hour"\n', budget=', budget="50 USD/month"')
    said = someone.types("run", code=5).stderr
    assert "the budget of chat does not allow this" in said
    assert planned(someone)["tuned"]["by"]["cost_usd"]["low"] > 50


def test_without_machines_the_plan_says_what_is_missing(someone: Person) -> None:
    write(someone, "")
    assert planned(someone)["tuned"]["expected"] is None
    assert 'machines = "8 x h100" in bedplate.toml' in someone.types("plan").stdout


@pytest.mark.parametrize(
    ("before", "after", "code", "said"),
    [
        ('tokens="2B", seq_len=8192', "seq_len=8192", 3, "workload: tokens= is missing"),
        ('tokens="2B", seq_len=8192', 'tokens="2 zillion"', 3, "'2 zillion' is not a count"),
        ('model="llama-3.1-8b", tokens', 'model="lama-3.1-8b", tokens', 0, "there is no model 'lama-3.1-8b'"),
    ],
)
def test_lint_tells_a_mistake_in_a_workload_with_its_line(chat: Person, before: str, after: str, code: int, said: str) -> None:
    chat.edits("chat.py", before, after)
    found = chat.reads("lint", code=code)["mistakes"]
    assert [said in one["message"] for one in found] == [True]
    line = (Path(found[0]["file"]).read_text().splitlines())[found[0]["line"] - 1]
    assert line.startswith(("@chat.train", "def tuned"))


def test_machines_that_cannot_be_read_are_refused(someone: Person) -> None:
    write(someone, 'machines = "h100"\n')
    assert "the setting machines: 'h100' is not a number of machines" in someone.types("plan", code=2).stderr
