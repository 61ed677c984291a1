"""Lines of a stream: read one by one within a limit, answered in order, the unfinished end of a file left for the next time."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from bedplate.stages.deploy.in_hand import InHand
from bedplate.stages.deploy.lines import HEAD, Counted, Line, read, run


def read_all(text: bytes, limit: int = 4096) -> list[Line]:
    given = InHand(io.BytesIO(text))
    return list(iter(lambda: read(given, limit), None))


def test_lines_are_read_whatever_ends_them() -> None:
    lines = read_all(b'{"a": 1}\n{}\r\n\n x \r\r\nlast')
    assert [line.text for line in lines] == [b'{"a": 1}', b"{}", b"", b" x \r", b"last"]
    assert [line.ended for line in lines] == [True] * 4 + [False]
    assert all(line.is_whole for line in lines)
    assert sum(line.size for line in lines) == len(b'{"a": 1}\n{}\r\n\n x \r\r\nlast')


@pytest.mark.parametrize("limit", [100, 4096, 70_000])
def test_of_a_line_over_the_limit_the_beginning_is_kept_and_the_next_is_read(limit: int) -> None:
    long = b"x" * 200_000
    first, second = read_all(long + b"\n{}\n", limit)
    assert (first.is_whole, first.size) == (False, 200_001)
    assert long.startswith(first.text)
    assert 0 < len(first.text) <= HEAD
    assert second.text == b"{}"
    (exact,) = read_all(b"y" * limit, limit)
    assert exact.is_whole


NONE = Counted()


class Echo:
    """Answers lines with themselves; refuses what has an `x` in it. `most` lines at once, if they are in hand."""

    limit = 4096

    def __init__(self, most: int = 1) -> None:
        self.most = most
        self.calls: list[int] = []

    def answer(self, lines: Sequence[Line], numbers: Sequence[int]) -> list[tuple[bytes, bool]]:
        """Each line, with its number."""
        self.calls.append(len(lines))
        return [(b"%d:%b\n" % (number, line.text), b"x" in line.text) for line, number in zip(lines, numbers, strict=True)]


def answered(text: bytes, before: Counted = NONE, most: int = 1) -> tuple[bytes, Counted, list[int]]:
    out, read_sizes = io.BytesIO(), list[int]()
    echo: Any = Echo(most)
    counted = run(echo, io.BytesIO(text), out, before, lambda size, _written, _counted: read_sizes.append(size))
    return out.getvalue(), counted, read_sizes


@pytest.mark.parametrize("most", [1, 3, 256])
def test_each_line_has_one_answer_in_order_and_numbers_go_on(most: int) -> None:
    said, counted, sizes = answered(b"1\n\nx\n4\n", Counted(lines=10, refused=1), most)
    assert said == b"11:1\n13:x\n14:4\n"
    assert counted == Counted(lines=14, refused=2)
    assert sum(sizes) == len(b"1\n\nx\n4\n")


@pytest.mark.parametrize("most", [1, 256])
def test_the_end_of_a_file_that_is_no_whole_value_is_left(most: int) -> None:
    """One that is whole is answered, though nothing ends it."""
    assert answered(b'{}\n{"a": ', NONE, most)[0] == b"1:{}\n"
    assert sum(answered(b'{}\n{"a": ', NONE, most)[2]) == 3
    assert answered(b'{}\n{"a": 1}', NONE, most)[0] == b'1:{}\n2:{"a": 1}\n'


def test_lines_in_hand_are_answered_together_and_nobody_waits_for_more() -> None:
    """Who writes a line and waits for its answer gets it; lines that came at once are answered at once, at most so many."""
    at, into = os.pipe()
    echo: Any = Echo(most=4)
    answers, out = os.pipe()
    with os.fdopen(at, "rb") as given, os.fdopen(out, "wb") as said:
        thread = threading.Thread(target=run, args=(echo, given, said, NONE))
        thread.start()
        with os.fdopen(answers, "rb") as heard, os.fdopen(into, "wb", buffering=0) as tell:
            for number in (1, 2):
                tell.write(b"alone\n")
                assert heard.readline() == b"%d:alone\n" % number
            tell.write(b"x\n" * 10 + b"la")
            assert [heard.readline() for _ in range(10)] == [b"%d:x\n" % number for number in range(3, 13)]
            tell.write(b"st\n")
            assert heard.readline() == b"13:last\n"
        thread.join()
    assert echo.calls == [1, 1, 4, 4, 2, 1]
