"""Loops, percentiles, simulation, scaling and speculation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedplate.planner.facts.architecture import Architecture, LayerGroup
from bedplate.planner.serving.disagg import Prefilling, Side, disaggregated
from bedplate.planner.serving.loop import Delays, Demand, closed_loop, open_loop
from bedplate.planner.serving.maximum import most_under_limit, offline
from bedplate.planner.serving.percentiles import gap
from bedplate.planner.serving.rates import Rates
from bedplate.planner.serving.records import ServeLayout
from bedplate.planner.serving.scaling import autoscaling, cold_start, replicas
from bedplate.planner.serving.speculative import tokens_per_step
from bedplate.planner.serving.work import per_rank

ARCH = Architecture(
    name="small",
    source="test",
    d_model=4096,
    n_heads=32,
    n_kv_heads=8,
    head_dim=128,
    d_ff=14336,
    vocab_size=128000,
    groups=(LayerGroup(count=32),),
)
RATES = Rates(
    memory=2.5e12, experts=2e12, kv=2e12, dense=5e14, moe=2e14, attention=2e14, link=2e11, alpha=1e-5, layer=2e-5, moe_layer=0.0, step=1e-3,
    sequence=1e-5, prefill_layer=0.0, prefill_moe_layer=0.0, imbalance=0.5, padding=0.0, pace=1.0,
)  # fmt: skip
NONE = Delays(client=0.0, batching=0.0, burst=0.0, crowd=0.0, slot=0.0, spill=0.0)
WORK = per_rank(ARCH, ServeLayout())


@settings(max_examples=40)
@given(st.floats(1, 500), st.floats(16, 8000), st.floats(16, 4000))
def test_little_s_law_holds_in_a_closed_loop(concurrency: float, isl: float, osl: float) -> None:
    """Requests in flight = request rate x (time to first token + answer), within the fixed point's remainder."""
    state = closed_loop(WORK, RATES, NONE, Demand(isl=isl, osl=osl), concurrency=concurrency, room=1e9)
    assert float(state.requests_per_s * (state.ttft + osl * state.tpot)) == pytest.approx(concurrency, rel=0.05)


def test_requests_without_room_wait_outside() -> None:
    """With room for 10 of 50, 40 wait: 40 / rate of the time to first token."""
    crowded = closed_loop(WORK, RATES, NONE, Demand(isl=1000.0, osl=500.0), concurrency=50.0, room=10.0)
    assert float(crowded.running) == pytest.approx(10.0)
    assert float(crowded.ttft) >= 40 / float(crowded.requests_per_s)


@settings(max_examples=40)
@given(st.floats(1, 200), st.floats(1, 4))
def test_more_requests_never_shorten_a_token_nor_lower_throughput(concurrency: float, more: float) -> None:
    few = closed_loop(WORK, RATES, NONE, Demand(isl=1000.0, osl=500.0), concurrency=concurrency, room=1e9)
    many = closed_loop(WORK, RATES, NONE, Demand(isl=1000.0, osl=500.0), concurrency=concurrency * more, room=1e9)
    assert float(many.tpot) >= float(few.tpot) * 0.999
    assert float(many.requests_per_s) >= float(few.requests_per_s) * 0.999


def test_an_open_loop_serves_what_arrives_until_it_is_full() -> None:
    light = open_loop(WORK, RATES, NONE, Demand(isl=500.0, osl=200.0), rate=2.0, room=256.0)
    assert float(light.requests_per_s) == pytest.approx(2.0, rel=0.01)
    heavy = open_loop(WORK, RATES, NONE, Demand(isl=500.0, osl=200.0), rate=1e4, room=256.0)
    assert float(heavy.running) == pytest.approx(256.0)
    assert float(heavy.requests_per_s) < 1e4


def test_a_saturated_prefill_sets_the_rate_of_a_split() -> None:
    """Four hundred requests before one prefill worker: it is never idle, and all but those who decode wait for it."""
    side = Side(WORK, RATES, 1.0)
    split = disaggregated(side, Side(WORK, RATES, 8.0), NONE, isl=8000.0, osl=100.0, concurrency=400.0)
    assert bool(split.saturated)
    assert float(split.requests_per_s) == pytest.approx(1 / float(split.pass_s), rel=0.01)
    assert float(split.requests_per_s * (split.ttft + 100 * split.tpot)) == pytest.approx(400.0)


@settings(max_examples=30)
@given(st.floats(1, 2000), st.floats(1, 8), st.floats(1, 8))
def test_little_s_law_holds_over_both_kinds_of_workers(concurrency: float, before: float, after: float) -> None:
    split = disaggregated(
        Side(WORK, RATES, before), Side(WORK, RATES, after), NONE, isl=1000.0, osl=500.0, concurrency=concurrency
    )  # fmt: skip
    assert float(split.requests_per_s * (split.ttft + 500 * split.tpot)) == pytest.approx(concurrency)
    assert float(split.requests_per_s) * float(split.pass_s) / before <= 1 + 1e-6


def test_the_queue_of_prefill_by_hand() -> None:
    """One rank, passes of 0.2 s, half used: 0.5 x 0.2 / 2 of the pass that runs, 0.2 / 2 x 0.5^(2 - 1) / 0.5 = 0.1 behind it."""
    before = Prefilling(alone=0.2, full=0.2, each=0.2, ranks=1.0, capacity=5.0)
    assert float(before.queue(2.5)) == pytest.approx(0.05 + 0.1)


def test_a_limit_on_the_token_time_binds_the_batch() -> None:
    kept = most_under_limit(WORK, RATES, NONE, Demand(isl=300.0, osl=300.0), room=2000.0, tpot_limit=0.03)
    assert 1 < float(kept) < 2000
    assert float(most_under_limit(WORK, RATES, NONE, Demand(isl=300.0, osl=300.0), room=2000.0, tpot_limit=np.inf)) == 2000.0


def test_waves_that_fit_evenly_are_most_efficient() -> None:
    """One request more than the batch holds costs a wave of its own."""
    even = offline(WORK, RATES, NONE, Demand(isl=100.0, osl=1000.0), requests=256.0, room=256.0)
    odd = offline(WORK, RATES, NONE, Demand(isl=100.0, osl=1000.0), requests=257.0, room=256.0)
    assert float(odd.tokens_per_s) < float(even.tokens_per_s)


def test_gaps_by_hand() -> None:
    """Half a prompt an iteration: exp(-0.5) = 0.61 of the gaps are plain, so the median is (nearly) one; equal prompts make steps."""
    plain = gap(0.3, decode=10.0, prompt=30.0, arrivals=0.5, jitter=0.0)
    assert plain == pytest.approx(10.0)
    assert gap(0.8, decode=10.0, prompt=30.0, arrivals=0.5, jitter=0.0, varied=False) == pytest.approx(40.0, rel=1e-3)


@given(st.floats(0.001, 5), st.floats(0.01, 0.98), st.floats(0.001, 0.019))
def test_gaps_rise_with_the_share(arrivals: float, share: float, more: float) -> None:
    low = gap(share, decode=10.0, prompt=30.0, arrivals=arrivals, jitter=0.05)
    assert gap(share + more, decode=10.0, prompt=30.0, arrivals=arrivals, jitter=0.05) >= low * 0.999 or low > 10.0


def test_speculation_by_hand() -> None:
    """Leviathan et al., equation 1: acceptance 0.8 and 3 drafts give (1 - 0.8^4) / 0.2 = 2.952 tokens a step."""
    assert tokens_per_step(0.8, 3) == pytest.approx(2.952)
    assert tokens_per_step(0.8, 0) == 1.0
    assert tokens_per_step(1.0, 3) == 4.0


def test_replicas_and_cold_start_by_hand() -> None:
    """40/s at 10/s each planned to 0.7: ceil(40 / 7) = 6. 15 GB image at 1.25 GB/s, 140 GB at 7 GB/s, 60 s: 92 s."""
    assert replicas(40.0, 10.0) == 6
    assert cold_start(140e9, 7.0) == pytest.approx(12 + 20 + 60)
    bounds = autoscaling(5.0, 40.0, 10.0, 92.0)
    assert (bounds.least, bounds.most) == (1, 6)
    assert bounds.backlog == pytest.approx((40 - 10) * 92)
    assert autoscaling(0.0, 40.0, 10.0, 92.0, to_zero=True).least == 0
