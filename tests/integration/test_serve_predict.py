"""`:predict` as TensorFlow Serving and KServe's first protocol have it: rows, columns, and what is wrong in its own words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from serve_site import Place, serving_at

LATE = [{"distance": 0.0, "stops": 1, "carrier": "UÄ"}, {"distance": 100, "stops": 1, "carrier": ""}]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    place = Place(tmp_path_factory.mktemp("predict"))
    place.fill()
    with serving_at(place):
        yield place


ROWS: list[tuple[str, Any, Any]] = [
    ("late", {"instances": LATE}, {"predictions": [1.0, 1.1]}),
    ("late", {"instances": [list(row.values()) for row in LATE], "signature_name": "serving_default"}, {"predictions": [1.0, 1.1]}),
    ("late", {"inputs": {"distance": [0, 100], "stops": [[1], [1]], "carrier": ["a", "b"]}}, {"outputs": [1.0, 1.1]}),
    ("late/versions/1", {"instances": LATE[:1]}, {"predictions": [1.0]}),
    ("late", {"instances": [{**LATE[0], "distance": None}]}, {"predictions": [None]}),
    ("late", {"instances": [{**LATE[0], "stops": 1.5}]}, {"predictions": [1.5]}),
    ("wide", {"instances": [[1, 2, 3], [4.5, 5, 6]]}, {"predictions": [[3.0, 3.0], [9.5, 6.0]]}),
    ("wide", {"inputs": [[1, 2, 3]]}, {"outputs": [[3.0, 3.0]]}),
    ("wide", {"inputs": {"a": [1], "b": [2], "c": [3]}}, {"outputs": [[3.0, 3.0]]}),
]


@pytest.mark.parametrize(("path", "body", "says"), ROWS)
def test_rows_and_columns_are_predicted_in_the_form_they_came_in(place: Place, path: str, body: Any, says: Any) -> None:
    answer = place.ask(f"/v1/models/{path}:predict", body)
    assert (answer.status, answer.json) == (200, says)
    assert answer.headers["x-model-version"] == f"{path.partition('/')[0]}@1"


WRONG: list[tuple[str, Any, int, str]] = [
    ("late", b"not json", 400, "not of the protocol"),
    ("late", b"[" * 100_000, 400, "not of the protocol"),
    ("late", {}, 400, "no instances and no inputs"),
    ("late", {"instances": LATE, "inputs": {}}, 400, "instances and inputs"),
    ("late", {"instances": []}, 400, "no rows"),
    ("late", {"instances": "x"}, 400, "no rows"),
    ("late", {"inputs": {}}, 400, "'distance' is missing"),
    ("late", {"inputs": {"distance": [1]}}, 400, "'stops' is missing"),
    ("late", {"inputs": {"distance": 1}}, 400, "'distance' is not a list"),
    ("late", {"inputs": {"colour": [1]}}, 400, "no input 'colour'"),
    ("late", {"inputs": {"distance": [1, 2], "stops": [1], "carrier": ["a"]}}, 400, "different numbers of rows"),
    ("late", {"inputs": {"distance": [[1, 2]], "stops": [1], "carrier": ["a"]}}, 400, "2 values for shape"),
    ("late", {"instances": [{"distance": 1, "stops": 1}]}, 400, "row 0: input 'carrier' is missing"),
    ("late", {"instances": [*LATE, {**LATE[0], "colour": 1}]}, 400, "row 2: the model has no input 'colour'"),
    ("late", {"instances": [LATE[0], [0, 1, "a"]]}, 400, "row 1 is not of the form"),
    ("late", {"instances": [1.0]}, 400, "row 0 has 1 values"),
    ("late", {"instances": [[0, 1]]}, 400, "row 0 has 2 values"),
    ("late", {"instances": [[0, 1, 5]]}, 400, "BYTES in JSON are texts"),
    ("late", {"instances": [["x", 1, "a"]]}, 400, "not of datatype FP64"),
    ("late", {"instances": [[True, 1, "a"]]}, 400, "not of datatype FP64"),
    ("late", {"instances": [[0, 1 << 70, "a"]]}, 400, "input 'stops'"),
    ("late", {"instances": [[0, {"b64": "eA=="}, "a"]]}, 400, "input 'stops'"),
    ("wide", {"instances": [[1, 2, 3], [1, 2]]}, 400, "row 1 has 2 values"),
    ("early", {"instances": LATE}, 404, "no model 'early'"),
    ("late/versions/2", {"instances": LATE}, 404, "no version 2"),
]


@pytest.mark.parametrize(("path", "body", "status", "says"), WRONG)
def test_what_is_wrong_is_said_in_the_protocols_own_form(place: Place, path: str, body: Any, status: int, says: str) -> None:
    answer = place.ask(f"/v1/models/{path}:predict", body)
    assert (answer.status, list(answer.json)) == (status, ["error"])
    assert says in answer.json["error"]


def test_models_are_listed_and_say_whether_they_serve(place: Place) -> None:
    assert place.ask("/v1/models").json == {"models": ["late", "wide"]}
    for path in ("late", "late/versions/1"):
        said = place.ask(f"/v1/models/{path}").json
        assert (said["name"], said["ready"]) == ("late", True)
        assert [(one["version"], one["state"]) for one in said["model_version_status"]] == [("1", "AVAILABLE")]
    for path, status in (("early", 404), ("late/versions/9", 404), ("late:explain", 404), ("late/versions/9/x", 404)):
        answer = place.ask(f"/v1/models/{path}")
        assert (answer.status, list(answer.json)) == (status, ["error"])
    answer = place.ask("/v1/models/late:predict")
    assert (answer.status, list(answer.json)) == (404, ["error"])


def test_a_form_and_bytes_are_one_request_only_with_their_protocol(place: Place) -> None:
    """The same key with the same bytes by another protocol is another request."""
    key = {"Idempotency-Key": "k-9", "Content-Type": "application/json"}
    assert place.ask("/v1/models/late:predict", {"instances": LATE}, headers=key).json == {"predictions": [1.0, 1.1]}
    replayed = place.ask("/v1/models/late:predict", {"instances": LATE}, headers=key)
    assert (replayed.json, replayed.headers["idempotent-replayed"]) == ({"predictions": [1.0, 1.1]}, "true")
    assert place.ask("/v2/models/late/infer", {"instances": LATE}, headers=key).status == 400
