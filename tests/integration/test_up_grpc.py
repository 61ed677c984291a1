"""gRPC of `up --serve`: Triton's client with a token, let in by the same permission as over HTTP; nobody else, and nothing in the clear."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from test_up_tls import certificate
from up_site import Process, as_process

tritonclient = importlib.import_module("tritonclient.grpc")
Code = grpc.StatusCode

PROJECT = '''
import numpy as np
from bedplate import Model, Project

lines = Project("lines")


@lines.train
def line() -> Model:
    """So many times as much."""
    return Model.of(times, {"much": 2.0}, example=[{"x": 1.0}])


def times(params, columns):
    return np.asarray(columns["x"]) * params["much"]
'''


def types(folder: Path, *words: str) -> str:
    done = subprocess.run([sys.executable, "-m", "bedplate", *words], cwd=folder, check=True, timeout=120, capture_output=True, text=True)
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with one model, trained."""
    folder = tmp_path_factory.mktemp("lines")
    (folder / "lines.py").write_text(PROJECT)
    types(folder, "run")
    return folder


@pytest.fixture(scope="module")
def up(folder: Path) -> Iterator[Process]:
    with as_process(folder, "--serve", "--no-due") as up:
        yield up


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def infer(client: Any, headers: dict[str, str] | None = None, model: str = "line") -> Any:
    one = tritonclient.InferInput("x", [2], "FP64")
    one.set_data_from_numpy(np.array([1.0, 2.0]))
    return client.infer(model, [one], headers=headers).as_numpy("prediction").tolist()


def status(call: Any) -> str:
    with pytest.raises(tritonclient.InferenceServerException) as refused:
        call()
    return str(refused.value.status()).removeprefix("StatusCode.")


def new_token(folder: Path, name: str, *words: str) -> str:
    return str(json.loads(types(folder, "token", "new", name, "--json", *words))["token"])


def test_who_has_a_token_is_answered_and_nobody_else(up: Process) -> None:
    """No token, a wrong one, a name with a password: each is told so, whatever is asked."""
    head, at = bearer(up.token), len(up.token) - 9
    other = up.token[:at] + ("A" if up.token[at] != "A" else "B") + up.token[at + 1 :]
    with tritonclient.InferenceServerClient(up.said["grpc"]) as client:
        assert infer(client, head) == [2.0, 4.0]
        assert (client.is_server_live(headers=head), client.is_server_ready(headers=head)) == (True, True)
        assert client.get_model_metadata("line", headers=head).versions == ["1"]
        assert status(lambda: infer(client, head, "other")) == "NOT_FOUND"
        for wrong in (None, bearer("bp_nothing"), bearer(other), {"authorization": "Basic YWRtaW46eA=="}):
            assert status(lambda wrong=wrong: infer(client, wrong)) == "UNAUTHENTICATED"
            assert status(lambda wrong=wrong: client.get_model_metadata("line", headers=wrong)) == "UNAUTHENTICATED"
            assert status(lambda wrong=wrong: client.is_server_live(headers=wrong)) == "UNAUTHENTICATED"


def test_who_asks_is_seen_before_the_message_is_read(up: Process) -> None:
    """One beyond the limit, with a token that counts for nothing, is refused for the token."""
    with grpc.insecure_channel(up.said["grpc"]) as channel:
        infer = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        for token, code in (("bpt_nothing", Code.UNAUTHENTICATED), (up.token, Code.RESOURCE_EXHAUSTED)):
            with pytest.raises(grpc.RpcError) as refused:
                infer(bytes(17_000_000), timeout=20, metadata=(("authorization", f"Bearer {token}"),))
            error: Any = refused.value
            assert error.code() == code


@pytest.mark.parametrize(
    ("words", "infers"),
    [((), "OK"), (("--role", "viewer"), "PERMISSION_DENIED"), (("--role", "contributor", "--on", "experiment:lines"), "PERMISSION_DENIED")],
)
def test_what_a_token_may_is_what_it_may_over_http(up: Process, folder: Path, words: tuple[str, ...], infers: str) -> None:
    """Reading and calling, each with the same answer as over HTTP."""
    token = new_token(folder, f"t{len(words)}", *words)
    body = {"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [1.0]}]}
    says = {200: "OK", 403: "PERMISSION_DENIED"}
    http = [
        says[up.ask(*asked, headers={"Authorization": f"Bearer {token}"}).status]
        for asked in (("GET", "/services/v2/models/line"), ("POST", "/services/v2/models/line/infer", body))
    ]
    with tritonclient.InferenceServerClient(up.said["grpc"]) as client:
        found = []
        for call in (lambda: client.get_model_metadata("line", headers=bearer(token)), lambda: infer(client, bearer(token))):
            try:
                call()
                found.append("OK")
            except tritonclient.InferenceServerException as error:
                found.append(str(error.status()).removeprefix("StatusCode."))
    assert found == http
    assert found[1] == infers


def test_with_a_certificate_it_speaks_tls_only_and_a_stop_fails_no_call(folder: Path, tmp_path: Path) -> None:
    """A client that trusts it is answered until the server has ended; one that speaks in the clear is not."""
    cert, key = certificate(tmp_path)
    answered, failed = [], []

    def go_on(address: str, token: str) -> None:
        with tritonclient.InferenceServerClient(address, ssl=True, root_certificates=str(cert)) as client:
            while True:
                try:
                    answered.append(infer(client, bearer(token)))
                except tritonclient.InferenceServerException as error:
                    if "failed to connect" not in str(error):
                        failed.append(str(error))
                    return

    with as_process(folder, "--serve", "--no-due", "--tls-cert", str(cert), "--tls-key", str(key)) as up:
        clear = grpc.insecure_channel(up.said["grpc"])
        with pytest.raises(grpc.RpcError) as refused:
            clear.unary_unary("/inference.GRPCInferenceService/ServerLive")(
                b"", timeout=5, metadata=(("authorization", f"Bearer {up.token}"),)
            )
        clear.close()
        error: Any = refused.value
        assert error.code() == Code.UNAVAILABLE
        clients = [threading.Thread(target=go_on, args=(up.said["grpc"], up.token)) for _ in range(3)]
        for one in clients:
            one.start()
        until = time.monotonic() + 20
        while len(answered) < 30 and not failed and time.monotonic() < until:
            time.sleep(0.02)
        up.process.terminate()
        assert up.process.wait(60) == 0
        for one in clients:
            one.join(60)
    assert (failed, len(answered) >= 30, answered[0]) == ([], True, [2.0, 4.0])


def test_it_is_there_with_services_only_and_where_it_is_wanted(folder: Path) -> None:
    words = [sys.executable, "-m", "bedplate", "up", "--port", "0", "--grpc-port", "0"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, "--grpc-port goes with --serve" in done.stderr) == (2, True)
    with as_process(folder, "--serve", "--no-due", "--grpc-port", "none") as up:
        assert up.said["grpc"] is None
