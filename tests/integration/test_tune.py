"""`bedplate tune` with real runs and Optuna: killed and gone on with, pruned, stopped by money, hopeless; the best version is `tuned`."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import bedplate
from bedplate.pipeline.tuning.trials import ASKED, TOLD, trials_of

pytest.importorskip("optuna")
PROJECT = """
import time
from bedplate import Check, Context, Model, Project, tune

hills = Project("hills")


def height(params, columns):
    return [params["h"]] * len(columns["x"])


@hills.train
def hill(context: Context, x: float = tune(-2.0, 2.0, default=1.5), wait_s: float = 0.0) -> Model:
    h = -(x - 0.3) ** 2
    for at in range(4):
        context.metric("h", h - (4 - at), at_step=at)
        time.sleep(WAIT)
    if FAIL:
        raise RuntimeError("no hill")
    return Model.of(height, {"h": h}, example=[{"x": 1.0}], metrics={"h": h})


@hills.check
def good(hill: Model) -> Check:
    return Check.at_least("top", float(hill.predict([{"x": 1.0}])[0]), 9.0)
"""


def project(folder: Path, *, wait: float = 0.0, fail: bool = False, toml: str = "") -> Path:
    (folder / "hills.py").write_text(PROJECT + f"\nWAIT = {wait}\nFAIL = {fail}\n")
    (folder / "bedplate.toml").write_text(toml)
    return folder


def begin(folder: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "bedplate", "tune", "hill", "--json", *options]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def tuned(folder: Path, *options: str) -> dict:
    """What the search found: the JSON after its lines."""
    search = begin(folder, *options)
    said, wrong = search.communicate(timeout=240)
    assert search.returncode == 0, wrong
    return json.loads("\n".join(line for line in said.splitlines() if not line.startswith('{"kind"')))


def test_a_trial_whose_metric_is_no_number_fails_alone(tmp_path):
    """NaN of the defaults: the trial failed with what it said, the search goes on, and so does who takes it up again."""
    folder = project(tmp_path)
    (folder / "hills.py").write_text(
        (folder / "hills.py").read_text().replace('metrics={"h": h}', 'metrics={"h": float("nan") if x == 1.5 else h}')
    )
    found = tuned(folder, "--maximise", "h", "--trials", "2")
    assert [(trial["state"], trial["message"]) for trial in found["trials"]] == [("failed", "h is nan"), ("done", "")]
    assert found["best"]["number"] == 1
    assert len(tuned(folder, "--maximise", "h", "--trials", "3")["trials"]) == 3


@pytest.mark.slow
def test_killed_it_goes_on_with_every_trial_once_and_the_best_is_tuned(tmp_path):
    """SIGKILL in the middle: what was asked is run with the settings that it had, nothing is lost, and nothing is made twice."""
    folder = project(tmp_path)
    search = begin(folder, "--maximise", "good.top", "--trials", "6", "--parallel", "2")
    assert search.stdout is not None
    ended = 0
    for line in search.stdout:
        ended += '"trial.done"' in line
        if ended == 2:
            break
    search.send_signal(signal.SIGKILL)
    search.communicate()
    workspace = bedplate.open(folder)
    (study,) = {event.subject for _, event in workspace.catalog.events.since(0) if event.kind == ASKED}
    events = workspace.catalog.events
    before = trials_of(events.about(ASKED, study), events.about(TOLD, study))
    found = tuned(folder, "--maximise", "good.top", "--trials", "6")
    assert [trial["number"] for trial in found["trials"]] == list(range(6))
    assert [trial["settings"] for trial in found["trials"]][: len(before)] == [trial.settings for trial in before]
    assert len(events.about(TOLD, study)) == 6
    best = max(found["trials"], key=lambda trial: trial["value"])
    assert found["best"] == best
    assert found["trials"][0]["settings"] == {"hill.x": 1.5}
    assert best["value"] == pytest.approx(-((best["settings"]["hill.x"] - 0.3) ** 2))
    assert workspace.catalog.models.alias("hill", "tuned") == found["version"]["number"]
    assert workspace.catalog.artifacts.head("hill") is None
    done = workspace.sql("select count(*) as n from attempts where step = 'hill' and status = 'done'")["n"][0]
    assert done == 6


@pytest.mark.slow
def test_a_trial_that_is_worse_on_the_way_is_pruned(tmp_path):
    """By the metric's points with at_step: its run is stopped before its end."""
    found = tuned(project(tmp_path, wait=0.3), "--maximise", "h", "--trials", "9", "--parallel", "2")
    states = [trial["state"] for trial in found["trials"]]
    assert "pruned" in states[5:]
    assert set(states) <= {"done", "pruned"}
    pruned = next(trial for trial in found["trials"] if trial["state"] == "pruned")
    assert len(pruned["curve"]) < 4
    assert bedplate.open(tmp_path).catalog.runs.get(pruned["run"]).status == "cancelled"


@pytest.mark.slow
def test_money_ends_it_and_a_target_without_a_price_has_none(tmp_path):
    """At 0.10 USD a second, a dollar is a few trials: what was spent stays at the budget, by one trial at most.

    A trial that runs counts from its start on, so a slow machine ends it sooner, never later.
    """
    folder = project(tmp_path, wait=0.2, toml="price = '360 USD/hour'\n")
    found = tuned(folder, "--minimise", "h", "--trials", "50", "--budget", "1 USD")
    costs = [trial["cost_usd"] for trial in found["trials"]]
    assert found["ended"] == "the money is spent"
    assert 0 < sum(costs) <= 1 + max(costs)
    assert len(costs) < 50
    search = begin(project(tmp_path), "--minimise", "h", "--budget", "0.5 USD")
    assert "a budget of money needs a price" in search.communicate()[1]


@pytest.mark.slow
def test_mistakes_end_it_soon_and_are_named(tmp_path):
    """A step that always fails, a metric that nobody says, a check that does not see the model, two goals."""
    folder = project(tmp_path, fail=True)
    search = begin(folder, "--maximise", "h")
    assert "no hill" in search.communicate()[1]
    folder = project(tmp_path)
    assert "says no metric 'top'" in begin(folder, "--maximise", "top").communicate()[1]
    assert "one goal" in begin(folder, "--maximise", "h", "--minimise", "h").communicate()[1]
    assert "nothing is called" in begin(folder, "--maximise", "nothing.h").communicate()[1]
