"""The scheduler of batches: what holds for every load (properties), and what it does for the loads that people have (cases)."""

from __future__ import annotations

import math
import random
from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedplate.planner.batching.breaker import Breaker, Trust
from bedplate.planner.batching.pace import Pace
from bedplate.planner.batching.records import Arrived, Batch, Decision, Ended, Gone, Rules
from bedplate.planner.batching.scheduler import Scheduler
from bedplate.planner.batching.simulation import Played, play, poisson

CALL_S, ROW_S = 0.001, 0.0005


def takes(batch: Batch) -> float:
    return CALL_S + batch.rows * ROW_S


class Watched(Scheduler):
    """A scheduler whose decisions are kept, each with its time and what waited."""

    def __init__(self, rules: Rules, pace: Pace | None = None) -> None:
        super().__init__(rules, pace)
        self.decisions: list[tuple[float, Decision]] = []

    def schedule(self, now: float) -> Decision:
        decision = super().schedule(now)
        self.decisions.append((now, decision))
        return decision


requests = st.lists(
    st.tuples(
        st.floats(0, 0.05),
        st.integers(1, 300),
        st.integers(0, 2),
        st.one_of(st.none(), st.floats(0.0, 0.3)),
    ),
    max_size=60,
)
rules = st.builds(
    Rules,
    rows=st.integers(1, 64),
    turn=st.integers(0, 32),
    together=st.integers(1, 3),
    queue=st.integers(1, 40),
    seconds=st.sampled_from([0.0, 0.002, 0.02]),
    step_s=st.sampled_from([0.0, 0.01, 0.1]),
)


def load(given: list[tuple[float, int, int, float | None]]) -> list[Arrived]:
    at, made = 0.0, []
    for id, (gap, rows, priority, within) in enumerate(given):
        at += gap
        made.append(Arrived(id, rows, at, priority, None if within is None else at + within))
    return made


@settings(deadline=None, max_examples=150)
@given(requests, rules)
def test_no_request_is_lost_or_answered_twice(given: list[tuple[float, int, int, float | None]], rules: Rules) -> None:
    """Every row of every request is in exactly one batch, or the request was refused, once; and nothing is left behind."""
    asked = load(given)
    scheduler = Watched(rules)
    played = play(scheduler, asked, takes)
    rows: dict[int, list[int]] = defaultdict(list)
    refused: list[int] = []
    for _, decision in scheduler.decisions:
        refused += [refusal.id for refusal in decision.refused]
        for batch in decision.start:
            for part in batch.parts:
                rows[part.id] += range(part.begin, part.end)
    assert len(set(refused)) == len(refused)
    for one in asked:
        done = rows[one.id]
        assert done == list(range(len(done))), "in order, none twice"
        assert (len(done) == one.rows) != (one.id in refused)
    assert (scheduler.waiting, scheduler.waiting_rows, scheduler.running) == (0, 0, 0)
    assert len(played.latency) + played.late + played.full == len(asked)


@settings(deadline=None, max_examples=150)
@given(requests, rules)
def test_batches_are_bounded_and_no_more_run_than_may(given: list[tuple[float, int, int, float | None]], rules: Rules) -> None:
    """No batch is larger than allowed or than it can do in the time allowed, each has a row, and no more wait than the queue holds."""
    scheduler = Watched(rules, Pace(CALL_S, ROW_S))
    most = 0

    class Counting(Watched):
        def schedule(self, now: float) -> Decision:
            nonlocal most
            decision = super().schedule(now)
            most = max(most, self.running)
            assert self.waiting <= rules.queue
            return decision

    scheduler = Counting(rules, Pace(CALL_S, ROW_S))
    play(scheduler, load(given), takes)
    assert most <= rules.together
    for _, decision in scheduler.decisions:
        for batch in decision.start:
            assert 1 <= batch.rows <= rules.rows
            assert batch.rows == sum(part.end - part.begin for part in batch.parts)
            if rules.seconds and batch.rows > 1:
                assert takes(batch) <= rules.seconds * 1.001


@settings(deadline=None, max_examples=150)
@given(requests, rules)
def test_nothing_is_spent_on_a_request_past_its_deadline(given: list[tuple[float, int, int, float | None]], rules: Rules) -> None:
    """No row of a request is started at or after its deadline, or when it is known that the answer would come after it."""
    asked = load(given)
    scheduler = Watched(rules, Pace(CALL_S, ROW_S))
    play(scheduler, asked, takes)
    for now, decision in scheduler.decisions:
        for batch in decision.start:
            for part in batch.parts:
                deadline = asked[part.id].deadline
                assert deadline is None or now < deadline


@settings(deadline=None, max_examples=150)
@given(requests, rules)
def test_within_a_class_requests_start_in_the_order_of_their_coming(
    given: list[tuple[float, int, int, float | None]], rules: Rules
) -> None:
    """A request's first rows are never started before those of one of its class that came earlier and was not refused."""
    asked = load(given)
    scheduler = Watched(rules)
    play(scheduler, asked, takes)
    begun: dict[int, list[int]] = defaultdict(list)
    for _, decision in scheduler.decisions:
        for batch in decision.start:
            for part in batch.parts:
                if part.begin == 0:
                    begun[asked[part.id].priority].append(part.id)
    assert all(order == sorted(order) for order in begun.values())


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 3), st.integers(8, 64), st.floats(0.5, 0.95))
def test_nobody_starves(priority: int, rows: int, share: float) -> None:
    """The lowest class waits for its handicap and what stood before it, however long the highest class keeps coming."""
    rules = Rules(rows=rows, step_s=0.05, queue=10_000)
    gap = (CALL_S + ROW_S) / share
    steady = [Arrived(id, 1, id * gap, 0) for id in range(1, 2000)]
    poor = Arrived(0, 1, 0.0, priority)
    scheduler = Watched(rules)
    play(scheduler, [poor, *steady], takes)
    started = next(now for now, decision in scheduler.decisions for batch in decision.start if any(part.id == 0 for part in batch.parts))
    assert started <= priority * rules.step_s + 0.05


def test_a_lone_request_starts_at_once() -> None:
    """There is no timer: with nothing running, what came is started by the very next decision."""
    scheduler = Scheduler(Rules(rows=64))
    scheduler.update(Arrived(1, 1, 5.0))
    decision = scheduler.schedule(5.0)
    assert [part.id for part in decision.start[0].parts] == [1]
    assert decision.look_at is None


def test_while_the_model_is_busy_requests_gather() -> None:
    """The next batch takes all that came meanwhile."""
    scheduler = Scheduler(Rules(rows=64))
    scheduler.update(Arrived(1, 1, 0.0))
    (first,) = scheduler.schedule(0.0).start
    for id in range(2, 12):
        scheduler.update(Arrived(id, 1, 0.001))
    assert scheduler.schedule(0.001).start == ()
    scheduler.update(Ended(first.id, 0.002))
    (second,) = scheduler.schedule(0.002).start
    assert [part.id for part in second.parts] == list(range(2, 12))


def test_a_small_request_passes_a_big_one() -> None:
    """F65: A request of ten thousand rows is answered in turns: one row that comes behind it waits for one batch, not for all."""
    scheduler = Watched(Rules(rows=64))
    play(scheduler, [Arrived(0, 10_000, 0.0), Arrived(1, 1, 0.0001)], takes)
    small = next(at for at, (_, decision) in enumerate(scheduler.decisions) for b in decision.start if any(p.id == 1 for p in b.parts))
    assert sum(len(decision.start) for _, decision in scheduler.decisions[:small]) == 1


def test_big_requests_go_on_beside_small_ones() -> None:
    """F65: Nor do small requests starve a big one: it gets its turn in each batch."""
    small = list(poisson(1000, 3000, random.Random(3).random))
    big = Arrived(10_000, 640, 0.01)
    scheduler = Watched(Rules(rows=32))
    play(scheduler, sorted([*small, big], key=lambda one: one.at), takes)
    ends = max(now for now, decision in scheduler.decisions for b in decision.start if any(p.id == 10_000 for p in b.parts))
    assert ends < 2.0 < small[-1].at


def test_a_full_queue_sheds_and_says_when_to_come_back() -> None:
    """The newcomer is refused with the time that what waits takes; a newcomer of a higher class takes the last one's place."""
    scheduler = Scheduler(Rules(rows=1, queue=2), Pace(0.0, 0.5))
    for id in range(4):
        scheduler.update(Arrived(id, 1, 0.0, 1))
        if id == 0:
            scheduler.schedule(0.0)
    decision = scheduler.schedule(0.0)
    assert [(one.id, one.why, one.retry_s) for one in decision.refused] == [(3, "full", 1.0)]
    scheduler.update(Arrived(9, 1, 0.0, 0))
    assert [one.id for one in scheduler.schedule(0.0).refused] == [2]


def test_whoever_is_gone_costs_nothing() -> None:
    """A client that vanished before its rows were started is in no batch; one that is unknown changes nothing."""
    scheduler = Scheduler(Rules())
    scheduler.update(Arrived(1, 5, 0.0))
    scheduler.update(Gone(1))
    scheduler.update(Gone(77))
    assert scheduler.schedule(0.0) == Decision()
    assert scheduler.waiting_rows == 0


def test_a_failed_batch_takes_the_rest_of_its_requests_along() -> None:
    """What waits of a request whose earlier rows have no answer is not worked on."""
    scheduler = Scheduler(Rules(rows=4))
    scheduler.update(Arrived(1, 100, 0.0))
    (batch,) = scheduler.schedule(0.0).start
    scheduler.update(Ended(batch.id, 0.1, failed=True))
    assert (scheduler.waiting, scheduler.schedule(0.1).start) == (0, ())


def test_what_waits_is_shared_between_the_batches_that_may_run() -> None:
    """Two workers and eight requests: four each."""
    scheduler = Scheduler(Rules(rows=64, together=2))
    for id in range(8):
        scheduler.update(Arrived(id, 1, 0.0))
    assert [batch.rows for batch in scheduler.schedule(0.0).start] == [4, 4]


def test_the_queue_does_not_grow_by_those_that_wait_no_more() -> None:
    """Where a model hangs, requests that are refused for their deadline leave nothing behind."""
    scheduler = Scheduler(Rules(rows=1, queue=10))
    for id in range(5000):
        scheduler.update(Arrived(id, 1, id * 1.0, 0, id * 1.0 + 0.5))
        scheduler.schedule(id * 1.0)
    assert sum(map(len, scheduler._queues.values())) < 200
    assert len(scheduler._due) < 200


def test_pace_learns_the_call_and_the_row() -> None:
    """From batches of several sizes both are known within a few per cent; from equal ones the whole is."""
    pace = Pace()
    for rows in (1, 32, 8, 64, 16, 2, 32):
        pace.learn(rows, 0.001 + rows * 0.0002)
    assert pace.call_s == pytest.approx(0.001, rel=0.01)
    assert pace.row_s == pytest.approx(0.0002, rel=0.01)
    alike = Pace()
    for _ in range(5):
        alike.learn(4, 0.008)
    assert alike.seconds(4) == pytest.approx(0.008)
    assert alike.rows_within(0.02) == 10
    assert Pace().rows_within(1.0) > 1_000_000


def test_a_queue_of_single_rows_is_as_theory_says() -> None:
    """M/D/1 at 70 %: the mean wait is rho * s / (2 (1 - rho)) (Pollaczek and Khinchine), within a tenth."""
    service, rho = 0.001, 0.7
    scheduler = Scheduler(Rules(rows=1, queue=1 << 20))
    played = play(scheduler, poisson(rho / service, 60_000, random.Random(11).random), lambda batch: service)
    mean = sum(played.latency) / len(played.latency) - service
    assert mean == pytest.approx(rho * service / (2 * (1 - rho)), rel=0.1)
    assert played.busy == pytest.approx(rho, rel=0.03)


def test_batching_carries_a_load_that_single_rows_cannot() -> None:
    """At more than twice what one row at a time can do, batches of up to 64 answer all, and quickly."""
    load = list(poisson(1500, 4000, random.Random(5).random))
    one = play(Scheduler(Rules(rows=1, queue=64)), load, takes)
    many = play(Scheduler(Rules(rows=64, queue=64)), load, takes)
    assert one.full > 1000, one.full
    assert (many.full, many.late) == (0, 0)
    assert many.percentile(0.95) < 0.5
    assert many.rows_a_batch > 2


def test_overload_is_answered_with_goodput() -> None:
    """At ten times the capacity those that are answered are as many as the model can do, each before its deadline."""
    load = list(poisson(20_000, 20_000, random.Random(5).random, within=0.1))
    played = play(Scheduler(Rules(rows=64, queue=256)), load, takes)
    assert played.busy > 0.95
    assert played.percentile(1.0) <= 0.1 + takes(Batch(0, (), 64))
    assert len(played.latency) > 0.9 * 1.0 / takes(Batch(0, (), 64)) * 64


def test_nothing_asked_is_nothing_played() -> None:
    """An empty load has no percentiles, and is no error."""
    played = play(Scheduler(Rules()), [], takes)
    assert math.isnan(played.percentile(0.95))
    assert played == Played(latency=(), late=0, full=0, batches=0, rows=0, busy=0.0)


def test_a_model_whose_processes_die_is_left_alone_for_growing_pauses() -> None:
    """Three deaths open the breaker, a trial after the pause decides: death doubles the pause, an answer closes it."""
    breaker = Breaker(Trust(most=3, pause_s=1.0, longest_s=3.0))
    breaker.failed(0.0)
    breaker.failed(0.0)
    assert (breaker.is_open, breaker.wait_s(0.0)) == (False, 0.0)
    breaker.failed(0.0)
    assert (breaker.wait_s(0.0), breaker.wait_s(1.0)) == (1.0, 0.0)
    breaker.failed(1.0)
    assert breaker.wait_s(1.0) == 2.0
    breaker.failed(3.0)
    assert breaker.wait_s(3.0) == 3.0
    breaker.worked()
    assert (breaker.is_open, breaker.wait_s(3.0)) == (False, 0.0)
