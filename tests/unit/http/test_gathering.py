"""Requests to a function of arrays: which are called for together, where, and what becomes of them when it fails, hangs or is too slow."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from bedplate.core.model import Model
from bedplate.interfaces.http.asking import Failed
from bedplate.interfaces.http.gathering import Gathering, Quick
from bedplate.interfaces.http.lanes import INLINE_S
from bedplate.interfaces.http.pool import Pool
from bedplate.interfaces.http.replies import Problem
from bedplate.stages.deploy.deployment import Active
from bedplate.stages.deploy.service import Asked, service
from bedplate.stages.deploy.together import rows_of

Floats = npt.NDArray[np.float64]


def served(function: Callable[[Floats], Any], returns: Any = np.ndarray) -> Active:
    """A deployed version of a function of one array, `area`."""

    def many(area: Floats) -> Any:
        return function(area)

    return Active(service=service("many", many, [], [Asked(name="area", annotation=np.ndarray)], returns), arguments={})


@contextmanager
def gathering(expected_s: float | None = None, **pool: Any) -> Iterator[Gathering]:
    made = Pool(**pool)
    yield Gathering("many", made, expected_s)
    made.close()


def rounds(gathering: Gathering, active: Active, *all_of_them: list[list[float]]) -> list[list[Any]]:
    """What each request gets, or the exception that it ends with; those of a round are there at once."""

    async def ask(requests: list[list[float]]) -> list[Any]:
        made = [[active.service.request(area=one) for one in rows] for rows in requests]
        return await asyncio.gather(*(gathering.ask(active, rows_of(active.service, rows), None) for rows in made), return_exceptions=True)

    async def ask_all() -> list[list[Any]]:
        return [await ask(requests) for requests in all_of_them]

    found = asyncio.run(ask_all())
    return [[one if isinstance(one, BaseException) else [value for value, _ in one] for one in some] for some in found]


def asked(gathering: Gathering, active: Active, requests: list[list[float]]) -> list[Any]:
    """The one round."""
    return rounds(gathering, active, requests)[0]


def test_requests_at_once_are_one_call_on_the_loop_where_that_is_quick() -> None:
    """The first call of a function that says nothing of itself is made in a thread."""
    calls: list[tuple[int, bool]] = []

    def double(area: Floats) -> Floats:
        calls.append((len(area), threading.current_thread() is threading.main_thread()))
        return area * 2

    with gathering(expected_s=0.0001) as known:
        active = served(double)
        same = [[1.0], [2.0, 3.0], [4.0]]
        assert rounds(known, active, [[1.0]], [[2.0, 3.0]], same) == [[[2.0]], [[4.0, 6.0]], [[2.0], [4.0, 6.0], [8.0]]]
        assert [rows for rows, _ in calls] == [1, 2, 4]
        assert calls[0] == (1, True)
    calls.clear()
    with gathering(threads=4) as unknown:
        assert asked(unknown, active, [[1.0]]) == [[2.0]]
        assert calls == [(1, False)]


def test_rows_of_a_large_request_are_put_together_in_order_whatever_they_are_answered() -> None:
    """Also lists of equal length, which an array would take for its own dimension."""
    with gathering(expected_s=0.0001) as many:
        (made,) = asked(
            many, served(lambda area: [[one, one] for one in area.tolist()], list[list[float]]), [[float(at) for at in range(600)]]
        )
    assert made == [[float(at), float(at)] for at in range(600)]


@pytest.mark.parametrize(
    "error", [ValueError("thirteen"), SystemExit(3), MemoryError("thirteen"), BaseExceptionGroup("two", [ValueError()])]
)
@pytest.mark.parametrize("expected_s", [0.0001, None])
def test_one_that_raises_fails_alone(error: BaseException, expected_s: float | None) -> None:
    def check(area: Floats) -> Floats:
        if 13 in area:
            raise error
        return area

    with gathering(expected_s) as many:
        first, bad, last = asked(many, served(check), [[1.0, 2.0], [3.0, 13.0], [4.0]])
    assert (first, last) == ([1.0, 2.0], [4.0])
    assert isinstance(bad, Failed)
    assert bad.row == Failed.ALL
    assert bad.__cause__ is error


def test_another_number_of_answers_than_rows_is_a_failure_of_those_alone() -> None:
    with gathering() as many:
        first, bad = asked(many, served(lambda area: area[area != 13]), [[1.0], [13.0]])
    assert first == [1.0]
    assert "the service gave 0 answers for 1 row" in str(bad.__cause__)


def test_a_call_that_never_returns_is_given_up_and_others_are_answered() -> None:
    """F61: whoever was called for in it hears 504; the next has another thread."""
    release = threading.Event()

    def hang(area: Floats) -> Floats:
        if 13 in area:
            release.wait(30)
        return area

    with gathering(threads=2, patience_s=0.05) as many:
        active = served(hang)
        (bad,), good = rounds(many, active, [[13.0]], [[1.0]])
        release.set()
    assert isinstance(bad, Problem)
    assert bad.status == 504
    assert good == [[1.0]]


def test_who_would_wait_for_long_is_turned_away_at_once() -> None:
    """A call takes a second as far as is known, and thousands of rows wait: 503, with the time after which to come again."""
    with gathering(expected_s=1.0, threads=1) as many:
        release = threading.Event()

        def hold(area: Floats) -> Floats:
            release.wait(5)
            return area

        threading.Timer(0.2, release.set).start()
        started = time.monotonic()
        made = asked(many, served(hold), [[1.0] * 256] * 20)
    away = [one for one in made if isinstance(one, Problem)]
    assert {one.status for one in away} == {503}
    assert dict(away[0].headers)[b"retry-after"].isdigit()
    assert len(away) + sum(one == [1.0] * 256 for one in made) == 20
    assert time.monotonic() - started < 5


def test_a_function_that_asks_another_server_is_never_called_on_the_loop() -> None:
    """Known to be quick or not: nobody knows how long the next answer takes."""
    threads: list[threading.Thread] = []

    def far(model: Model, area: Floats) -> Floats:
        threads.append(threading.current_thread())
        return area

    predictor: Any = SimpleNamespace(is_remote=True)
    asks = service("far", far, [], [Asked(name="area", annotation=np.ndarray)], np.ndarray)
    with gathering(expected_s=0.0001) as many:
        active = Active(service=asks, arguments={"model": Model(predictor=predictor)})
        assert rounds(many, active, [[1.0]], [[2.0], [3.0]]) == [[[1.0]], [[2.0], [3.0]]]
    assert threading.main_thread() not in threads


def test_what_is_quick_is_found_by_doubling_and_lost_after_two_slow_calls_in_a_row() -> None:
    quick = Quick(None)
    assert quick.rows == 0
    quick.noted(1, 1.0, on_loop=False)
    assert quick.rows == 0
    for rows, most in ((1, 2), (2, 4), (4, 8)):
        quick.noted(rows, INLINE_S / 10, on_loop=rows > 1)
        assert quick.rows == most
    quick.noted(8, INLINE_S * 0.9, on_loop=True)
    assert quick.rows == 8
    quick.noted(8, 1.0, on_loop=True)
    assert quick.rows == 8
    quick.noted(8, 1.0, on_loop=True)
    assert quick.rows == 4
