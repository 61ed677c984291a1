"""A service that streams: events as they are made, no faster than they are taken; closed when the client leaves; one prediction each."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from serve_site import DELAYS, LATE, Place, serving_at

from bedplate.core.model import Model
from bedplate.interfaces.http.listening import Listener, config
from bedplate.interfaces.http.plane import plane
from bedplate.interfaces.http.server import Ready, Serving
from bedplate.interfaces.http.streams import KEPT, MOST
from bedplate.stages.deploy.service import Asked, service

CLOSED: dict[str, threading.Event] = {name: threading.Event() for name in ("sync", "awaiting", "large", "silent")}
MADE: dict[str, int] = {"large": 0}


def forecast(late: Model, delays: Any, carrier: str, days: int = 3, breaks_at: int = -1) -> Iterator[float]:
    """A value for each day to come."""
    known = delays[carrier]["mean"]
    for day in range(days):
        if day == breaks_at:
            raise ValueError("a secret of the user's own code")
        yield known + day / 2


async def later(name: str, count: int = 3) -> AsyncIterator[dict[str, Any]]:
    """The same, for who awaits."""
    for at in range(count):
        await asyncio.sleep(0.001)
        yield {"name": name, "at": at}


def endless(name: str) -> Iterator[int]:
    """Gives values until nobody wants them."""
    try:
        at = 0
        while True:
            yield at
            at += 1
            time.sleep(0.01)
    finally:
        CLOSED[name].set()


async def awaiting() -> AsyncIterator[str]:
    """Gives one value, and awaits the next for ever."""
    try:
        yield "first"
        await asyncio.Event().wait()
    finally:
        CLOSED["awaiting"].set()


def large() -> Iterator[str]:
    """Far more than any buffer between a server and its client holds."""
    try:
        for _ in range(100_000):
            MADE["large"] += 1
            yield "x" * 10_000
    finally:
        CLOSED["large"].set()


SERVICES = (
    service(
        "forecast", forecast, [LATE, DELAYS],
        [
            Asked(name="carrier", annotation=str), Asked(name="days", annotation=int, default=3),
            Asked(name="breaks_at", annotation=int, default=-1),
        ],
        Iterator[float],
    ),
    service(
        "later", later, [], [Asked(name="name", annotation=str), Asked(name="count", annotation=int, default=3)],
        AsyncIterator[dict[str, Any]],
    ),
    service("endless", endless, [], [Asked(name="name", annotation=str)], Iterator[int]),
    service("awaiting", awaiting, [], [], AsyncIterator[str]),
    service("large", large, [], [], Iterator[str]),
)  # fmt: skip
EVENTS = {"Content-Type": "application/json", "Accept": "text/event-stream"}
Event = tuple[str, Any]


@contextmanager
def by_asgi(place: Place) -> Iterator[Place]:
    """The same services behind an ASGI server, as `up --serve` has them."""
    serving = Serving(place.site(services=SERVICES))
    serving.open()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        begun = threading.Event()
        server = Listener(config(serving.app), begun.set)
        thread = threading.Thread(target=lambda: server.run([listening]))
        thread.start()
        begun.wait(20)
        place.ready = Ready(url=f"http://127.0.0.1:{listening.getsockname()[1]}", models=[], services=[])
        try:
            yield place
        finally:
            server.should_exit = True
            thread.join(20)
            serving.close()


@pytest.fixture(scope="module", params=["plane", "asgi"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The services, by both of our servers."""
    made = Place(tmp_path_factory.mktemp("streams"))
    made.fill()
    with serving_at(made, services=SERVICES) if request.param == "plane" else by_asgi(made):
        yield made


def events(text: bytes) -> list[Event]:
    """A body of events as pairs of name and data; comments are passed over."""
    found = []
    for block in text.decode().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if "data" in lines:
            found.append((lines.get("event", "message"), json.loads(lines["data"])))
    return found


@contextmanager
def asking(place: Place, path: str, body: Any) -> Iterator[http.client.HTTPResponse]:
    connection = http.client.HTTPConnection(place.address, timeout=20)
    try:
        connection.request("POST", path, json.dumps(body), EVENTS)
        yield connection.getresponse()
    finally:
        connection.close()


def until(holds: Callable[[], bool], seconds: float = 15.0) -> bool:
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.02)
    return holds()


def logged(place: Place, name: str, request_id: str) -> dict[str, Any]:
    """The one prediction of a request, once it is written."""

    def rows() -> list[dict[str, Any]]:
        return [row for row in place.log(name).to_dicts() if row["request_id"] == request_id] if name in _logs(place) else []

    assert until(lambda: len(rows()) > 0)
    (row,) = rows()
    return row


def _has_left(place: Place, name: str) -> bool:
    return name in _logs(place) and 499 in place.log(name)["status"].to_list()


def _logs(place: Place) -> set[str]:
    """Those that have rows; a log's folder is there before."""
    folder = place.store.root / "logs" / "predictions"
    return {one.name for one in folder.iterdir() if place.store.log(f"predictions/{one.name}").files()} if folder.exists() else set()


def test_each_value_is_an_event_and_the_last_says_how_many(place: Place) -> None:
    for path, body, values in (
        ("/forecast", {"carrier": "UA"}, [0.25, 0.75, 1.25]),
        ("/later", {"name": "a"}, [{"name": "a", "at": at} for at in range(3)]),
        ("/forecast", {"carrier": "UA", "days": 0}, []),
    ):
        answer = place.ask(path, body, headers={**EVENTS, "X-Request-Id": f"all-{len(values)}{path[1:]}"})
        assert answer.status == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        *given, (last, about) = events(answer.body)
        assert given == [("message", value) for value in values]
        assert (last, about["values"]) == ("end", len(values))
        row = logged(place, path[1:], f"all-{len(values)}{path[1:]}")
        assert (row["prediction_id"], row["status"], row["error"]) == (about["prediction_id"], 200, None)
        assert json.loads(row["result"]) == values


def test_who_does_not_accept_events_gets_the_list_and_the_record_has_the_same(place: Place) -> None:
    """One object and several, of both kinds of generator, on a connection that goes on; features that it looked up are recorded."""
    answer = place.ask(
        "/forecast", [{"carrier": "UA"}, {"carrier": "UA", "days": 1}], headers={"Content-Type": "application/json", "X-Request-Id": "list"}
    )
    assert [one["result"] for one in answer.json] == [[0.25, 0.75, 1.25], [0.25]]
    assert place.ask("/later", {"name": "b", "count": 1}).json["result"] == [{"name": "b", "at": 0}]
    place.ask("/forecast", {"carrier": "UA"}, headers={**EVENTS, "X-Request-Id": "events"})
    row = logged(place, "forecast", "events")
    assert json.loads(row["result"]) == [0.25, 0.75, 1.25]
    assert row["features"] == {"delays": {"mean": 0.25}}


def test_what_is_wrong_before_the_first_value_is_answered_as_ever_and_later_as_an_event(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    early = place.ask("/forecast", {"carrier": "UA", "breaks_at": 0}, headers=EVENTS)
    assert (early.status, early.headers["content-type"]) == (500, "application/json")
    assert place.ask("/forecast", {"carrier": 7}, headers=EVENTS).status == 422
    assert "one object" in place.ask("/forecast", [{"carrier": "UA"}], headers=EVENTS).json["error"]["what"]
    assert place.ask("/forecast", b"{", headers=EVENTS).status == 400
    assert place.ask("/forecast", b"{}", headers={"Accept": "text/event-stream"}).status == 415
    late = events(place.ask("/forecast", {"carrier": "UA", "breaks_at": 2}, headers={**EVENTS, "X-Request-Id": "breaks"}).body)
    assert [name for name, _ in late] == ["message", "message", "error"]
    assert "secret" not in json.dumps(late)
    row = logged(place, "forecast", "breaks")
    assert (row["status"], json.loads(row["result"])) == (500, [0.25, 0.75])
    assert "secret" in row["error"]


def test_a_stream_is_one_prediction_in_the_metrics_too(place: Place) -> None:
    def predicted() -> float:
        name = 'bedplate_predictions_total{service="forecast"} '
        text = place.ask("/metrics").body.decode()
        return next((float(line.removeprefix(name)) for line in text.splitlines() if line.startswith(name)), 0.0)

    before = predicted()
    with asking(place, "/forecast", {"carrier": "UA"}) as reply:
        assert len(events(reply.read())) == 4
    assert until(lambda: predicted() == before + 1), predicted()


def test_a_connection_goes_on_after_a_stream(place: Place) -> None:
    connection = http.client.HTTPConnection(place.address, timeout=20)
    for _ in range(3):
        connection.request("POST", "/forecast", json.dumps({"carrier": "UA"}), EVENTS)
        assert len(events(connection.getresponse().read())) == 4
    connection.close()


def test_a_client_that_leaves_ends_the_generator(place: Place) -> None:
    """One that makes values, and one that awaits the next for ever; the record says that the client left."""
    for path, body, name in (("/endless", {"name": "sync"}, "sync"), ("/awaiting", {}, "awaiting")):
        CLOSED[name].clear()
        with asking(place, path, body) as response:
            assert response.readline().startswith(b"data: ")
        assert CLOSED[name].wait(15)
        assert until(partial(_has_left, place, path[1:]))


def test_a_client_that_takes_nothing_holds_the_generator_up(place: Place) -> None:
    """A gigabyte is not made for a client that reads none of it; it is closed when the client leaves."""
    CLOSED["large"].clear()
    MADE["large"] = 0
    with asking(place, "/large", {}) as response:
        response.read(1)
        seen = -1
        while seen != MADE["large"]:
            seen = MADE["large"]
            time.sleep(0.3)
        assert seen < 5_000
    assert CLOSED["large"].wait(15)


def test_more_streams_than_there_is_room_for_are_told_to_wait(place: Place) -> None:
    held = [http.client.HTTPConnection(place.address, timeout=20) for _ in range(MOST)]
    for one in held:
        one.request("POST", "/awaiting", b"{}", EVENTS)
    for one in held:
        assert one.getresponse().readline().startswith(b"data: ")
    refused = place.ask("/later", {"name": "c"}, headers=EVENTS)
    assert (refused.status, refused.headers["retry-after"]) == (503, "1")
    assert place.ask("/later", {"name": "c"}).status == 200
    for one in held:
        one.close()
    assert until(lambda: place.ask("/later", {"name": "c"}, headers=EVENTS).status == 200)


def test_a_long_stream_is_recorded_in_part_and_says_so(place: Place) -> None:
    body = place.ask("/later", {"name": "", "count": KEPT + 1}, headers={**EVENTS, "X-Request-Id": "long"}).body
    assert len(events(body)) == KEPT + 2
    row = logged(place, "later", "long")
    assert (row["status"], len(json.loads(row["result"]))) == (200, KEPT)
    assert "of 1,001 values the first 1,000 are kept" in row["error"]


def test_the_description_says_that_it_streams(place: Place) -> None:
    operation = place.ask("/openapi.json").json["paths"]["/forecast"]["post"]
    assert set(operation["responses"]["200"]["content"]) == {"application/json", "text/event-stream"}
    assert operation["x-bedplate"]["streams"] is True


def test_a_stream_that_goes_on_when_the_server_stops_is_cut_and_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the time that is waited for what is slow; the client sees no end of it, and the record says why."""
    monkeypatch.setattr(plane, "PATIENCE_S", 1.0)
    CLOSED["sync"].clear()
    made = Place(tmp_path)
    made.fill()
    with serving_at(made, services=SERVICES), asking(made, "/endless", {"name": "sync"}) as response:
        assert response.readline().startswith(b"data: ")
        made.stop()
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            response.read()
    assert CLOSED["sync"].wait(15)
    (row,) = made.log("endless").to_dicts()
    assert (row["status"], row["error"]) == (499, "the server stopped")


def test_a_client_of_http_1_0_gets_the_events_unchunked_to_the_end_of_the_connection(tmp_path: Path) -> None:
    made = Place(tmp_path)
    made.fill()
    with serving_at(made, services=SERVICES):
        host, port = made.address.split(":")
        with socket.create_connection((host, int(port)), timeout=20) as raw:
            body = b'{"name": "d"}'
            raw.sendall(
                b"POST /later HTTP/1.0\r\ncontent-type: application/json\r\naccept: text/event-stream\r\ncontent-length: %d\r\n\r\n%b"
                % (len(body), body)
            )
            text = b"".join(iter(lambda: raw.recv(65536), b""))
        head, _, rest = text.partition(b"\r\n\r\n")
        assert b"chunked" not in head
        assert len(events(rest)) == 4
