"""What a service answers over HTTP: good requests, and every kind of bad one."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from serve_site import Place, serving_at

GOOD = {"carrier": "UA", "distance": 500}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    place = Place(tmp_path_factory.mktemp("served"))
    place.fill()
    with serving_at(place, body_limit=100_000):
        yield place


def test_one_object_is_answered_with_its_result_and_who_gave_it(place: Place) -> None:
    answer = place.ask("/will_be_late", GOOD)
    assert answer.status == 200
    assert answer.json["result"] == 0.75
    assert answer.headers["x-prediction-id"] == answer.json["prediction_id"]
    assert answer.headers["x-model-version"] == "late@1"
    assert answer.headers["content-type"] == "application/json"


def test_an_array_is_answered_row_by_row_with_ids_of_their_own(place: Place) -> None:
    answers = place.ask("/will_be_late", [{**GOOD, "distance": number} for number in range(50)]).json
    assert [answer["result"] for answer in answers] == [0.25 + number / 1000 for number in range(50)]
    assert len({answer["prediction_id"] for answer in answers}) == 50
    assert place.ask("/will_be_late", []).json == []


def test_the_callers_request_id_is_kept_and_a_strange_one_is_replaced(place: Place) -> None:
    headers = {"Content-Type": "application/json"}
    assert place.ask("/moody", {"mood": "calm"}, headers={**headers, "X-Request-Id": "abc-1"}).headers["x-request-id"] == "abc-1"
    assert place.ask("/moody", {"mood": "calm"}, headers={**headers, "X-Request-Id": "x" * 500}).headers["x-request-id"].startswith("q-")


BAD: list[tuple[str, Any, int, str]] = [
    ("missing field", {"carrier": "UA"}, 422, "'distance' is missing"),
    ("extra field", {**GOOD, "colour": "red"}, 422, "'colour' is not one of its fields"),
    ("wrong type", {**GOOD, "distance": "far"}, 422, "'distance': expected `float`, got `str`"),
    (
        "all that is wrong",
        {"carrier": 3, "stops": "x", "tint": 1},
        422,
        "'distance' is missing; 'carrier': expected `str`, got `int`; 'stops': expected `int`, got `str`; 'tint' is not one of its fields",
    ),
    ("rows and rows of it", [{}] * 9, 422, "row 2: 'carrier' is missing; and more"),
    ("wrong type in a row", [GOOD, {**GOOD, "stops": 0.5}], 422, "row 1: 'stops': expected `int`, got `float`"),
    ("a row that is none", [GOOD, 3], 422, "Expected `object`, got `int` - at `[1]`"),
    ("wrong and cut off", b'{"carrier": 3, "dist', 422, "Expected `str`, got `int` - at `carrier`"),
    ("null", {**GOOD, "carrier": None}, 422, "got `null`"),
    ("a number", 3, 422, "Expected `object | array`"),
    ("no JSON", b"carrier=UA", 400, "not JSON"),
    ("cut off", b'{"carrier": "UA", ', 400, "not JSON"),
    ("empty", b"", 400, "not JSON"),
    ("NaN", b'{"carrier": "UA", "distance": NaN}', 400, "not JSON"),
    ("infinity", b'{"carrier": "UA", "distance": 1e999}', 422, "out of range"),
    ("not UTF-8", b'{"carrier": "\xff", "distance": 1}', 400, "not JSON"),
    ("too large an integer", b'{"carrier": "UA", "distance": 1, "stops": 99999999999999999999}', 422, "stops"),
    ("too long an integer", b'{"carrier": "UA", "distance": 1, "stops": ' + b"9" * 5000 + b"}", 422, "stops"),
    ("huge", b'{"carrier": "' + b"x" * 100_000 + b'", "distance": 1}', 413, "larger than 100.0 kB"),
    ("huge and long", b"x" * 1_000_000, 413, "larger than 100.0 kB"),
]


@pytest.mark.bad_input("a request with missing fields", "a request with extra fields", "a request with wrong-typed fields")
@pytest.mark.bad_input("a huge request", "a request that is not JSON")
@pytest.mark.parametrize(("name", "body", "status", "says"), BAD, ids=[case[0] for case in BAD])
def test_a_bad_body_gets_one_clear_error_and_no_traceback(place: Place, name: str, body: Any, status: int, says: str) -> None:
    """422 with the field where it does not fit, 400 where it is no JSON, 413 over the limit; what, why and next, in one JSON shape."""
    answer = place.ask("/will_be_late", body)
    assert answer.status == status, answer.body
    error = answer.json["error"]
    assert sorted(error) == ["next", "what", "why"]
    assert says in error["what"]
    assert b"Traceback" not in answer.body


def test_a_body_nested_too_deeply_is_refused(place: Place) -> None:
    body = b'{"mood": "calm", "extra": ' + b"[" * 40_000 + b"]" * 40_000 + b"}"
    answer = place.ask("/moody", body)
    assert (answer.status, "cannot be read" in answer.json["error"]["what"]) == (400, True)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_a_body_that_does_not_say_that_it_is_json_is_refused(place: Place, kind: str) -> None:
    answer = place.ask("/will_be_late", b"{}", headers={"Content-Type": kind} if kind else {"X-Other": "1"})
    assert answer.status == 415
    assert "Content-Type: application/json" in answer.json["error"]["next"]


def test_a_compressed_body_is_refused(place: Place) -> None:
    answer = place.ask("/will_be_late", b"{}", headers={"Content-Type": "application/json", "Content-Encoding": "gzip"})
    assert answer.status == 415


def test_a_body_without_a_length_is_cut_off_at_the_limit(place: Place) -> None:
    host, port = place.address.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(
            b"POST /moody HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        for _ in range(12):
            connection.sendall(b"2710\r\n" + b"x" * 10_000 + b"\r\n")
        connection.sendall(b"0\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")


def test_an_unknown_service_names_those_there_are(place: Place) -> None:
    error = place.ask("/will_be_lat", GOOD).json["error"]
    assert error == {
        "what": "there is no service 'will_be_lat'",
        "why": "services: will_be_late, moody",
        "next": "did you mean 'will_be_late'?",
    }


@pytest.mark.parametrize(
    ("path", "status"), [("/will_be_late", 405), ("/nothing", 404), ("/health/nothing", 404), ("/docs/../etc/passwd", 404)]
)
def test_other_paths_and_methods_get_the_same_error_shape(place: Place, path: str, status: int) -> None:
    answer = place.ask(path)
    assert answer.status == status
    assert sorted(answer.json["error"]) == ["next", "what", "why"]
    assert all(answer.json["error"].values())


@pytest.mark.parametrize(
    ("path", "leads"),
    [
        ("/services", "docs"),
        ("/services/", "../docs#"),
        ("/services/will_be_late", "../docs#will_be_late"),
        ("/services/nothing", None),
        ("/services//evil.example", None),
        ("/will_be_late", "docs#will_be_late"),
    ],
)
def test_a_browser_is_led_to_the_page_of_a_service_here_as_under_up(place: Place, path: str, leads: str | None) -> None:
    """A program that asks a service with GET is still told how it is asked."""
    answer = place.ask(path, headers={"accept": "text/html,*/*"})
    assert (answer.status, answer.headers.get("location")) == ((307, leads) if leads else (404, None))


def test_a_wrong_method_is_counted_as_a_request_of_its_service(place: Place) -> None:
    """In the count by status; not in the service's latency."""
    timed = [line for line in place.ask("/metrics").body.decode().splitlines() if "request_seconds_count" in line]
    before = place.ask("/metrics").body.decode().count('service="moody",status="405"')
    place.ask("/moody", method="PUT")
    text = place.ask("/metrics").body.decode()
    assert (before, 'bedplate_requests_total{service="moody",status="405"} 1.0' in text) == (0, True)
    assert [line for line in text.splitlines() if "request_seconds_count" in line] == timed


def test_a_request_under_a_foreign_name_is_refused(place: Place) -> None:
    answer = place.ask("/moody", {"mood": "calm"}, headers={"Content-Type": "application/json", "Host": "evil.example:80"})
    assert answer.status == 421


@pytest.mark.parametrize("mood", ["angry", "leaving", "interrupted", "odd"])
def test_code_that_fails_is_500_with_an_id_that_the_log_explains_and_the_server_goes_on(
    place: Place, mood: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, "bedplate.serve"):
        answer = place.ask("/moody", {"mood": mood})
    assert answer.status == 500
    assert b"secret" not in answer.body
    error_id = answer.json["error"]["what"].split("(")[1].rstrip(")")
    assert error_id in caplog.text
    assert place.ask("/moody", {"mood": "calm"}).status == 200


HEADS = {
    "one long header": (b"X-Long: " + b"x" * 1_000_000, 431),
    "one that never ends": (b"X-Long: " + b"x" * 100_000, 431),
    "many headers": (b"\r\n".join(b"X-%d: 1" % number for number in range(100_000)), 431),
    "no HTTP": (b"\0\0", 400),
    "an absurd length": (b"Content-Length: 1000000000000000000\r\n\r\n{", 413),
}


@pytest.mark.parametrize(("head", "status"), HEADS.values(), ids=HEADS)
def test_a_head_that_nobody_sends_in_earnest_is_answered_at_once_in_the_error_shape(place: Place, head: bytes, status: int) -> None:
    """The client sees it although it goes on sending; then the connection ends, and the server goes on."""
    host, port = place.address.split(":")
    start = b"POST /moody HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with socket.create_connection((host, int(port)), timeout=2) as connection:
        connection.sendall(start + head + (b"\r\n\r\n" if head is not HEADS["one that never ends"][0] else b""))
        said = b""
        while piece := connection.recv(10_000):
            said += piece
    assert said.startswith(b"HTTP/1.1 %d " % status)
    assert sorted(json.loads(said.partition(b"\r\n\r\n")[2])["error"]) == ["next", "what", "why"]
    assert place.ask("/moody", {"mood": "calm"}).status == 200


def test_two_requests_on_one_connection_are_answered_in_order(place: Place) -> None:
    host, port = place.address.split(":")
    body = json.dumps({"mood": "calm"}).encode()
    one = b"POST /moody HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(one + one.replace(b"/moody", b"/mooey"))
        said = b""
        while said.count(b"HTTP/1.1 ") < 2 or b"mooey" not in said:
            said += connection.recv(10_000)
    assert said.index(b"HTTP/1.1 200") < said.index(b"HTTP/1.1 404")


def test_every_prediction_is_in_the_lake_with_its_request_features_result_and_version(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.fill()
    with serving_at(place):
        good = place.ask("/will_be_late", GOOD, headers={"Content-Type": "application/json", "X-Request-Id": "mine"}).json
        place.ask("/will_be_late", [GOOD, GOOD])
        place.ask("/will_be_late", {"carrier": "UA"})
        place.ask("/moody", {"mood": "angry", "note": "n"})
    assert place.lost == 0
    log = place.log("will_be_late")
    first = log.row(0, named=True)
    assert (first["prediction_id"], first["request_id"], first["status"], first["error"]) == (good["prediction_id"], "mine", 200, None)
    assert first["request"] == {"carrier": "UA", "distance": 500.0, "stops": 0}
    assert (first["features"], first["result"], first["models"]) == ({"delays": {"mean": 0.25}}, 0.75, '{"late":1}')
    assert log.schema["at"] == pl.Datetime("us", "UTC")
    assert 0 < first["latency_ms"] < 1000
    refused = log.row(3, named=True)
    assert (log.height, refused["status"], refused["request"], refused["result"]) == (4, 422, None, None)
    failed = place.log("moody").row(0, named=True)
    assert (failed["status"], failed["request"]["note"], failed["result"]) == (500, "n", None)
    assert failed["error"].startswith("ValueError: a secret")
