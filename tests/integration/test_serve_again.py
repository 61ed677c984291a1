"""Answers that are given again: out of a service's cache, and to requests that are sent again. One server for all."""

from __future__ import annotations

import http.client
import itertools
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from serve_site import SERVICES, Place, serving_at

from bedplate.core.model import Model
from bedplate.stages.deploy.service import Asked, Wanted, service

LATE = Wanted(parameter="late", artifact="late", view="model")
CALLS = itertools.count()
NAPS = itertools.count()


def cached(late: Model, distance: float, note: str = "") -> dict[str, Any]:
    """Says how often it was called so far."""
    if note == "angry":
        raise ValueError(note)
    late.predict({"distance": distance, "stops": 0, "carrier": "UA"})
    return {"call": next(CALLS), "distance": distance}


def nap(seconds: float) -> int:
    """Sleeps, then says how often it did."""
    time.sleep(seconds)
    return next(NAPS)


ASKED = [Asked(name="distance", annotation=float), Asked(name="note", annotation=str, default="")]
NAP = service("nap", nap, [], [Asked(name="seconds", annotation=float)], int, p95_s=1.0)
OWN = (service("cached", cached, [LATE], ASKED, dict[str, Any], cache_s=60.0), NAP, *SERVICES)
numbers = itertools.count(1)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    place = Place(tmp_path_factory.mktemp("again"))
    place.fill()
    with serving_at(place, services=OWN):
        yield place


@pytest.fixture
def distance() -> float:
    """A row that nobody asked for yet."""
    return 1000.0 + next(numbers)


def metric(place: Place, name: str, *labels: str) -> float:
    lines = place.ask("/metrics").body.decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name) and all(label in line for label in labels))


def logged(place: Place, log: str, key: str, value: Any) -> list[dict[str, Any]]:
    """The rows of a log with that value, once they are written."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        waiting = metric(place, "bedplate_log_waiting")
        rows = [row for row in place.log(log).to_dicts() if row.get(key) == value] if not waiting else []
        if rows:
            return rows
        time.sleep(0.1)
    raise AssertionError(f"{log}: no row with {key} = {value!r}")


def test_who_asks_the_same_gets_the_same_answer(place: Place, distance: float) -> None:
    """With its age, an id of its own, and the name of the prediction that it was worked out for in the record."""
    hits = metric(place, "bedplate_cache_requests_total", 'outcome="hit"')
    first, again = place.ask("/cached", {"distance": distance}), place.ask("/cached", {"note": "", "distance": distance})
    assert first.json["result"] == again.json["result"]
    assert first.headers["cache-status"] == "bedplate; fwd=miss; stored"
    assert again.headers["cache-status"].startswith("bedplate; hit; ttl=5")
    assert again.headers["age"] == "0"
    assert first.json["prediction_id"] != again.json["prediction_id"]
    assert metric(place, "bedplate_cache_requests_total", 'outcome="hit"') == hits + 1
    assert metric(place, "bedplate_kept_answer_bytes") > 0
    (row,) = logged(place, "cached", "prediction_id", again.json["prediction_id"])
    assert (row["answer_of"], row["models"], row["status"]) == (first.json["prediction_id"], '{"late":1}', 200)
    assert row["request"]["distance"] == distance


def test_a_request_of_several_rows_is_answered_from_there_only_as_a_whole(place: Place, distance: float) -> None:
    rows = [{"distance": distance}, {"distance": distance + 0.5}]
    first = place.ask("/cached", rows)
    assert [one["result"] for one in place.ask("/cached", rows).json] == [one["result"] for one in first.json]
    mixed = place.ask("/cached", [*rows, {"distance": distance + 0.25}])
    assert mixed.headers["cache-status"].startswith("bedplate; fwd=miss")


def test_a_request_of_no_rows_is_answered_with_none(place: Place) -> None:
    assert [(one.status, one.json) for one in (place.ask("/cached", []), place.ask("/cached", []))] == [(200, [])] * 2


def test_an_error_is_never_kept(place: Place, distance: float) -> None:
    for _ in range(2):
        answer = place.ask("/cached", {"distance": distance, "note": "angry"})
        assert (answer.status, "cache-status" in answer.headers) == (500, False)


def test_a_promotion_and_a_rollback_give_nothing_old(place: Place, distance: float) -> None:
    """At once: the answer is known by the versions too."""
    first = place.ask("/cached", {"distance": distance})
    for number in (2, 1):
        place.record.promote("late", number)
        end = time.monotonic() + 10
        while place.ask("/cached", {"distance": distance}).headers["x-model-version"] != f"late@{number}":
            assert time.monotonic() < end
            time.sleep(0.05)
        now = place.ask("/cached", {"distance": distance}).json["result"]
        assert (now == first.json["result"]) == (number == 1)


@pytest.mark.parametrize("name", ["Idempotency-Key", "X-Request-Id"])
def test_a_request_that_is_sent_again_is_answered_once(place: Place, name: str, distance: float) -> None:
    """The same bytes as before, and one row in the record; another body is another request, or refused where the key says it is not."""
    headers = {"Content-Type": "application/json", name: f"one-{name}-{distance}"}
    body = {"carrier": "UA", "distance": distance}
    first, again = (place.ask("/will_be_late", body, headers=headers) for _ in range(2))
    assert (again.body, again.headers["x-prediction-id"]) == (first.body, first.headers["x-prediction-id"])
    assert ("idempotent-replayed" in first.headers, again.headers["idempotent-replayed"]) == (False, "true")
    other = place.ask("/will_be_late", {**body, "stops": 1}, headers=headers)
    assert other.status == (422 if name == "Idempotency-Key" else 200)
    assert metric(place, "bedplate_repeated_requests_total", 'service="will_be_late"') > 0
    time.sleep(1.2)
    (row,) = logged(place, "will_be_late", "prediction_id", first.headers["x-prediction-id"])
    assert row["request"]["distance"] == distance


def test_an_inference_with_an_id_is_answered_once(place: Place, distance: float) -> None:
    """The protocol's own `id`; without one, or of another version, every request is one of its own."""
    inputs = [{"name": name, "datatype": "FP64", "shape": [1], "data": [distance]} for name in "abc"]
    body = {"id": f"i-{distance}", "inputs": inputs}
    first, again = (place.ask("/v2/models/wide/infer", body) for _ in range(2))
    assert (first.status, first.body) == (200, again.body)
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in place.ask("/v2/models/wide/versions/1/infer", body).headers
    assert "idempotent-replayed" not in place.ask("/v2/models/wide/infer", {"inputs": inputs}).headers


def test_a_retry_while_the_first_is_worked_on_waits_for_it(place: Place) -> None:
    """The function is called once, however often a client gave up and asked again."""
    before, answers = next(NAPS), []

    def ask() -> None:
        answers.append(place.ask("/nap", {"seconds": 0.4}, headers={"Content-Type": "application/json", "Idempotency-Key": "nap-1"}))

    asking = [threading.Thread(target=ask) for _ in range(5)]
    for one in asking:
        one.start()
    for one in asking:
        one.join()
    assert {one.body for one in answers} == {answers[0].body}
    assert answers[0].json["result"] == before + 1
    assert next(NAPS) == before + 2


def test_what_failed_may_be_tried_again(place: Place) -> None:
    headers = {"Content-Type": "application/json", "Idempotency-Key": "angry-1"}
    for _ in range(2):
        answer = place.ask("/moody", {"mood": "angry"}, headers=headers)
        assert (answer.status, "idempotent-replayed" in answer.headers) == (500, False)


def test_a_key_that_is_too_long_is_refused(place: Place) -> None:
    headers = {"Content-Type": "application/json", "Idempotency-Key": "k" * 300}
    assert place.ask("/moody", {"mood": "calm"}, headers=headers).status == 400


def test_answers_are_kept_within_their_memory(place: Place) -> None:
    """However many different things are asked: of 1 MB, no more is ever taken."""
    connection = http.client.HTTPConnection(place.address, timeout=10)
    note = "n" * 2000
    for number in range(600):
        connection.request("POST", "/cached", json.dumps({"distance": number, "note": note}), {"Content-Type": "application/json"})
        connection.getresponse().read()
    connection.close()
    assert 500_000 < metric(place, "bedplate_kept_answer_bytes") <= 1_000_000
