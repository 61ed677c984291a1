"""gRPC of the installed command: one port for several processes, a stop that fails no call, and what is said where it cannot be had."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

tritonclient = importlib.import_module("tritonclient.grpc")

PROJECT = '''
import numpy as np
from bedplate import Model, Project
from sklearn.linear_model import LinearRegression

lines = Project("lines")


@lines.train
def line() -> Model:
    """Twice as much."""
    x = np.arange(10.0).reshape(-1, 1)
    return Model(LinearRegression().fit(x, 2 * x[:, 0]), example=[{"x": 1.0}])
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with one model, trained."""
    folder = tmp_path_factory.mktemp("lines")
    (folder / "lines.py").write_text(PROJECT)
    command("run", folder)
    return folder


def command(verb: str, folder: Path) -> None:

    subprocess.run([sys.executable, "-m", "bedplate", verb], cwd=folder, check=True, timeout=120, capture_output=True)


@contextmanager
def serving(folder: Path, *words: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    said = [sys.executable, "-m", "bedplate", "serve", "--port", "0", "--json", *words]
    with subprocess.Popen(said, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        try:
            yield running, json.loads(running.stdout.readline())
        finally:
            running.terminate()
            running.wait(60)


def ask(client: Any) -> None:
    """Two rows, and their right answers."""
    one = tritonclient.InferInput("x", [2], "FP64")
    one.set_data_from_numpy(np.array([1.0, 2.0]))
    made = client.infer("line", [one]).as_numpy("prediction")
    assert np.allclose(made, [2.0, 4.0])


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_stop_fails_no_call(folder: Path, processes: str) -> None:
    """Clients ask without a pause while the server is stopped: each call is answered, until nobody listens any more."""
    answered: list[int] = []
    failed: list[str] = []

    def go_on(address: str) -> None:
        with tritonclient.InferenceServerClient(address) as client:
            while True:
                try:
                    ask(client)
                except tritonclient.InferenceServerException as error:
                    if "failed to connect" not in str(error.message()):
                        failed.append(str(error))
                    return
                answered.append(1)

    with serving(folder, "--processes", processes) as (running, ready):
        clients = [threading.Thread(target=go_on, args=(ready["grpc"],)) for _ in range(6)]
        for client in clients:
            client.start()
        time.sleep(1.5)
        running.terminate()
        for client in clients:
            client.join(60)
        assert running.wait(60) == 0
        assert running.stderr is not None
        assert running.stderr.read() == ""
    assert failed == []
    assert len(answered) > 20


@pytest.mark.slow
def test_a_process_that_is_killed_refuses_nobody_who_comes_anew(folder: Path) -> None:
    with serving(folder, "--processes", "2") as (running, ready):
        children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
        os.kill(int(children[0]), signal.SIGKILL)
        for _ in range(10):
            with tritonclient.InferenceServerClient(ready["grpc"], channel_args=[("grpc.use_local_subchannel_pool", 1)]) as client:
                ask(client)


def test_a_port_that_is_taken_is_said_with_the_option_that_asked_for_it(folder: Path) -> None:
    with serving(folder) as (_, ready):
        port = str(ready["grpc"]).rpartition(":")[2]
        words = [sys.executable, "-m", "bedplate", "serve", "--port", "0", "--grpc-port", port]
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 4
        assert f"port {port} is in use" in done.stderr
        assert "--grpc-port 0 takes any free one" in done.stderr


def test_it_costs_nothing_before_somebody_comes(folder: Path) -> None:
    with serving(folder) as (running, ready):
        maps = Path(f"/proc/{running.pid}/maps")
        assert "cygrpc" not in maps.read_text()
        with tritonclient.InferenceServerClient(ready["grpc"]) as client:
            ask(client)
        assert "cygrpc" in maps.read_text()
