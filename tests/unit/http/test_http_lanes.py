"""Where calls are made: quick ones on the loop, slow ones in threads, by what they took."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from bedplate.interfaces.http import lanes
from bedplate.interfaces.http.lanes import Lane
from bedplate.interfaces.http.pool import GivenUp, Pool
from bedplate.interfaces.http.replies import Problem
from bedplate.planner.batching.breaker import Breaker, Trust


@pytest.fixture
def takes(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Has a call take so long: the time, as lanes have it, goes by in calls alone."""
    now = [0.0]
    monkeypatch.setattr(lanes, "time", SimpleNamespace(perf_counter=lambda: now[0]))

    def take(seconds: float) -> None:
        now[0] += seconds

    return take


def where(lane: Lane, rows: int, take: Callable[[], None] = lambda: None) -> bool:
    """Whether a call is made in the loop's own thread."""

    def call() -> int:
        take()
        return threading.get_ident()

    async def run() -> bool:
        return await lane.run(rows, call) == threading.get_ident()

    return asyncio.run(run())


def test_a_quick_call_stays_on_the_loop_and_many_rows_of_it_do_not(takes: Callable[[float], None]) -> None:
    lane = Lane(Pool(1), expected_s=0.0001)
    assert where(lane, 1)
    lane.mean_s = 0.0001
    assert not where(lane, 1000)


def test_a_slow_call_goes_to_a_thread_from_the_second_time_on(takes: Callable[[float], None]) -> None:
    lane = Lane(Pool(1))
    assert where(lane, 1, partial(takes, 0.06))
    assert not where(lane, 1, partial(takes, 0.06))


def test_one_slow_call_among_quick_ones_is_passed_over_and_a_second_in_a_row_is_believed(takes: Callable[[float], None]) -> None:
    """A quick call may be interrupted for long by other work of the machine."""
    lane = Lane(Pool(1))
    assert all(where(lane, 1) for _ in range(16))
    assert where(lane, 1, partial(takes, 0.06))
    assert lane.mean_s < 0.005
    assert where(lane, 1, partial(takes, 0.06))
    assert not where(lane, 1)


def test_a_call_declared_slow_comes_back_to_the_loop_when_it_proves_quick(takes: Callable[[float], None]) -> None:
    lane = Lane(Pool(1), expected_s=0.02)
    assert [where(lane, 1) for _ in range(16)] == [False] * 16
    assert where(lane, 1)


def test_what_the_call_raises_comes_out_of_either_lane() -> None:
    def fail() -> None:
        raise ValueError("no")

    for expected_s in (0.0, 1.0):
        with pytest.raises(ValueError, match="no"):
            asyncio.run(Lane(Pool(1), expected_s).run(1, fail))


def held(lane: Lane, calls: int, release: threading.Event) -> list[Any]:
    """What became of so many calls, made one after the other, that do not return before `release`."""

    async def run() -> list[Any]:
        return [await asyncio.gather(lane.run(1, lambda: release.wait(20)), return_exceptions=True) for _ in range(calls)]

    return [one for (one,) in asyncio.run(run())]


def test_calls_at_once_have_a_thread_each_while_there_are_threads() -> None:
    """A thread that has just taken up a call is free no more: the next call is not left to it."""

    async def four() -> list[int]:
        pool, met = Pool(4), threading.Barrier(4, timeout=5)
        try:
            return await asyncio.gather(*(pool.run(met.wait) for _ in range(4)))
        finally:
            pool.close()

    for _ in range(10):
        assert sorted(asyncio.run(four())) == [0, 1, 2, 3]


def test_a_call_that_never_returns_is_given_up_and_its_thread_replaced() -> None:
    """F61: of two threads both are held, and the next call is made all the same; what returned late ends its thread."""
    pool, release = Pool(2), threading.Event()
    lane = Lane(pool, math.inf, patience_s=0.05)
    assert [one.status for one in held(lane, 2, release)] == [504, 504]
    assert pool.lost == 2
    assert asyncio.run(Lane(pool, math.inf).run(1, lambda: 7)) == 7
    release.set()
    end = time.monotonic() + 10
    while pool.lost:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_after_three_that_never_return_nobody_is_let_in_and_then_one_may_try() -> None:
    """F61: its answer opens the lane again."""
    release = threading.Event()
    lane = Lane(Pool(2), math.inf, patience_s=0.05)
    lane.breaker = Breaker(Trust(most=3, pause_s=0.2))
    said = held(lane, 4, release)
    assert [one.status for one in said] == [504, 504, 504, 503]
    assert said[3].headers == ((b"retry-after", b"1"),)
    release.set()
    time.sleep(0.25)

    async def at_once() -> list[Any]:
        return await asyncio.gather(*(lane.run(1, lambda: time.sleep(0.02)) for _ in range(3)), return_exceptions=True)

    assert [getattr(one, "status", None) for one in asyncio.run(at_once())] == [None, 503, 503]
    assert not lane.breaker.is_open


def let_go(lane: Lane, calls: int) -> list[Any]:
    """What became of so many calls at once, which return when all have come."""
    release = threading.Event()

    async def run() -> list[Any]:
        asking = [asyncio.ensure_future(lane.run(1, release.wait)) for _ in range(calls)]
        await asyncio.sleep(0.05)
        release.set()
        return await asyncio.gather(*asking, return_exceptions=True)

    return asyncio.run(run())


def test_who_would_wait_for_long_is_turned_away_at_once() -> None:
    """F58: one thread, a second for each: four wait, the rest hear when to come again, and those are answered."""
    lane = Lane(Pool(1), 1.0)
    said = let_go(lane, 20)
    refused = [one for one in said if isinstance(one, Problem)]
    assert [one for one in said if not isinstance(one, Problem)] == [True] * (20 - len(refused))
    assert len(refused) in (15, 16)
    assert {(one.status, one.headers) for one in refused} == {(503, ((b"retry-after", b"4"),))}


def test_what_waited_for_a_server_to_start_is_let_in_before_it_is_known_what_a_call_takes() -> None:
    """A burst of requests that a router held; once the first call has ended, what that took says how many may wait."""
    lane = Lane(Pool(2), math.inf)
    said = let_go(lane, 140)
    refused = [one for one in said if isinstance(one, Problem)]
    assert 140 - 2 * 64 - 2 <= len(refused) <= 140 - 2 * 64
    assert {one.next for one in refused} == {"try again in 2 s"}

    async def later() -> list[Any]:
        return await asyncio.gather(*(lane.run(1, lambda: time.sleep(0.02)) for _ in range(40)), return_exceptions=True)

    lane = Lane(Pool(2), 5.0)
    asyncio.run(lane.run(1, lambda: time.sleep(0.001)))
    assert asyncio.run(later()) == [None] * 40


def test_threads_that_share_a_processor_let_in_as_many_as_they_answer() -> None:
    """Four threads in turns answer as one does: who waits is counted by how calls end, not by how many threads there are."""
    lane, turn = Lane(Pool(4), expected_s=0.05), threading.Lock()

    def call() -> None:
        with turn:
            time.sleep(0.02)

    async def ask(many: int) -> int:
        said = await asyncio.gather(*(lane.run(1, call) for _ in range(many)), return_exceptions=True)
        return sum(isinstance(one, Problem) for one in said)

    assert asyncio.run(ask(60)) == 0
    lane.mean_s = 0.02
    assert 40 < asyncio.run(ask(150)) < 90


def test_a_call_that_no_thread_took_up_is_never_made() -> None:
    """It was given up before: whoever asked has gone."""
    pool, release, made = Pool(1), threading.Event(), []

    async def run() -> None:
        first = asyncio.ensure_future(pool.run(lambda: release.wait(20)))
        await asyncio.sleep(0.02)
        with pytest.raises(GivenUp) as given_up:
            await pool.run(lambda: made.append(1), 0.05)
        assert not given_up.value.begun
        release.set()
        await first
        await pool.run(lambda: None)

    asyncio.run(run())
    assert not made
