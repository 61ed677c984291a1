"""One connection, over a transport that only notes: framing, order, back-pressure, time, and the end."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.interfaces.http.answered import Answered, refusal
from bedplate.interfaces.http.plane import wire as wires
from bedplate.interfaces.http.plane.head import Head, Heads
from bedplate.interfaces.http.plane.outgoing import Outgoing
from bedplate.interfaces.http.plane.wire import Wire
from bedplate.interfaces.http.replies import Problem


class Transport:
    """Notes what a connection does with it."""

    def __init__(self) -> None:
        self.sent = b""
        self.reading = True
        self.ended = self.closed = self.aborted = False

    def write(self, data: bytes) -> None:
        self.sent += data

    def writelines(self, pieces: tuple[bytes, ...]) -> None:
        self.sent += b"".join(pieces)

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True


class Echo:
    """Answers with the body, at once or (`/slow`) when it is told to."""

    limit = 1000

    def __init__(self) -> None:
        self.held: list[tuple[Wire, bytes]] = []

    def answer(self, head: Head, body: bytes, wire: Wire) -> Answered | None:
        if head.path == b"/slow":
            self.held.append((wire, body))
            return None
        return Answered(200, b"", b"<" + body + b">")

    def refused(self, head: Head, problem: Problem) -> Answered:
        return refusal(problem)


class Keeper:
    """A server of one connection, whose loop turns when it is told to."""

    def __init__(self, room: int = 1) -> None:
        self.now = 0.0
        self.echo = Echo()
        self.heads = Heads(lambda _head: self.echo)
        self.room = room
        self.calls: list[Callable[[], None]] = []
        self.ends: list[Callable[[], None]] = []
        self.outgoing = Outgoing(self.soon)
        self.wire = Wire(self)
        self.transport: Any = Transport()
        self.wire.connection_made(self.transport)

    def enter(self, wire: Wire) -> bool:
        return self.room > 0

    def leave(self, wire: Wire) -> None:
        self.room += 1

    def handle(self, head: Head, body: bytes, wire: Wire) -> Answered | None:
        return self.echo.answer(head, body, wire)

    def line(self, status: int) -> bytes:
        return b"HTTP/1.1 %d .\r\n" % status

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        work.close()

    def wake(self, wire: Wire) -> None:
        pass

    def soon(self, call: Callable[[], None]) -> None:
        self.calls.append(call)

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        self.ends.append(call)

    async def drained(self, wire: Wire) -> None:
        pass

    async def parted(self, wire: Wire) -> None:
        pass

    def turn(self) -> None:
        while self.calls:
            self.calls.pop(0)()

    def says(self, data: bytes) -> bytes:
        """Have the client send that; what it gets."""
        before = len(self.transport.sent)
        self.wire.data_received(data)
        self.turn()
        return bytes(self.transport.sent[before:])

    def waits(self, seconds: float) -> bytes:
        """Let time go by in steps of a second; what the client gets."""
        before = len(self.transport.sent)
        for _ in range(int(seconds)):
            self.now += 1.0
            self.wire.look(self.now)
            self.turn()
        return bytes(self.transport.sent[before:])


def post(body: bytes, path: bytes = b"/echo", lines: bytes = b"") -> bytes:
    return b"POST %b HTTP/1.1\r\nHost: a\r\n%bContent-Length: %d\r\n\r\n%b" % (path, lines, len(body), body)


def bodies(sent: bytes) -> list[bytes]:
    return [piece.partition(b"\r\n\r\n")[2] for piece in sent.split(b"HTTP/1.1 200 .")[1:]]


MIXED = (
    post(b"one")
    + b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n"
    + post(b"")
    + post(b"four" * 99)
)


@given(st.lists(st.integers(1, 60), max_size=40))
def test_requests_are_answered_in_order_however_they_are_cut_up(cuts: list[int]) -> None:
    keeper, at = Keeper(), 0
    for cut in [*cuts, len(MIXED)]:
        keeper.says(MIXED[at : at + cut])
        at += cut
    assert bodies(keeper.transport.sent) == [b"<one>", b"<two>", b"<>", b"<" + b"four" * 99 + b">"]


def test_answers_are_written_when_the_turn_is_over_and_before_the_connection_ends() -> None:
    keeper = Keeper()
    keeper.wire.data_received(post(b"1"))
    assert keeper.transport.sent == b""
    keeper.turn()
    assert bodies(keeper.transport.sent) == [b"<1>"]
    keeper.wire.data_received(post(b"2"))
    assert keeper.wire.eof_received() is False, "the connection ends now"
    assert bodies(keeper.transport.sent) == [b"<1>", b"<2>"]


def test_a_long_answer_is_not_written_before_a_short_one_that_waits() -> None:
    keeper = Keeper()
    keeper.echo.limit = 100_000
    keeper.wire.data_received(post(b"1") + post(b"2" * 90_000))
    keeper.turn()
    assert bodies(keeper.transport.sent) == [b"<1>", b"<" + b"2" * 90_000 + b">"]


def test_who_has_gone_takes_no_answer_from_the_others() -> None:
    calls: list[Callable[[], None]] = []
    gone, there = Transport(), Transport()
    outgoing = Outgoing(calls.append)
    for one in (gone, there, there):
        outgoing.write(cast("Any", one), b"answer")
    gone.close()
    assert len(calls) == 1, "one turn for all of them"
    calls[0]()
    assert (gone.sent, there.sent) == (b"", b"answeranswer")


def test_what_comes_before_a_slow_answer_waits_for_it() -> None:
    keeper = Keeper()
    assert keeper.says(post(b"1", b"/slow") + post(b"2") + post(b"3", b"/slow") + post(b"4")) == b""
    assert keeper.says(post(b"5")) == b""
    keeper.echo.held[0][0].answer(Answered(200, b"", b"slow"))
    keeper.turn()
    assert bodies(keeper.transport.sent) == [b"slow", b"<2>"]
    keeper.echo.held[1][0].answer(Answered(200, b"", b"slower"))
    keeper.turn()
    assert bodies(keeper.transport.sent) == [b"slow", b"<2>", b"slower", b"<4>", b"<5>"]


def test_a_client_that_sends_on_while_it_is_not_answered_is_read_no_more() -> None:
    keeper = Keeper()
    keeper.says(post(b"", b"/slow"))
    keeper.says(b"x" * 70_000)
    assert not keeper.transport.reading
    keeper.echo.held[0][0].answer(Answered(200, b"", b""))
    keeper.turn()
    assert keeper.transport.reading


def test_a_client_that_takes_nothing_is_answered_no_more_and_then_let_go() -> None:
    keeper = Keeper()
    keeper.wire.pause_writing()
    assert keeper.says(post(b"1")) == b""
    keeper.wire.resume_writing()
    keeper.turn()
    assert bodies(keeper.transport.sent) == [b"<1>"]
    keeper.wire.pause_writing()
    keeper.waits(wires.WRITE_S + 2)
    assert keeper.transport.aborted


@pytest.mark.parametrize(
    ("sent", "after_s"),
    [(b"", wires.HEAD_S), (b"POST /echo HT", wires.HEAD_S), (post(b"x" * 900)[:-800], wires.BODY_S), (b"\r\n", wires.HEAD_S)],
    ids=["nothing", "half a head", "half a body", "an empty line"],
)
def test_a_client_that_dawdles_is_told_so_and_let_go(sent: bytes, after_s: float) -> None:
    keeper = Keeper()
    keeper.says(sent)
    assert keeper.waits(after_s - 1) == b""
    assert keeper.waits(3).startswith(b"HTTP/1.1 408 ")
    assert keeper.transport.ended


def test_a_body_that_comes_slowly_but_comes_is_waited_for() -> None:
    keeper = Keeper()
    keeper.echo.limit = 1 << 20
    keeper.says(post(b"x" * 40_000)[:-40_000])
    for _ in range(39):
        keeper.says(b"x" * 1024)
        assert keeper.waits(10) == b""


def test_a_connection_without_a_request_is_let_go_quietly() -> None:
    keeper = Keeper()
    keeper.says(post(b"1"))
    keeper.waits(wires.IDLE_S - 1)
    assert not keeper.transport.ended
    assert keeper.waits(3) == b""
    assert keeper.transport.ended


def test_a_slow_answer_is_waited_for_however_long_it_takes() -> None:
    keeper = Keeper()
    keeper.says(post(b"", b"/slow"))
    assert keeper.waits(600) == b""
    assert not keeper.transport.ended


def test_a_client_that_asks_before_it_sends_is_told_to_go_on_or_why_not() -> None:
    keeper = Keeper()
    assert keeper.says(post(b"body", lines=b"Expect: 100-continue\r\n")[:-4]) == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert bodies(keeper.says(b"body")) == [b"<body>"]
    assert keeper.says(post(b"x" * 1001, lines=b"Expect: 100-continue\r\n")[:-1001]).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("body", [b"x" * 1001, b"3e9\r\n" + b"x" * 1001 + b"\r\n"], ids=["by its length", "in chunks"])
def test_a_body_over_the_limit_is_refused_once_and_nothing_after_it_is_read(body: bytes) -> None:
    keeper = Keeper()
    head = post(body)[: -len(body)]
    if body.startswith(b"3e9"):
        head = b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    keeper.says(head + body + b"0\r\n\r\n" + post(b"smuggled"))
    assert keeper.transport.sent.count(b"HTTP/1.1 ") == 1
    assert keeper.transport.sent.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in keeper.transport.sent


def test_after_a_refusal_nothing_more_is_answered() -> None:
    keeper = Keeper()
    keeper.says(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + post(b"smuggled"))
    keeper.says(post(b"more"))
    assert keeper.transport.sent.count(b"HTTP/1.1 ") == 1
    keeper.ends[0]()
    assert keeper.transport.closed


@pytest.mark.parametrize("start", [b"\x16\x03\x01\x02\x00", b"\0\0", b"{}", b"GET / HTTP/1.1\nHost: a\n\n", b"get / HTTP/1.1\r\n"])
def test_what_begins_like_no_request_is_refused_without_waiting_for_its_end(start: bytes) -> None:
    assert Keeper().says(start).startswith(b"HTTP/1.1 400 ")


def test_a_last_request_is_answered_and_ends_the_connection() -> None:
    keeper = Keeper()
    keeper.says(post(b"1", lines=b"Connection: close\r\n") + post(b"2"))
    assert bodies(keeper.transport.sent) == [b"<1>"]
    assert keeper.transport.ended
    old = Keeper()
    old.says(b"GET /echo HTTP/1.0\r\n\r\n")
    assert (bodies(old.transport.sent), old.transport.ended) == ([b"<>"], True)


def test_a_client_that_ends_its_side_still_gets_its_answer() -> None:
    keeper = Keeper()
    keeper.says(post(b"", b"/slow"))
    assert keeper.wire.eof_received()
    keeper.echo.held[0][0].answer(Answered(200, b"", b"here"))
    assert bodies(keeper.transport.sent) == [b"here"]
    assert keeper.transport.ended


def test_an_answer_for_a_client_that_is_gone_is_dropped() -> None:
    keeper = Keeper()
    keeper.says(post(b"", b"/slow"))
    keeper.wire.connection_lost(None)
    keeper.echo.held[0][0].answer(Answered(200, b"", b"late"))
    assert keeper.transport.sent == b""


def test_an_answer_to_head_has_the_length_and_no_body() -> None:
    assert Keeper().says(b"HEAD /echo HTTP/1.1\r\nHost: a\r\n\r\n") == b"HTTP/1.1 200 .\r\ncontent-length: 2\r\n\r\n"


def test_a_client_too_many_is_told_so() -> None:
    assert Keeper(room=0).transport.sent.startswith(b"HTTP/1.1 503 ")


def test_a_server_that_stops_answers_what_is_there_and_says_that_it_is_the_last() -> None:
    keeper = Keeper()
    keeper.says(post(b"", b"/slow"))
    keeper.wire.part(now=True)
    assert not keeper.transport.closed
    keeper.echo.held[0][0].answer(Answered(200, b"", b""))
    assert b"connection: close" in keeper.transport.sent
    idle = Keeper()
    idle.wire.part(now=False)
    assert b"connection: close" in idle.says(post(b"just in time"))
    quiet = Keeper()
    quiet.wire.part(now=True)
    assert quiet.transport.closed


def test_what_comes_before_the_loop_turns_waits_behind_what_was_held() -> None:
    """A client that sends hundreds of requests at once has them in several pieces before the first of them are all answered."""
    keeper, wanted = Keeper(), [b"%d" % at for at in range(300)]
    whole = b"".join(post(one) for one in wanted)
    for at in range(0, len(whole), 5000):
        keeper.wire.data_received(whole[at : at + 5000])
    keeper.turn()
    assert bodies(keeper.transport.sent) == [b"<%b>" % one for one in wanted]


@pytest.mark.parametrize("path", [b"/echo", b"/slow"])
def test_who_asks_for_much_and_sends_no_more_is_answered_all_of_it(path: bytes) -> None:
    """As `nc -N` does: a hundred requests, and the end of what it says; half a request after them gets nothing, and holds nothing up."""
    keeper, wanted = Keeper(), [b"%d" % at for at in range(100)]
    keeper.wire.data_received(b"".join(post(one, path) for one in wanted) + post(b"half")[:-2])
    assert keeper.wire.eof_received()
    keeper.turn()
    while keeper.echo.held:
        wire, body = keeper.echo.held.pop()
        wire.answer(Answered(200, b"", b"<" + body + b">"))
        keeper.turn()
    assert bodies(keeper.transport.sent) == [b"<%b>" % one for one in wanted]
    assert keeper.transport.ended
