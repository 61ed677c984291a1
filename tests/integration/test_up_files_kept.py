"""What clients uploaded is kept: `gc` takes only what they deleted, `doctor --deep` reads it, a backup brings it along."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from insisting import API, Insisting, Refused
from trackers import Tracker

HOUR_S = 3600
PROJECT = 'from bedplate import Project\n\nproject = Project("kept")\n'


def bedplate(folder: Path, *words: str, code: int = 0) -> Any:
    """What the command prints with --json."""
    environment = {**os.environ, "BEDPLATE_LEASE": "0.1 s"}
    typed = [sys.executable, "-m", "bedplate", *words, "--json"]
    done = subprocess.run(typed, cwd=folder, capture_output=True, text=True, timeout=120, env=environment, check=False)
    assert done.returncode == code, done.stderr + done.stdout
    return json.loads(done.stdout)


def place_of(client: Insisting, run: str) -> str:
    """Where a run's files are uploaded to."""
    uri = client.get(f"runs/get?run_id={run}")["run"]["info"]["artifact_uri"]
    return f"/api/2.0/mlflow-artifacts/artifacts/{uri.partition(':/')[2].lstrip('/')}"


def blobs(folder: Path) -> list[Path]:
    return [path for path in (folder / ".bedplate" / "store" / "blobs" / "sha256").rglob("*") if path.is_file()]


@pytest.fixture
def used(tmp_path: Path) -> Iterator[tuple[Tracker, Insisting, dict[str, str]]]:
    """A server with two runs that have a file each, one of them deleted, and a version registered of the other's; all of it old."""
    folder = tmp_path / "team"
    folder.mkdir()
    (folder / "kept.py").write_text(PROJECT)
    up = Tracker(folder)
    client = Insisting(up.url, up.token)
    places = {}
    for name in ("stays", "goes"):
        run = client.new_run(1, name)
        places[name] = place_of(client, run)
        client.ask("PUT", f"{places[name]}/model/weights.bin", name.encode() * 1000, {"Content-Type": "application/octet-stream"})
        client.post("runs/update", run_id=run, status="FINISHED")
        if name == "goes":
            client.post("runs/delete", run_id=run)
        else:
            client.post("registered-models/create", name="m")
            source = client.get(f"runs/get?run_id={run}")["run"]["info"]["artifact_uri"]
            client.post("model-versions/create", name="m", source=f"{source}/model", run_id=run)
    old = time.time() - HOUR_S
    for path in blobs(folder):
        os.utime(path, (old, old))
    yield up, client, places
    client.close()
    up.kill()


def test_gc_takes_what_clients_deleted_and_nothing_else(used: tuple[Tracker, Insisting, dict[str, str]]) -> None:
    up, client, places = used
    assert len(blobs(up.folder)) == 2
    time.sleep(0.5)
    assert bedplate(up.folder, "gc", "--older", "0 s", "--dry-run")["forgotten"] == {"runs": 1, "logged_models": 0, "experiments": 0}
    collected = bedplate(up.folder, "gc", "--older", "0 s")
    assert collected["freed"]["blobs"]["files"] == 1
    assert collected["forgotten"] == {"runs": 1, "logged_models": 0, "experiments": 0}
    assert client.ask("GET", f"{places['stays']}/model/weights.bin", None) == b"stays" * 1000
    assert client.ask("GET", f"{API}/model-versions/get-artifact?name=m&version=1&path=weights.bin", None) == b"stays" * 1000
    with pytest.raises(Refused) as gone:
        client.ask("GET", f"{places['goes']}/model/weights.bin", None)
    assert gone.value.status == 404
    found = bedplate(up.folder, "doctor", "--deep")
    assert {one["level"] for one in found if one["area"] in ("bytes", "files", "catalog")} == {"ok"}


def test_the_doctor_reads_what_clients_uploaded(used: tuple[Tracker, Insisting, dict[str, str]]) -> None:
    """One byte changed under the record's feet is found."""
    up, _, _ = used
    for path in blobs(up.folder):
        path.chmod(0o600)
        content = bytearray(path.read_bytes())
        content[100] ^= 1
        path.write_bytes(bytes(content))
    found = bedplate(up.folder, "doctor", "--deep", code=4)
    assert [one["level"] for one in found if one["area"] == "files"] == ["wrong", "wrong"]


def test_a_backup_brings_along_what_clients_uploaded(used: tuple[Tracker, Insisting, dict[str, str]], tmp_path: Path) -> None:
    """Restored in another place, the files and the version are there, and a server over it gives them out."""
    up, _, places = used
    bedplate(up.folder, "backup", str(tmp_path / "aside"))
    other = tmp_path / "other"
    other.mkdir()
    (other / "kept.py").write_text(PROJECT)
    bedplate(other, "restore", str(tmp_path / "aside"))
    found = bedplate(other, "doctor", "--deep")
    assert {one["level"] for one in found if one["area"] in ("bytes", "files", "catalog")} == {"ok"}
    again = Tracker(other)
    client = Insisting(again.url, up.token)
    assert client.ask("GET", f"{places['stays']}/model/weights.bin", None) == b"stays" * 1000
    client.close()
    again.kill()
