"""A team that runs `bedplate up` for its clients and has no project: what is kept there is looked at, collected, backed up and restored."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from insisting import API, Insisting
from trackers import Tracker

MODEL = "late"
KEPT = b"weights" * 1000
GONE = b"mistake" * 1000
OLD_S = 3600
QUICK = {**os.environ, "BEDPLATE_LEASE": "0.1 s"}
EXTRAS = ("--state", "team/.bedplate")


class Team:
    """A tracker in a folder of its own, two runs with a file each, one of them deleted, and a version registered of the other's."""

    def __init__(self, someone: Any) -> None:
        self.someone = someone
        self.folder = someone.folder / "team"
        self.folder.mkdir()
        self.up = Tracker(self.folder)
        client = Insisting(self.up.url, self.up.token)
        self.run = self._run(client, "stays", KEPT)
        gone = self._run(client, "goes", GONE)
        client.post("runs/delete", run_id=gone)
        client.post("registered-models/create", name=MODEL)
        client.post("model-versions/create", name=MODEL, source=f"runs:/{self.run}/model", run_id=self.run)
        client.close()
        old = time.time() - OLD_S
        for blob in self.blobs():
            os.utime(blob, (old, old))

    @staticmethod
    def _run(client: Insisting, name: str, content: bytes) -> str:
        run: str = client.new_run(1, name)
        uri = client.get(f"runs/get?run_id={run}")["run"]["info"]["artifact_uri"]
        place = f"/api/2.0/mlflow-artifacts/artifacts/{uri.partition(':/')[2].lstrip('/')}/model/weights.bin"
        client.ask("PUT", place, content, {"Content-Type": "application/octet-stream"})
        client.post("runs/update", run_id=run, status="FINISHED")
        return run

    def blobs(self) -> list[Path]:
        return [path for path in (self.folder / ".bedplate/store/blobs/sha256").rglob("*") if path.is_file()]

    def types(self, *words: str, **more: Any) -> str:
        """In the tracker's own folder."""
        return str(type(self.someone)(self.folder).types(*words, **more).stdout)


@pytest.fixture
def team(someone: Any) -> Iterator[Team]:
    made = Team(someone)
    yield made
    made.up.kill()


def wrong(findings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for one in findings if one["level"] == "wrong"]


def test_what_clients_logged_is_shown_where_no_project_is(team: Team) -> None:
    """`status` and `show` in the tracker's folder, and elsewhere with --state: the model, its card, the run that made it."""
    said = team.types("status")
    assert "no project on target local" in said
    assert f"{MODEL} model 1" in " ".join(said.split())
    status = team.someone.reads("status", *EXTRAS)
    assert list(status["artifacts"]) == [MODEL]
    assert team.run in {run["id"] for run in status["runs"]}
    assert team.someone.reads("show", f"{MODEL}@1", *EXTRAS)["version"]["meta"]["origin"] == "client"
    assert "stays" in team.types("show", team.run)
    assert "that a client registered" in " ".join(team.types("show", MODEL).split())


def test_gc_and_the_doctor_need_no_project(team: Team) -> None:
    """What the client deleted goes, what the version names stays, and every byte is read and found whole."""
    assert not wrong(team.someone.reads("doctor", "--deep", *EXTRAS))
    assert len(team.blobs()) == 2
    time.sleep(0.5)
    team.types("gc", "--older", "0 s", "--dry-run", env=QUICK)
    assert len(team.blobs()) == 2
    team.someone.types("gc", "--older", "0 s", *EXTRAS, env=QUICK)
    assert [blob.read_bytes() for blob in team.blobs()] == [KEPT]
    assert not wrong(team.someone.reads("doctor", "--deep", *EXTRAS))
    for blob in team.blobs():
        blob.unlink()
    gone = wrong(team.someone.reads("doctor", *EXTRAS, code=4))
    assert [one["next"] for one in gone] == ["restore it from a backup"]


def test_a_tracker_is_backed_up_while_it_is_up_and_restored_elsewhere(team: Team, tmp_path: Path) -> None:
    """With its accounts: the old token opens the restored one, the files come back byte for byte; once there, none is brought over it."""
    made = team.someone.reads("backup", str(tmp_path / "kept"), *EXTRAS)
    assert (made["project"], made["gone"], made["versions"]) == ("no project", [], 1)
    other = type(team.someone)(tmp_path / "other")
    other.folder.mkdir()
    other.types("restore", str(tmp_path / "kept"))
    assert not wrong(other.reads("doctor", "--deep"))
    again = Tracker(other.folder)
    client = Insisting(again.url, team.up.token)
    assert client.ask("GET", f"{API}/model-versions/get-artifact?name={MODEL}&version=1&path=weights.bin", None) == KEPT
    client.close()
    again.kill()
    assert "there is a record" in other.types("restore", str(tmp_path / "kept"), code=5).stderr
    team.someone.types("restore", str(tmp_path / "kept"), "--state", str(tmp_path / "third"))
    assert team.someone.reads("show", MODEL, "--state", str(tmp_path / "third"))["version"]["number"] == 1


@pytest.mark.bad_input("a backup that is broken or not there")
def test_a_server_that_was_started_is_no_empty_place(team: Team, tmp_path: Path) -> None:
    """Nothing was logged there yet, but it has accounts and an audit log of its own, which a restored record would take the place of."""
    team.someone.types("backup", str(tmp_path / "kept"), *EXTRAS)
    other = type(team.someone)(tmp_path / "other")
    other.folder.mkdir()
    started = Tracker(other.folder)
    started.kill()
    assert "there is a record" in other.types("restore", str(tmp_path / "kept"), code=5).stderr
    assert len(other.reads("account", "list")) == 1


def test_where_nobody_ever_logged_there_is_nothing_to_look_at(someone: Any) -> None:
    """Each verb says so and makes nothing, with a state that is named and without."""
    for words in (("status",), ("doctor",), ("gc",), ("backup", "kept"), ("show", "late"), ("show", "0" * 32)):
        assert "no project file" in someone.types(*words, code=2).stderr
        assert "there is no record" in someone.types(*words, "--state", "nowhere", code=2).stderr
    assert not list(someone.folder.iterdir())


@pytest.mark.bad_input("a record with the store of another")
def test_gc_leaves_the_bytes_of_another_record_alone(team: Team, tmp_path: Path) -> None:
    """A record named with the store of another one: refused, and nothing goes."""
    shutil.copytree(team.folder / ".bedplate/store", tmp_path / "theirs")
    for blob in (tmp_path / "theirs/blobs/sha256").rglob("*"):
        if blob.is_file():
            blob.rename(blob.with_name(blob.name[::-1]))
    before = sorted(str(one) for one in (tmp_path / "theirs").rglob("*"))
    time.sleep(0.5)
    refused = team.someone.types("gc", "--older", "0 s", *EXTRAS, "--store", "theirs", code=5, env=QUICK)
    assert "the store of another record" in refused.stderr
    assert sorted(str(one) for one in (tmp_path / "theirs").rglob("*")) == before


def test_a_backup_of_a_project_wants_its_project(person: Callable[..., Any], someone: Any, tmp_path: Path) -> None:
    """In a folder without one it is refused, for the next run there would be another project's; a place that is named takes it."""
    week = person("week")
    week.types("run", "flown")
    week.types("backup", str(tmp_path / "kept"))
    assert "is of project 'week'" in someone.types("restore", str(tmp_path / "kept"), code=5).stderr
    someone.types("restore", str(tmp_path / "kept"), "--state", "copy")
    assert "week on target local" in someone.types("status", "--state", "copy").stdout
    assert someone.reads("show", "flown", "--state", "copy")["version"]["number"] == 1
