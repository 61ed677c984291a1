"""Services of arrays and frames over HTTP: asked as any other, called for many rows at once, and each row is answered for itself."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, Literal, TypedDict

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from serve_site import DELAYS, LATE, Answer, Place, serving_at

from bedplate.core.model import Model
from bedplate.stages.deploy.service import Asked, service

Floats = npt.NDArray[np.float64]
CALLS: list[int] = []
"""The rows of each call of `late_many`."""
HELD: list[int] = []
"""The rows of each call of `held`."""
GO = threading.Event()
SLOW: list[int] = []


def late_many(late: Model, delays: Any, carrier: npt.NDArray[np.str_], distance: Floats, stops: npt.NDArray[np.int64]) -> Floats:
    """How probable it is that flights are late."""
    CALLS.append(len(carrier))
    if (distance == -1).any():
        raise ValueError("a secret of the user's own code")
    if (distance == -2).any():
        raise SystemExit(3)
    known = np.array([row["mean"] or 0.0 for row in delays[carrier]])
    made: Floats = late.predict({"distance": distance, "stops": stops, "carrier": carrier}) + known
    return made[1:] if (distance == -3).any() else np.where(distance == -4, np.nan, made)


class Flight(TypedDict):
    """A row of the frame."""

    distance: float
    carrier: str | None
    kind: Literal["long", "short"]


def framed(rows: pl.DataFrame) -> pl.DataFrame:
    """The columns that a row is answered with."""
    return rows.select(pl.col("distance") * 2, pl.col("carrier").fill_null("nobody"))


def held(area: Floats) -> Floats:
    """Waits until it may go on."""
    HELD.append(len(area))
    GO.wait(20)
    if (area == 13).any():
        raise ValueError("no house has 13 rooms")
    return area * 2


def slow(area: Floats) -> Floats:
    """Takes long, whatever it is asked."""
    SLOW.append(len(area))
    time.sleep(0.1)
    return area * 2


def both(area: Floats, rate: Floats) -> Floats:
    """A number, where it is not too large."""
    return np.where(rate > 1e300, np.nan, area + rate)


def counted(area: Floats) -> list[int]:
    """Says how many rows it is called for."""
    return [len(area)] * len(area)


SAID = Annotated[np.ndarray, float | None]
AREA = [Asked(name="area", annotation=np.ndarray)]
FIELDS = [
    Asked(name="carrier", annotation=npt.NDArray[np.str_]),
    Asked(name="distance", annotation=np.ndarray),
    Asked(name="stops", annotation=npt.NDArray[np.int64], default=0),
]
SERVICES = [
    service("late_many", late_many, [LATE, DELAYS], FIELDS, np.ndarray, p95_s=0.005),
    service("framed", framed, [], [Asked(name="rows", annotation=Annotated[pl.DataFrame, Flight])], Annotated[pl.DataFrame, Flight]),
    service("held", held, [], AREA, np.ndarray),
    service("slow", slow, [], AREA, np.ndarray),
    service("counted", counted, [], AREA, list[int], cache_s=60.0),
]
GOOD = {"carrier": "UA", "distance": 500}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    place = Place(tmp_path_factory.mktemp("together"))
    place.fill()
    with serving_at(place, services=SERVICES, body_limit=1_000_000):
        yield place


def at_once(place: Place, path: str, bodies: list[Any]) -> list[Answer]:
    """Every body on a connection of its own, at the same time."""
    with ThreadPoolExecutor(len(bodies)) as clients:
        return list(clients.map(lambda body: place.ask(path, body), bodies))


def test_one_object_and_a_list_are_asked_as_of_any_service(place: Place) -> None:
    """One object or many, defaults and whole numbers for floats; a list is one call."""
    answer = place.ask("/late_many", GOOD)
    assert (answer.status, answer.json["result"]) == (200, 0.75)
    assert answer.headers["x-model-version"] == "late@1"
    CALLS.clear()
    answers = place.ask("/late_many", [{**GOOD, "distance": number} for number in range(32)]).json
    assert [one["result"] for one in answers] == [0.25 + number / 1000 for number in range(32)]
    assert CALLS == [32]
    assert len({one["prediction_id"] for one in answers}) == 32
    assert place.ask("/late_many", []).json == []


def test_more_rows_than_one_call_takes_are_answered_in_order(place: Place) -> None:
    CALLS.clear()
    answers = place.ask("/late_many", [{**GOOD, "distance": number} for number in range(1000)]).json
    assert [one["result"] for one in answers] == [0.25 + number / 1000 for number in range(1000)]
    assert sum(CALLS) == 1000
    assert max(CALLS) <= 256


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({"carrier": "UA"}, 422, "'distance' is missing"),
        ({**GOOD, "colour": "red"}, 422, "'colour' is not one of its fields"),
        ([GOOD, {**GOOD, "stops": 0.5}], 422, "row 1: 'stops': expected `int`, got `float`"),
        ({**GOOD, "distance": None}, 422, "got `null`"),
        ({**GOOD, "distance": [1.0, 2.0]}, 422, "'distance': expected `float`, got `array`"),
        (b'{"carrier": "UA", "distance": NaN}', 400, "not JSON"),
    ],
)
def test_what_does_not_fit_a_row_is_refused_as_of_any_service(place: Place, body: Any, status: int, says: str) -> None:
    answer = place.ask("/late_many", body)
    assert answer.status == status
    assert says in answer.json["error"]["what"]


@pytest.mark.parametrize(
    ("distance", "cause", "hint", "why"),
    [
        (-1, "a secret of the user's own code", "", "its own code raised an error"),
        (-2, "SystemExit", "", "its own code raised an error"),
        (-3, "the service gave 0 answers for 1 row", "return an array as long as those", "it did not answer as its annotation says"),
        (-4, "returned nan", "Annotated[np.ndarray, float | None]", "it did not answer as its annotation says"),
    ],
)
def test_an_error_of_its_own_is_500_with_the_cause_in_the_log_only(
    place: Place, caplog: pytest.LogCaptureFixture, distance: int, cause: str, hint: str, why: str
) -> None:
    """It raises, leaves, answers fewer rows than it was asked about, or gives no number where one is declared."""
    with caplog.at_level(logging.ERROR, "bedplate.serve"):
        answer = place.ask("/late_many", {**GOOD, "distance": distance})
    assert answer.status == 500
    assert "secret" not in answer.body.decode()
    assert answer.json["error"]["why"] == why
    assert cause in caplog.text
    assert hint in caplog.text
    assert ("Traceback" in caplog.text) == (distance > -3)
    assert place.ask("/late_many", GOOD).status == 200


def test_a_frame_is_asked_by_its_row_and_answers_an_object_for_each(place: Place) -> None:
    body = [{"distance": 1, "carrier": None, "kind": "long"}, {"distance": 2, "carrier": "UA", "kind": "short"}]
    answers = place.ask("/framed", body).json
    assert [one["result"] for one in answers] == [{"distance": 2.0, "carrier": "nobody"}, {"distance": 4.0, "carrier": "UA"}]
    refused = place.ask("/framed", {"distance": 1, "carrier": "UA", "kind": "wide"})
    assert (refused.status, "kind" in refused.json["error"]["what"]) == (422, True)


def test_the_openapi_page_shows_a_row(place: Place) -> None:
    """What is asked and answered is a row's, not an array's."""
    said = place.ask("/openapi.json").json["paths"]
    (row, many) = said["/late_many"]["post"]["requestBody"]["content"]["application/json"]["schema"]["anyOf"]
    assert many["type"] == "array"
    assert json.dumps(row).count("array") == 0
    assert said["/late_many"]["post"]["requestBody"]["content"]["application/json"]["example"] == {
        "carrier": "UA",
        "distance": 500.0,
        "stops": 0,
    }


def test_a_bad_row_among_requests_at_once_fails_its_own_request(place: Place) -> None:
    """While the function is busy requests gather; they are called for together, and where that raises each for itself."""
    first = threading.Thread(target=at_once, args=(place, "/held", [{"area": 1.0}] * 64))
    first.start()
    while len(HELD) < 4:  # as many calls as it has threads: the rest waits
        time.sleep(0.01)
    later = threading.Timer(0.5, GO.set)
    later.start()
    answers = at_once(place, "/held", [{"area": float(area)} for area in range(10, 30)])
    first.join()
    assert [one.status for one in answers] == [500 if area == 13 else 200 for area in range(10, 30)]
    assert [one.json["result"] for one in answers if one.status == 200] == [area * 2.0 for area in range(10, 30) if area != 13]
    assert max(HELD) > 4


def test_what_is_slow_is_called_in_threads_for_many_at_once(place: Place) -> None:
    """Sixty clients of a function of 100 ms: fewer calls than requests; meanwhile the loop answers others."""
    asking = threading.Thread(target=at_once, args=(place, "/slow", [{"area": float(area)} for area in range(60)]))
    asking.start()
    assert place.ask("/health/live").status == 200
    assert place.ask("/late_many", GOOD).status == 200
    asking.join()
    assert sum(SLOW) == 60
    assert len(SLOW) < 30


def test_answers_are_kept_and_repeated_as_of_any_service(place: Place) -> None:
    """`cache=` by row, and a request that is sent again under one key."""
    one = place.ask("/counted", [{"area": 1.0}, {"area": 2.0}])
    assert [row["result"] for row in one.json] == [2, 2]
    again = place.ask("/counted", {"area": 2.0})
    assert (again.json["result"], "hit" in again.headers["cache-status"]) == (2, True)
    headers = {"Content-Type": "application/json", "Idempotency-Key": "k-1"}
    first, second = (place.ask("/late_many", [GOOD, GOOD], headers=headers) for _ in range(2))
    assert first.body == second.body
    assert second.headers["idempotent-replayed"] == "true"


def test_a_trace_tells_the_call_from_the_wait_for_it(place: Place) -> None:
    answer = place.ask("/late_many", GOOD, headers={"Content-Type": "application/json", "X-Trace": "1"})
    timing = {name: float(ms) for name, _, ms in (one.strip().partition(";dur=") for one in answer.headers["server-timing"].split(","))}
    assert timing["model"] > 0
    assert sum(ms for name, ms in timing.items() if name != "total") == pytest.approx(timing["total"], abs=0.01)


def test_rows_of_numbers_are_recorded_as_those_that_came_one_by_one(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Many in one request are kept as the array that they are: the same columns, ids and answers as a lone row's."""
    place = Place(tmp_path_factory.mktemp("numbers"))
    place.fill()
    with serving_at(place, services=[service("both", both, [], [*AREA, Asked(name="rate", annotation=np.ndarray, default=0.5)], SAID)]):
        many = place.ask("/both", [{"area": 1.0}, {"area": -0.0, "rate": 1e308}, {"area": 5e-324}]).json
        alone = place.ask("/both", {"area": 7.0}).json
    log = place.log("both")
    assert log.select("prediction_id", pl.col("request").struct.unnest()).rows() == [
        (many[0]["prediction_id"], 1.0, 0.5), (many[1]["prediction_id"], -0.0, 1e308), (many[2]["prediction_id"], 5e-324, 0.5),
        (alone["prediction_id"], 7.0, 0.5),
    ]  # fmt: skip
    assert log["result"].to_list() == [1.5, None, 0.5, 7.5]
    assert [one["result"] for one in many] == [1.5, None, 0.5]
    assert log["request_id"].n_unique() == 2
    assert set(log["status"]) == {200}


def test_every_row_is_recorded_with_the_features_that_were_looked_up_for_it(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Also while another version is tried: a canary and a shadow are asked row by row."""
    place = Place(tmp_path_factory.mktemp("recorded"))
    place.fill()
    with serving_at(place, services=SERVICES[:1]):
        asked = [{**GOOD, "distance": 100.0}, {"carrier": "AA", "distance": 200.0}, {**GOOD, "distance": 300.0}]
        assert [one["result"] for one in place.ask("/late_many", asked).json] == [0.35, 0.2, 0.55]
        place.ask("/late_many", [{**GOOD, "distance": 400.0}, {**GOOD, "distance": -1.0}])
        place.record.promote("late", 2, "canary", by="person", check="100 %")
        until = time.monotonic() + 20
        while place.ask("/late_many", {**GOOD, "distance": 500.0}).headers["x-model-version"] != "late@2":
            assert time.monotonic() < until
            time.sleep(0.05)
        assert [one["result"] for one in place.ask("/late_many", asked).json] == [0.45, 0.4, 0.85]
    log = place.log("late_many").with_columns(
        pl.col("request").struct.unnest(),
        pl.col("features").struct.field("delays").struct.field("mean"),
        pl.col("looked").str.json_path_match("$.delays.entity[0]").alias("whose"),
    )
    first = log.filter(pl.col("models") == '{"late":1}', pl.col("distance").is_in([100.0, 200.0, 300.0])).sort("distance")
    assert first["mean"].to_list() == [0.25, None, 0.25]
    assert first["whose"].to_list() == ["UA", "AA", "UA"]
    failed = log.filter(pl.col("status") == 500)
    assert failed["distance"].sort().to_list() == [-1.0, 400.0]
    assert all("ValueError" in error for error in failed["error"])
    tried = log.filter(pl.col("models") == '{"late":2}', pl.col("distance") == 200.0)
    assert tried["result"].to_list() == [0.4]
