"""Models whose requests are gathered, over HTTP: answered as one by one, with deadlines, mistakes apart, and processes that die."""

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

PROJECT = """
import warnings

import numpy as np
from sklearn.neural_network import MLPRegressor

from bedplate import Model, Project

work = Project("work")


@work.train
def heavy() -> Model:
    values = np.random.default_rng(0).normal(size=(200, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = MLPRegressor(hidden_layer_sizes=(64,), max_iter=5, random_state=0).fit(values, values.sum(axis=1))
    return Model(net, example=[{"a": float(a), "b": float(b)} for a, b in values[:50]])
"""


class Served:
    """A server in a process of its own."""

    def __init__(self, folder: Path, **settings: str) -> None:
        (folder / "work.py").write_text(PROJECT)
        self.folder = folder
        environ = {**os.environ, **{f"BEDPLATE_{name.upper()}": value for name, value in settings.items()}}
        subprocess.run([sys.executable, "-m", "bedplate", "run"], cwd=folder, check=True, capture_output=True, env=environ)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bedplate", "serve", "--port", "0", "--json"], cwd=folder, stdout=subprocess.PIPE, text=True, env=environ
        )
        assert self.process.stdout is not None
        self.url = json.loads(self.process.stdout.readline())["url"]
        self.reader = threading.Thread(target=self.process.stdout.read, daemon=True)
        self.reader.start()

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.url}{path}", timeout=120) as answer:
            return json.load(answer)

    def infer(self, rows: list[list[float]], **parameters: Any) -> Any:
        """The predictions, or the status and the error's text."""
        data = [value for row in rows for value in row]
        tensor = {"name": "rows", "shape": [len(rows), 2], "datatype": "FP64", "data": data}
        body = json.dumps({"inputs": [tensor], "parameters": parameters}).encode()
        request = urllib.request.Request(f"{self.url}/v2/models/heavy/infer", body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return json.load(answer)["outputs"][0]["data"]
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)["error"], error.headers

    def crew(self) -> list[int]:
        """The processes that predict."""
        children = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        pids = [int(pid) for path in children for pid in path.read_text().split()]
        return [pid for pid in pids if b"interfaces.worker.member" in Path(f"/proc/{pid}/cmdline").read_bytes()]

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        self.reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    one = Served(tmp_path_factory.mktemp("gathered"))
    yield one
    one.stop()


def test_a_trace_tells_the_batch_from_the_wait_for_it(served: Served) -> None:
    """What lies between the request's last byte and its answer is the wait for a batch and the batch itself."""
    tensor = {"name": "rows", "shape": [1, 2], "datatype": "FP64", "data": [1.0, 2.0]}
    headers = {"Content-Type": "application/json", "X-Trace": "1"}
    asked = urllib.request.Request(f"{served.url}/v2/models/heavy/infer", json.dumps({"inputs": [tensor]}).encode(), headers)
    with urllib.request.urlopen(asked, timeout=60) as answer:
        timing = {name: float(ms) for name, _, ms in (one.strip().partition(";dur=") for one in answer.headers["Server-Timing"].split(","))}
    assert timing["model"] > 0
    assert timing["queue"] > 0
    assert sum(ms for name, ms in timing.items() if name != "total") == pytest.approx(timing["total"], abs=0.01)


def test_requests_at_once_get_what_each_would_alone(served: Served) -> None:
    """Sixteen clients: every answer is its own rows' answer, whichever it was answered with."""
    assert "requests together" in served.get("/health/ready")["runtimes"]["heavy"]
    draw = np.random.default_rng(1)
    asked = [draw.normal(size=(size, 2)).round(3).tolist() for size in draw.integers(1, 40, 64)]
    alone = [served.infer(rows) for rows in asked]
    together: dict[int, Any] = {}

    def client(first: int) -> None:
        for at in range(first, len(asked), 16):
            together[at] = served.infer(asked[at])

    threads = [threading.Thread(target=client, args=(first,)) for first in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for at, expected in enumerate(alone):
        assert np.allclose(together[at], expected, rtol=0, atol=1e-12)


def test_a_deadline_in_the_past_is_504_and_a_priority_is_taken(served: Served) -> None:
    """Triton's parameters, as its client sends them."""
    status, text, _ = served.infer([[1.0, 2.0]], timeout=1)
    assert (status, "deadline" in text) == (504, True)
    assert len(served.infer([[1.0, 2.0]], priority=1, timeout=30_000_000)) == 1


def test_what_the_model_refuses_is_400(served: Served) -> None:
    """Not-a-number, which scikit-learn does not take: the caller's mistake, as without gathering."""
    body = b'{"inputs": [{"name": "a", "shape": [1], "datatype": "FP64", "data": [null]}]}'
    request = urllib.request.Request(f"{served.url}/v2/models/heavy/infer", body, {"Content-Type": "application/json"})
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(request, timeout=30)
    with error.value as refused:
        assert refused.code == 400


def test_a_model_in_processes_survives_their_death(tmp_path: Path) -> None:
    """Killed between requests, its process is started again; the server never goes away, and stops with its crew."""
    served = Served(tmp_path, loop_limit="0 s")
    pids: list[int] = []
    try:
        assert "in processes of its own" in served.get("/health/ready")["runtimes"]["heavy"]
        before = served.infer([[1.0, 2.0], [3.0, 4.0]])
        assert len(before) == 2
        (pid,) = served.crew()
        os.kill(pid, signal.SIGKILL)
        until = time.monotonic() + 120
        while (pids := served.crew()) in ([], [pid]) and time.monotonic() < until:
            time.sleep(0.05)
        assert served.infer([[1.0, 2.0], [3.0, 4.0]]) == before
        assert served.get("/health/live") == {"live": True}
    finally:
        served.stop()
    until = time.monotonic() + 30
    while any(Path(f"/proc/{one}").exists() for one in pids) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(Path(f"/proc/{one}").exists() for one in pids)
