"""A request that is sent again: who waits for the first one's answer gets it, whenever that ends."""

from __future__ import annotations

import asyncio

import pytest

from bedplate.interfaces.http.answered import Answered
from bedplate.interfaces.http.asking import Failed
from bedplate.interfaces.http.lanes import Lane
from bedplate.interfaces.http.once import Name, Once
from bedplate.interfaces.http.pool import Pool
from bedplate.interfaces.http.replies import Problem
from bedplate.stages.deploy.kept import Keeping
from bedplate.stages.deploy.trace import Trace

NAME = Name(b"k", b"d")


class Asked:
    """A call that is worked on until it is told to end."""

    gathers = True
    rows = 1
    lane = Lane(Pool(1))

    async def gathered(self) -> bytes:
        return self.run()

    def run(self) -> bytes:
        return b"made"

    def finish(self, made: bytes) -> Answered:
        return Answered(200, b"", made)

    def fail(self, failed: Failed) -> Problem:
        return Problem(500, str(failed))

    def close(self) -> None:
        """It holds nothing."""

    def follow(self, trace: Trace) -> None:
        """It is not recorded."""


def once() -> Once:
    return Once(Keeping(1 << 20), 10.0, lambda: 0.0, lambda _name: None, Lane(Pool(1)))


@pytest.mark.parametrize("is_answered", [True, False])
def test_a_first_that_ends_before_the_second_waits_is_heard_all_the_same(is_answered: bool) -> None:
    """Between the moment in which a retry is read and the one in which it begins to wait, the first may end."""

    async def run() -> Answered:
        remembered = once()
        first = remembered.begin("late", NAME, Asked)
        second = remembered.begin("late", NAME, Asked)
        if is_answered:
            first.finish(first.run())
        first.close()
        return second.finish(await asyncio.wait_for(second.gathered(), 5))

    if is_answered:
        answered = asyncio.run(run())
        assert (answered.body, answered.lines) == (b"made", b"idempotent-replayed: true\r\n")
    else:
        with pytest.raises(Problem, match="the same request failed"):
            asyncio.run(run())
