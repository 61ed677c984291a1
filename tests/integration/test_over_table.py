"""`bedplate run SERVICE --over TABLE`: killed it goes on, every row is answered once, and what a row lacks is told beside it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from over_site import ROWS, homes

import bedplate
from bedplate.core.errors import NotFound, Refused, UserError
from bedplate.stages.deploy.over import Scoring

SHARD = 100


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The project, run once."""
    return homes(tmp_path_factory.mktemp("homes"))


def score(folder: Path) -> int:
    command = [sys.executable, "-m", "bedplate", "run", "worth", "--over", "flats", "--shard-rows", str(SHARD)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=dict(os.environ), check=False).returncode


def calls(folder: Path) -> list[float]:
    return [float(line) for line in (folder / "calls.txt").read_text().split()]


def test_killed_three_times_it_answers_every_row_exactly_once(folder):
    """SIGKILL in shards 2, 4 and 6: whole shards are not called again, the table has each row once, and then nothing is left to do."""
    for at in (150.0, 350.0, 599.0):
        (folder / "dies").write_text(str(at))
        assert score(folder) == -signal.SIGKILL
    (folder / "dies").unlink()
    assert score(folder) == 0
    called = calls(folder)
    assert len(called) == (ROWS - 1) + 51 + 51 + 100  # the shards that a kill cut short were called again, and no other
    project = bedplate.open(folder)
    frame = project.catalog.artifacts.head("worth_over_flats")
    table = project.store.load(frame, "polars")
    assert table["id"].to_list() == list(range(ROWS))
    good = table.filter(table["error"].is_null())
    assert good["prediction"].to_list() == [2.0 * area for area in good["area"]]
    assert dict(table.filter(table["error"].is_not_null()).select("id", "error").iter_rows()) == {
        7: "'area': expected `float`, got `null`", 50: "ValueError: no such flat",
    }  # fmt: skip
    assert score(folder) == 0
    assert len(calls(folder)) == len(called)
    assert len(project.catalog.artifacts.versions("worth_over_flats")) == 1
    assert list((folder / ".bedplate" / "over").glob("[!.]*")) == []
    above = {edge.upstream for edge in project.catalog.lineage("worth_over_flats").upstream}
    assert above >= {"cost@1", "flats@1"}


def test_its_end_names_the_next_command_and_status_the_table(folder):
    """Also where nothing was left to do; status in a project has the tables of its services beside what its functions make."""
    words = [sys.executable, "-m", "bedplate"]
    asked = ["run", "other", "--over", "floors"]
    for said in ("other_over_floors@1 (2 rows)", "other_over_floors@1 has these answers already"):
        told = subprocess.run([*words, *asked], cwd=folder, capture_output=True, text=True, check=True).stdout.splitlines()
        assert told[-2].startswith(said)
        assert told[-1] == 'next: bedplate sql "select * from other_over_floors limit 10", or bedplate lineage other_over_floors'
    status = subprocess.run([*words, "status"], cwd=folder, capture_output=True, text=True, check=True).stdout
    assert "other_over_floors deploy table 1 2" in " ".join(status.split())


def test_another_model_is_another_table(folder, monkeypatch):
    """What served then stays: the new answers are a new version."""
    monkeypatch.chdir(folder)
    project = bedplate.open(folder)
    project.run("cost", settings={"cost.per_area": 3.0})
    project.promote("cost@2")
    found = Scoring(project, "worth", "flats", shard_rows=SHARD).run(lambda *_: None)
    assert found.refused == 2
    assert project.store.load(found.version, "polars")["prediction"][10] == 30.0


def test_two_at_once_score_it_once(folder):
    """The second waits, calls nothing and names the version that the first has made."""
    project = bedplate.open(folder)
    project.run("cost", settings={"cost.per_area": 5.0})
    project.promote("cost@3")
    before, versions = len(calls(folder)), len(project.catalog.artifacts.versions("worth_over_flats"))
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(score, [folder] * 3)) == [0, 0, 0]
    assert len(calls(folder)) == before + ROWS - 1
    assert len(project.catalog.artifacts.versions("worth_over_flats")) == versions + 1


def test_what_cannot_be_scored_is_said(folder):
    """A model that waits for its check, a column that is not there, a name that is no service, an artifact that is no table."""
    project = bedplate.open(folder)
    with pytest.raises(Refused, match="cannot answer yet"):
        Scoring(project, "waiting", "flats", shard_rows=SHARD)
    with pytest.raises(UserError, match="no column floor"):
        Scoring(project, "other", "flats", shard_rows=SHARD).run(lambda *_: None)
    with pytest.raises(NotFound, match="no service"):
        Scoring(project, "cost", "flats", shard_rows=SHARD)
    with pytest.raises(UserError, match="not a table"):
        Scoring(project, "worth", "cost", shard_rows=SHARD)
