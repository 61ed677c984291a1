"""Lines of a stream: read one by one within a limit, answered in order, the unfinished end of a file left for the next time."""

from __future__ import annotations

import io
from typing import Any

import pytest

from bedplate.stages.deploy.lines import HEAD, Counted, Line, read, run


def read_all(text: bytes, limit: int = 4096) -> list[Line]:
    given = io.BytesIO(text)
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
    """Answers a line with itself; refuses what has an `x` in it."""

    limit = 4096

    def answer(self, line: Line, number: int) -> tuple[bytes, bool]:
        """The line, with its number."""
        return b"%d:%b\n" % (number, line.text), b"x" in line.text


def answered(text: bytes, before: Counted = NONE) -> tuple[bytes, Counted, list[int]]:
    out, read_sizes = io.BytesIO(), list[int]()
    echo: Any = Echo()
    counted = run(echo, io.BytesIO(text), out, before, lambda size, _written, _counted: read_sizes.append(size))
    return out.getvalue(), counted, read_sizes


def test_each_line_has_one_answer_in_order_and_numbers_go_on() -> None:
    said, counted, sizes = answered(b"1\n\nx\n4\n", Counted(lines=10, refused=1))
    assert said == b"11:1\n13:x\n14:4\n"
    assert counted == Counted(lines=14, refused=2)
    assert sum(sizes) == len(b"1\n\nx\n4\n")


def test_the_end_of_a_file_that_is_no_whole_value_is_left() -> None:
    """One that is whole is answered, though nothing ends it."""
    assert answered(b'{}\n{"a": ')[0] == b"1:{}\n"
    assert sum(answered(b'{}\n{"a": ')[2]) == 3
    assert answered(b'{}\n{"a": 1}')[0] == b'1:{}\n2:{"a": 1}\n'
