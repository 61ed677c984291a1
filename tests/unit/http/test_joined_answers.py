"""The head of an answer and its body leave in one piece, and nothing waits longer than a turn of the loop."""

from __future__ import annotations

import asyncio
from typing import Any

from bedplate.interfaces.http.protocol import Joined


class Wire:
    """Keeps what is written, piece by piece."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        self.pieces.append(data)

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True


def written(*pieces: bytes, turns: bool = False, ends: bool = False) -> tuple[list[bytes], bool]:
    """What leaves when these pieces are written one after the other, the loop turning in between or not."""
    wire: Any = Wire()

    async def write() -> None:
        joined = Joined(wire, asyncio.get_running_loop())
        for piece in pieces:
            joined.write(piece)
            if turns:
                await asyncio.sleep(0)
        if ends:
            joined.close()
        else:
            await asyncio.sleep(0)

    asyncio.run(write())
    return wire.pieces, wire.closed


def test_a_head_leaves_with_its_body() -> None:
    assert written(b"head", b"body") == ([b"headbody"], False)


def test_a_head_alone_leaves_when_the_loop_turns() -> None:
    """As the answer to HEAD, and one whose body is made later."""
    assert written(b"head") == ([b"head"], False)
    assert written(b"head", b"body", turns=True) == ([b"head", b"body"], False)


def test_what_is_long_waits_for_nothing() -> None:
    assert written(b"x" * 100_000, b"y" * 100_000) == ([b"x" * 100_000, b"y" * 100_000], False)


def test_what_waits_leaves_before_the_end() -> None:
    assert written(b"head", ends=True) == ([b"head"], True)
