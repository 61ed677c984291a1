"""A call of gRPC said over HTTP is the same call again, and so is its answer; what is no call is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.interfaces.http.answered import Answered, refusal
from bedplate.interfaces.http.grpc_calls import INFER, PATH, PROTO, READS, Called, headers_of, heard, over_http, read, refused, target
from bedplate.interfaces.http.plane.head import read as read_head
from bedplate.interfaces.http.replies import Problem
from bedplate.interfaces.http.router.calling import _YES, CallRoute
from bedplate.storage.backends.open_inference import message

NAMES = st.from_regex(r"x[a-z0-9_.-]{0,8}(-bin)?", fullmatch=True).map(str.encode)


@given(
    st.sampled_from((INFER, *READS)),
    st.binary(max_size=3000),
    st.dictionaries(NAMES, st.binary(max_size=20), max_size=4),
    st.none() | st.floats(0.001, 1000),
)
def test_a_call_that_went_over_http_is_the_same_call(
    method: str, body: bytes, metadata: dict[bytes, bytes], remaining: float | None
) -> None:
    """Whatever its message and metadata: a replica reads one request, and in it what was sent; metadata that is no header is left out."""
    called = Called(method, body, metadata, remaining)
    verb, path, query, sent = target(called)
    headers = headers_of(called)
    route = CallRoute(_head(verb, path, query), headers)
    head = read_head(route.ahead(None, len(sent)))
    found = read(head.method.decode(), head.path.decode(), head.query, head.headers, sent)
    assert (found.method, found.body) == (method, body)
    assert found.remaining_s == (None if remaining is None else max(1, int(remaining * 1e3)) / 1e3)
    own = {b"host", b"content-length", b"content-type", b"connect-timeout-ms"}
    plain = {name: value for name, value in metadata.items() if not name.endswith(b"-bin") and all(32 <= one < 127 for one in value)}
    assert {name: value for name, value in head.headers.items() if name not in own and not name.endswith(b"-bin")} == {
        name: value.strip(b" ") for name, value in plain.items()
    }


def _head(method: bytes, path: bytes, query: bytes) -> Any:
    asked = path + (b"?" + query if query else b"")
    return read_head(b"%b %b HTTP/1.1\r\nhost: localhost\r\n\r\n" % (method, asked))


def test_what_only_reads_is_asked_with_get_and_what_belongs_to_a_connection_does_not_go_on() -> None:
    metadata = {
        b"te": b"trailers",
        b"host": b"a",
        b"content-length": b"7",
        b"cookie": b"a",
        b"grpc-timeout": b"1S",
        b"authorization": b"Bearer a",
    }
    called = Called("ModelReady", b"abc", metadata)
    assert target(called)[0] == b"GET"
    assert target(Called("ModelReady", bytes(2000), metadata))[0] == target(Called(INFER, b"", {}))[0] == b"POST"
    assert headers_of(called) == [(b"authorization", b"Bearer a"), (b"content-type", PROTO)]


@pytest.mark.parametrize(
    ("status", "code"), [(400, "invalid_argument"), (404, "not_found"), (503, "unavailable"), (502, "unavailable"), (418, "internal")]
)
def test_an_answer_that_came_over_http_is_the_same_answer(status: int, code: str) -> None:
    """An error as a call has it, as the house, the protocol of models and the gate have it; and what speaks no messages."""
    answer = Answered(200, b"x-model-version: late@1\r\n", b"\x08\x01")
    over = over_http(answer)
    assert heard(over.status, over.headers, over.body) == answer
    error = over_http(refused(Problem(status, "no", why="so it is", headers=((b"retry-after", b"1"),))))
    assert json.loads(error.body) == {"code": code, "message": "no: so it is"}
    assert heard(error.status, error.headers, error.body) == Answered(status, b"retry-after: 1\r\n", b"no: so it is")
    for body in (
        refusal(Problem(status, "no", why="so it is")).body,
        b'{"error": "no: so it is"}',
        b'{"message": "no: so it is"}',
        b"no: so it is",
    ):
        assert heard(status, (), body).body == b"no: so it is"
    assert heard(200, ((b"Content-Type", b"text/html"),), b"<html>").status == 502
    odd = ((b"Via", b"a"), (b"x", "ü".encode()), (b"a!", b"b"), (b"x-bin", b"c"), (b"grpc-status", b"0"), (b"date", b"now"))
    assert heard(404, odd, b"").lines == b"via: a\r\n"


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        (("POST", "Reboot", b"", PROTO), 404),
        (("GET", INFER, b"encoding=proto&base64=1&message=", PROTO), 405),
        (("PUT", "ModelReady", b"", PROTO), 405),
        (("POST", INFER, b"", b"application/json"), 415),
        (("POST", INFER, b"", b""), 415),
        (("GET", "ModelReady", b"", b""), 400),
        (("GET", "ModelReady", b"encoding=json&base64=1&message=", b""), 400),
        (("GET", "ModelReady", b"encoding=proto&base64=1&message=%ff", b""), 400),
        (("GET", "ModelReady", b"encoding=proto&base64=1&message=a", b""), 400),
        (("GET", "ModelReady", b"&&&&&&&&&&&&&", b""), 400),
    ],
)
def test_what_is_no_call_is_refused(asked: tuple[str, str, bytes, bytes], status: int) -> None:
    method, name, query, kind = asked
    with pytest.raises(Problem) as raised:
        read(method, PATH + name, query, {b"content-type": kind} if kind else {}, b"")
    assert raised.value.status == status


@pytest.mark.parametrize("said", [b"", b"-1", b"soon", b"1" * 11])
def test_a_deadline_that_is_no_number_is_refused(said: bytes) -> None:
    with pytest.raises(Problem):
        read("POST", PATH + INFER, b"", {b"content-type": PROTO, b"connect-timeout-ms": said}, b"")


def test_the_routers_own_words_are_messages_of_the_protocol() -> None:
    assert (
        message("ServerLiveResponse")(live=True).SerializeToString()
        == message("ServerReadyResponse")(ready=True).SerializeToString()
        == _YES
    )
    assert message("ServerReadyResponse")(ready=False).SerializeToString() == b""
