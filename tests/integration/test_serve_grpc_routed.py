"""gRPC through the router: one address, calls shared by replicas here and elsewhere, and none that fails while these come and go."""

from __future__ import annotations

import http.client
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
import numpy as np
import pytest
from replicas import Served, served, until

import bedplate

tritonclient = importlib.import_module("tritonclient.grpc")
pb = tritonclient.service_pb2
Code = grpc.StatusCode

PROJECT = '''
import os
import signal
import time

import numpy as np
from bedplate import Model, Project

served = Project("served")


@served.train
def who() -> Model:
    """Who answers."""
    return Model.of(answers, {"unused": 1}, example=[{"nap": 0.0, "way": 0.0}])


def answers(params, columns):
    """The process; it sleeps before, or ends itself where `way` is 1."""
    time.sleep(float(np.max(columns["nap"])))
    if np.max(columns["way"]) == 1.0:
        os.kill(os.getpid(), signal.SIGSEGV)
    return np.full(len(columns["nap"]), os.getpid())
'''


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with two replicas, and a model that says which of them answered."""
    folder = tmp_path_factory.mktemp("two")
    (folder / "served.py").write_text(PROJECT)
    types(folder, "run")
    with served(folder, "--replicas", "2", project=PROJECT, queue="200000") as server:
        yield server


def types(folder: Path, *words: str) -> None:
    subprocess.run([sys.executable, "-m", "bedplate", *words], cwd=folder, check=True, timeout=120, capture_output=True)


def asked(client: Any, nap: float = 0.0, way: float = 0.0, rows: int = 1, **rest: Any) -> Any:
    inputs = []
    for name, value in (("nap", nap), ("way", way)):
        one = tritonclient.InferInput(name, [rows], "FP64")
        one.set_data_from_numpy(np.full(rows, value))
        inputs.append(one)
    return client.infer("who", inputs, **rest)


class Calls:
    """Clients that call one after the other until told to stop, and what came of it."""

    def __init__(self, address: str, count: int = 6) -> None:
        self.by: dict[int, int] = {}
        self.failed: list[str] = []
        self.ids: list[str] = []
        self._address = address
        self._lock, self._over = threading.Lock(), threading.Event()
        self._threads = [threading.Thread(target=self._go, args=(at,)) for at in range(count)]

    def __enter__(self) -> Calls:
        for one in self._threads:
            one.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for one in self._threads:
            one.join(60)

    def more(self, count: int) -> None:
        """Wait until so many more were answered."""
        goal = sum(self.by.values()) + count
        until(lambda: sum(self.by.values()) >= goal or bool(self.failed))

    def known(self, count: int) -> None:
        """Wait until so many processes have answered."""
        until(lambda: len(self.by) >= count or bool(self.failed))

    def _go(self, at: int) -> None:
        number = 0
        with tritonclient.InferenceServerClient(self._address) as client:
            while not self._over.is_set():
                number += 1
                try:
                    pid = int(asked(client, nap=0.002, request_id=f"c-{at}-{number}").as_numpy("prediction")[0])
                except tritonclient.InferenceServerException as error:
                    if not (self._over.is_set() or "failed to connect" in str(error)):
                        self.failed.append(str(error))
                    return
                with self._lock:
                    self.by[pid] = self.by.get(pid, 0) + 1
                    self.ids.append(f"c-{at}-{number}")


def who(server: Served) -> int:
    with tritonclient.InferenceServerClient(server.ready["grpc"]) as client:
        return int(asked(client).as_numpy("prediction")[0])


def test_one_address_says_what_a_server_alone_says_and_both_replicas_answer(two: Served) -> None:
    """One connection is enough: calls are shared, not connections."""
    with tritonclient.InferenceServerClient(two.ready["grpc"]) as client:
        assert (client.is_server_live(), client.is_server_ready(), client.is_model_ready("who")) == (True, True, True)
        assert client.is_model_ready("nobody") is False
        assert client.get_server_metadata().name == "bedplate"
        assert [one.name for one in client.get_model_metadata("who").inputs] == ["nap", "way"]
        assert [one.state for one in client.get_model_repository_index().models] == ["READY"]
        found = [int(asked(client, request_id=f"o-{at}").as_numpy("prediction")[0]) for at in range(20)]
        with pytest.raises(tritonclient.InferenceServerException, match="no model 'nobody'") as wrong:
            client.infer("nobody", [tritonclient.InferInput("x", [1], "FP64").set_data_from_numpy(np.zeros(1))])
        assert wrong.value.status() == "StatusCode.NOT_FOUND"
    assert sorted(found.count(pid) for pid in set(found)) == [10, 10]


def test_metadata_and_deadlines_go_with_a_call_and_come_back(two: Served) -> None:
    """A name of its own, a key, one that is binary; the version that answered; and a deadline that is kept here and there."""
    with grpc.insecure_channel(two.ready["grpc"]) as channel:
        stub = importlib.import_module("tritonclient.grpc.service_pb2_grpc").GRPCInferenceServiceStub(channel)
        request = pb.ModelInferRequest(model_name="who")
        for name in ("nap", "way"):
            request.inputs.add(name=name, datatype="FP64", shape=[1]).contents.fp64_contents.append(0.0)
        told = (("x-request-id", "mine-1"), ("idempotency-key", "k-1"), ("odd-bin", b"\r\nhost: elsewhere\r\n"))
        answer, call = stub.ModelInfer.with_call(request, metadata=told, timeout=20)
        assert answer.model_name == "who"
        said = dict(call.trailing_metadata())
        assert (said["x-request-id"], said["x-model-version"]) == ("mine-1", "who@1")
        request.inputs[0].contents.fp64_contents[0] = 1.0
        with pytest.raises(grpc.RpcError) as late:
            stub.ModelInfer(request, timeout=0.2)
        error: Any = late.value
        assert error.code() == Code.DEADLINE_EXCEEDED
        with pytest.raises(grpc.RpcError) as wrong:
            stub.ModelMetadata(pb.ModelMetadataRequest(name="x" * 3000), timeout=20)
        error = wrong.value
        assert error.code() == Code.NOT_FOUND
    until(lambda: two.metric("bedplate_replica_running") == 0)


def test_an_answer_in_pieces_comes_whole(two: Served) -> None:
    """Beyond a mebibyte the router passes answers on as they come; a call has it at once."""
    with tritonclient.InferenceServerClient(two.ready["grpc"]) as client:
        made = asked(client, rows=150_000, request_id="long").as_numpy("prediction")
    assert (len(made), len(set(made.tolist()))) == (150_000, 1)


def test_a_replica_that_is_killed_or_told_to_end_fails_no_call_and_none_is_recorded_twice(two: Served) -> None:
    """kill -9 twice and a restart, under calls without a pause."""
    until(lambda: two.states() == ["ready"] * 2)
    with Calls(two.ready["grpc"]) as calls:
        calls.known(2)
        for known, how in ((3, signal.SIGKILL), (4, signal.SIGTERM), (5, signal.SIGKILL)):
            calls.more(40)
            os.kill(who(two), how)
            calls.known(known)
        calls.more(60)
    assert calls.failed == []
    assert two.metric("bedplate_router_retries_total") >= 1
    until(lambda: two.metric("bedplate_log_waiting") == 0)
    log = bedplate.open(two.folder).store.log("predictions/model/who").scan().collect()["request_id"].to_list()
    kept = [one for one in log if one.startswith("c-")]
    assert len(kept) == len(set(kept)) > 60


@pytest.mark.slow
def test_a_promotion_and_a_way_back_fail_no_call(two: Served) -> None:
    until(lambda: two.states() == ["ready"] * 2)
    with Calls(two.ready["grpc"]) as calls:
        calls.more(20)
        (two.folder / "served.py").write_text(PROJECT.replace('"unused": 1', '"unused": 2'))
        types(two.folder, "run")
        for version in ("who@1", "who@2"):
            types(two.folder, "promote", version)
        calls.more(60)
        types(two.folder, "rollback", "who")
        calls.more(60)
    assert calls.failed == []


def test_a_call_that_ends_whoever_works_on_it_is_given_up(two: Served) -> None:
    until(lambda: two.states() == ["ready"] * 2)
    with tritonclient.InferenceServerClient(two.ready["grpc"]) as client, pytest.raises(tritonclient.InferenceServerException) as ended:
        asked(client, way=1.0)
    assert (ended.value.status(), "did not answer" in str(ended.value)) == ("StatusCode.UNAVAILABLE", True)
    until(lambda: two.states() == ["ready"] * 2)


@contextmanager
def alone(folder: Path, *words: str) -> Iterator[dict[str, Any]]:
    command = [sys.executable, "-m", "bedplate", "serve", "--port", "0", "--json", *words]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        try:
            yield json.loads(running.stdout.readline())
        finally:
            running.terminate()
            running.wait(60)


def test_replicas_elsewhere_are_asked_where_their_http_is(two: Served) -> None:
    """By region as requests are: the one that may not be asked gets nothing; and they need no port of gRPC."""
    with alone(two.folder, "--grpc-port", "none") as here, alone(two.folder, "--grpc-port", "none") as there:
        assert here["grpc"] is there["grpc"] is None
        words = [word for one, region in ((here, "eu"), (there, "us")) for word in ("--replica", f"{one['url']},region={region}")]
        with served(two.folder, *words, project=PROJECT, place="region=eu") as router:
            with tritonclient.InferenceServerClient(router.ready["grpc"]) as client:
                found = {int(asked(client).as_numpy("prediction")[0]) for _ in range(10)}
                assert client.is_server_ready()
            assert len(found) == 1
            connection = http.client.HTTPConnection(urlsplit(there["url"]).netloc, timeout=20)
            connection.request("GET", "/metrics")
            assert b'status="200"' not in connection.getresponse().read()
            connection.close()
        words = [word for one in (here, there) for word in ("--replica", one["url"])]
        with served(two.folder, *words, project=PROJECT) as router, tritonclient.InferenceServerClient(router.ready["grpc"]) as client:
            under = [
                {int(asked(client, headers=head).as_numpy("prediction")[0]) for _ in range(8)} for head in ({"idempotency-key": "k"}, {})
            ]
            assert list(map(len, under)) == [1, 2], "a call under a key goes where it was answered, another by turns"


def test_a_stop_fails_no_call(two: Served) -> None:
    """Last, as it ends the server: what was sent is answered, and nobody is cut off."""
    with Calls(two.ready["grpc"]) as calls:
        calls.more(40)
        two.running.terminate()
        assert two.running.wait(60) == 0
    assert calls.failed == []
    assert two.running.stderr is not None
    assert "fork" not in two.running.stderr.read(), "gRPC has no word to say on processes that are started"
