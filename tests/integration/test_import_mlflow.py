"""`bedplate import mlflow`: real trackers, filled by MLflow's own clients, are brought over whole, once, and with nothing beside."""

from __future__ import annotations

import json
import math
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from mlflow_clients import LINES, LISTS, python_of
from real_servers import absent

from bedplate.catalog.catalog import Catalog
from bedplate.catalog.places import database_at
from bedplate.catalog.tracking.tracked import value_of
from bedplate.core.clock import SystemClock
from bedplate.core.errors import UserError

PICKLE = b"\x80\x04K\x01." * 50


def fill(python: Path, uri: str, folder: Path) -> dict[str, Any]:
    """Fill the tracker at an address; what it has then."""
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8", "MLFLOW_DISABLE_TELEMETRY": "true",
        "GIT_PYTHON_REFRESH": "quiet", "MLFLOW_ALLOW_FILE_STORE": "true",
    }  # fmt: skip
    script = [str(python), "-W", "ignore", str(LISTS / "fill_tracker.py"), uri]
    done = subprocess.run(script, env=environment, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        pytest.fail(done.stderr)
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def bring(uri: str, state: Path, *words: str, networks: str = "none") -> tuple[int, dict[str, Any]]:
    """The command, and what it said."""
    command = [sys.executable, "-m", "bedplate", "import", "mlflow", uri, "--state", str(state), "--json", *words]
    environment = {**os.environ, "BEDPLATE_ALLOW_NETWORKS": networks}
    done = subprocess.run(command, cwd=state.parent, capture_output=True, text=True, check=False, env=environment, timeout=300)
    return done.returncode, json.loads(done.stdout) if done.stdout else {"error": done.stderr}


def opened(state: Path) -> Catalog:
    return Catalog.open(database_at(f"sqlite:///{state}/catalog.db"), SystemClock())


def check(state: Path, source: dict[str, Any]) -> None:
    """All that the script logged is in the record, under its ids."""
    catalog = opened(state)
    try:
        database = catalog.database
        first, failed, killed, gone, *_ = source["runs"]
        kept = [catalog.tracking.runs.get(run) for run in source["runs"]]
        assert [one.status for one in kept[:3]] == ["FINISHED", "FAILED", "KILLED"]
        assert dict(database.rows("brought_params_of", id=first)) == {"rate": "0.0", "nest/ed": "x\ny"}
        tags = dict(database.rows("brought_tags_of", id=failed))
        assert (tags["n"], tags["mlflow.user"], tags["mlflow.runName"]) == ("1", "ann", "run 1 ع")
        points = {(name, step): value_of(bits) for name, step, _, bits in database.rows("brought_points_of", id=killed)}
        assert (len(points), points["loss", 39], points["low", -3]) == (42, 1 / 40, -1e-300)
        assert math.isnan(points["odd", 0])
        files = {row[0]: row[2] for row in database.rows("brought_files_of", id=first)}
        assert files == {"a b.txt": 5, "model/MLmodel": 12, "model/weights.pkl": len(PICKLE)}
        sha = next(row[1] for row in database.rows("brought_files_of", id=first) if row[0] == "model/weights.pkl")
        assert (state / "store" / "blobs" / "sha256" / sha[:2] / sha).read_bytes() == PICKLE
        assert database.one("owner_run", id=gone)[3] == "deleted"  # type: ignore[index]  # it is there
        model = catalog.tracking.registry.get("late")
        assert (model.description, model.aliases) == ("late flights", {"champion": 3})
        one, three = (catalog.tracking.registry.version("late", number) for number in (1, 3))
        assert (one.serving_stage, one.run, three.description) == ("Production", first, "v2")
        assert catalog.artifacts.get("late@3").meta["flavour"] == "opaque"
        if source["logged"]:
            assert catalog.tracking.registry.version("late", 4).logged_model == source["logged"]
            assert [row[0] for row in database.rows("brought_files_of", id=source["logged"])] == ["MLmodel"]
    finally:
        catalog.close()


def counted(state: Path) -> dict[str, int]:
    catalog = opened(state)
    try:
        tables = ("tracked", "points", "run_params", "run_tags", "client_files", "versions", "promotions", "logged_models", "experiments")
        return {table: catalog.database.composed(f"SELECT count(*) FROM {table}", {})[0][0] for table in tables}
    finally:
        catalog.close()


@pytest.mark.parametrize("line", LINES)
def test_a_folder_of_files_is_brought_whole_and_once(line: str, tmp_path: Path) -> None:
    """Proves that every kind of thing in a file store of either line comes over, and that a second import adds only what is new."""
    folder, state = tmp_path / "mlruns", tmp_path / "state"
    source = fill(python_of(line), f"file://{folder}", tmp_path)
    code, told = bring(str(folder), state)
    assert (code, told["troubles"]) == (0, [])
    assert told["new"] == told["there"]
    assert told["there"]["versions"] == (3 if source["logged"] else 2)
    check(state, source)
    before = counted(state)
    code, again = bring(f"file://{folder}", state)
    assert (code, set(again["new"].values()), counted(state)) == (0, {0}, before)
    run = next(folder.rglob(f"{source['runs'][0]}/params"))
    (run / "more").write_text("new")
    assert bring(str(folder), state)[1]["new"]["runs"] == 1
    assert counted(state) == {**before, "run_params": before["run_params"] + 1}


def test_an_import_that_is_killed_goes_on_and_brings_nothing_twice(tmp_path: Path) -> None:
    """Proves that kills at any moment lose and double nothing: what is here at the end is what one import would have brought."""
    folder, state, whole = tmp_path / "mlruns", tmp_path / "state", tmp_path / "whole"
    source = fill(python_of("mlflow-3"), f"file://{folder}", tmp_path)
    began = time.monotonic()
    assert bring(str(folder), whole)[0] == 0
    lasts, rng = time.monotonic() - began, random.Random(7)
    for _ in range(8):
        command = [sys.executable, "-m", "bedplate", "import", "mlflow", str(folder), "--state", str(state), "--json"]
        process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(lasts * (0.3 + 0.6 * rng.random()))
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert bring(str(folder), state)[0] == 0
    check(state, source)
    assert counted(state) == counted(whole)


def server_python() -> Path:
    """An environment with all of MLflow: the one that the benchmarks measure against."""
    sys.path.insert(0, str(Path(__file__).parents[2]))
    environments = pytest.importorskip("benchmarks.environments")
    try:
        found: Path = environments.python_of("mlflow")
    except subprocess.CalledProcessError:
        absent("mlflow server")
    return found


@pytest.mark.slow
def test_a_database_and_its_server_are_brought_whole(tmp_path: Path) -> None:
    """Proves that MLflow's SQLite database and its running server give the same as what the client logged, artifacts included."""
    python, database, state = server_python(), tmp_path / "mlflow.db", tmp_path / "state"
    source = fill(python, f"sqlite:///{database}", tmp_path)
    code, told = bring(f"sqlite:///{database}", state)
    assert (code, told["troubles"]) == (0, [])
    check(state, source)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [python.parent / "mlflow", "server", "--backend-store-uri", f"sqlite:///{database}", "--port", str(port), "--workers", "1"]
    environment = {**os.environ, "PATH": f"{python.parent}:{os.environ['PATH']}", "MLFLOW_DISABLE_TELEMETRY": "true"}
    environment.pop("PYTHONPATH", None)
    with (tmp_path / "server.log").open("w") as log:
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        answers(f"http://127.0.0.1:{port}/health")
        code, refused = bring(f"http://127.0.0.1:{port}", tmp_path / "served")
        assert code != 0
        assert "allow_networks" in json.dumps(refused)
        code, told = bring(f"http://127.0.0.1:{port}", tmp_path / "served", networks="127.0.0.0/8")
        assert (code, told["troubles"]) == (0, [])
        check(tmp_path / "served", source)
        assert counted(tmp_path / "served") == counted(state)
        code, again = bring(f"http://127.0.0.1:{port}", tmp_path / "served", networks="127.0.0.0/8")
        assert set(again["new"].values()) == {0}
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)


def answers(url: str) -> None:
    """Wait until a server answers."""
    for _ in range(900):
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"{url} does not answer")


def mlruns(folder: Path, uri: str) -> Path:
    """A file store of one run, written by hand: whose files lie at `uri`."""
    run = folder / "1" / ("ab" * 16)
    run.mkdir(parents=True)
    (folder / "1" / "meta.yaml").write_text("experiment_id: '1'\nname: e\nlifecycle_stage: active\n")
    (run / "meta.yaml").write_text(f"run_id: {'ab' * 16}\nexperiment_id: '1'\nstatus: 3\nstart_time: 1\nartifact_uri: {uri}\n")
    return run


def test_a_source_reaches_no_file_but_its_own(tmp_path: Path) -> None:
    """Proves that neither a place elsewhere nor a link in its folders brings a file of this machine into the store."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key").write_text("mine")
    run = mlruns(tmp_path / "one", f"file://{tmp_path}/one/1/../../secret")
    code, told = bring(str(tmp_path / "one"), tmp_path / "state")
    assert (code, told["there"].get("files", 0)) == (1, 0)
    assert "--files FOLDER" in told["troubles"][0]
    (run / "artifacts").mkdir()
    (run / "artifacts" / "link").symlink_to(tmp_path / "secret" / "key")
    (run / "artifacts" / "folder").symlink_to(tmp_path / "secret")
    (run / "params").symlink_to(tmp_path / "secret")
    (run / "artifacts" / "own").write_text("own")
    code, told = bring(str(tmp_path / "one"), tmp_path / "state")
    assert (code, told["there"]["files"], told["there"].get("params", 0)) == (0, 1, 0)
    assert bring(str(tmp_path / "one"), tmp_path / "named", "--files", str(tmp_path / "secret"))[0] == 0


@pytest.mark.parametrize(
    "text", ["!!python/object/apply:os.system ['touch x']", "a: &a [1]\nb: *a", "a: " + "[" * 50 + "]" * 50, "- 1", "\ta: :", "a: !x y"]
)
def test_yaml_that_no_tracker_writes_is_left_out_and_nothing_of_it_runs(text: str, tmp_path: Path) -> None:
    """Proves that tags build nothing, aliases repeat nothing, and depth ends."""
    read = pytest.importorskip("bedplate.storage.backends.yaml_text", reason="PyYAML is not installed").read
    with pytest.raises(UserError):
        read(text, "meta.yaml")
    run = mlruns(tmp_path / "one", "")
    (run / "meta.yaml").write_text(text)
    code, told = bring(str(tmp_path / "one"), tmp_path / "state")
    assert (code, told["there"].get("runs", 0), len(told["troubles"])) == (1, 0, 1)


@pytest.mark.bad_input("an import of what is no tracker")
def test_what_is_no_tracker_is_told(tmp_path: Path) -> None:
    """Proves that a wrong address is the user's mistake, with what to type."""
    (tmp_path / "file.db").write_text("no database")
    for uri in (str(tmp_path / "nothing"), str(tmp_path / "file.db"), "postgresql://somewhere/x"):
        code, told = bring(uri, tmp_path / "state")
        assert code == 2, told
