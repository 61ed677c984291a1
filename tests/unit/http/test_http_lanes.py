"""Where calls are made: quick ones on the loop, slow ones in threads, by what they took."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from bedplate.interfaces.http.lanes import Lane, Pool


def where(lane: Lane, rows: int, seconds: float = 0.0) -> Callable[[], Any]:
    """A call that says whether it ran in the loop's own thread."""

    def call() -> int:
        time.sleep(seconds)
        return threading.get_ident()

    async def run() -> bool:
        return await lane.run(rows, call) == threading.get_ident()

    return lambda: asyncio.run(run())


def test_a_quick_call_stays_on_the_loop_and_many_rows_of_it_do_not() -> None:
    lane = Lane(Pool(1), expected_s=0.0001)
    assert where(lane, 1)()
    lane.mean_s = 0.0001
    assert not where(lane, 1000)()


def test_a_slow_call_goes_to_a_thread_from_the_second_time_on() -> None:
    lane = Lane(Pool(1))
    assert where(lane, 1, 0.06)()
    assert not where(lane, 1, 0.06)()


def test_one_slow_call_among_quick_ones_is_passed_over_and_a_second_in_a_row_is_believed() -> None:
    """A quick call may be interrupted for long by other work of the machine."""
    lane = Lane(Pool(1))
    assert all(where(lane, 1)() for _ in range(16))
    assert where(lane, 1, 0.06)()
    assert lane.mean_s < 0.005
    assert where(lane, 1, 0.06)()
    assert not where(lane, 1)()


def test_a_call_declared_slow_comes_back_to_the_loop_when_it_proves_quick() -> None:
    lane = Lane(Pool(1), expected_s=0.02)
    assert [where(lane, 1)() for _ in range(16)] == [False] * 16
    assert where(lane, 1)()


def test_what_the_call_raises_comes_out_of_either_lane() -> None:
    def fail() -> None:
        raise ValueError("no")

    for expected_s in (0.0, 1.0):
        with pytest.raises(ValueError, match="no"):
            asyncio.run(Lane(Pool(1), expected_s).run(1, fail))
