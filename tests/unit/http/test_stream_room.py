"""Room for streams: clients that ask and leave at once do not leave more threads behind than there is room for."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest

from bedplate.interfaces.http.replies import Problem
from bedplate.interfaces.http.streams import MOST, StreamRoom
from bedplate.stages.deploy.streams import Pulled


def test_generators_that_never_give_a_value_hold_a_bounded_number_of_threads() -> None:
    ends, begun = threading.Event(), threading.Semaphore(0)

    def busy() -> Iterator[int]:
        begun.release()
        ends.wait(60)
        yield 1

    async def run() -> None:
        room, left = StreamRoom(), []
        for _ in range(MOST):
            room.enter("late")
            left.append(Pulled(busy, lambda value: value))
            left[-1].next()
            assert begun.acquire(timeout=30)
            room.leave()
            room.put_away(left[-1])
        assert room.count == 0
        with pytest.raises(Problem, match="cannot stream now"):
            room.enter("late")
        ends.set()
        until = time.monotonic() + 30
        while not all(one.is_over for one in left) and time.monotonic() < until:
            await asyncio.sleep(0)
        room.enter("late")

    asyncio.run(run())
