"""Heads: one strict grammar. What it takes, a known parser reads in the same way; what two readers could read in two ways is refused."""

from __future__ import annotations

import httptools
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bedplate.interfaces.http.plane.head import CHUNKED, Head, Heads, pairs, read
from bedplate.interfaces.http.replies import Problem

HOST = b"Host: localhost\r\n"


def head(lines: bytes, first: bytes = b"POST /late HTTP/1.1", host: bytes = HOST) -> bytes:
    return first + b"\r\n" + host + lines + b"\r\n"


def status(raw: bytes) -> int:
    try:
        read(raw)
    except Problem as problem:
        return problem.status
    return 200


def test_a_head_is_read_into_what_the_request_needs() -> None:
    lines = b"X-Request-ID: a \t\r\nContent-Length: 12\r\nConnection: Keep-Alive\r\nEmpty:\r\n"
    raw = head(lines, b"POST /v2/models/late/infer?a=b HTTP/1.1")
    found = read(raw)
    assert (found.method, found.path, found.query, found.length) == (b"POST", b"/v2/models/late/infer", b"a=b", 12)
    assert (found.headers[b"x-request-id"], found.headers[b"empty"], found.keep_alive, found.expects) == (b"a", b"", True, False)
    assert pairs(raw) == [
        (b"host", b"localhost"),
        (b"x-request-id", b"a"),
        (b"content-length", b"12"),
        (b"connection", b"Keep-Alive"),
        (b"empty", b""),
    ]
    assert read(head(b"Transfer-Encoding: Chunked\r\n")).length == CHUNKED
    assert not read(head(b"Connection: foo, Close\r\n")).keep_alive
    assert not read(head(b"", b"GET / HTTP/1.0", b"")).keep_alive


AMBIGUOUS = {
    "a length and chunks": head(b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n"),
    "chunks and a length": head(b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n"),
    "two lengths": head(b"Content-Length: 4\r\nContent-Length: 5\r\n"),
    "two equal lengths": head(b"Content-Length: 4\r\nContent-Length: 4\r\n"),
    "a list of lengths": head(b"Content-Length: 4, 4\r\n"),
    "a signed length": head(b"Content-Length: +4\r\n"),
    "a negative length": head(b"Content-Length: -1\r\n"),
    "a hexadecimal length": head(b"Content-Length: 0x4\r\n"),
    "a length with an underscore": head(b"Content-Length: 1_0\r\n"),
    "no length where one is named": head(b"Content-Length:\r\n"),
    "a length of twenty digits": head(b"Content-Length: 18446744073709551617\r\n"),
    "another coding": head(b"Transfer-Encoding: gzip, chunked\r\n"),
    "a coding that is not quite": head(b"Transfer-Encoding: xchunked\r\n"),
    "a coding in quotes": head(b'Transfer-Encoding: "chunked"\r\n'),
    "a coding behind a vertical tab": head(b"Transfer-Encoding: \x0bchunked\r\n"),
    "two codings": head(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"),
    "chunks in HTTP/1.0": head(b"Transfer-Encoding: chunked\r\n", b"POST /late HTTP/1.0"),
    "a space before the colon": head(b"Content-Length : 4\r\n"),
    "a tab before the colon": head(b"Transfer-Encoding\t: chunked\r\n"),
    "a header that goes on in the next line": head(b"X-A: 1\r\n Content-Length: 4\r\n"),
    "a header without a colon": head(b"X-A\r\n"),
    "a header without a name": head(b": 1\r\n"),
    "a name in brackets": head(b"X(A): 1\r\n"),
    "a bare line feed": head(b"X-A: 1\nContent-Length: 4\r\n"),
    "a bare carriage return": head(b"X-A: 1\rContent-Length: 4\r\n"),
    "a null in a value": head(b"X-A: 1\0\r\n"),
    "a control character in a value": head(b"X-A: 1\x01\r\n"),
    "a null in the address": head(b"", b"GET /a\0b HTTP/1.1"),
    "a space in the address": head(b"", b"GET /a b HTTP/1.1"),
    "letters beyond ASCII in the address": head(b"", b"GET /\xc3\xa4 HTTP/1.1"),
    "a fragment": head(b"", b"GET /a#b HTTP/1.1"),
    "two spaces": head(b"", b"GET  /a HTTP/1.1"),
    "a tab for a space": head(b"", b"GET\t/a HTTP/1.1"),
    "a space before the method": head(b"", b" GET /a HTTP/1.1"),
    "no version": head(b"", b"GET /a"),
    "another version": head(b"", b"GET /a HTTP/2.0"),
    "a long version": head(b"", b"GET /a HTTP/1.10"),
    "a version in lower case": head(b"", b"GET /a http/1.1"),
    "a method in lower case": head(b"", b"get /a HTTP/1.1"),
    "no host": head(b"", host=b""),
    "two hosts": head(b"Host: evil.example\r\n"),
    "a host with a path": head(b"", host=b"Host: localhost/x\r\n"),
    "a host with a user": head(b"", host=b"Host: a@localhost\r\n"),
    "an address of another host": head(b"", b"GET http://evil.example/ HTTP/1.1"),
    "an address of nobody": head(b"", b"GET http:///late HTTP/1.1"),
    "an address without a path": head(b"", b"GET late HTTP/1.1"),
    "a star that is asked for": head(b"", b"GET * HTTP/1.1"),
    "two content types": head(b"Content-Type: application/json\r\nContent-Type: text/plain\r\n"),
    "two credentials": head(b"Authorization: a\r\nAuthorization: b\r\n"),
}


@pytest.mark.parametrize("raw", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_what_could_be_read_in_two_ways_is_refused(raw: bytes) -> None:
    assert status(raw) == 400


def test_limits_come_before_reading() -> None:
    assert status(head(b"X-A: " + b"x" * (1 << 16) + b"\r\n")) == 431
    assert status(head(b"X-A: 1\r\n" * 201)) == 431
    assert status(head(b"X-A: 1\r\n" * 199)) == 200
    assert status(head(b"", b"GET /" + b"a" * (1 << 14) + b" HTTP/1.1")) == 414
    assert status(head(b"", b"TRACE / HTTP/1.1")) == 405
    assert status(head(b"", b"CONNECT localhost:80 HTTP/1.1")) == 405
    assert status(head(b"", b"BREW / HTTP/1.1")) == 501
    assert status(head(b"Expect: a-miracle\r\n")) == 417
    assert read(head(b"Expect: 100-Continue\r\n")).expects


@pytest.mark.parametrize("filler", [b"X-A:" + b" " * 60_000 + b"\0", b"a" * 60_000 + b"\0", b"X:\t" * 20_000 + b"\x7f"])
def test_what_is_long_and_wrong_is_refused_in_one_pass(filler: bytes) -> None:
    """An expression that went back and forth would take minutes."""
    assert status(head(filler + b"\r\n")) == 400


class Seen:
    """What httptools makes of a request."""

    def __init__(self, raw: bytes) -> None:
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.complete = False
        parser = httptools.HttpRequestParser(self)
        parser.feed_data(raw)
        self.method = parser.get_method()

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        self.complete = True


TOKEN = st.text("abcXYZ09!#$%&'*+.^_`|~-", min_size=1, max_size=8).map(str.encode)
VALUE = st.binary(max_size=12) | st.sampled_from([b"chunked", b"5", b"close", b"100-continue", b"localhost", b" a\tb "])
LINES = st.lists(
    st.tuples(TOKEN | st.sampled_from([b"Content-Length", b"Transfer-Encoding", b"Host", b"Connection"]), VALUE).map(
        lambda pair: pair[0] + b":" + pair[1] + b"\r\n"
    ),
    max_size=5,
).map(b"".join)


@given(LINES | st.binary(max_size=60), st.sampled_from([b"GET / HTTP/1.1", b"POST /a?b HTTP/1.1", b"PUT /%00 HTTP/1.0"]))
@example(b"", b"GET / HTTP/1.1")
@example(b"a:\xff\r\n", b"GET / HTTP/1.1")
def test_what_is_taken_is_read_by_another_parser_in_the_same_way(lines: bytes, first: bytes) -> None:
    raw = head(lines, first)
    try:
        found = read(raw)
    except Problem:
        return
    seen = Seen(raw)
    assert seen.complete
    assert (seen.method, seen.url.partition(b"?")[0], seen.headers) == (found.method, found.path, pairs(raw))


@given(st.binary(max_size=120))
def test_any_bytes_are_a_head_or_a_problem(raw: bytes) -> None:
    assert status(raw + b"\r\n\r\n") in (200, 400, 405, 414, 417, 431, 501)


def test_a_head_that_was_seen_is_not_read_again_and_memory_of_them_is_bounded() -> None:
    """Its handler is chosen once; heads with an id or a credential of their own are not kept."""
    chosen: list[Head] = []
    heads = Heads(lambda one: chosen.append(one) or len(chosen))
    assert [heads.read(head(b"")).handler for _ in range(3)] == [1, 1, 1]
    assert [heads.read(head(b"X-Request-Id: 1\r\n")).handler for _ in range(2)] == [2, 3]
    assert [heads.read(head(b"Authorization: x\r\n")).handler for _ in range(2)] == [4, 5]
    for number in range(2000):
        heads.read(head(b"X-N: %d\r\n" % number))
    assert len(heads._kept) <= 256
