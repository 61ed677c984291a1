"""Nobody types: due work by cron, two at once, and budgets that stop what overspends, across processes."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

import bedplate
from bedplate.core.units import budget
from bedplate.pipeline.spending import spent

HEAD = """
import time
from bedplate import Files, Project, tune

shop = Project("shop"{budget})
"""
NIGHTLY = (
    HEAD
    + """
@shop.ingest(every="1 day")
def raw(source: Files = Files("in/*.txt")) -> list[int]:
    return [int(path.read_text()) for path in source.paths]

@shop.step
def total(raw: list[int]) -> int:
    return sum(raw)
"""
)
SWEPT = (
    HEAD
    + """
@shop.step
def trial(seconds: float = tune(0.0, 100.0, default=3.0)) -> float:
    time.sleep(seconds)
    return seconds

@shop.step
def other(seconds: float = 30.0) -> float:
    time.sleep(seconds)
    return seconds

@shop.service
def double(x: float) -> float:
    return 2 * x
"""
)
TUNED = (
    HEAD.replace("import Files", "import Context, Files, Model")
    + """
def height(params, columns):
    return [params["h"]] * len(columns["x"])

@shop.train
def hill(context: Context, x: float = tune(-2.0, 2.0, default=1.5)) -> Model:
    time.sleep(2)
    context.metric("h", -x * x)
    return Model.of(height, {{"h": -x * x}}, example=[{{"x": 1.0}}], metrics={{"h": -x * x}})
"""
)
DEAR = 'lease = "3 s"\nprice = "3600 USD/hour"\n'
INTERVAL_S = 1.0
"""A dollar a second, looked at every second: a third of the lease."""


def write(someone: Any, text: str, toml: str = "", **given: str) -> None:
    """A project in the person's folder."""
    (someone.folder / "shop.py").write_text(text.format(**{"budget": "", **given}))
    (someone.folder / "bedplate.toml").write_text(toml)


def test_cron_twice_does_it_once_and_says_what_is_next(someone: Any) -> None:
    """Exit code 0 both times; the plan says what was decided, and why the rest waits."""
    write(someone, NIGHTLY)
    (someone.folder / "in").mkdir()
    (someone.folder / "in" / "a.txt").write_text("3")
    first = someone.events("run", "--due")
    assert [event["step"] for event in first if event["kind"] == "step.done"] == ["raw", "total"]
    assert [(one["step"], one["status"]) for one in first[-1]["ended"]] == [("raw", "done")]
    assert "nothing is due; next is raw at " in someone.types("run", "--due").stdout
    plan = someone.reads("plan", "--due")
    assert [(one["step"], one["action"]) for one in plan["due"]] == [("raw", "wait")]
    assert [(one["step"], one["status"]) for one in plan["decided"]] == [("raw", "done")]
    assert "made raw, total" in someone.types("plan", "--due").stdout


def test_a_step_that_fails_is_exit_code_1_and_the_reason_is_kept(someone: Any) -> None:
    write(someone, NIGHTLY)
    (someone.folder / "in").mkdir()
    (someone.folder / "in" / "a.txt").write_text("three")
    assert "x failed  raw: every 1 day" in someone.types("run", "--due", code=1).stdout
    assert "invalid literal" in someone.reads("plan", "--due")["decided"][0]["reason"]
    assert someone.types("run", "--due").stdout.startswith("nothing is due")


def test_what_comes_due_while_it_is_made_is_passed_over_by_whoever_looks(someone: Any) -> None:
    """A step every two seconds that takes eight: a second process does nothing, and says why; both end well."""
    text = NIGHTLY.replace('every="1 day"', 'every="2 s"').replace("    return [int", "    time.sleep(8)\n    return [int")
    write(someone, text)
    (someone.folder / "in").mkdir()
    (someone.folder / "in" / "a.txt").write_text("3")
    typed = [sys.executable, "-m", "bedplate", "run", "--due", "--json"]
    with subprocess.Popen(typed, cwd=someone.folder, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        assert any('"step.started"' in line for line in first.stdout)
        subprocess.run([sys.executable, "-c", "import time; time.sleep(3)"], check=True)
        second = someone.events("run", "--due")
        assert "overlapped" in [event["status"] for event in second if event["kind"] == "due.passed_over"]
        assert second[-1]["ended"] == []
        first.terminate()
        first.communicate(timeout=60)
    decided = bedplate.open(someone.folder).catalog.due.newest()
    assert {one.status for one in decided} >= {"overlapped"}
    assert len([one for one in decided if one.status in ("done", "running")]) == 1


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--loop",), "--loop is about what is due"),
        (("--due", "raw"), "--due runs what is due, with no names"),
        (("--due", "--fresh"), "--due runs what is due, with no names"),
        (("--since", "yesterday"), "--since yesterday is no day or hour"),
        (("--since", "2026-01-01"), "none of these steps has a calendar"),
    ],
)
def test_options_that_make_no_sense_together_are_refused(someone: Any, words: tuple[str, ...], said: str) -> None:
    write(someone, NIGHTLY)
    assert said in someone.types("run", *words, code=2).stderr


def test_a_back_fill_makes_just_the_parts_between(someone: Any) -> None:
    """`until` is exclusive, as the `end` of a calendar; what is there is made again only with --fresh."""
    text = (
        HEAD.replace("import Files", "import daily, Files")
        + '@shop.ingest(each=daily("2026-01-01"))\ndef raw(day: str) -> str:\n    return day\n'
    )
    write(someone, text)
    between = ("--since", "2026-01-03", "--until", "2026-01-05")
    done = [event["part"] for event in someone.events("run", *between) if event["kind"] == "step.done"]
    assert sorted(done) == ["2026-01-03", "2026-01-04"]
    assert not [event for event in someone.events("run", *between) if event["kind"] == "step.done"]
    assert len([event for event in someone.events("run", *between, "--fresh") if event["kind"] == "step.done"]) == 2
    assert "no part lies between" in someone.types("run", "--since", "2999-01-01", code=2).stderr


def bill(someone: Any, limit: str) -> float:
    """What was spent of the budget's period, in dollars."""
    workspace = bedplate.open(someone.folder)
    return spent(workspace.catalog, budget(limit), workspace.clock.now())


@pytest.mark.slow
def test_a_sweep_is_stopped_when_the_budget_is_spent_and_the_next_trial_is_refused(someone: Any) -> None:
    """Trials of three seconds and dollars: with 20 the fourth cannot leave 10 s to stop, so it is stopped; what it cost stays within it."""
    write(someone, SWEPT, DEAR, budget=', budget="20 USD/day"')
    codes = []
    for number in range(8):
        codes.append(someone.types("run", "trial", "--set", f"trial.seconds={3 + number / 100}", code=None).returncode)
        if codes[-1]:
            break
    assert 2 <= codes.count(0) <= 4
    assert codes[-1] == 5
    refused = someone.types("run", "trial", "--set", "trial.seconds=19", code=5)
    assert "the budget of shop" in refused.stderr + refused.stdout
    assert bill(someone, "20 USD/day") <= 20


@pytest.mark.slow
def test_a_search_is_stopped_when_the_budget_is_spent_and_goes_on_with_a_higher_one(someone: Any) -> None:
    """`bedplate tune`: the trial that was stopped stays asked, none counts as failed, and exit code 5 says why it ended."""
    pytest.importorskip("optuna")
    write(someone, TUNED, DEAR, budget=', budget="16 USD/day"')
    stopped = search(someone, code=5)
    assert stopped["ended"] == "the project's budget is spent"
    states = [trial["state"] for trial in stopped["trials"]]
    assert states.count("done") >= 1
    assert set(states) == {"done", "asked"}
    assert bill(someone, "16 USD/day") <= 16 + INTERVAL_S
    someone.edits("shop.py", "16 USD/day", "200 USD/day")
    assert [trial["state"] for trial in search(someone)["trials"]] == ["done"] * 4


def search(someone: Any, code: int = 0) -> Any:
    """What a search of four trials found: the JSON after its lines."""
    said = someone.types("tune", "hill", "--maximise", "h", "--trials", "4", "--json", code=code).stdout
    return json.loads(said[said.index("\n{\n") :])


@pytest.mark.slow
def test_two_runs_at_once_do_not_spend_more_than_the_budget(someone: Any) -> None:
    """Each would run for a minute: both are stopped with exit code 5, and together they overspend by no more than one interval costs."""
    write(someone, SWEPT, DEAR, budget=', budget="40 USD/day"')
    typed = [sys.executable, "-m", "bedplate", "step"]
    both = [
        subprocess.Popen([*typed, name, "--set", f"{name}.seconds=60"], cwd=someone.folder, stdout=subprocess.PIPE)
        for name in ("trial", "other")
    ]
    said = [run.communicate(timeout=90)[0].decode() for run in both]
    assert [run.returncode for run in both] == [5, 5], said
    assert all("the budget of shop allows no more" in one for one in said)
    assert bill(someone, "40 USD/day") <= 40 + 2 * INTERVAL_S


@pytest.mark.slow
def test_a_service_is_stopped_when_the_budget_is_spent_and_is_not_served_again(someone: Any) -> None:
    """Idle time costs as much as any: nobody asks it anything, and after some seconds it has to stop."""
    write(someone, SWEPT, DEAR, budget=', budget="15 USD/day"')
    stopped = someone.types("serve", "--port", "0", code=5)
    assert "the server was stopped" in stopped.stderr
    assert "the budget of shop allows no more" in stopped.stderr
    assert bill(someone, "15 USD/day") <= 15
    assert "does not allow this" in someone.types("serve", "--port", "0", code=5).stderr
    row = (
        bedplate.open(someone.folder)
        .sql("select sum(up_s) as up, sum(busy_s) as busy, any_value(energy_basis) as basis from spending")
        .row(0, named=True)
    )
    assert row["up"] > row["busy"] > 0
    assert row["basis"] in ("assumed", "measured")
