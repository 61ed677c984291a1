"""A model that another server has, by real ones: served, scored over a table, away and back, and changed meanwhile."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton

FAR = """
import numpy as np
from bedplate import Model, Project

far = Project("far")

@far.train
def sums() -> Model:
    return Model.of(total, {"times": np.array([1.0, 10.0])}, example=[{"a": 1.0, "b": 2.0}])

@far.train
def words() -> Model:
    return Model.of(length, {"more": 1}, example=[{"word": "drei"}])

def total(params, columns):
    return np.asarray(columns["a"]) * params["times"][0] + np.asarray(columns["b"]) * params["times"][1]

def length(params, columns):
    return np.array([len(word) + params["more"] for word in columns["word"]])
"""
NEAR = """
import polars as pl
from bedplate import Model, Project

near = Project("near")

@near.ingest
def asked() -> pl.DataFrame:
    return pl.DataFrame({"a": [float(at) for at in range(500)], "b": [2.0] * 500})

@near.train
def there() -> Model:
    return Model.at("URL/v2/models/sums", timeout="2 s")

@near.train
def said() -> Model:
    return Model.at("URL/v2/models/words", timeout="2 s")

@near.train
def called() -> Model:
    return Model.at("grpc://GRPC/sums", timeout="2 s")

@near.service
def worth(there: Model, a: float, b: float) -> float:
    return float(there.predict({"a": a, "b": b}))

@near.service
def alone(a: float) -> float:
    return 2 * a
"""
ROWS = {"inputs": [{"name": "r", "shape": [1, 2], "datatype": "FP64", "data": [1, 2]}]}
LETS = {"BEDPLATE_ALLOW_NETWORKS": "127.0.0.0/8"}


class Place:
    """A project in a folder, and its server."""

    def __init__(self, folder: Path, text: str, port: int = 0) -> None:
        self.folder, self.port = folder, port
        self.grpc = "127.0.0.1:0"
        self.environ = {**os.environ, **LETS}
        (folder / "project.py").write_text(text)
        self.process: subprocess.Popen[str] | None = None

    def types(self, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        typed = [sys.executable, "-m", "bedplate", *words]
        done = subprocess.run(typed, cwd=self.folder, capture_output=True, text=True, env=self.environ, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def serves(self) -> str:
        ports = ("--port", str(self.port), "--grpc-port", self.grpc.rpartition(":")[2])
        typed = [sys.executable, "-m", "bedplate", "serve", *ports, "--json"]
        self.process = subprocess.Popen(typed, cwd=self.folder, stdout=subprocess.PIPE, text=True, env=self.environ)
        assert self.process.stdout is not None
        ready = json.loads(self.process.stdout.readline())
        url: str = ready["url"]
        self.grpc = ready["grpc"]
        self.port = int(url.rpartition(":")[2])
        self.reader = threading.Thread(target=self.process.stdout.read, daemon=True)
        self.reader.start()
        return url

    def ends(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(60)
            self.reader.join()
            assert self.process.stdout is not None
            self.process.stdout.close()
            self.process = None


class Two:
    """The one that has the models, and the one that asks it."""

    def __init__(self, folder: Path) -> None:
        for name in ("far", "near"):
            (folder / name).mkdir()
        self.far = Place(folder / "far", FAR)
        self.far.types("run")
        text = NEAR.replace("URL", self.far.serves())
        self.near = Place(folder / "near", text.replace("GRPC", self.far.grpc))
        self.near.types("run")
        self.url = self.near.serves()

    def posts(self, path: str, body: dict[str, Any]) -> tuple[int, Any, Any]:
        sent = urllib.request.Request(f"{self.url}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(sent, timeout=60) as answer:
                return answer.status, json.load(answer), answer.headers
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error), error.headers


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    made = Two(tmp_path_factory.mktemp("remote"))
    yield made
    made.near.ends()
    made.far.ends()


def test_a_remote_model_answers_as_one_of_our_own(two: Two) -> None:
    """By Triton's client, alone and thirty at once, text too, and through a service, over HTTP and gRPC; how it is asked is told."""
    draw = np.random.default_rng(0)
    asked = [draw.normal(size=(size, 2)) for size in draw.integers(1, 40, 30)]
    made: dict[int, Any] = {}

    def client(at: int) -> None:
        given = triton.InferInput("rows", list(asked[at].shape), "FP64")
        given.set_data_from_numpy(asked[at], binary_data=True)
        with triton.InferenceServerClient(two.url.removeprefix("http://")) as one:
            made[at] = one.infer(("there", "called")[at % 2], [given]).as_numpy("prediction")

    threads = [threading.Thread(target=client, args=(at,)) for at in range(len(asked))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for at, rows in enumerate(asked):
        assert np.allclose(made[at], rows @ [1.0, 10.0], rtol=0, atol=1e-12)
    tensor = {"name": "word", "shape": [2], "datatype": "BYTES", "data": ["drei", "ü"]}
    assert two.posts("/v2/models/said/infer", {"inputs": [tensor]})[1]["outputs"][0]["data"] == [5, 2]
    assert two.posts("/worth", {"a": 1.0, "b": 2.0})[1]["result"] == 21.0
    with urllib.request.urlopen(f"{two.url}/health/ready", timeout=10) as ready:
        runtimes = json.load(ready)["runtimes"]
    assert (runtimes["there"][:24], runtimes["called"][:24]) == ("remote (http://127.0.0.1", "remote (grpc://127.0.0.1")


def test_a_table_is_scored_with_it(two: Two) -> None:
    """The same numbers as online."""
    two.near.types("run", "worth", "--over", "asked")
    asked = "select sum(prediction) as total, count(error) as wrong from worth_over_asked"
    assert '"total":134750.0' in two.near.types("sql", asked, "--json").stdout.replace(" ", "")


def test_a_server_that_is_away_hurts_nobody_else_and_is_back_by_itself(two: Two) -> None:
    """Killed: 503 with Retry-After, quickly once it has failed often, while other services answer; a table waits; back: it answers."""
    two.far.ends(signal.SIGKILL)
    began = time.monotonic()
    for _ in range(8):
        status, told, headers = two.posts("/worth", {"a": 1.0, "b": 2.0})
        assert (status, bool(headers["Retry-After"])) == (503, True), told
        assert two.posts("/alone", {"a": 4.0})[1]["result"] == 8.0
    status, told, headers = two.posts("/v2/models/there/infer", ROWS)
    assert (status, bool(headers["Retry-After"])) == (503, True), told
    status, told, headers = two.posts("/v2/models/called/infer", ROWS)
    assert (status, bool(headers["Retry-After"])) == (503, True), told
    assert time.monotonic() - began < 30
    assert "did not answer" in two.near.types("run", "worth", "--over", "asked", code=4).stderr
    two.far.serves()
    until = time.monotonic() + 90
    while two.posts("/worth", {"a": 1.0, "b": 2.0})[0] != 200 and time.monotonic() < until:
        time.sleep(0.2)
    assert two.posts("/worth", {"a": 1.0, "b": 2.0})[1]["result"] == 21.0
    while two.posts("/v2/models/called/infer", ROWS)[0] != 200 and time.monotonic() < until:
        time.sleep(0.2)
    assert two.posts("/v2/models/called/infer", ROWS)[1]["outputs"][0]["data"] == [21.0]


def test_one_that_hangs_is_waited_for_as_long_as_was_said(two: Two) -> None:
    """Stopped, not gone: after its timeout the caller hears of it, and meanwhile others are answered."""
    assert two.far.process is not None
    os.kill(two.far.process.pid, signal.SIGSTOP)
    try:
        heard: list[int] = []
        waiting = [threading.Thread(target=lambda: heard.append(two.posts("/worth", {"a": 1.0, "b": 2.0})[0])) for _ in range(6)]
        for thread in waiting:
            thread.start()
        time.sleep(0.2)
        for _ in range(5):
            assert two.posts("/alone", {"a": 4.0})[1]["result"] == 8.0
        for thread in waiting:
            thread.join(60)
        assert heard == [503] * 6
    finally:
        os.kill(two.far.process.pid, signal.SIGCONT)


def test_a_model_that_changed_there_is_refused_with_what_changed(two: Two) -> None:
    """Three columns instead of two: an error that says so, until a version is made of what is there now."""
    until = time.monotonic() + 60
    while two.posts("/worth", {"a": 1.0, "b": 2.0})[0] != 200 and time.monotonic() < until:
        time.sleep(0.2)
    two.far.ends()
    text = FAR.replace('example=[{"a": 1.0, "b": 2.0}]', 'example=[{"a": 1.0, "b": 2.0, "c": 3.0}]')
    (two.far.folder / "project.py").write_text(text)
    two.far.types("run")
    two.far.serves()
    deadline = time.monotonic() + 60
    while "another model" not in (told := json.dumps(two.posts("/worth", {"a": 1.0, "b": 2.0})[1])) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert "is another model than when it was stored" in told
    assert "c FP64 [-1]" in told
    address = f"http://127.0.0.1:{two.far.port}/v2/models/sums"
    assert "does not fit" in two.near.types("import", "model", address, "--as", "there", code=2).stderr


def test_an_address_that_is_not_public_needs_the_setting(two: Two) -> None:
    """Without `allow_networks` nobody is asked."""
    two.near.environ.pop("BEDPLATE_ALLOW_NETWORKS")
    try:
        refused = two.near.types("import", "model", f"http://127.0.0.1:{two.far.port}/v2/models/words", "--as", "said", code=5)
        assert "allow_networks" in refused.stderr
        refused = two.near.types("import", "model", f"grpc://{two.far.grpc}/words", "--as", "said", code=5)
        assert "allow_networks" in refused.stderr
    finally:
        two.near.environ.update(LETS)
