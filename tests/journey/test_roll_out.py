"""Rolling out a new version under traffic, as a person does: by the command line, in front of a real server."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Callable

import pytest
from conftest import Person, serving

import bedplate

JSON = {"content-type": "application/json"}
MOODS = ("raises", "nan", "slow", "shape")


@pytest.fixture(scope="module")
def post(person: Callable[..., Person]) -> Person:
    """Version 1 is in production; 2 to 5 are bad, each in its way, and 6 is as good."""
    one = person("rolled")
    one.types("run")
    one.types("promote", "days@1")
    for mood in (*MOODS, "other"):
        one.types("run", "--set", f"days.mood={mood}")
    return one


class Traffic:
    """Clients that ask at a rate, each on a connection of its own, until the block ends; what they were told is counted."""

    def __init__(self, url: str, per_second: float = 100.0, clients: int = 4) -> None:
        self.told: Counter[tuple[int, str]] = Counter()
        self._address, self._pause = url.removeprefix("http://"), clients / per_second
        self._end = threading.Event()
        self._clients = [threading.Thread(target=self._ask, args=(number,)) for number in range(clients)]

    def __enter__(self) -> Traffic:
        for one in self._clients:
            one.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for one in self._clients:
            one.join()

    def _ask(self, number: int) -> None:
        connection, due, asked = http.client.HTTPConnection(self._address, timeout=60), time.monotonic(), 0
        while not self._end.is_set():
            asked += 1
            try:
                connection.request("POST", "/arrives_in", json.dumps({"who": f"{number}-{asked % 50}", "weight": 2.0}), JSON)
                reply = connection.getresponse()
                result = json.loads(reply.read()).get("result")
                self.told[reply.status, f"{reply.headers['x-model-version']} {result}"] += 1
            except OSError as error:
                self.told[0, repr(error)] += 1
            due = max(due + self._pause, time.monotonic() - 1)
            time.sleep(max(0.0, due - time.monotonic()))
        connection.close()

    def until(self, holds: Callable[[Traffic], bool]) -> None:
        end = time.monotonic() + 60
        while not holds(self):
            assert time.monotonic() < end
            time.sleep(0.1)

    @property
    def failed(self) -> dict[tuple[int, str], int]:
        """What was no answer of a version."""
        return {told: count for told, count in self.told.items() if told[0] != 200}


@pytest.mark.parametrize("mood", MOODS)
def test_a_bad_version_is_rolled_back_and_no_client_sees_it(post: Person, mood: str) -> None:
    """Four ways to be bad: every request is answered, the version goes back by itself, and the record says who and why."""
    ref = f"days@{MOODS.index(mood) + 2}"
    with serving(post.folder) as server, Traffic(server.url) as traffic:
        traffic.until(lambda one: one.told.total() > 60)
        said = post.types("promote", ref, "--canary", "20 %", "--for", "30 min", "--by", "who").stdout
        assert f"{ref} is now canary" in said
        assert ": answers 20 % for 30 min by who" in said
        ended = server.wait("rollout.concluded")
        assert (ended["subject"], ended["data"]["by"], ended["data"]["version"]) == (ref, "rollback", 1)
        before = traffic.told.total()
        traffic.until(lambda one: one.told.total() > before + 60)
    assert traffic.failed == {}
    assert {told for _, told in traffic.told} <= {"days@1 4.0", *([f"{ref} 4.0"] if mood == "slow" else [])}
    move = bedplate.open(post.folder).catalog.models.history("days", "canary")[-1]
    assert (move.by, move.before, move.version) == ("rollback", int(ref[-1]), 1)
    assert "arrives_in: " in move.reason
    assert f"barred: {'days@2' if mood == 'raises' else 'days@2,'}" in " ".join(post.types("status").stdout.split())


def test_a_good_version_takes_over_when_its_time_is_over(post: Person) -> None:
    """Half of the users get it at once, always the same ones; later all do. Several processes do so together."""
    with serving(post.folder, "--processes", "2") as server, Traffic(server.url) as traffic:
        post.types("promote", "days@6", "--canary", "50 %", "--for", "20 s", "--by", "who")
        assert post.reads("status")["rolled_out"][0]["check"] == "50 % for 20 s by who"
        assert server.wait("rollout.concluded")["data"]["by"] == "verdict"
        before = traffic.told.total()
        traffic.until(lambda one: one.told.total() > before + 200)
    assert traffic.failed == {}
    assert {told for _, told in traffic.told} == {"days@1 4.0", "days@6 5.0"}
    assert post.reads("show", "days@production")["version"]["number"] == 6
    post.types("rollback", "days")
    assert post.reads("show", "days@production")["version"]["number"] == 1


def test_what_cannot_be_tried_is_refused_with_what_to_do(post: Person) -> None:
    assert "already" in post.types("promote", "days@1", "--canary", "5 %", code=5).stderr
    assert "not a share" in post.types("promote", "days@6", "--canary", "five", code=2).stderr
    assert "--canary '5 %'" in post.types("promote", "days@6", "--for", "30 min", code=2).stderr
    assert "as canary or as shadow" in post.types("promote", "days@6", "--canary", "5 %", "--shadow", "5 %", code=2).stderr
    assert "shadow has no --for" in post.types("promote", "days@6", "--shadow", "5 %", "--for", "1 h", code=2).stderr
    assert "--shadow '20 %'" in post.types("promote", "days@6", "--canary", "5 %", "--within", "1", code=2).stderr


@pytest.mark.slow
def test_twenty_promotions_and_rollbacks_at_200_requests_a_second_fail_none(post: Person) -> None:
    """Each is taken up before the next is made; a canary comes and goes between them."""
    workspace = bedplate.open(post.folder)
    with serving(post.folder, "--processes", "2") as server, Traffic(server.url, per_second=200.0, clients=8) as traffic:
        for _ in range(20):
            workspace.promote("days@6")
            assert server.wait("service.swapped")["data"]["changes"][0]["version"] == 6
            workspace.rollback("days")
            assert server.wait("service.swapped")["data"]["changes"][0]["version"] == 1
    assert traffic.failed == {}
    assert {told for _, told in traffic.told} == {"days@1 4.0", "days@6 5.0"}
