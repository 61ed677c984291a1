"""What people have, against the installed `bedplate serve`: Triton's and KServe's clients, Prometheus, schemathesis."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Person, serving
from mlflow_clients import LISTS, python_of
from real_servers import prometheus

RIGHT = [8.0, 18.0]


@pytest.fixture(scope="module")
def made(person: Callable[..., Person]) -> Path:
    """Where the project is, its models made."""
    someone = person("lines")
    someone.types("run")
    return someone.folder


@pytest.fixture(scope="module")
def served(made: Path) -> Iterator[dict[str, Any]]:
    """One server."""
    with serving(made) as server:
        yield server.ready


def test_it_says_where_each_protocol_is_answered(served: dict[str, Any]) -> None:
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", served["url"])
    assert re.fullmatch(r"127\.0\.0\.1:\d+", served["grpc"])
    assert (served["models"], served["services"], served["versions"]) == (
        ["line"],
        ["straight", "typed", "journey", "exact", "steps"],
        {"line": 1},
    )


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_tritons_client_gets_what_predict_says(served: dict[str, Any], protocol: str) -> None:
    client = importlib.import_module(f"tritonclient.{protocol}")
    address = served["grpc"] if protocol == "grpc" else served["url"].removeprefix("http://")
    with client.InferenceServerClient(address) as asking:
        one = client.InferInput("rows", [2, 2], "FP64")
        one.set_data_from_numpy(np.array([[1.0, 2.0], [3.0, 4.0]]))
        made = asking.infer("line", [one], request_id="t-1").as_numpy("prediction")
        assert (asking.is_server_live(), asking.is_server_ready(), asking.is_model_ready("line", "1")) == (True, True, True)
        with pytest.raises(Exception, match="no model 'nothing'"):
            asking.infer("nothing", [one])
    body = json.dumps({"instances": [[1.0, 2.0], [3.0, 4.0]]}).encode()
    with urllib.request.urlopen(urllib.request.Request(f"{served['url']}/v1/models/line:predict", body), timeout=20) as answer:
        assert made.tolist() == json.load(answer)["predictions"]
    np.testing.assert_allclose(made, RIGHT)


def test_kserves_client_understands_every_answer(served: dict[str, Any]) -> None:
    kserves_client_is_answered(served)


@pytest.mark.slow
def test_it_does_so_through_a_router(made: Path) -> None:
    """By HTTP and by gRPC, at two addresses in front of two replicas."""
    with serving(made, "--replicas", "2") as server:
        kserves_client_is_answered(server.ready)


def kserves_client_is_answered(served: dict[str, Any]) -> None:
    words = [str(python_of("kserve")), str(LISTS / "kserve_asks.py"), served["url"], served["grpc"]]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    heard = json.loads(done.stdout.splitlines()[-1])
    first, second, grpc = heard["first"], heard["second"], heard["grpc"]
    np.testing.assert_allclose([first["rows"], first["columns"], *second["rows"], *grpc["rows"]], [RIGHT] * 6)
    assert first["ready"] is True
    assert "row 0: input 'z' is missing" in first["wrong"]
    assert (second["states"], second["ids"]) == ([True, True, True, False], ["k-1", "k-1"])
    assert (grpc["states"], grpc["ids"], grpc["wrong"]) == ([True, True, True], ["k-1", "k-1"], "NOT_FOUND")


def test_schemathesis_finds_nothing(served: dict[str, Any], tmp_path: Path) -> None:
    """It asks what the description allows and what it does not, by every method, and holds every answer against it."""
    tool = python_of("schemathesis").with_name("schemathesis")
    words = [str(tool), "run", f"{served['url']}/openapi.json", "--checks", "all", "--max-examples", "20", "--seed", "7", "--no-color"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=400, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert "No issues found" in done.stdout


def test_a_real_prometheus_sees_the_version_that_answers(served: dict[str, Any], tmp_path: Path) -> None:
    with prometheus(served["url"].removeprefix("http://"), tmp_path) as value:
        assert value('bedplate_model_version{model="line"}') == "1"
