"""A version that is tried: who gets it, what a client sees of it when it is bad, and what is recorded."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from serve_site import Place, late_model, serving_at

from bedplate.core.model import Model
from bedplate.pipeline.served import CONCLUDED
from bedplate.stages.deploy.service import Asked, Wanted, service
from bedplate.testing import serving

LATE = Wanted(parameter="late", artifact="late", view="model")
BY_PRODUCTION = ([1.0, 100.0, 1.0], "late@1", "event: end")
PEOPLE = [f"user-{number}" for number in range(40)]


def will_be_late(late: Model, carrier: str, distance: float) -> float:
    """As a project writes it."""
    return float(late.predict({"distance": distance, "stops": 0, "carrier": carrier}))


def day_by_day(late: Model, carrier: str, distance: float) -> Iterator[float]:
    """The same for one day after another: on the second, flights are a hundred times as long."""
    for day in range(3):
        yield float(late.predict({"distance": distance * (100.0 if day == 1 else 1.0), "stops": 0, "carrier": carrier}))


ASKED = [Asked(name="carrier", annotation=str), Asked(name="distance", annotation=float)]
SERVICES = [service("ask", will_be_late, [LATE], ASKED, float), service("days", day_by_day, [LATE], ASKED, Iterator[float])]


def bad(function: Callable[[dict[str, Any]], Any]) -> Model:
    """A version that is well on its example, and does as the function says on any longer flight."""

    def predict(columns: dict[str, Any]) -> Any:
        return columns["distance"] * 1.0 if (columns["distance"] < 1).all() else function(columns)

    inputs = {"distance": "FP64", "stops": "INT64", "carrier": "BYTES"}
    return serving.formula("late@3", inputs, predict, example=[{"distance": 0.0, "stops": 0, "carrier": "UA"}])


def raises(_: dict[str, Any]) -> Any:
    raise ValueError("no such carrier")


def leaves(_: dict[str, Any]) -> Any:
    raise SystemExit(3)


BAD: dict[str, Callable[[dict[str, Any]], Any]] = {
    "raises": raises,
    "leaves": leaves,
    "gives no number": lambda columns: columns["distance"] * np.nan,
    "gives two for one": lambda columns: np.stack([columns["distance"]] * 2, axis=1),
    "gives none": lambda _: np.zeros(0),
}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Serves version 1; nothing is tried yet."""
    place = Place(tmp_path)
    place.fill()
    with serving_at(place, services=SERVICES):
        yield place


def roll_out(place: Place, number: int, alias: str, rule: str) -> None:
    """Begin a roll-out, and wait until the server has taken it up."""
    place.record.promote("late", number, alias, by="person", check=rule)
    until(lambda: place.record.loads[-1:] == [f"late@{number}"])
    time.sleep(0.3)


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def ask(place: Place, carrier: str = "UA", headers: dict[str, str] | None = None) -> tuple[float, str]:
    """The answer for 1,000 miles, and the version that it says it is of."""
    said = place.ask("/ask", {"carrier": carrier, "distance": 1000.0}, headers={"Content-Type": "application/json", **(headers or {})})
    assert said.status == 200, said.body
    return json.loads(said.body)["result"], said.headers["x-model-version"]


def stream(place: Place, carrier: str = "UA") -> tuple[list[float], str, str]:
    """The values that are streamed for 1,000 miles, the version that they are said to be of, and the last event."""
    headers = {"Content-Type": "application/json", "Accept": "text/event-stream"}
    said = place.ask("/days", {"carrier": carrier, "distance": 1000.0}, headers=headers)
    assert said.status == 200, said.body
    *values, last = said.body.decode().strip().split("\n\n")
    return [json.loads(one.removeprefix("data: ")) for one in values], said.headers["x-model-version"], last.split("\n")[0]


def infer(place: Place, carrier: str = "UA", headers: dict[str, str] | None = None, rows: int = 1) -> tuple[list[float], str]:
    """As `ask`, by the Open Inference Protocol."""
    inputs = [
        {"name": "distance", "datatype": "FP64", "shape": [rows], "data": [1000.0] * rows},
        {"name": "stops", "datatype": "INT64", "shape": [rows], "data": [0] * rows},
        {"name": "carrier", "datatype": "BYTES", "shape": [rows], "data": [carrier] * rows},
    ]
    said = place.ask("/v2/models/late/infer", {"inputs": inputs}, headers={"Content-Type": "application/json", **(headers or {})})
    assert said.status == 200, said.body
    answer = json.loads(said.body)
    return answer["outputs"][0]["data"], f"{answer['model_name']}@{answer['model_version']}"


def counted(place: Place, alias: str, outcome: str) -> float:
    lines = place.ask("/metrics").body.decode().splitlines()
    wanted = [line for line in lines if line.startswith("bedplate_rollout_requests_total{") and alias in line and f'"{outcome}"' in line]
    return sum(float(line.rsplit(" ", 1)[1]) for line in wanted)


def test_a_key_always_gets_the_same_version(place: Place) -> None:
    """By a field, in both protocols alike; and the log names the version that answered."""
    roll_out(place, 2, "canary", "50 % by carrier")
    first = {one: ask(place, one) for one in PEOPLE}
    assert {one: ask(place, one) for one in PEOPLE} == first
    assert set(first.values()) == {(1.0, "late@1"), (2.0, "late@2")}
    assert {one: infer(place, one)[1] for one in PEOPLE} == {one: label for one, (_, label) in first.items()}
    place.stop()
    until(lambda: place.lost is not None)
    logged = {row["request"]["carrier"]: json.loads(row["models"])["late"] for row in place.log("ask").to_dicts()}
    assert logged == {one: int(result) for one, (result, _) in first.items()}


def test_a_header_is_a_key_too_and_a_value_may_be_asked_for(place: Place) -> None:
    roll_out(place, 2, "canary", "100 % where header:x-team=blue")
    assert ask(place, headers={"X-Team": "blue"}) == (2.0, "late@2")
    assert ask(place, headers={"X-Team": "red"}) == (1.0, "late@1")
    assert ask(place) == (1.0, "late@1")
    assert infer(place, headers={"X-Team": "blue"}) == ([2.0], "late@2")
    assert infer(place) == ([1.0], "late@1")


def test_each_row_of_a_request_has_the_version_of_its_key(place: Place) -> None:
    roll_out(place, 2, "canary", "50 % by carrier")
    alone = [ask(place, one)[0] for one in PEOPLE]
    together = place.ask("/ask", [{"carrier": one, "distance": 1000.0} for one in PEOPLE])
    assert [one["result"] for one in json.loads(together.body)] == alone
    assert sorted(together.headers["x-model-version"].split(", ")) == ["late@1", "late@2"]


def test_a_stream_has_the_version_of_its_key(place: Place) -> None:
    """The same that a request which does not stream has; and the log names it."""
    roll_out(place, 2, "canary", "50 % by carrier")
    alone = {one: ask(place, one) for one in PEOPLE[:12]}
    assert {one: stream(place, one) for one in alone} == {
        one: ([made, made * 100, made], by, "event: end") for one, (made, by) in alone.items()
    }
    assert {by for _, by in alone.values()} == {"late@1", "late@2"}
    place.stop()
    until(lambda: place.lost is not None)
    assert {row["request"]["carrier"]: f"late@{json.loads(row['models'])['late']}" for row in place.log("days").to_dicts()} == {
        one: by for one, (_, by) in alone.items()
    }


@pytest.mark.parametrize("what", ["raises", "gives no number"])
def test_a_canary_that_cannot_begin_a_stream_fails_none_and_goes_back(place: Place, what: str) -> None:
    place.record.add("late", bad(BAD[what]))
    roll_out(place, 3, "canary", "100 %")
    for _ in range(10):
        assert stream(place) == BY_PRODUCTION
    assert (counted(place, "canary", "fell back"), counted(place, "canary", "answered")) == (10, 0)
    until(lambda: place.record.moves[-1].by == "rollback")
    assert "10 of 10 answers" in place.record.moves[-1].reason
    assert ("the last with ValueError: no such carrier" in place.record.moves[-1].reason) == (what == "raises")


def test_a_canary_that_breaks_in_the_middle_of_streams_goes_back(place: Place) -> None:
    """The client was told a value of it, so production cannot take its place: an error ends the stream, and counts."""

    def breaks(columns: dict[str, Any]) -> Any:
        if columns["distance"][0] > 10_000:
            raise ValueError("too far")
        return columns["distance"]

    place.record.add("late", bad(breaks))
    roll_out(place, 3, "canary", "100 %")
    for _ in range(10):
        assert stream(place) == ([1000.0], "late@3", "event: error")
    until(lambda: place.record.moves[-1].by == "rollback")
    until(lambda: stream(place) == BY_PRODUCTION)


def test_a_canary_that_gives_a_stream_no_value_in_time_is_not_waited_for(place: Place) -> None:
    """F61: production begins the stream after a second; after three such streams nobody waits; the threads are put away."""
    release = threading.Event()

    def hangs(columns: dict[str, Any]) -> Any:
        release.wait(60)
        return columns["distance"]

    place.record.add("late", bad(hangs))
    roll_out(place, 3, "canary", "100 % where carrier=DL")
    stream(place)
    try:
        asking = [threading.Thread(target=lambda: stream(place, "DL")) for _ in range(3)]
        for one in asking:
            one.start()
        for one in asking:
            one.join(30)
        begun = time.monotonic()
        assert stream(place, "DL") == BY_PRODUCTION
        assert time.monotonic() - begun < 1.0, "its breaker is open"
    finally:
        release.set()


def test_a_shadow_is_asked_for_a_whole_stream(place: Place) -> None:
    roll_out(place, 2, "shadow", "100 %")
    assert [stream(place) for _ in range(5)] == [BY_PRODUCTION] * 5
    until(lambda: counted(place, "shadow", "asked") == 5)
    place.stop()
    until(lambda: place.lost is not None)
    assert place.log("shadow/days")["result"].to_list() == ["[2.0,200.0,2.0]"] * 5


@pytest.mark.parametrize("what", BAD)
def test_a_bad_canary_fails_no_request_and_goes_back(place: Place, what: str) -> None:
    """F62: Production answers where it cannot, in both protocols; that is counted, and a few seconds later it is over."""
    place.record.add("late", bad(BAD[what]))
    roll_out(place, 3, "canary", "100 %")
    for _ in range(10):
        assert ask(place) == (1.0, "late@1")
        assert infer(place, rows=3) == ([1.0] * 3, "late@1")
    assert counted(place, "canary", "fell back") == 20
    assert counted(place, "canary", "answered") == 0
    until(lambda: place.record.moves[-1].by == "rollback")
    assert place.record.aliases["late", "canary"] == 1
    assert "10 of 10 answers" in place.record.moves[-1].reason
    assert ("the last with ValueError: no such carrier" in place.record.moves[-1].reason) == (what == "raises")
    assert ask(place) == (1.0, "late@1")


def test_a_slow_canary_goes_back_and_holds_up_nobody_else(place: Place) -> None:
    """F62: It is asked off the loop: a page is answered while it takes its time."""

    def slow(columns: dict[str, Any]) -> Any:
        time.sleep(0.3)
        return columns["distance"] * 2.0

    place.record.add("late", bad(slow))
    roll_out(place, 3, "canary", "100 % where header:x-user=a")
    for _ in range(60):
        ask(place)
    asking = [threading.Thread(target=ask, args=(place, "UA", {"X-User": "a"})) for _ in range(12)]
    for one in asking:
        one.start()
    assert place.ask("/health/live").status == 200
    for one in asking:
        one.join()
    assert counted(place, "canary", "answered") == 12
    until(lambda: place.record.moves[-1].by == "rollback")
    assert "took longer than" in place.record.moves[-1].reason


def test_a_canary_that_never_returns_is_waited_for_a_second_and_goes_back(place: Place) -> None:
    """F61, F62: production answers each of its requests, in both protocols; after three nobody waits; and the server ends all the same."""
    release = threading.Event()

    def hangs(columns: dict[str, Any]) -> Any:
        release.wait(60)
        return columns["distance"]

    place.record.add("late", bad(hangs))
    for _ in range(5):
        ask(place)
    roll_out(place, 3, "canary", "100 %")
    for number in range(6):
        assert ask(place) == (1.0, "late@1")
        assert number or infer(place) == ([1.0], "late@1")
    assert counted(place, "canary", "fell back") == 7
    until(lambda: place.record.moves[-1].by == "rollback")
    assert "answers failed" in place.record.moves[-1].reason
    release.set()


def test_a_shadow_is_asked_and_nobody_sees_it(place: Place) -> None:
    """What it says is logged under the id of the answer that was given."""
    roll_out(place, 2, "shadow", "100 %")
    for _ in range(5):
        assert ask(place) == (1.0, "late@1")
        assert infer(place, rows=2) == ([1.0, 1.0], "late@1")
    until(lambda: counted(place, "shadow", "asked") == 10)
    time.sleep(0.3)
    place.stop()
    until(lambda: place.lost is not None)
    for name, expected in (("ask", 2.0), ("model/late", 2.0)):
        given, said = place.log(name), place.log(f"shadow/{name}")
        assert set(said["prediction_id"]) == set(given["prediction_id"])
        assert (set(given["result"]), set(said["result"])) == ({1.0}, {expected})
        assert set(said["models"]) == {'{"late":2}'}


@pytest.mark.parametrize("what", ["raises", "leaves", "gives two for one"])
def test_a_bad_shadow_hurts_nobody_and_goes_back(place: Place, what: str) -> None:
    place.record.add("late", bad(BAD[what]))
    roll_out(place, 3, "shadow", "100 %")
    for _ in range(10):
        assert ask(place) == (1.0, "late@1")
        assert infer(place) == ([1.0], "late@1")
    until(lambda: place.record.moves[-1].by == "rollback")
    assert "answers failed" in place.record.moves[-1].reason


def test_a_shadow_too_far_from_production_goes_back(place: Place) -> None:
    """Only where somebody has said how far is too far."""
    place.record.add("late", late_model(3))
    roll_out(place, 3, "shadow", "100 % within 0.5")
    for _ in range(10):
        assert ask(place) == (1.0, "late@1")
    until(lambda: place.record.moves[-1].by == "rollback")
    assert "too far from production" in place.record.moves[-1].reason


def test_a_bad_version_that_was_promoted_outright_is_rolled_back(tmp_path: Path) -> None:
    """F62: nobody tried it first; the servers see what it does, and go back to the version before, with the figures as the reason."""
    place = Place(tmp_path)
    place.fill()
    with serving_at(place, services=SERVICES, guard_s=600.0):
        for _ in range(80):
            ask(place)
        place.record.add("late", bad(raises))
        place.record.promote("late", 3, by="person")
        place.record.moves[-1] = msgspec.structs.replace(place.record.moves[-1], at=datetime.now(UTC))
        until(lambda: place.ask("/ask", {"carrier": "UA", "distance": 1000.0}).status == 500)
        for _ in range(20):
            place.ask("/ask", {"carrier": "UA", "distance": 1000.0})
        until(lambda: place.record.moves[-1].by == "rollback")
        until(lambda: place.ask("/ask", {"carrier": "UA", "distance": 1000.0}).status == 200)
    assert place.record.aliases["late", "production"] == 1
    assert "answers failed (production: 0 of " in place.record.moves[-1].reason
    assert [event.subject for event in place.events if event.kind == CONCLUDED] == ["late@3"]
