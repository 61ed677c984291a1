"""Two people run one project at once: each step is made once, and both are told that all went well."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import bedplate

ALL = {"flown", "departures", "carrier_delay", "late", "good_enough"}
AT_ONCE = 3


def test_runs_at_once_make_each_step_once(person: Callable[..., Any]) -> None:
    """The first to take a step's lease makes it; the others hold the step, then find it made and skip it."""
    someone = person("week")
    typed = [sys.executable, "-m", "bedplate", "run", "--json"]
    runs = [subprocess.Popen(typed, cwd=someone.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(AT_ONCE)]
    said = [run.communicate(timeout=120) for run in runs]
    assert [run.returncode for run in runs] == [0] * AT_ONCE, said
    ends = [[event for event in map(json.loads, out.splitlines()) if event["kind"] in ("step.done", "step.skipped")] for out, _ in said]
    assert all({event["step"] for event in one} == ALL for one in ends)
    assert Counter(event["step"] for one in ends for event in one if event["kind"] == "step.done") == dict.fromkeys(ALL, 1)
    catalog = bedplate.open(someone.folder).catalog
    attempts = [attempt for run in catalog.runs.last() for attempt in catalog.runs.attempts(run.id)]
    assert Counter((attempt.step, attempt.status) for attempt in attempts) == {(name, "done"): 1 for name in ALL}
    assert {run.status for run in catalog.runs.last()} == {"done"}
    assert not catalog.leases.held()


def test_who_waits_takes_over_from_who_is_killed(person: Callable[..., Any]) -> None:
    """The second holds a step until the first is killed in the middle of it, makes it, and the record is whole after the next run."""
    someone = person("week")
    someone.edits("week.py", "text = zipfile", "time.sleep(5)\n    text = zipfile")
    someone.edits("week.py", "import zipfile", "import time\nimport zipfile")
    typed = [sys.executable, "-m", "bedplate", "run", "--json"]
    with subprocess.Popen(typed, cwd=someone.folder, stdout=subprocess.PIPE, text=True) as first:
        heard(first, "step.started")
        with subprocess.Popen(typed, cwd=someone.folder, stdout=subprocess.PIPE, text=True) as second:
            heard(second, "step.held")
            first.kill()
            rest = [json.loads(line)["kind"] for line in second.communicate(timeout=120)[0].splitlines()]
            assert second.returncode == 0
            assert rest.count("step.done") == len(ALL)
    assert set(someone.ran().values()) == {"skipped"}
    assert not [f for f in someone.reads("doctor", "--deep") if f["level"] != "ok" and f["area"] not in ("ports", "disk")]


def heard(run: subprocess.Popen[str], kind: str) -> None:
    """Listen to a run until it says this."""
    assert run.stdout is not None
    assert any(json.loads(line)["kind"] == kind for line in iter(run.stdout.readline, "")), f"the run ended without saying {kind}"
