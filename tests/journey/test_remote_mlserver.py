"""A model of MLServer's as a model of the project: trained by nobody here, checked, promoted, served and scored with, as any other."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from conftest import Person, serving
from mlflow_clients import LISTS, python_of

pytestmark = pytest.mark.slow

PROJECT = """
import polars as pl
from bedplate import Check, Model, Project

sums = Project("sums")


@sums.ingest
def asked() -> pl.DataFrame:
    return pl.DataFrame({"a": [1.0, 2.0, None], "b": [10.0, 20.0, 30.0], "c": [100.0, 200.0, 300.0]})


@sums.train
def adder(asked: pl.DataFrame) -> Model:
    return Model.at("URL/v2/models/adder/versions/v1", example=asked.head(2), timeout="10 s")


@sums.train
def caller(asked: pl.DataFrame) -> Model:
    return Model.at("GRPC/adder/versions/v1", example=asked.head(2), timeout="10 s")


@sums.check(promotes="production")
def adds(adder: Model, asked: pl.DataFrame) -> Check:
    return Check.at_least("the first sum", float(adder.predict(asked)[0]), 111.0)


@sums.service
def total(adder: Model, a: float, b: float, c: float) -> float:
    return float(adder.predict({"a": a, "b": b, "c": c}))
"""


def free() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture
def mlserver(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """MLServer with the model `adder`, in an environment of its own: its addresses by HTTP and gRPC."""
    python, folder = python_of("mlserver"), tmp_path / "mlserver"
    folder.mkdir()
    shutil.copy(LISTS / "adder.py", folder)
    told = {
        "name": "adder", "implementation": "adder.Adder", "parameters": {"version": "v1"},
        "inputs": [{"name": "rows", "datatype": "FP64", "shape": [-1, 3]}],
        "outputs": [{"name": "total", "datatype": "FP64", "shape": [-1]}],
    }  # fmt: skip
    (folder / "model-settings.json").write_text(json.dumps(told))
    ports = {"http_port": free(), "grpc_port": free(), "metrics_port": free()}
    (folder / "settings.json").write_text(json.dumps({"host": "127.0.0.1", "parallel_workers": 0, "debug": False, **ports}))
    command = [str(python.with_name("mlserver")), "start", str(folder)]
    with (folder / "log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        url = f"http://127.0.0.1:{ports['http_port']}"
        try:
            assert answers(f"{url}/v2/models/adder/ready", process), (folder / "log").read_text()
            yield url, f"grpc://127.0.0.1:{ports['grpc_port']}"
        finally:
            process.terminate()


def answers(url: str, process: subprocess.Popen[bytes]) -> bool:
    """Whether a page is there before long."""
    until = time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return True
        except OSError:
            time.sleep(0.2)
    return False


def test_mlservers_model_is_one_of_the_project(someone: Person, mlserver: tuple[str, str]) -> None:
    """It takes JSON only, gives [n, 1] where it says [n], and fails with 500: its sums are ours, checked, served and scored with, and the
    same over gRPC.
    """
    (someone.folder / "sums.py").write_text(PROJECT.replace("URL", mlserver[0]).replace("GRPC", mlserver[1]))
    (someone.folder / "bedplate.toml").write_text('allow_networks = "127.0.0.0/8"\n')
    someone.types("run")
    shown = someone.reads("show", "adder@production")["version"]
    assert (shown["meta"]["flavour"], shown["meta"]["describe"]["address"]) == ("remote", f"{mlserver[0]}/v2/models/adder/versions/v1")
    someone.types("run", "total", "--over", "asked")
    scored = someone.types("sql", "select prediction from total_over_asked order by b", "--json").stdout
    assert "111" in scored
    assert "222" in scored
    with serving(someone.folder) as server, ThreadPoolExecutor(8) as clients:
        asked = [{"a": float(at), "b": 1.0, "c": 2.0} for at in range(60) if at != 13]
        assert list(clients.map(lambda row: posts(f"{server.url}/total", row), asked)) == [(200, row["a"] + 3.0) for row in asked]
        assert posts(f"{server.url}/total", {"a": 13.0, "b": 0.0, "c": 0.0})[0] == 500
        rows = {"name": "rows", "shape": [2, 3], "datatype": "FP32", "data": [1, 2, 3, 4, 5, 6]}
        for model in ("adder", "caller"):
            assert posts(f"{server.url}/v2/models/{model}/infer", {"inputs": [rows]})[1] == [6.0, 15.0]
        wrong = {"name": "rows", "shape": [1, 3], "datatype": "FP64", "data": [13.0, 0.0, 0.0]}
        assert posts(f"{server.url}/v2/models/caller/infer", {"inputs": [wrong]})[0] == 500


def posts(url: str, body: dict[str, Any]) -> tuple[int, Any]:
    """The status, and the result or the first output."""
    sent = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(sent, timeout=60) as answer:
            told = json.load(answer)
            return answer.status, told["result"] if "result" in told else told["outputs"][0]["data"]
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
