"""One instance simulated: its requests, its queue, and how it agrees with the closed form that searches."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from bedplate.assembly import knowledge
from bedplate.planner.asking.questions import Limits, Serve
from bedplate.planner.search.carrying import MOST_RUNNING, Instance
from bedplate.planner.search.instances import instances
from bedplate.planner.search.offers import offers
from bedplate.planner.serving.iteration import iteration
from bedplate.planner.serving.loop import Delays, Demand
from bedplate.planner.serving.pace import Pace
from bedplate.planner.serving.simulation import Played, play, times
from bedplate.planner.serving.traffic import Traffic, lengths, longest_of, traffic

KNOWN = knowledge()
ASKED = Serve(model="Llama-3.1-8B", isl=1000, osl=200, rate=1, limits=Limits(on=("H100-SXM5-80GB",), terms=("on-demand",)))
NONE = Delays(client=0.0, batching=0.0, burst=0.0, crowd=0.0, slot=0.0, spill=0.0)


def _instance(question: Serve = ASKED) -> Instance:
    offer = offers(question.limits, KNOWN.systems, ("on-demand",))[0]
    return next(iter(instances(question, KNOWN.architecture(question.model), offer, KNOWN)))


ONE = _instance()


def _played(one: Instance, rate: float, cv: float = 0.0, counted: int = 1000) -> Played:
    edge = max(20, math.ceil(one.at(rate).running))
    drawn = traffic(
        counted + 3 * edge, rate=rate, isl=float(one.demand.isl), osl=float(one.demand.osl), cv=cv, generator=np.random.default_rng(5)
    )  # fmt: skip
    return play(one.machine, one.demand, drawn, most=MOST_RUNNING, edge=edge, draft=one.draft)


def test_lengths_by_hand() -> None:
    """cv 1: s^2 = ln 2 = 0.693, so 99 of 100 are below 1000 exp(0.8326 x 2.3263 - 0.3466) = 4,907 tokens; cv 0 makes them all alike."""
    assert longest_of(1000, 1.0) == pytest.approx(4907, rel=1e-3)
    drawn = traffic(4000, rate=2.0, isl=1000, osl=200, cv=1.0, generator=np.random.default_rng(1))
    assert drawn.prompts.mean() == pytest.approx(1000)
    assert np.percentile(drawn.prompts, 99) == pytest.approx(4907, rel=0.02)
    assert drawn.prompts.std() == pytest.approx(1000, rel=0.1)
    assert drawn.arrive[-1] == pytest.approx(4000 / 2.0)
    assert set(lengths(300, 0.0, np.array([-1.0, 0.0, 2.0]))) == {300.0}


def test_long_prompts_scatter_only_as_far_as_the_model_reads() -> None:
    """Prompts of 60,000 tokens on average before an end at 100,000: s = 2.326 - sqrt(2.326^2 - 2 ln(100 / 60)) = 0.231, not the 0.833 of
    cv 1, and 99 of 100 are below the end."""
    assert longest_of(60_000, 1.0, 100_000) == pytest.approx(100_000)
    drawn = lengths(60_000, 1.0, np.random.default_rng(4).permutation(np.linspace(-2.5, 2.5, 2001)), 100_000)
    assert np.log(drawn).std() == pytest.approx(0.231 * np.linspace(-2.5, 2.5, 2001).std(), rel=0.02)
    assert drawn.mean() == pytest.approx(60_000, rel=0.01)
    assert drawn.max() <= 100_000


def test_percentiles_count_weights_by_hand() -> None:
    """Nine tenths of the weight at 1, the last tenth at 5: the mean is 1.4, and 90 of 100 stay below 1."""
    found = times(np.array([5.0, 1.0]), np.array([1.0, 9.0]))
    assert (found.mean, found.p50, found.p90, found.p99) == (pytest.approx(1.4), 1.0, 1.0, 5.0)


@pytest.mark.parametrize("share", [0.05, 0.4])
def test_a_light_load_gets_what_the_closed_form_says(share: float) -> None:
    """Within 6 %: nothing queues, so that both ask the same iterations."""
    rate = share * ONE.full_rps
    closed, found = ONE.at(rate), _played(ONE, rate)
    assert found.tpot.mean == pytest.approx(closed.tpot_s, rel=0.06)
    assert found.ttft.mean == pytest.approx(closed.ttft_s, rel=0.06)
    assert found.running == pytest.approx(closed.running, rel=0.06)


def test_requests_that_run_are_little_s_law() -> None:
    """Rate x (answer less its first token) x time a token, of what was played itself."""
    rate = 0.6 * ONE.full_rps
    found = _played(ONE, rate)
    assert found.running == pytest.approx(rate * (ASKED.osl - 1) * found.tpot.mean, rel=0.05)


def test_a_load_beyond_what_it_carries_makes_a_queue_that_grows() -> None:
    """Half as much again as there is room for: who comes later waits longer, without end."""
    short, long = (_played(ONE, 1.5 * ONE.full_rps, counted=n) for n in (4000, 8000))
    assert long.queue.mean > 1.5 * short.queue.mean > 100
    assert long.ttft.mean > 1.5 * short.ttft.mean
    assert short.ttft.mean > 3 * ONE.at(ONE.full_rps).ttft_s


def test_prompts_one_by_one_are_an_m_d_1_queue_by_hand() -> None:
    """Answers of one token, prompts that fill an iteration of D seconds: at half use the wait is 0.5 D / (2 (1 - 0.5)) = D / 2, so that
    the first token comes after 1.5 D, and 0.5 x 0.5 = 0.25 requests wait (Pollaczek-Khinchine)."""
    demand = Demand(isl=4096.0, osl=1.0, chunk=4096.0)
    machine = msgspec.structs.replace(ONE.machine, delays=NONE)
    pace = Pace(machine, demand, None, 1)
    seconds = pace.decode[1] + pace.mixed(1, 4096.0, 1)
    drawn = traffic(6000, rate=0.5 / seconds, isl=4096.0, osl=1.0, cv=0.0, generator=np.random.default_rng(2))
    found = play(machine, demand, drawn, most=1024, edge=100)
    assert found.ttft.mean == pytest.approx(1.5 * seconds, rel=0.05)
    assert found.queue.mean == pytest.approx(0.25, rel=0.12)
    assert found.busy == pytest.approx(0.5, rel=0.04)
    assert found.ttft.p50 >= seconds * 0.99


def test_requests_without_room_wait_outside() -> None:
    """Caches for three requests: no more run, whatever waits."""
    work, context = ONE.machine.work, float(ONE.demand.context)
    held = msgspec.structs.replace(ONE.machine.memory, available=3.1 * (work.kv_held + work.held_window) * context)
    machine = msgspec.structs.replace(ONE.machine, memory=held)
    drawn = traffic(1000, rate=0.5 * ONE.full_rps, isl=1000, osl=200, cv=0.0, generator=np.random.default_rng(3))
    found = play(machine, ONE.demand, drawn, most=MOST_RUNNING, edge=20)
    assert 2.5 < found.running <= 3.0
    assert 0.8 < found.caches <= 1.0
    assert found.queue.mean > 10


def test_the_same_requests_get_the_same_times_and_less_load_is_never_slower() -> None:
    rates = [share * ONE.full_rps for share in (0.3, 0.5, 0.7)]
    found = [_played(ONE, rate, cv=1.0) for rate in rates]
    assert found[0] == _played(ONE, rates[0], cv=1.0)
    for name in ("ttft", "tpot", "gap"):
        tails = [getattr(one, name).p99 for one in found]
        assert tails == sorted(tails), name


def test_cached_prefixes_and_alike_lengths_are_sooner() -> None:
    rate = 0.5 * ONE.full_rps
    cached = _played(_instance(msgspec.structs.replace(ASKED, prefix_hit=0.8)), rate)
    assert cached.ttft.mean < 0.8 * _played(ONE, rate).ttft.mean
    assert _played(ONE, rate).ttft.p99 < _played(ONE, rate, cv=1.0).ttft.p99


@pytest.mark.parametrize("context", [400.0, 1100.0, 3000.0])
def test_the_table_reads_what_an_iteration_takes(context: float) -> None:
    """Between its points too, within 2 %."""
    work, rates, demand = ONE.machine.work, ONE.machine.rates, ONE.demand
    pace = Pace(ONE.machine, demand, None, 512)
    for running in (1, 13, 77, 400):
        alone = iteration(work, rates, sequences=float(running), context=context).total
        assert pace.decode[running] + pace.slope[running] * (context - pace.context) == pytest.approx(float(alone), rel=0.02)
        for tokens in (50.0, 700.0, 8000.0):
            mixed = iteration(
                work, rates, sequences=float(running), context=pace.context, prefill=tokens, prefill_context=pace.looked
            ).total
            assert pace.decode[running] + pace.mixed(running, tokens, 1) == pytest.approx(float(mixed), rel=0.02)


def test_a_long_prompt_takes_an_iteration_for_each_chunk() -> None:
    """Twice the chunk, alone: two iterations, the second of which looks back at the first."""
    chunk = float(ONE.demand.chunk)
    demand = Demand(isl=2 * chunk, osl=2.0, chunk=chunk)
    pace = Pace(ONE.machine, demand, None, 2)
    alone = Traffic(np.array([0.0, 1e3, 2e3]), np.full(3, 2 * chunk), np.full(3, 2.0))
    found = play(msgspec.structs.replace(ONE.machine, delays=NONE), demand, alone, most=8, edge=0)
    assert found.ttft.mean == pytest.approx(2 * (pace.decode[1] + pace.mixed(1, chunk, 1)), rel=0.01)
