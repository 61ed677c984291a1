"""Trouble of a server that answers, case by case (F58 to F67): overload, hangs, clients that leave, reloads, and all of it for a while.

What is tested elsewhere: slow clients (F59) and those that vanish (F60) in `test_serve_attacks.py` and `test_plane_wire.py`, processes that
die, hang or run out of memory (F61) in `test_batcher.py` and `test_gathered.py`, threads that hang in `test_http_lanes.py`, bad versions
(F62) in `test_roll_out_served.py`, promotions and stops under load (F63) in `test_serve_life.py` and `test_serve_processes.py`, one large
request among small ones (F65) in the unit tests of the scheduler.
"""

from __future__ import annotations

import http.client
import json
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
from serve_site import SERVICES, Place, late_model, serving_at

from bedplate.interfaces.http.lanes import Lane
from bedplate.interfaces.http.pool import Pool
from bedplate.stages.deploy.service import Asked, service

JSON = {"Content-Type": "application/json"}


def nap(seconds: float) -> float:
    """Sleeps, then says how long."""
    time.sleep(seconds)
    return seconds


def hang(seconds: float) -> float:
    """The same, of a service of its own."""
    time.sleep(seconds)
    return seconds


ASKED = [Asked(name="seconds", annotation=float)]


def counts(many: int) -> Iterator[int]:
    """Gives a number, ten a second."""
    for number in range(many):
        time.sleep(0.1)
        yield number


COUNTS = service("counts", counts, [], [Asked(name="many", annotation=int)], Iterator[int])
NAP = service("nap", nap, [], ASKED, float, p95_s=0.05)
HANG = service("hang", hang, [], ASKED, float, p95_s=1.0)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    place = Place(tmp_path_factory.mktemp("faults"))
    place.fill()
    with pytest.MonkeyPatch.context() as patch:
        whole = Lane.__init__

        def patient(self: Lane, pool: Pool, expected_s: float = 0.0, *, patience_s: float | None = None) -> None:
            whole(self, pool, expected_s, patience_s=0.5 if expected_s == 1.0 else patience_s)

        patch.setattr(Lane, "__init__", patient)
        with serving_at(place, services=(NAP, HANG, *SERVICES)):
            yield place


def asked(place: Place, path: str, body: dict[str, Any]) -> tuple[int, str | None]:
    """The status, and when to come again."""
    answer = place.ask(path, body, headers=JSON)
    return answer.status, answer.headers.get("retry-after")


def at_once(many: int, call: Callable[[int], Any]) -> list[Any]:
    with ThreadPoolExecutor(many) as pool:
        return list(pool.map(call, range(many)))


def test_f58_what_is_too_much_is_turned_away_and_what_is_taken_is_answered(place: Place) -> None:
    """Two hundred at once, of a function that takes 50 ms on four threads or more: each is answered, or told when to come again; a quick
    service is answered meanwhile, and so is everybody afterwards.
    """
    quick = threading.Thread(target=lambda: calm.extend(asked(place, "/moody", {"mood": "calm"})[0] for _ in range(20)))
    calm: list[int] = []
    quick.start()
    said = at_once(200, lambda _: asked(place, "/nap", {"seconds": 0.05}))
    quick.join()
    answered, refused = said.count((200, None)), [one for one in said if one[0] == 503]
    assert answered + len(refused) == 200
    assert answered >= 20
    assert all(after is not None and 1 <= int(after) <= 60 for _, after in refused)
    assert calm == [200] * 20
    assert asked(place, "/nap", {"seconds": 0.01}) == (200, None)


def test_f61_a_function_that_never_returns_is_given_up_and_others_are_unhurt(place: Place) -> None:
    """Three times 504; then nobody is let in for a while (503); every other service answers all along."""
    said = [asked(place, "/hang", {"seconds": 3.0}) for _ in range(3)]
    assert [status for status, _ in said] == [504] * 3
    status, after = asked(place, "/hang", {"seconds": 0.0})
    assert (status, after) == (503, "1")
    assert asked(place, "/nap", {"seconds": 0.01}) == (200, None)
    held = [line for line in place.ask("/metrics").body.decode().splitlines() if line.startswith("bedplate_held_threads ")]
    assert held == ["bedplate_held_threads 3.0"]
    end = time.monotonic() + 15
    while asked(place, "/hang", {"seconds": 0.0})[0] != 200:
        assert time.monotonic() < end
        time.sleep(0.2)


def test_f60_clients_that_leave_while_they_are_worked_for_leave_no_slot_taken(place: Place) -> None:
    """Of eighty that go away in the middle of a slow answer none holds a thread, a descriptor or room in the log."""
    before = psutil.Process().num_fds()
    host, port = place.address.split(":")
    body = json.dumps({"seconds": 0.05}).encode()
    whole = (
        f"POST /nap HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    )
    for at in range(80):
        with socket.create_connection((host, int(port)), timeout=10) as client:
            client.sendall(whole)
            if at % 2:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        time.sleep(0.005)
    end = time.monotonic() + 20
    while psutil.Process().num_fds() > before or asked(place, "/nap", {"seconds": 0.0})[0] != 200:
        assert time.monotonic() < end
        time.sleep(0.1)


def test_f64_a_server_that_is_told_to_stop_ends_its_streams_whole(tmp_path: Path) -> None:
    """What had begun comes to its end, and is recorded; who comes meanwhile is not let in."""
    place = Place(tmp_path)
    place.fill()
    with serving_at(place, services=(COUNTS, *SERVICES)):
        connection = http.client.HTTPConnection(place.address, timeout=20)
        connection.request("POST", "/counts", json.dumps({"many": 15}), {**JSON, "Accept": "text/event-stream"})
        response = connection.getresponse()
        first = response.readline()
        place.stop()
        time.sleep(0.2)
        with pytest.raises(OSError, match="refused"):
            place.ask("/health/live")
        rest = response.read()
        connection.close()
    said = (first + rest).decode()
    assert [int(line.removeprefix("data: ")) for line in said.splitlines() if line.removeprefix("data: ").isdecimal()] == list(range(15))
    assert place.log("counts")["status"].to_list() == [200]


def test_f66_a_storm_of_versions_is_loaded_one_after_the_other(tmp_path: Path) -> None:
    """A hundred promotions at once, back and forth: no request fails, the last one serves, and no other stays in memory."""
    place = Place(tmp_path)
    place.fill()
    for number in range(3, 21):
        place.record.add("late", late_model(number))
    with serving_at(place):
        statuses: list[int] = []
        stop = threading.Event()

        def ask() -> None:
            while not stop.is_set():
                statuses.append(asked(place, "/will_be_late", {"carrier": "UA", "distance": 1000.0})[0])

        asking = [threading.Thread(target=ask) for _ in range(4)]
        for one in asking:
            one.start()
        chance = random.Random(5)
        for _ in range(100):
            place.record.promote("late", chance.randrange(1, 21))
        place.record.promote("late", 7)
        end = time.monotonic() + 20
        while place.ask("/will_be_late", {"carrier": "UA", "distance": 1000.0}).headers["x-model-version"] != "late@7":
            assert time.monotonic() < end
            time.sleep(0.05)
        stop.set()
        for one in asking:
            one.join()
    assert set(statuses) == {200}
    assert len(statuses) > 20


@pytest.mark.slow
def test_f67_mixed_work_with_one_fault_in_a_hundred_leaves_nothing_behind(tmp_path: Path) -> None:
    """A minute of it: descriptors and threads are what they were after its first seconds, memory hardly grows, the log has everything."""
    place = Place(tmp_path)
    place.fill()
    with serving_at(place, services=(NAP, *SERVICES)):
        mixed(place, 5.0, seed=1)
        process = psutil.Process()
        before = process.num_fds(), process.num_threads(), process.memory_info().rss
        mixed(place, 60.0, seed=2)
        end = time.monotonic() + 20
        while process.num_fds() > before[0] + 2:
            assert time.monotonic() < end
            time.sleep(0.2)
        assert process.num_threads() <= before[1] + 8
        assert process.memory_info().rss - before[2] < 96 << 20
    assert place.lost == 0


def mixed(place: Place, seconds: float, seed: int) -> None:
    """Ask for a while: quick and slow services, a model, mistakes, and one of a hundred clients leaves."""
    chance, until = random.Random(seed), time.monotonic() + seconds
    tensors = [{"name": name, "datatype": "FP64", "shape": [3], "data": [1.0, 2.0, 3.0]} for name in "abc"]
    kinds: list[tuple[str, dict[str, Any], set[int]]] = [
        ("/moody", {"mood": "calm"}, {200}),
        ("/will_be_late", {"carrier": "UA", "distance": 1000.0}, {200}),
        ("/nap", {"seconds": 0.005}, {200, 503}),
        ("/v2/models/wide/infer", {"inputs": tensors}, {200}),
        ("/moody", {"mood": "nobody"}, {422}),
    ]
    connection = http.client.HTTPConnection(place.address, timeout=10)
    while time.monotonic() < until:
        path, body, expected = chance.choice(kinds)
        connection.request("POST", path, json.dumps(body), JSON)
        if chance.random() < 0.01:
            connection.close()
            continue
        response = connection.getresponse()
        response.read()
        assert response.status in expected
    connection.close()
