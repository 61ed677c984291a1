"""Replicas behind a router: requests survive that these are killed, hang, are drained and come again; and none is recorded twice."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from replicas import Served, Traffic, served, until

import bedplate
from bedplate.interfaces.http.plane.plane import PATIENCE_S
from bedplate.interfaces.http.router.replica import KILL_S


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with two replicas."""
    with served(tmp_path_factory.mktemp("two"), "--replicas", "2") as server:
        yield server


def all_ready(server: Served, count: int = 2) -> bool:
    return server.states() == ["ready"] * count


def test_it_says_what_the_server_alone_says_and_both_replicas_answer(two: Served) -> None:
    assert two.ready["services"] == ["who", "ends", "says", "counts"]
    with Traffic(two.address, 4) as traffic:
        traffic.more(50)
    assert traffic.failed == []
    assert len(traffic.by) == 2
    assert max(traffic.by.values()) < 2 * min(traffic.by.values())


def test_a_router_has_loaded_no_engine_of_the_lake(two: Served) -> None:
    """It logs nothing: its replicas do."""
    loaded = Path(f"/proc/{two.running.pid}/maps").read_text()
    assert "uvloop" in loaded
    assert not [name for name in ("polars", "deltalake", "duckdb", "lightgbm") if name in loaded]


def test_a_replica_that_is_killed_under_traffic_fails_no_request_and_none_is_recorded_twice(two: Served) -> None:
    """kill -9, three times; what it had in hand another answers. The log has no request twice; it may lack the last second of each."""
    with Traffic(two.address) as traffic:
        traffic.known(2)
        for known in (3, 4, 5):
            traffic.more(60)
            os.kill(two.who(), signal.SIGKILL)
            traffic.known(known)
        traffic.more(100)
    assert traffic.failed == []
    assert two.metric("bedplate_router_retries_total") >= 1
    until(lambda: two.metric("bedplate_log_waiting") == 0)
    log = bedplate.open(two.folder).store.log("predictions/who").scan().collect()["request"].struct.field("mark").to_list()
    marks = Counter(mark for mark in log if mark.startswith(traffic.name))
    assert {mark for mark, count in marks.items() if count > 1} == set()
    assert marks.keys() <= set(traffic.marks)
    assert len(marks) > 100


@pytest.mark.slow
def test_replicas_that_are_told_to_end_one_after_the_other_fail_no_request(two: Served) -> None:
    """A rolling restart, five times: SIGTERM to whoever answers. What each has in hand it answers; then it is started again."""
    with Traffic(two.address) as traffic:
        traffic.known(2)
        for known in range(3, 8):
            os.kill(two.who(), signal.SIGTERM)
            traffic.known(known)
            traffic.more(20)
    assert traffic.failed == []


@pytest.mark.slow
def test_a_request_that_ends_whoever_works_on_it_is_given_up_and_costs_at_most_what_was_in_hand_with_it(two: Served) -> None:
    """It is tried three times, and then its client is told; the replicas are started again, and whoever else is asked answers."""
    until(lambda: all_ready(two))
    with Traffic(two.address, 4) as traffic:
        traffic.known(2)
        status, headers, text = two.ask("/ends", {})
    assert (status, headers["retry-after"]) == (502, "1")
    assert json.loads(text)["error"]["what"] == "the replica did not answer"
    assert [one for one in traffic.failed if not one.startswith("502")] == []
    until(lambda: all_ready(two))
    assert two.who() > 0


def test_long_answers_pipelined_requests_and_a_client_that_goes_are_as_without_a_router(two: Served) -> None:
    until(lambda: all_ready(two))
    status, headers, text = two.ask("/says", {"count": 3_000_000})
    assert (status, headers["content-length"], len(json.loads(text)["result"])) == (200, str(len(text)), 3_000_000)
    host, port = two.address.split(":")
    body = b'{"nap": 0.05}'
    request = b"POST /who HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
    with socket.create_connection((host, int(port)), 10) as client:
        client.sendall(request * 3 + b"GET /health/live HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        said = b"".join(iter(lambda: client.recv(65536), b""))
    assert said.count(b"HTTP/1.1 200 OK") == 4
    assert said.index(b'"prediction_id"') < said.index(b'{"live":true}')
    for _ in range(40):
        with socket.create_connection((host, int(port)), 10) as client:
            client.sendall(request)
    until(lambda: two.metric("bedplate_replica_running") == 0)


def streamed(server: Served, body: str) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    """A stream that has begun."""
    connection = http.client.HTTPConnection(server.address, timeout=20)
    connection.request("POST", "/counts", body, {"content-type": "application/json", "accept": "text/event-stream"})
    return connection, connection.getresponse()


def test_a_stream_goes_through_as_it_is_made_and_ends_with_its_client_or_its_replica(two: Served) -> None:
    """The first value is there before the last; a client that leaves ends it; where its replica is killed it is cut, not begun again."""
    until(lambda: all_ready(two))
    connection, whole = streamed(two, '{"count": 3}')
    assert [line for line in whole.read().decode().splitlines() if line.startswith("event")][-1] == "event: end"
    connection.close()
    connection, left = streamed(two, '{"count": 2, "nap": 600}')
    assert b"data" in left.readline() + left.readline()
    left.close()
    connection.close()
    until(lambda: two.metric("bedplate_replica_running") == 0)
    assert {(one["state"], one["failures"]) for one in two.replicas().values()} == {("ready", 0)}, "it is not the replica that failed"
    connection, cut = streamed(two, '{"count": 2, "nap": 600}')
    pid = next(int(line.partition(b":")[2]) for line in cut if line.startswith(b"data"))
    os.kill(pid, signal.SIGKILL)
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        cut.read()
    connection.close()
    until(lambda: all_ready(two))


def test_headers_pass_but_those_of_the_connection(two: Served) -> None:
    """A request id goes on as it came, and one that asks in chunks, or with HEAD, is answered as without a router."""
    status, headers, _ = two.ask("/who", {}, **{"x-request-id": "mine-1", "traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01"})
    assert (status, headers["x-request-id"]) == (200, "mine-1")
    with closing(http.client.HTTPConnection(two.address, timeout=10)) as connection:
        connection.request("POST", "/who", iter([b'{"nap"', b": 0}"]), {"content-type": "application/json"}, encode_chunked=True)
        assert connection.getresponse().read()
        connection.request("HEAD", "/openapi.json")
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, b"")
        assert int(answer.headers["content-length"]) > 1000


def test_a_request_that_is_sent_again_under_its_key_gets_the_answer_that_it_got(two: Served) -> None:
    """Whichever replica is free: the one that answered first is asked again."""
    with Traffic(two.address, 4) as traffic:
        traffic.known(2)
    until(lambda: two.metric("bedplate_replica_failures") == 0)
    for key in ("one", "two", "three", "four"):
        first, *others = (two.ask("/who", {}, **{"idempotency-key": key}) for _ in range(4))
        assert {text for _, _, text in others} == {first[2]}
        assert {headers.get("idempotent-replayed") for _, headers, _ in others} == {"true"}


@pytest.mark.parametrize(("path", "status"), [("/nothing", 404), ("/v2/models/none/infer", 404), ("/who", 422)])
def test_errors_are_those_of_the_replica(two: Served, path: str, status: int) -> None:
    assert two.ask(path, {"mark": 3})[0] == status


def test_metrics_are_of_the_router_and_of_all_replicas_together(two: Served) -> None:
    before = two.metric("bedplate_requests_total")
    for _ in range(10):
        two.who()
    until(lambda: two.metric("bedplate_requests_total") >= before + 10)
    assert two.metric("bedplate_replica_ready") == 2
    assert two.metric("bedplate_router_requests_total") >= 10


def test_a_stop_answers_what_is_in_hand(tmp_path: Path) -> None:
    """SIGTERM while slow requests are worked on: each is answered, none of the processes stays, and nothing is said on stderr."""
    answers: list[int] = []
    with served(tmp_path, "--replicas", "2") as server:
        pids = {server.who() for _ in range(6)}
        clients = [threading.Thread(target=lambda: answers.append(server.ask("/who", {"nap": 1.0})[0])) for _ in range(6)]
        for client in clients:
            client.start()
        until(lambda: server.metric("bedplate_replica_running") == 6)
        server.running.terminate()
        for client in clients:
            client.join(30)
        assert server.running.wait(30) == 0
        assert server.running.stderr is not None
        assert server.running.stderr.read() == ""
    assert answers == [200] * 6
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]


@pytest.mark.slow
def test_a_stop_cuts_a_stream_without_end_once_for_all_processes(tmp_path: Path) -> None:
    """The router waits for it as a server alone does; its replicas do not wait again, each in its turn."""
    with served(tmp_path, "--replicas", "2") as server:
        connection, stream = streamed(server, '{"count": 1000000, "nap": 0.01}')
        assert b"data" in stream.readline() + stream.readline()
        server.running.terminate()
        assert server.running.wait(PATIENCE_S + KILL_S) == 0
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            stream.read()
        connection.close()
