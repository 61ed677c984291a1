"""What is referenced is never collected, what is an orphan is, and nothing of a running attempt goes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import bedplate
from bedplate.core.records import Attempt, Run

OVERWRITES = 50
HOUR_S = 3600


def aged(path: Path, content: bytes = b"left behind") -> Path:
    """A file that nothing names, an hour old."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    old = time.time() - HOUR_S
    os.utime(path, (old, old))
    return path


@pytest.fixture
def overwritten(person: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    """A person whose tables were overwritten fifty times, with a model promoted each time and a plot kept each time."""
    monkeypatch.setenv("BEDPLATE_COMPUTE", "inline")
    monkeypatch.setenv("BEDPLATE_LEASE", "0.1 s")
    someone = person("week")
    plot = 'Path("plot.txt").write_text(str(weights))\n    context.artifact(Path("plot.txt"))\n    return Model.of('
    someone.edits("week.py", "return Model.of(", plot)
    someone.edits("week.py", "import zipfile", "import zipfile\nfrom pathlib import Path")
    monkeypatch.chdir(someone.folder)
    for minutes in range(OVERWRITES):
        someone.edits("week.py", f"LATE_MINUTES = {minutes + 14 if minutes else 15}", f"LATE_MINUTES = {minutes + 15}")
        assert bedplate.open(someone.folder).run().ok
    return someone


def test_after_fifty_overwrites_gc_leaves_every_version_that_is_named(overwritten: Any) -> None:
    """Every version of every table and model still reads and agrees with its digest; orphans of every place are gone."""
    workspace = bedplate.open(overwritten.folder)
    store = workspace.store.root
    orphans = [
        aged(store / "blobs" / "sha256" / "00" / ("0" * 64)),
        aged(store / "tables" / "departures" / "part-00000-a-lost.parquet"),
        aged(store / "tables" / "departures" / ".new-half"),
        aged(store / "staged" / "a-lost.json", b"{}"),
    ]
    plots = workspace.catalog.runs.kept_files()
    assert len(plots) == OVERWRITES
    for file in store.rglob("*"):
        os.utime(file, (time.time() - HOUR_S, time.time() - HOUR_S))
    report = overwritten.reads("gc", "--older", "0 s")
    assert sum(freed["files"] for freed in report["freed"].values()) == len(orphans)
    assert not [path for path in orphans if path.exists()]
    assert all((store / "blobs" / "sha256" / hexes[:2] / hexes).is_file() for hexes in (d.removeprefix("sha256:") for d in plots))
    assert workspace.catalog.models.history("late", "production")[-1].version == OVERWRITES
    versions = workspace.catalog.artifacts.versions("departures", limit=100)
    assert len(versions) == OVERWRITES
    assert workspace["departures"].load(1).height == versions[-1].rows
    findings = overwritten.reads("doctor", "--deep")
    assert not [f for f in findings if f["level"] == "wrong"]


def test_gc_takes_nothing_that_a_running_attempt_may_still_commit(person: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """An attempt that began two hours ago may have written the hour-old file: it stays until the attempt has ended."""
    monkeypatch.setenv("BEDPLATE_LEASE", "0.1 s")
    someone = person("week")
    workspace = bedplate.open(someone.folder)
    written = aged(workspace.store.root / "blobs" / "sha256" / "00" / ("0" * 64))
    began = datetime.now(UTC) - timedelta(hours=2)
    workspace.catalog.runs.begin(Run(id="r-1", project="week", target="local", command="", started_at=began, host="elsewhere", pid=1))
    workspace.catalog.runs.begin_attempts([Attempt(id="a-1", run="r-1", step="flown", started_at=began)])
    assert workspace.gc(timedelta(0)).files == 0
    assert written.exists()
    workspace.catalog.runs.begin_attempts([Attempt(id="a-1", run="r-1", step="flown", started_at=began, status="failed", ended_at=began)])
    assert workspace.gc(timedelta(0)).files == 1
