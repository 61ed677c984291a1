"""Trying again, by cause: the table of the module, line by line."""

from __future__ import annotations

import pytest

from bedplate.core.project import Needs
from bedplate.core.records import Cause
from bedplate.pipeline.retry import Retry, Stop, decide

GB = 10**9


def waits(cause: Cause, retries: int) -> list[float]:
    """The waits before each further try, until it stops; at most ten."""
    found = []
    for number in range(1, 11):
        again = decide(number, cause, Needs(retries=retries))
        if isinstance(again, Stop):
            break
        found.append(again.wait_s)
    return found


@pytest.mark.parametrize(
    ("cause", "retries", "expected"),
    [
        ("code", 0, []),
        ("code", 3, [2, 4, 8]),
        ("code", 7, [2, 4, 8, 16, 32, 60, 60]),
        ("time", 0, []),
        ("time", 2, [2, 4]),
        ("lost", 0, [1]),
        ("lost", 3, [1, 2, 4]),
        ("world", 0, [1]),
        ("world", 2, [1, 2]),
        ("memory", 0, []),
        ("memory", 2, [0, 0]),
        ("user", 5, []),
        ("cancelled", 5, []),
        ("", 5, []),
    ],
)
def test_how_often_and_after_what_wait(cause: Cause, retries: int, expected: list[float]) -> None:
    assert waits(cause, retries) == expected


def test_out_of_memory_gets_twice_the_memory_each_time() -> None:
    needs = Needs(memory_bytes=GB, retries=3)
    limits = [again.needs.memory_bytes for n in (1, 2, 3) if isinstance(again := decide(n, "memory", needs, 5 * GB), Retry)]
    assert limits == [2 * GB, 4 * GB, 8 * GB]
    assert isinstance(decide(4, "memory", needs, 5 * GB), Stop)


def test_without_a_limit_twice_what_it_took_is_asked_for() -> None:
    again = decide(1, "memory", Needs(retries=1), 3 * GB)
    assert isinstance(again, Retry)
    assert again.needs.memory_bytes == 6 * GB
    assert again.reason == "try 2 of 2, with 6.0 GB of memory"
    unknown = decide(1, "memory", Needs(retries=1))
    assert isinstance(unknown, Retry)
    assert unknown.needs.memory_bytes is None


def test_other_needs_stay_as_they_are() -> None:
    needs = Needs(cpu=2, memory_bytes=GB, time_s=5.0, retries=1)
    again = decide(1, "lost", needs)
    assert isinstance(again, Retry)
    assert again.needs == needs


@pytest.mark.parametrize(("cause", "said"), [("code", "no retries"), ("user", "same mistake"), ("cancelled", "cancelled")])
def test_stopping_says_why(cause: Cause, said: str) -> None:
    stop = decide(1, cause, Needs())
    assert isinstance(stop, Stop)
    assert said in stop.reason
