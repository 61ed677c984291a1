"""The Open Inference Protocol, asked by Triton's own client, and by hand where a client would not do such a thing."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from serve_site import Place, serving_at

tritonclient = pytest.importorskip("tritonclient.http", reason="tritonclient is not installed: pip install 'tritonclient[http]'")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    place = Place(tmp_path_factory.mktemp("models"))
    place.fill()
    with serving_at(place):
        yield place


@pytest.fixture
def client(place: Place) -> Iterator[Any]:
    with tritonclient.InferenceServerClient(place.address) as client:
        yield client


def late_inputs(rows: int, *, binary: bool = True, shape: tuple[int, ...] | None = None) -> list[Any]:
    """The three columns of the model `late`, with `rows` rows."""
    columns = {
        "distance": (np.arange(rows, dtype=np.float64) * 100, "FP64"),
        "stops": (np.ones(rows, dtype=np.int64), "INT64"),
        "carrier": (np.array(["UÄ"] * rows, dtype=object), "BYTES"),
    }
    inputs = []
    for name, (values, datatype) in columns.items():
        given = values.reshape(shape or (rows,))
        one = tritonclient.InferInput(name, list(given.shape), datatype)
        one.set_data_from_numpy(given, binary_data=binary)
        inputs.append(one)
    return inputs


def test_server_and_model_are_live_ready_and_described(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("late")
    assert client.is_model_ready("late", "1")
    assert not client.is_model_ready("late", "2")
    assert not client.is_model_ready("early")
    assert client.get_server_metadata()["name"] == "bedplate"
    described = client.get_model_metadata("late")
    assert (described["name"], described["versions"]) == ("late", ["1"])
    assert [(one["name"], one["datatype"], one["shape"]) for one in described["inputs"]] == [
        ("distance", "FP64", [-1]),
        ("stops", "INT64", [-1]),
        ("carrier", "BYTES", [-1]),
    ]
    assert described["outputs"] == [{"name": "prediction", "datatype": "FP64", "shape": [-1]}]
    assert {row["name"]: row["state"] for row in client.get_model_repository_index()} == {"late": "READY", "wide": "READY"}


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_a_row_per_column_tensor_is_predicted_in_every_form(client: Any, binary_in: bool, binary_out: bool, shape: tuple[int, ...]) -> None:
    wish = tritonclient.InferRequestedOutput("prediction", binary_data=binary_out)
    result = client.infer("late", late_inputs(3, binary=binary_in, shape=shape), outputs=[wish], request_id="r-7")
    assert result.as_numpy("prediction").tolist() == [1.0, 1.1, 1.2]
    assert result.get_response()["model_version"] == "1"
    assert result.get_response()["id"] == "r-7"


def test_without_wishes_every_output_comes_back(client: Any) -> None:
    assert client.infer("late", late_inputs(2)).as_numpy("prediction").tolist() == [1.0, 1.1]
    assert client.infer("late", late_inputs(2), model_version="1").as_numpy("prediction").tolist() == [1.0, 1.1]


@pytest.mark.parametrize("dtype", ["FP64", "FP32", "INT32"])
def test_one_tensor_of_all_columns_is_taken_where_every_column_is_a_number(client: Any, dtype: str) -> None:
    kind = {"FP64": np.float64, "FP32": np.float32, "INT32": np.int32}[dtype]
    one = tritonclient.InferInput("input", [2, 3], dtype)
    one.set_data_from_numpy(np.array([[1, 2, 3], [4, 5, 6]], dtype=kind))
    assert client.infer("wide", [one]).as_numpy("prediction").tolist() == [[3.0, 3.0], [9.0, 6.0]]


def test_a_missing_number_is_sent_as_not_a_number_even_where_the_model_takes_whole_ones(client: Any) -> None:
    one = tritonclient.InferInput("stops", [2], "FP64")
    one.set_data_from_numpy(np.array([2.0, np.nan]))
    result = client.infer("late", [late_inputs(2)[0], one, late_inputs(2)[2]]).as_numpy("prediction")
    assert result[0] == 2.0
    assert np.isnan(result[1])


def test_a_fraction_reaches_a_column_that_was_whole_in_training(client: Any) -> None:
    one = tritonclient.InferInput("stops", [2], "FP64")
    one.set_data_from_numpy(np.array([1.5, 1.0]))
    result = client.infer("late", [late_inputs(2)[0], one, late_inputs(2)[2]]).as_numpy("prediction")
    assert result.tolist() == [1.5, 1.1]


def wrong_rows() -> list[Any]:
    return [late_inputs(3)[0], *late_inputs(2)[1:]]


def another_name() -> list[Any]:
    one = tritonclient.InferInput("colour", [3], "FP64")
    one.set_data_from_numpy(np.ones(3))
    return [*late_inputs(3), one]


def text_for_a_number() -> list[Any]:
    one = tritonclient.InferInput("stops", [3], "BYTES")
    one.set_data_from_numpy(np.array(["1", "2", "3"], dtype=object))
    return [late_inputs(3)[0], one, late_inputs(3)[2]]


WRONG = [
    (text_for_a_number, "input 'stops' is BYTES, and the model takes INT64"),
    (lambda: late_inputs(3)[:2], "input 'carrier' is missing"),
    (another_name, "the model has no input 'colour'"),
    (wrong_rows, "different numbers of rows"),
    (lambda: late_inputs(4, shape=(2, 2)), "it is one column"),
    (lambda: late_inputs(0), "no rows"),
]


@pytest.mark.parametrize(("inputs", "says"), WRONG)
def test_wrong_inputs_are_400_and_the_client_shows_why(client: Any, inputs: Any, says: str) -> None:
    with pytest.raises(tritonclient.InferenceServerException, match=says) as raised:
        client.infer("late", inputs())
    assert raised.value.status() == "400"


def test_unknown_models_versions_and_outputs_are_named(client: Any) -> None:
    for model, version, says in (("early", "", "models: late, wide"), ("late", "9", "version 1 serves")):
        with pytest.raises(tritonclient.InferenceServerException, match=says):
            client.infer(model, late_inputs(1), model_version=version)
    with pytest.raises(tritonclient.InferenceServerException, match="no output 'colour'"):
        client.infer("late", late_inputs(1), outputs=[tritonclient.InferRequestedOutput("colour")])


RAW: list[tuple[Any, dict[str, str], str]] = [
    (b"not json", {}, "not of the protocol"),
    ({"inputs": [{"name": "distance", "shape": [2], "datatype": "FP64", "data": [1.0]}]}, {}, "1 values for shape"),
    ({"inputs": [{"name": "distance", "shape": [-1], "datatype": "FP64", "data": [1.0]}]}, {}, "not one of sizes"),
    ({"inputs": [{"name": "distance", "shape": [1], "datatype": "FP128", "data": [1.0]}]}, {}, "no datatype 'FP128'"),
    ({"inputs": [{"name": "stops", "shape": [1], "datatype": "INT64", "data": [1.5]}]}, {}, "not of datatype INT64"),
    ({"inputs": [{"name": "stops", "shape": [1], "datatype": "INT8", "data": [1000]}]}, {}, "out of bounds"),
    ({"inputs": [{"name": "distance", "shape": [1 << 62, 8], "datatype": "FP64", "data": []}]}, {}, "more values than any"),
    ({"inputs": [{"name": "distance", "shape": [1 << 62] * 9, "datatype": "FP64", "data": []}]}, {}, "9 dimensions"),
    ({"inputs": [{"name": "distance", "shape": [0, 1 << 40], "datatype": "FP64", "data": []}]}, {}, "is missing"),
    ({"inputs": []}, {"Inference-Header-Content-Length": "9999"}, "the body has"),
    (
        {"inputs": [{"name": "distance", "shape": [2], "datatype": "FP64", "parameters": {"binary_data_size": 9}}]},
        {"Inference-Header-Content-Length": "all"},
        "binary_data_size is 9, and 0 bytes follow",
    ),
]


@pytest.mark.parametrize(("body", "headers", "says"), RAW)
def test_what_no_client_would_send_is_400_in_the_protocols_own_words(place: Place, body: Any, headers: dict[str, str], says: str) -> None:
    if headers.get("Inference-Header-Content-Length") == "all":
        headers = {}
    answer = place.ask("/v2/models/late/infer", body, headers={"Content-Type": "application/json", **headers})
    assert answer.status == 400
    assert says in answer.json["error"]


def test_texts_in_binary_form_must_add_up(place: Place) -> None:
    head = b'{"inputs":[{"name":"carrier","shape":[1],"datatype":"BYTES","parameters":{"binary_data_size":6}}]}'
    headers = {"Inference-Header-Content-Length": str(len(head))}
    for raw, says in ((struct.pack("<I", 90) + b"ab", "0 texts"), (struct.pack("<I", 2) + b"\xff\xff", "not UTF-8")):
        answer = place.ask("/v2/models/late/infer", head + raw, headers=headers)
        assert (answer.status, says in answer.json["error"]) == (400, True), answer.json


def test_inferences_are_predictions_in_the_lake(tmp_path: Any) -> None:
    place = Place(tmp_path)
    place.fill()
    with serving_at(place), tritonclient.InferenceServerClient(place.address) as client:
        client.infer("late", late_inputs(2), request_id="r-1")
        client.infer("wide", [matrix()])
    log = place.log("model/late").sort("result")
    assert log["request"].to_list() == [{"distance": 0.0, "stops": 1, "carrier": "UÄ"}, {"distance": 100.0, "stops": 1, "carrier": "UÄ"}]
    assert (log["result"].to_list(), set(log["request_id"]), set(log["models"])) == ([1.0, 1.1], {"r-1"}, {'{"late":1}'})
    assert place.log("model/wide")["result"].to_list() == ["[3.0,3.0]"]


def matrix() -> Any:
    one = tritonclient.InferInput("input", [1, 3], "FP64")
    one.set_data_from_numpy(np.array([[1.0, 2.0, 3.0]]))
    return one


def test_a_model_that_waits_is_not_ready_and_says_why(tmp_path: Any) -> None:
    place = Place(tmp_path)
    place.fill(promote=False)
    with serving_at(place), tritonclient.InferenceServerClient(place.address) as client:
        assert client.is_server_live()
        assert not client.is_server_ready()
        assert not client.is_model_ready("late")
        with pytest.raises(tritonclient.InferenceServerException, match="late has no production version: its check better has not passed"):
            client.infer("late", late_inputs(1))
