"""A model that another server has, asked by gRPC: a server of the protocol's own definition that this test starts, and one of ours."""

from __future__ import annotations

import asyncio
import importlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import numpy as np
import pytest
from test_up_tls import certificate

from bedplate.core.clock import SystemClock
from bedplate.core.errors import Refused, StepError, UserError, WorldError
from bedplate.core.model import Model, Remote, RowPredictor
from bedplate.network.asking import Asking
from bedplate.network.backends import reach as reaching
from bedplate.storage import far
from bedplate.storage.models import ModelShelf
from bedplate.storage.shelf import Save

pb = importlib.import_module("tritonclient.grpc.service_pb2")
pb_grpc = importlib.import_module("tritonclient.grpc.service_pb2_grpc")
Code = grpc.StatusCode
HERE = "127.0.0.0/8"
NUMPY = {"FP64": "<f8", "FP32": "<f4", "INT64": "<i8"}


class Server(pb_grpc.GRPCInferenceServiceServicer):
    """Sums the columns of each row; `troubles` are the errors that it answers first, `answers` an answer of another form."""

    def __init__(self) -> None:
        self.inputs: list[tuple[str, str, list[int]]] = [("x", "FP64", [-1, 3])]
        self.outputs: list[tuple[str, str, list[int]]] = [("total", "FP64", [-1])]
        self.version = "1"
        self.troubles: list[tuple[Any, str]] = []
        self.answers: Callable[[Any], Any] | None = None
        self.is_typed = False
        self.nap_s = 0.0
        self.asked: list[Any] = []
        self.metadata: list[dict[str, str]] = []

    async def ModelMetadata(self, request: Any, context: Any) -> Any:
        self.metadata.append(dict(context.invocation_metadata()))
        if request.name != "sum":
            await context.abort(Code.NOT_FOUND, f"no model {request.name}")
        tensors = ([{"name": name, "datatype": kind, "shape": shape} for name, kind, shape in side] for side in (self.inputs, self.outputs))
        inputs, outputs = tensors
        return pb.ModelMetadataResponse(name="sum", platform="here", versions=[self.version], inputs=inputs, outputs=outputs)

    async def ModelInfer(self, request: Any, context: Any) -> Any:
        self.asked.append(request)
        self.metadata.append(dict(context.invocation_metadata()))
        await asyncio.sleep(self.nap_s)
        if self.troubles:
            await context.abort(*self.troubles.pop(0))
        if self.answers is not None:
            return self.answers(request)
        parts = [_values(one, raw) for one, raw in zip(request.inputs, request.raw_input_contents, strict=True)]
        total = np.column_stack(parts).sum(axis=1)
        made = pb.ModelInferResponse(model_name="sum", model_version=self.version)
        output = made.outputs.add(name="total", datatype="FP64", shape=[len(total)])
        if self.is_typed:
            output.contents.fp64_contents.extend(total.tolist())
        else:
            made.raw_output_contents.append(total.tobytes())
        return made


def _values(one: Any, raw: bytes) -> Any:
    if one.datatype == "BYTES":
        lengths, at = [], 0
        while at < len(raw):
            lengths.append(int.from_bytes(raw[at : at + 4], "little"))
            at += 4 + lengths[-1]
        return np.array(lengths, dtype=np.float64)
    return np.frombuffer(raw, NUMPY[one.datatype]).reshape(list(one.shape))


class Running:
    """A server in a thread with a loop of its own."""

    def __init__(self, server: Server, tls: tuple[Path, Path] | None = None, port: int = 0) -> None:
        self.server, self.port = server, port
        self._tls = tls
        self._begun, self._over = threading.Event(), asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._run()))

    def __enter__(self) -> Running:
        self._thread.start()
        assert self._begun.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(20)
        self._loop.close()

    async def _run(self) -> None:
        running = grpc.aio.server()
        pb_grpc.add_GRPCInferenceServiceServicer_to_server(self.server, running)
        at = f"127.0.0.1:{self.port}"
        if self._tls is None:
            self.port = running.add_insecure_port(at)
        else:
            cert, key = (one.read_bytes() for one in self._tls)
            self.port = running.add_secure_port(at, grpc.ssl_server_credentials([(key, cert)]))
        await running.start()
        self._begun.set()
        await self._over.wait()
        await running.stop(None)


@pytest.fixture
def there() -> Iterator[Running]:
    with Running(Server()) as running:
        yield running


@contextmanager
def shelf(folder: Path, environ: dict[str, str] | None = None, allowed: str = HERE) -> Iterator[ModelShelf]:
    asking = Asking(SystemClock(), allowed, environ or {})
    try:
        yield ModelShelf(folder, ask=asking)
    finally:
        asking.close()


def stored(kept: ModelShelf, url: str, **about: Any) -> Any:
    return kept.save(Save(kind="model", artifact="late", value=Model.at(url, **about), attempt="a-1"))


@contextmanager
def loaded(running: Running, folder: Path, **about: Any) -> Iterator[Any]:
    with shelf(folder) as kept:
        yield kept.load(stored(kept, f"grpc://127.0.0.1:{running.port}/sum", **about), "model", None)


@pytest.mark.parametrize("typed", [False, True])
def test_rows_are_sent_as_bytes_and_read_as_bytes_or_typed(there: Running, tmp_path: Path, typed: bool) -> None:
    """A matrix is columns; missing numbers too; nothing is asked without rows, and the example is asked once."""
    there.server.is_typed = typed
    with loaded(there, tmp_path, example=[{"a": 1.0, "b": 2.0, "c": 3.0}]) as model:
        assert [field.name for field in model.signature.inputs] == ["a", "b", "c"]
        assert isinstance(model.predictor, RowPredictor)
        assert model.predict({"a": 1, "b": 2.5, "c": 3}) == 6.5
        made = model.predictor.rows(np.array([[1.0, np.nan, 3.0], [4.0, 5.0, 6.0]]))
        assert np.array_equal(made, [np.nan, 15.0], equal_nan=True)
        assert model.predictor.rows(np.empty((0, 3))).shape == (0,)
        assert len(there.server.asked) == 3
        assert [one.name for one in there.server.asked[-1].outputs] == ["total"]


def test_columns_of_text_and_whole_numbers_are_sent_as_they_are(there: Running, tmp_path: Path) -> None:
    there.server.inputs = [("word", "BYTES", [-1]), ("n", "INT64", [-1, 1])]
    with loaded(there, tmp_path) as model:
        assert model.predict([{"word": "drei", "n": 3}, {"word": "ü", "n": 4}]).tolist() == [7.0, 6.0]
        with pytest.raises(UserError, match="whole numbers"):
            model.predict({"word": "x", "n": 0.5})
        with pytest.raises(UserError, match="a text of 'word' is missing"):
            model.predict([{"word": None, "n": 4}])


def test_a_version_and_a_token_are_said_with_every_question(there: Running, tmp_path: Path) -> None:
    with shelf(tmp_path, {"THEIRS": "s3cret"}) as kept:
        url = f"grpc://127.0.0.1:{there.port}/sum/versions/1"
        model = kept.load(stored(kept, url, token="THEIRS"), "model", None)
        assert model.predict({"x_0": 1, "x_1": 2, "x_2": 3}) == 6
        assert there.server.asked[-1].model_version == "1"
        assert {one["authorization"] for one in there.server.metadata} == {"Bearer s3cret"}
        with pytest.raises(UserError, match="OTHER is not set"):
            stored(kept, url, token="OTHER")


ROW = {"x_0": 1, "x_1": 2, "x_2": 3}


def test_what_a_server_refuses_or_fails_at_is_whose_fault_it_is_and_trouble_is_tried_again(there: Running, tmp_path: Path) -> None:
    with loaded(there, tmp_path, timeout="5 s") as model:
        for code, kind, tries in (
            (Code.INVALID_ARGUMENT, UserError, 1),
            (Code.INTERNAL, StepError, 1),
            (Code.UNAUTHENTICATED, WorldError, 1),
            (Code.NOT_FOUND, WorldError, 1),
            (Code.UNAVAILABLE, WorldError, 3),
            (Code.RESOURCE_EXHAUSTED, WorldError, 3),
        ):
            there.server.troubles, before = [(code, "so it is")] * tries, len(there.server.asked)
            with pytest.raises(kind):
                model.predict(ROW)
            assert len(there.server.asked) - before == tries
            assert model.predict(ROW) == 6
        there.server.troubles = [(Code.UNAVAILABLE, "in a moment")] * 2
        assert model.predict(ROW) == 6


def test_an_answer_of_another_form_is_no_prediction(there: Running, tmp_path: Path) -> None:
    """Wrong counts, shapes, types, names and bytes: said, never guessed at."""

    def says(raw: tuple[bytes, ...] = (), **fields: Any) -> Any:
        return pb.ModelInferResponse(outputs=[{"name": "total", "datatype": "FP64", "shape": [1], **fields}], raw_output_contents=raw)

    wrong = [
        says(), says((b"1234",)), says((bytes(8), bytes(8))), says((bytes(16),), shape=[2]), says((bytes(8),), shape=[-1, -1]),
        says((bytes(8),), datatype="FP99"), says((b"\xff\xff\xff\xff",), datatype="BYTES"), says((bytes(8),), name="other"),
        says(datatype="BYTES", contents={"bytes_contents": [b"\xff"]}), says(contents={"fp32_contents": [1.0]}),
        says(datatype="INT64", contents={"int64_contents": [1, 2]}), pb.ModelInferResponse(),
    ]  # fmt: skip
    with loaded(there, tmp_path) as model:
        for answer in wrong:
            there.server.answers = lambda _, answer=answer: answer
            with pytest.raises(WorldError):
                model.predict(ROW)


def test_one_that_changed_is_refused_with_what_changed(there: Running, tmp_path: Path) -> None:
    with loaded(there, tmp_path) as model:
        assert model.predict(ROW) == 6
        there.server.inputs, there.server.version = [("x", "FP64", [-1, 4])], "2"
        with pytest.raises(WorldError, match="is another model than when it was stored") as changed:
            model.predict(ROW)
        assert "it took x FP64 [-1, 3], and says x FP64 [-1, 4] now" in str(changed.value)


def test_a_deadline_is_kept_and_a_server_that_is_away_is_left_alone_and_found_again(tmp_path: Path) -> None:
    """Slow, then gone: after several failures nobody asks; back on the same port, it answers though its address is checked anew."""
    server = Server()
    with shelf(tmp_path) as kept:
        with Running(server) as running:
            url = f"grpc://127.0.0.1:{running.port}/sum"
            model = kept.load(stored(kept, url, timeout="0.4 s"), "model", None)
            server.nap_s, began = 3.0, time.monotonic()
            with pytest.raises(WorldError, match="did not answer"):
                model.predict(ROW)
            assert time.monotonic() - began < 2
            server.nap_s = 0.0
            assert model.predict(ROW) == 6
        for _ in range(3):
            with pytest.raises(WorldError, match=r"127\.0\.0\.1 did not answer"):
                model.predict(ROW)
        with pytest.raises(WorldError, match="is not asked now"):
            model.predict(ROW)
        with Running(server, port=running.port):
            until = time.monotonic() + 20
            while model.predictor.wait_s() > 0 and time.monotonic() < until:
                time.sleep(0.02)
            assert model.predict(ROW) == 6


def test_behind_tls_the_certificate_is_checked_for_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that the machine trusts is asked; by another name, or where nobody trusts it, nothing is sent."""
    tls, server = certificate(tmp_path), Server()
    with Running(server, tls) as running:
        url = f"grpcs://127.0.0.1:{running.port}/sum"
        with shelf(tmp_path) as kept, pytest.raises(WorldError):
            stored(kept, url, timeout="3 s")
        monkeypatch.setenv("SSL_CERT_FILE", str(tls[0]))
        with shelf(tmp_path) as kept:
            assert kept.load(stored(kept, url), "model", None).predict(ROW) == 6
            before = len(server.metadata)
            with pytest.raises(WorldError):
                stored(kept, url.replace("127.0.0.1", "localhost"), timeout="3 s")
            assert len(server.metadata) == before


def test_only_addresses_that_may_be_reached_are(there: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of this machine unless the site allows it, by a name neither, nor by one that answers otherwise the second time."""
    url = f"grpc://127.0.0.1:{there.port}/sum"
    monkeypatch.setenv("http_proxy", url.replace("grpc", "http"))
    with shelf(tmp_path, allowed="none") as kept:
        for one in (url, url.replace("127.0.0.1", "localhost"), url.replace("127.0.0.1", "0x7f.1")):
            with pytest.raises(Refused, match="allow_networks"):
                stored(kept, one)
    answers = iter([["203.0.113.9"], ["127.0.0.1"]])
    monkeypatch.setattr(reaching, "_addresses", lambda _host, _port: next(answers))
    with shelf(tmp_path, allowed="203.0.113.0/24") as kept:
        with pytest.raises(WorldError):
            stored(kept, url.replace("127.0.0.1", "rebind.test"), timeout="0.3 s")
        with pytest.raises(Refused, match=r"rebind\.test is not fetched from"):
            stored(kept, url.replace("127.0.0.1", "rebind.test"), timeout="0.3 s")
    assert there.server.metadata == []


@pytest.mark.parametrize(
    "url",
    ["grpc://there/sum", "grpc://there:0/sum", "grpc://there:99999/sum", "grpc://there:1", "grpc://there:1/a/b", "grpc://there:1/a?b"],
)
def test_an_address_of_another_form_is_refused_before_anybody_is_asked(url: str, tmp_path: Path) -> None:
    with shelf(tmp_path) as kept, pytest.raises(UserError, match="no address of a model"):
        stored(kept, url)


@pytest.mark.parametrize(
    ("url", "port"), [("grpc://there:8001/sum", 8001), ("https://there/v2/models/sum", 443), ("http://there/v2/models/sum", 80)]
)
def test_the_port_that_a_cluster_lets_through_is_that_of_the_address(url: str, port: int) -> None:
    assert far.port(Remote(url=url)) == port


def test_without_the_package_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a model that is asked over HTTP needs none of it."""
    for name in ("bedplate.storage.backends.remote_messages", "bedplate.storage.backends.open_inference", "google.protobuf.message"):
        monkeypatch.setitem(sys.modules, name, None)
    with shelf(tmp_path) as kept:
        with pytest.raises(UserError) as missing:
            stored(kept, "grpc://127.0.0.1:1/sum")
        assert "pip install 'bedplate[grpc]'" in str(missing.value)
        with pytest.raises(WorldError, match="did not answer"):
            stored(kept, "http://127.0.0.1:1/v2/models/sum")
