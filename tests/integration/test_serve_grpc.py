"""The Open Inference Protocol over gRPC, asked by Triton's own client, and by hand where a client would not do such a thing."""

from __future__ import annotations

import base64
import http.client
import importlib
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from serve_site import MODELS, Place, serving_at

from bedplate.interfaces.http import grpc_port
from bedplate.stages.deploy.service import Wanted
from bedplate.testing import serving

tritonclient = importlib.import_module("tritonclient.grpc")
pb = tritonclient.service_pb2
Code = grpc.StatusCode
LIMIT = 100_000


def napping(columns: dict[str, Any]) -> Any:
    """Sleeps as long as its first row says; fails below zero."""
    seconds = float(columns["seconds"][0])
    if seconds < 0:
        raise ValueError("a secret of the user's own code")
    time.sleep(seconds)
    return columns["seconds"] * 1.0


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    place = Place(tmp_path_factory.mktemp("grpc"))
    place.fill()
    place.record.add("nap", serving.formula("nap@1", {"seconds": "FP64"}, napping, example=[{"seconds": 0.02}]))
    nap = Wanted(parameter="nap", artifact="nap", view="model")
    with serving_at(place, "auto", models=(*MODELS, nap), body_limit=LIMIT, queue=500):
        yield place


@pytest.fixture
def client(place: Place) -> Iterator[Any]:
    assert place.ready is not None
    with tritonclient.InferenceServerClient(place.ready.grpc) as client:
        yield client


@pytest.fixture
def stub(place: Place) -> Iterator[Any]:
    """What the protocol's own definition gives: it sends whatever it is told to."""
    assert place.ready is not None
    with grpc.insecure_channel(str(place.ready.grpc)) as channel:
        yield importlib.import_module("tritonclient.grpc.service_pb2_grpc").GRPCInferenceServiceStub(channel)


def given(name: str, values: Any, datatype: str) -> Any:
    one = tritonclient.InferInput(name, list(values.shape), datatype)
    one.set_data_from_numpy(values)
    return one


def late_inputs(rows: int) -> list[Any]:
    return [
        given("distance", np.arange(rows, dtype=np.float64) * 100, "FP64"),
        given("stops", np.ones(rows, dtype=np.int64), "INT64"),
        given("carrier", np.array(["UÄ"] * rows, dtype=object), "BYTES"),
    ]


def late_request(**rest: Any) -> Any:
    """Two rows in typed contents."""
    distance = {"name": "distance", "datatype": "FP64", "shape": [2], "contents": {"fp64_contents": [0.0, 100.0]}}
    stops = {"name": "stops", "datatype": "INT64", "shape": [2, 1], "contents": {"int64_contents": [1, 1]}}
    carrier = {"name": "carrier", "datatype": "BYTES", "shape": [2], "contents": {"bytes_contents": ["UÄ".encode(), b""]}}
    return pb.ModelInferRequest(model_name="late", inputs=[distance, stops, carrier], **rest)


def nap(seconds: float) -> Any:
    one = {"name": "seconds", "datatype": "FP64", "shape": [1], "contents": {"fp64_contents": [seconds]}}
    return pb.ModelInferRequest(model_name="nap", inputs=[one])


def test_server_and_models_are_live_ready_and_described(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert [client.is_model_ready(*asked) for asked in (("late",), ("late", "1"), ("late", "2"), ("early",))] == [True, True, False, False]
    assert client.get_server_metadata().name == "bedplate"
    described = client.get_model_metadata("late", as_json=True)
    assert (described["name"], described["versions"]) == ("late", ["1"])
    assert [(one["name"], one["datatype"], one["shape"]) for one in described["inputs"]] == [
        ("distance", "FP64", ["-1"]),
        ("stops", "INT64", ["-1"]),
        ("carrier", "BYTES", ["-1"]),
    ]
    assert {one.name: one.state for one in client.get_model_repository_index().models} == dict.fromkeys(("late", "wide", "nap"), "READY")


def test_the_client_is_answered_in_bytes_with_its_own_id(client: Any) -> None:
    wish = tritonclient.InferRequestedOutput("prediction")
    result = client.infer("late", late_inputs(3), outputs=[wish], request_id="g-7", model_version="1")
    assert result.as_numpy("prediction").tolist() == [1.0, 1.1, 1.2]
    said = result.get_response()
    assert (said.id, said.model_name, said.model_version, len(said.raw_output_contents)) == ("g-7", "late", "1", 1)
    wide = client.infer("wide", [given("input", np.array([[1, 2, 3], [4, 5, 6]], dtype=np.int32), "INT32")])
    assert wide.as_numpy("prediction").tolist() == [[3.0, 3.0], [9.0, 6.0]]


def test_every_row_is_on_record_under_the_clients_own_id(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.fill()
    with serving_at(place, "0"):
        assert place.ready is not None
        with tritonclient.InferenceServerClient(place.ready.grpc) as client:
            client.infer("late", late_inputs(3), request_id="g-7")
            client.infer("late", late_inputs(1), headers={"x-request-id": "mine"}, request_id="g-8")
    kept = place.log("model/late")
    assert kept["request_id"].to_list() == ["g-7"] * 3 + ["mine"]
    assert kept["result"].to_list() == [1.0, 1.1, 1.2, 1.0]


def test_a_call_that_asks_for_a_trace_is_told_and_recorded(tmp_path: Path) -> None:
    """The parts come as metadata, and what is traced is on record as all else is."""
    place = Place(tmp_path)
    place.fill()
    with serving_at(place, "auto"):
        assert place.ready is not None
        with tritonclient.InferenceServerClient(place.ready.grpc) as client:
            answered = client.infer("late", late_inputs(2), request_id="traced", headers={"x-trace": "1"})
        assert answered.get_response().id == "traced"
    rows = place.log("model/late").to_dicts()
    assert [row["request_id"] for row in rows] == ["traced"] * 2
    assert all('"why":"asked"' in row["trace"] for row in rows)


def test_a_call_that_is_sent_again_is_answered_again_and_another_of_the_same_name_is_another(place: Place, client: Any) -> None:
    assert place.ready is not None
    key = {"idempotency-key": "k-1"}
    for _ in range(2):
        assert client.infer("late", late_inputs(3), headers=key).as_numpy("prediction").tolist() == [1.0, 1.1, 1.2]
    with pytest.raises(tritonclient.InferenceServerException, match="another one"):
        client.infer("late", late_inputs(2), headers=key)
    for rows in (1, 2):
        assert len(client.infer("late", late_inputs(rows), request_id="same").as_numpy("prediction")) == rows


def test_typed_contents_are_answered_in_typed_contents_and_the_metadata_says_what_answered(stub: Any) -> None:
    answer, call = stub.ModelInfer.with_call(late_request(id="t-1"), metadata=(("x-request-id", "mine-1"),))
    (output,) = answer.outputs
    assert (output.name, output.datatype, list(output.shape)) == ("prediction", "FP64", [2])
    assert list(output.contents.fp64_contents) == [1.0, 1.1]
    assert (answer.id, len(answer.raw_output_contents)) == ("t-1", 0)
    told = dict(call.trailing_metadata())
    assert (told["x-request-id"], told["x-model-version"]) == ("mine-1", "late@1")


def changed(change: Callable[[Any], Any]) -> Any:
    request = late_request()
    change(request)
    return request


def raw(*contents: bytes, shape: tuple[int, ...] = (2,), datatype: str = "FP64") -> Any:
    inputs = [{"name": "distance", "datatype": datatype, "shape": shape}]
    return pb.ModelInferRequest(model_name="late", inputs=inputs, raw_input_contents=contents)


def first(**fields: Any) -> Any:
    """The request with another first input."""
    return changed(lambda one: one.inputs[0].CopyFrom(pb.ModelInferRequest.InferInputTensor(name="distance", **fields)))


MANY = pb.ModelInferRequest(
    model_name="wide", inputs=[{"name": "x", "datatype": "FP64", "shape": [501, 3]}], raw_input_contents=[bytes(12_024)]
)
WRONG: list[tuple[Any, Any, str]] = [
    (changed(lambda one: setattr(one, "model_name", "early")), Code.NOT_FOUND, "no model 'early'"),
    (changed(lambda one: setattr(one, "model_name", "")), Code.NOT_FOUND, "no model ''"),
    (changed(lambda one: setattr(one, "model_version", "9")), Code.NOT_FOUND, "no version 9"),
    (changed(lambda one: setattr(one, "model_version", "../1")), Code.NOT_FOUND, "no version ../1"),
    (changed(lambda one: one.inputs.pop()), Code.INVALID_ARGUMENT, "'carrier' is missing"),
    (changed(lambda one: one.ClearField("inputs")), Code.INVALID_ARGUMENT, "'distance' is missing"),
    (changed(lambda one: one.inputs.add(name="x", datatype="BOOL", shape=[1]).contents.bool_contents.append(True)),
     Code.INVALID_ARGUMENT, "no input 'x'"),
    (changed(lambda one: one.inputs.append(one.inputs[0])), Code.INVALID_ARGUMENT, "same name"),
    (changed(lambda one: one.outputs.add(name="colour")), Code.INVALID_ARGUMENT, "no output 'colour'"),
    (first(datatype="FP64", shape=[-1], contents={"fp64_contents": [1]}), Code.INVALID_ARGUMENT, "not one of sizes"),
    (first(datatype="FP64", shape=[], contents={"fp64_contents": [1]}), Code.INVALID_ARGUMENT, "not one of sizes"),
    (first(datatype="FP64", shape=[1 << 62, 4], contents={"fp64_contents": [1]}), Code.INVALID_ARGUMENT, "more values than any"),
    (first(datatype="FP64", shape=[1 << 62] * 9), Code.INVALID_ARGUMENT, "9 dimensions"),
    (first(datatype="FP64", shape=[3], contents={"fp64_contents": [1]}), Code.INVALID_ARGUMENT, "1 values for shape"),
    (first(datatype="FP64", shape=[1], contents={"fp32_contents": [1]}), Code.INVALID_ARGUMENT, "and has fp32_contents"),
    (first(datatype="INT8", shape=[1], contents={"int_contents": [1000]}), Code.INVALID_ARGUMENT, "out of bounds for INT8"),
    (first(datatype="FP16", shape=[1], contents={"fp32_contents": [1]}), Code.INVALID_ARGUMENT, "no typed contents"),
    (first(datatype="FP128", shape=[1]), Code.INVALID_ARGUMENT, "no datatype 'FP128'"),
    (first(datatype="BYTES", shape=[1], contents={"bytes_contents": [b"\xff"]}), Code.INVALID_ARGUMENT, "not UTF-8"),
    (first(datatype="BYTES", shape=[2], contents={"bytes_contents": [b"a", b"b"]}), Code.INVALID_ARGUMENT, "is BYTES, and"),
    (first(datatype="FP64", shape=[0]), Code.INVALID_ARGUMENT, "different numbers of rows"),
    (raw(bytes(15)), Code.INVALID_ARGUMENT, "15 bytes for shape"),
    (raw(bytes(16), bytes(16)), Code.INVALID_ARGUMENT, "1 inputs, and 2 raw contents"),
    (raw(b"", shape=(1 << 33, 1 << 33)), Code.INVALID_ARGUMENT, "more values than any"),
    (raw(b"\xff\xff\xff\xff", shape=(1,), datatype="BYTES"), Code.INVALID_ARGUMENT, "0 texts in 4 bytes"),
    (changed(lambda one: one.raw_input_contents.extend([bytes(16)] * 3)), Code.INVALID_ARGUMENT, "beside the raw ones"),
    (nap(-1.0), Code.INTERNAL, "nap failed on this request"),
    (first(datatype="FP64", shape=[LIMIT], contents={"fp64_contents": [1.0] * LIMIT}), Code.RESOURCE_EXHAUSTED, "larger than max"),
    (MANY, Code.RESOURCE_EXHAUSTED, "at most 500 are taken"),
]  # fmt: skip


@pytest.mark.parametrize(("request_", "code", "says"), WRONG)
def test_what_is_wrong_is_said_with_its_status_and_nobody_else_is_hurt(stub: Any, request_: Any, code: Any, says: str) -> None:
    """Beside it, a good request on the same connection is answered."""
    good = stub.ModelInfer.future(late_request(), timeout=20)
    with pytest.raises(grpc.RpcError) as raised:
        stub.ModelInfer(request_, timeout=20)
    error: Any = raised.value
    assert (error.code(), says in error.details()) == (code, True), error.details()
    assert "secret" not in error.details()
    assert list(good.result().outputs[0].contents.fp64_contents) == [1.0, 1.1]


def test_what_is_no_message_of_the_protocol_is_refused(place: Place) -> None:
    assert place.ready is not None
    with grpc.insecure_channel(str(place.ready.grpc)) as channel:
        for method, code in (("ModelInfer", Code.INVALID_ARGUMENT), ("ModelReady", Code.INVALID_ARGUMENT), ("Reboot", Code.UNIMPLEMENTED)):
            with pytest.raises(grpc.RpcError) as raised:
                channel.unary_unary(f"/inference.GRPCInferenceService/{method}")(b"\xff\xff", timeout=20)
            error: Any = raised.value
            assert error.code() == code


def test_what_is_compressed_is_refused(stub: Any) -> None:
    """A few bytes could be a message of gigabytes."""
    with pytest.raises(grpc.RpcError) as raised:
        stub.ModelInfer(late_request(), compression=grpc.Compression.Gzip, timeout=20)
    error: Any = raised.value
    assert error.code() == Code.UNIMPLEMENTED


def test_a_deadline_is_kept_and_one_who_leaves_holds_up_nobody(place: Place, stub: Any) -> None:
    for _ in range(2):
        stub.ModelInfer(nap(0.2), timeout=20)  # from now on it is known to be slow, and asked in a thread
    with pytest.raises(grpc.RpcError) as raised:
        stub.ModelInfer(nap(1.0), timeout=0.2)
    error: Any = raised.value
    assert error.code() == Code.DEADLINE_EXCEEDED
    gone = stub.ModelInfer.future(nap(1.0))
    time.sleep(0.1)
    gone.cancel()
    assert stub.ModelInfer(late_request(), timeout=20).model_name == "late"
    until = time.monotonic() + 20
    while (text := place.ask("/metrics").body.decode()) and 'service="model/nap",status="499"} 2.0' not in text:
        assert time.monotonic() < until, text
        time.sleep(0.05)


def test_many_at_once_are_each_told_their_own(place: Place) -> None:
    """Eight clients at once, each with rows of its own."""
    failed: list[str] = []

    def go_on(number: int) -> None:
        assert place.ready is not None
        with tritonclient.InferenceServerClient(place.ready.grpc) as client:
            for at in range(20):
                values = np.array([[number, at, 1.0]])
                made = client.infer("wide", [given("input", values, "FP64")]).as_numpy("prediction").tolist()
                if made != [[number + at, 1.0]]:
                    failed.append(f"{number}, {at}: {made}")

    threads = [threading.Thread(target=go_on, args=(number,)) for number in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(30)
    assert not failed


def test_who_speaks_another_protocol_is_shown_out_and_the_rest_go_on(place: Place, client: Any) -> None:
    assert place.ready is not None
    socket = importlib.import_module("socket")
    host, _, port = str(place.ready.grpc).rpartition(":")
    with socket.create_connection((host, int(port)), 20) as other:
        other.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 4)
        while other.recv(1 << 16):
            pass
    assert client.is_server_live()


def over_http(
    place: Place, method: str, name: str, body: bytes = b"", kind: str = "application/proto", **headers: str
) -> tuple[int, bytes]:
    """A call as a request of HTTP: the status, and the message or what is said of the error."""
    connection = http.client.HTTPConnection(place.address, timeout=20)
    query = "?encoding=proto&base64=1&message=" + base64.urlsafe_b64encode(body).decode() if method == "GET" else ""
    connection.request(method, f"/inference.GRPCInferenceService/{name}{query}", body or None, {"content-type": kind, **headers})
    answer = connection.getresponse()
    made = answer.status, answer.read()
    connection.close()
    return made


def test_the_same_calls_are_answered_on_the_port_of_http(place: Place) -> None:
    """As a router asks them: messages by POST, what only reads by GET, the same errors in the same words, a deadline, a limit."""
    status, said = over_http(place, "POST", "ModelInfer", late_request(id="h-1").SerializeToString())
    assert (status, list(pb.ModelInferResponse.FromString(said).outputs[0].contents.fp64_contents)) == (200, [1.0, 1.1])
    for method in ("GET", "POST"):
        status, said = over_http(place, method, "ModelMetadata", pb.ModelMetadataRequest(name="late").SerializeToString())
        assert (status, pb.ModelMetadataResponse.FromString(said).name) == (200, "late")
    for _ in range(2):
        over_http(place, "POST", "ModelInfer", nap(0.2).SerializeToString())  # from now on it is known to be slow
    wrong = [
        (
            over_http(place, "POST", "ModelInfer", changed(lambda one: setattr(one, "model_name", "early")).SerializeToString()),
            404,
            "not_found",
        ),
        (over_http(place, "POST", "ModelInfer", b"\xff\xff"), 400, "invalid_argument"),
        (over_http(place, "POST", "ModelInfer", late_request().SerializeToString(), kind="text/plain"), 415, "invalid_argument"),
        (over_http(place, "POST", "ModelInfer", b"x", **{"content-encoding": "gzip"}), 415, "invalid_argument"),
        (over_http(place, "POST", "ModelInfer", bytes(LIMIT + 1)), 413, "resource_exhausted"),
        (over_http(place, "POST", "Reboot"), 404, "not_found"),
        (over_http(place, "GET", "ModelInfer"), 405, "internal"),
        (over_http(place, "POST", "ModelInfer", nap(1.0).SerializeToString(), **{"connect-timeout-ms": "100"}), 504, "deadline_exceeded"),
    ]
    assert [(status, json.loads(said)["code"]) for (status, said), _, _ in wrong] == [(status, code) for _, status, code in wrong]


def test_without_the_package_of_messages_it_is_said_what_is_missing_and_nothing_else_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(tmp_path)
    place.fill()
    monkeypatch.setitem(sys.modules, grpc_port.METHODS, None)
    with serving_at(place, "none"):
        status, said = over_http(place, "POST", "ModelInfer", late_request().SerializeToString())
        assert (status, json.loads(said)["code"]) == (501, "unimplemented")
        assert place.ask("/v2/models/late").status == 200


def test_a_canary_has_its_part(place: Place, stub: Any) -> None:
    """By a header of its rule, as over HTTP."""
    place.record.promote("late", 2, "canary", by="person", check="100 % where header:x-group=new")
    until = time.monotonic() + 20
    while stub.ModelInfer(late_request(), metadata=(("x-group", "new"),)).model_version != "2":
        assert time.monotonic() < until
        time.sleep(0.05)
    assert stub.ModelInfer(late_request(), metadata=(("x-group", "old"),)).model_version == "1"
