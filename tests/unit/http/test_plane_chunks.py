"""Chunked bodies: read the same however they are cut up on the way, and refused where a reader could be misled."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bedplate.interfaces.http.plane.chunks import Chunks, TooLarge
from bedplate.interfaces.http.replies import Problem


def fed(data: bytes, cuts: list[int], limit: int = 1 << 20) -> tuple[bytes, bytes | None]:
    """The body and what followed it, fed in pieces of these sizes and then the rest."""
    chunks, rest, at = Chunks(limit), None, 0
    for cut in [*cuts, len(data)]:
        piece, at = data[at : at + cut], at + cut
        if rest is not None:
            rest += piece
        elif piece:
            rest = chunks.feed(piece)
    return chunks.body(), rest


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6), st.lists(st.integers(1, 9), max_size=30), st.binary(max_size=9))
@example([b"\r\n"], [1] * 12, b"GET ")
@example([], [1, 1, 1, 1], b"")
def test_a_body_is_read_however_it_is_cut_up(pieces: list[bytes], cuts: list[int], after: bytes) -> None:
    """And what follows it is left for the next request."""
    data = b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in pieces) + b"0\r\n\r\n" + after
    assert fed(data, cuts) == (b"".join(pieces), after)


def test_trailers_are_passed_over() -> None:
    assert fed(b"3\r\nabc\r\n0\r\nX-Sum: 1\r\nContent-Length: 9\r\n\r\nGET", [5, 9]) == (b"abc", b"GET")


WRONG = {
    "an extension": b"3;a=b\r\nabc\r\n0\r\n\r\n",
    "an extension without a name": b"3;\r\nabc\r\n0\r\n\r\n",
    "a space behind the size": b"3 \r\nabc\r\n0\r\n\r\n",
    "a space before the size": b" 3\r\nabc\r\n0\r\n\r\n",
    "a sign": b"+3\r\nabc\r\n0\r\n\r\n",
    "a prefix": b"0x3\r\nabc\r\n0\r\n\r\n",
    "an underscore": b"1_0\r\nabc\r\n0\r\n\r\n",
    "no size": b"\r\nabc\r\n0\r\n\r\n",
    "a size beyond 32 bits": b"100000003\r\nabc\r\n0\r\n\r\n",
    "a bare line feed behind the size": b"3\nabc\r\n0\r\n\r\n",
    "a bare line feed behind the chunk": b"3\r\nabc\n0\r\n\r\n",
    "a chunk longer than it says": b"3\r\nabcd\r\n0\r\n\r\n",
    "a chunk shorter than it says": b"4\r\nabc\r\n0\r\n\r\n",
    "a trailer that is none": b"0\r\nno trailer\r\n\r\n",
    "a bare line feed at the end": b"0\r\n\n",
    "letters that are no digits": b"zz\r\nabc\r\n",
}


@pytest.mark.parametrize("data", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("step", [1, 1000])
def test_what_could_mislead_a_reader_is_refused(data: bytes, step: int) -> None:
    with pytest.raises(Problem) as raised:
        fed(data, [step] * len(data))
    assert raised.value.status == 400


def test_a_body_over_the_limit_is_refused_before_it_is_there() -> None:
    chunks = Chunks(10)
    assert chunks.feed(b"8\r\n12345678\r\n") is None
    with pytest.raises(TooLarge):
        chunks.feed(b"3\r\n")


def test_thousands_of_tiny_chunks_are_refused_and_hundreds_are_not() -> None:
    assert fed(b"1\r\nx\r\n" * 900 + b"0\r\n\r\n", [])[0] == b"x" * 900
    with pytest.raises(Problem, match="not an HTTP request"):
        Chunks(1 << 24).feed(b"1\r\nx\r\n" * 100_000)


def test_trailers_have_an_end() -> None:
    with pytest.raises(Problem):
        fed(b"0\r\n" + b"x" * 100_000, [1000] * 100)
