"""A request that makes something new, sent again: a retry is told what was made, and two clients that say the same are two."""

from __future__ import annotations

import asyncio
from typing import Any

from bedplate.interfaces.http.door import memory


class Line:
    """A client's connection."""

    def __init__(self, *, is_open: bool = True) -> None:
        self.noted: Any = None
        self.is_open = is_open


def test_the_first_may_be_a_retry_of_before_the_server_started() -> None:
    assert not asyncio.run(memory.Memory().is_new("d", Line()))


def test_a_retry_comes_when_the_connection_of_the_answer_is_gone() -> None:
    kept, first = memory.Memory(), Line()

    async def play() -> bool:
        await kept.is_new("d", first)
        first.is_open = False
        return await kept.is_new("d", Line())

    assert not asyncio.run(play())


def test_an_answer_that_was_taken_is_no_lost_one() -> None:
    """The connection brought another request: who says the same again means another one."""
    kept, first = memory.Memory(), Line()

    async def play() -> bool:
        await kept.is_new("d", first)
        kept.taken(first)
        first.is_open = False
        return await kept.is_new("d", Line())

    assert asyncio.run(play())


def test_two_clients_that_say_the_same_at_one_moment_are_two() -> None:
    kept = memory.Memory()

    async def play() -> bool:
        await kept.is_new("d", Line())
        return await kept.is_new("d", Line())

    assert asyncio.run(play())


def test_many_clients_that_say_the_same_at_one_moment_are_many() -> None:
    """Also those that come while an earlier one is given its tenth of a second."""
    kept, lines = memory.Memory(), [Line() for _ in range(8)]

    async def play() -> list[bool]:
        return list(await asyncio.gather(*(kept.is_new("d", line) for line in lines)))

    assert asyncio.run(play()) == [False, *[True] * 7]


def test_a_connection_that_closes_a_moment_later_makes_it_a_retry() -> None:
    """Where a client gives up and comes again, the end of its first connection may be seen after the second one."""
    kept, first = memory.Memory(), Line()

    async def play() -> bool:
        await kept.is_new("d", first)
        again = asyncio.create_task(kept.is_new("d", Line()))
        await asyncio.sleep(0.02)
        first.is_open = False
        return await again

    assert not asyncio.run(play())


def test_a_retry_of_a_retry_is_one_too() -> None:
    kept = memory.Memory()

    async def play() -> list[bool]:
        lines = [Line(), Line(), Line()]
        said = []
        for line in lines:
            said.append(await kept.is_new("d", line))
            line.is_open = False
        return said

    assert asyncio.run(play()) == [False, False, False]


def test_requests_are_told_apart_by_who_what_and_where() -> None:
    digests = {
        memory.digest_of("a", "POST", "/x", b"body"),
        memory.digest_of("b", "POST", "/x", b"body"),
        memory.digest_of("a", "PUT", "/x", b"body"),
        memory.digest_of("a", "POST", "/y", b"body"),
        memory.digest_of("a", "POST", "/x", b"other"),
    }
    assert len(digests) == 5
