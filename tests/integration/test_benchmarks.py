"""The benchmarks run; what they measure is not judged here, because a test that is timed fails on a busy machine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).parents[2] / "benchmarks" / "run.py"


@pytest.mark.slow
def test_every_measurement_runs_and_tells_its_goals(tmp_path: Path) -> None:
    """`--quick` measures all of our own and the floor once, and writes a page and the same as JSON, without this machine's name."""
    done = subprocess.run([sys.executable, RUN, "--quick", "--out", tmp_path], capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (page,) = tmp_path.glob("*.md")
    (data,) = tmp_path.glob("*.json")
    results = json.loads(data.read_text())["results"]
    assert [one["name"] for one in results] == [
        "steps", "starts", "tables", "samples", "drift", "features", "catalog", "planner", "training", "tracking", "console",
        "runtimes", "batching", "serving", "router",
    ]  # fmt: skip
    assert all(sample["cpu_s"][0] > 0 for one in results for sample in one["samples"])
    assert all(finding["what"] in page.read_text() for one in results for finding in one["findings"])
