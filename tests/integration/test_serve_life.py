"""A server's life: the port, the line it prints, promotions under load, signals, and the log when it stops."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pytest
from serve_site import Place, late_model, serving_at

from bedplate.core.errors import CatalogError, Refused, UserError, WorldError
from bedplate.interfaces.http import server
from bedplate.pipeline.served import LOST
from bedplate.storage.local import local_store

HERE = Path(__file__).parent


@contextmanager
def process(folder: Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, object]]]:
    """The server as a command, and what it printed."""
    command = [sys.executable, str(HERE / "serve_process.py"), str(folder), "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None
            yield running, json.loads(running.stdout.readline())
        finally:
            running.kill()


def post(url: object, path: str, body: object) -> tuple[int, dict[str, object]]:
    connection = http.client.HTTPConnection(str(url).removeprefix("http://"), timeout=20)
    try:
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_what_is_in_flight_finish_flushes_the_log_and_exits_0(tmp_path: Path, number: signal.Signals) -> None:
    answers: list[tuple[int, dict[str, object]]] = []
    with process(tmp_path) as (running, told):
        assert told == {"url": told["url"], "models": ["late", "wide"], "services": ["nap"]}
        asking = threading.Thread(target=lambda: answers.append(post(told["url"], "/nap", {"seconds": 1.0})))
        asking.start()
        time.sleep(0.4)
        running.send_signal(number)
        asking.join(20)
        assert running.wait(20) == 0
        assert running.stdout is not None
        assert running.stderr is not None
        assert (running.stdout.read(), running.stderr.read()) == ("", "")
    assert [(status, answer["result"]) for status, answer in answers] == [(200, 1.0)]
    assert local_store(tmp_path / "store").log("predictions/nap").scan().select("result").collect().rows() == [(1.0,)]


def test_a_stopped_server_accepts_nothing_new(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.fill()
    with serving_at(place):
        host, port = place.address.split(":")
        assert place.ask("/health/live").status == 200
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), timeout=1)


def test_a_port_in_use_is_named_with_what_to_do(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(WorldError, match=f"port {port} is in use") as raised:
            server.bind("127.0.0.1", port)
    assert "--port 0" in raised.value.next


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "10.0.0.1"])
def test_an_address_beyond_this_machine_is_refused(host: str) -> None:
    with pytest.raises(Refused, match="is refused"):
        server.bind(host, 0)


@pytest.mark.parametrize(("host", "port"), [("nowhere", 0), ("127.0.0.1", 70_000)])
def test_what_is_no_address_or_port_is_the_users_mistake(host: str, port: int) -> None:
    with pytest.raises(UserError):
        server.bind(host, port)


def test_a_project_with_nothing_to_serve_says_so(tmp_path: Path) -> None:
    site = Place(tmp_path).site([])
    with pytest.raises(UserError, match="nothing to serve"):
        server.serve(type(site)(**{**{name: getattr(site, name) for name in site.__struct_fields__}, "models": ()}), "127.0.0.1", 0, print)


class Load:
    """Clients that ask over and over on connections of their own, and keep what they were told."""

    def __init__(self, place: Place, clients: int) -> None:
        self.told: list[tuple[int, str, float]] = []
        self.failures: list[BaseException] = []
        self._place = place
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        connection = http.client.HTTPConnection(self._place.address, timeout=10)
        body = json.dumps({"carrier": "ZZ", "distance": 1000})
        try:
            while not self._stop.is_set():
                connection.request("POST", "/will_be_late", body, {"Content-Type": "application/json"})
                response = connection.getresponse()
                answer = json.loads(response.read())
                self.told.append((response.status, str(response.headers["x-model-version"]), answer["result"]))
        except BaseException as error:
            self.failures.append(error)
        finally:
            connection.close()


def until(said: Callable[[], bool], seconds: float) -> float:
    """Wait until it is so; how long it took. It fails after `seconds`."""
    began = time.monotonic()
    while not said():
        assert time.monotonic() - began < seconds, "too late"
        time.sleep(0.01)
    return time.monotonic() - began


def test_promotions_under_load_are_noticed_within_a_second_and_no_request_fails(tmp_path: Path) -> None:
    """F63."""
    place = Place(tmp_path)
    place.fill()
    with serving_at(place), Load(place, 4) as load:
        for number in range(2, 7):
            if number > 2:
                place.record.add("late", late_model(number))
            place.record.promote("late", number)
            assert until(lambda number=number: f"late@{number}" in {version for _, version, _ in load.told[-8:]}, 3) < 1.0
    assert not load.failures
    assert {status for status, _, _ in load.told} == {200}
    assert all(result == float(version.removeprefix("late@")) for _, version, result in load.told), (
        "an answer named a version that did not give it"
    )
    log = place.log("will_be_late")
    assert log.height == len(load.told)
    served = log.select(pl.col("models").str.json_path_match("$.late").cast(pl.Float64) == pl.col("result")).to_series()
    assert served.all()


def test_a_version_that_does_not_load_is_in_health_and_the_old_one_serves_on(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.fill()
    with serving_at(place):
        place.record.add("late", OSError("its bytes are gone"))
        place.record.promote("late", 3)
        until(lambda: bool(place.ask("/health/ready").json["problems"]), 3)
        health = place.ask("/health/ready")
        assert (health.status, health.json["ready"], health.json["models"]["late"]) == (200, True, 1)
        assert health.json["problems"] == {"late@3": "OSError: its bytes are gone"}
        assert place.ask("/will_be_late", {"carrier": "ZZ", "distance": 1000}).json["result"] == 1.0
        assert b"bedplate_load_failures_total 1.0" in place.ask("/metrics").body
    assert [event.kind for event in place.events] == ["service.load_failed"]


def test_a_record_that_cannot_be_read_is_in_health_and_what_serves_goes_on(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.fill()
    with serving_at(place):
        asked = place.record.stamp

        def unreadable() -> int:
            raise CatalogError("the record is locked")

        place.record.stamp = unreadable  # type: ignore[method-assign]  # the fault that is tested
        until(lambda: "catalog" in place.ask("/health/ready").json["problems"], 3)
        health = place.ask("/health/ready")
        assert (health.status, health.json["problems"]) == (200, {"catalog": "the record is locked"})
        assert place.ask("/will_be_late", {"carrier": "ZZ", "distance": 1000}).status == 200
        place.record.stamp = asked  # type: ignore[method-assign]
        until(lambda: not place.ask("/health/ready").json["problems"], 3)


def test_a_service_waits_for_its_promotion_and_then_answers_without_a_restart(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.fill(promote=False)
    reason = "late has no production version: its check better has not passed"
    with serving_at(place):
        answer = place.ask("/will_be_late", {"carrier": "UA", "distance": 1})
        assert answer.status == 503
        assert answer.json["error"] == {"what": "will_be_late is not ready", "why": reason, "next": "bedplate promote late@2"}
        health = place.ask("/health/ready")
        assert (health.status, health.json["waiting"]) == (503, {"will_be_late": reason})
        assert place.ask("/health/live").status == 200
        place.record.promote("late", 1)
        assert until(lambda: place.ask("/health/ready").status == 200, 3) < 1.0
        assert place.ask("/will_be_late", {"carrier": "UA", "distance": 1}).status == 200


def test_a_server_is_listed_while_it_serves_with_the_versions_that_it_holds(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.fill()
    with serving_at(place):
        listed = place.listing.listed
        assert {name: one.models for name, one in listed.items()} == {"will_be_late": {"late": 1, "delays": 1}, "moody": {}}
        assert listed["moody"].url == place.url
        place.record.promote("late", 2)
        until(lambda: place.listing.beats > 0, 4)
    assert place.listing.listed == {}


def test_a_log_that_cannot_be_written_delays_no_reply_and_what_is_over_the_bound_is_counted(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.fill()
    folder = tmp_path / "store" / "logs"
    folder.mkdir(parents=True)
    (folder / "predictions").write_text("a file where the folder should be")
    with serving_at(place, queue=10):
        for number in range(25):
            assert place.ask("/will_be_late", {"carrier": "UA", "distance": number}).status == 200
        until(lambda: "log" in place.ask("/health/ready").json["problems"], 5)
        metrics = place.ask("/metrics").body
        assert b"bedplate_log_dropped_total 15.0" in metrics
        assert b"bedplate_log_waiting 10.0" in metrics
        refused = place.ask("/will_be_late", [{"carrier": "UA", "distance": 1}] * 2)
        assert (refused.status, refused.headers["retry-after"]) == (429, "1")
        (folder / "predictions").unlink()
    assert place.lost == 0
    assert place.log("will_be_late").height == 10
    [told] = [event for event in place.events if event.kind == LOST]
    assert (told.subject, told.data["count"]) == ("will_be_late", 16), "15 answers and one refusal"


def test_many_rows_are_recorded_whole_or_refused_before_they_are_predicted(tmp_path: Path) -> None:
    """As many as may wait are taken at once; one more is 413, and says which setting."""
    place = Place(tmp_path)
    place.fill()
    rows = [{"carrier": "UA", "distance": number} for number in range(300)]
    with serving_at(place, queue=301):
        refused = place.ask("/will_be_late", [*rows, rows[0], rows[1]])
        answers = place.ask("/will_be_late", rows).json
        assert refused.status == 413
        assert refused.json["error"]["what"] == "the request has 302 rows, and at most 301 are taken at once"
    log = place.log("will_be_late").filter(pl.col("status") == 200)
    assert sorted(log["prediction_id"]) == sorted(answer["prediction_id"] for answer in answers)
    assert LOST not in [event.kind for event in place.events]
