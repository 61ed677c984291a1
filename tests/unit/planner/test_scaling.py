"""How many replicas there are: bounds and pauses that hold for every load, and loads that people have, under a simulated clock."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bedplate.planner.scaling.scale import Measured, Past, Scale, begin, scale

RULES = Scale(least=1, most=4, aim=4.0, up_s=3.0, down_s=60.0, idle_s=300.0)
TO_ZERO = Scale(least=0, most=4)
START_S = 2


class Simulated:
    """Replicas that start in two seconds, and a look every second at a load of requests in hand."""

    def __init__(self, rules: Scale, count: int = 1) -> None:
        self.rules, self.now, self.past = rules, 0.0, begin(0.0)
        self.ready, self.starting = count, list[float]()
        self.changes: list[tuple[float, int]] = []

    @property
    def count(self) -> int:
        return self.ready + len(self.starting)

    def go(self, seconds: int, load: Callable[[float], int], late: int = 0) -> None:
        for _ in range(seconds):
            self.now += 1.0
            begun = [at for at in self.starting if at <= self.now]
            self.starting = [at for at in self.starting if at > self.now]
            self.ready += len(begun)
            running = load(self.now) if self.ready else 0
            held = load(self.now) - running
            came = load(self.now)
            seen = Measured(
                at=self.now, ready=self.ready, starting=len(self.starting), running=running, held=held, answered=100, late=late, came=came
            )
            decided = scale(self.rules, self.past, seen)
            self.past = decided.past
            if decided.count != self.count:
                assert decided.why
                self.changes.append((self.now, decided.count))
            while self.count < decided.count:
                self.starting.append(self.now + START_S)
            self.ready -= max(0, self.count - decided.count)


loads = st.lists(st.integers(0, 200), min_size=1, max_size=8)
rules = st.builds(
    lambda least, more, aim, up_s, down_s: Scale(least=least, most=max(1, least + more), aim=aim, up_s=up_s, down_s=down_s, idle_s=30.0),
    st.integers(0, 3), st.integers(0, 4), st.floats(0.5, 16), st.floats(0, 10), st.floats(0, 30),
)  # fmt: skip


@given(rules, loads, st.integers(0, 100))
def test_counts_stay_between_the_bounds_and_changes_keep_their_pauses(rules: Scale, load: list[int], late: int) -> None:
    """Never more than `most`, fewer than `least` or more than twice as many at once; up not within `up_s`, but from none at once."""
    simulated = Simulated(rules, max(1, rules.least))
    for one in load:
        simulated.go(20, steady(one), late)
    before = (-1e9, max(1, rules.least))
    for at, count in simulated.changes:
        assert rules.least <= count <= rules.most
        assert count <= max(2 * before[1], 1)
        if count > before[1] > 0:
            assert at - before[0] >= rules.up_s
        if 0 < count < before[1]:
            assert count == before[1] - 1
        before = (at, count)


@given(rules, loads)
def test_a_request_that_waits_has_a_replica_started_at_the_next_look(rules: Scale, load: list[int]) -> None:
    past = begin(0.0)
    for at, one in enumerate(load, 1):
        decided = scale(rules, past, Measured(at=float(at), ready=0, held=one))
        assert decided.count >= min(1, one)
        past = decided.past


def test_more_load_has_more_replicas_and_less_has_fewer_slowly() -> None:
    simulated = Simulated(RULES)
    simulated.go(30, lambda _: 16)
    assert [count for _, count in simulated.changes] == [2, 3, 4] or simulated.count == 4
    first = simulated.now
    simulated.go(59, lambda _: 1)
    assert simulated.count == 4
    simulated.go(240, lambda _: 1)
    assert simulated.count == 1
    downs = [at for at, _ in simulated.changes if at > first]
    assert all(later - earlier >= RULES.down_s for earlier, later in pairwise(downs))


def test_a_load_that_swings_faster_than_the_pause_changes_nothing_again_and_again() -> None:
    """Ten seconds of 16 requests and ten of none, for five minutes: what was started stays."""
    simulated = Simulated(RULES)
    simulated.go(300, lambda now: 16 if int(now) // 10 % 2 == 0 else 0)
    assert len(simulated.changes) <= 3


def test_late_answers_start_another_where_there_is_a_queue_and_not_where_there_is_none() -> None:
    queued, alone = Simulated(RULES), Simulated(RULES)
    queued.go(10, lambda _: 2, late=10)
    alone.go(10, lambda _: 1, late=10)
    assert queued.count > 1
    assert alone.count == 1


def test_to_none_when_nobody_asks_and_back_for_the_first() -> None:
    simulated = Simulated(TO_ZERO)
    simulated.go(299, lambda _: 0)
    assert simulated.count == 1
    simulated.go(5, lambda _: 0)
    assert simulated.count == 0
    simulated.go(100, lambda _: 0)
    assert simulated.count == 0
    simulated.go(1, lambda _: 1)
    assert simulated.count == 1


def test_one_that_must_be_there_is_never_taken_away() -> None:
    assert scale(RULES, Past(asked_at=0.0, looked_at=999.0), Measured(at=1000.0, ready=1)).count == 1


def steady(load: int) -> Callable[[float], int]:
    """The same load at any time."""
    return lambda _: load
