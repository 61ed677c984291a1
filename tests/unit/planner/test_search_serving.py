"""The search for a way to serve: what must hold of every answer, whatever the constants are."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
import pytest

from bedplate.assembly import knowledge
from bedplate.core.errors import UserError
from bedplate.planner.asking.questions import Batch, Limits, Serve
from bedplate.planner.asking.sizing import Design, Sizing
from bedplate.planner.facts.knowledge import Knowledge
from bedplate.planner.kernels.limits import attainable
from bedplate.planner.search import size
from bedplate.planner.search.carrying import HEADROOM, Instance, at, rows_of, steady
from bedplate.planner.search.instances import instances
from bedplate.planner.search.offers import Offer, offers
from bedplate.planner.serving.loop import open_loop

KNOWN = knowledge()
CHIP = "H100-SXM5-80GB"
H100 = Limits(on=(CHIP,), terms=("on-demand",))
MODEL = "Llama-3.1-8B"
ASKED = Serve(model=MODEL, isl=1000, osl=200, rate=200, ttft_s=1.0, tpot_s=0.05, limits=H100)
MANY = Batch(model=MODEL, isl=500, osl=500, requests=1e6, limits=H100)


def _ask(question: Serve | Batch = ASKED, known: Knowledge = KNOWN, **changed: object) -> Sizing:
    return size(msgspec.structs.replace(question, **changed), known)


def _best(answer: Sizing) -> Design:
    assert answer.best is not None, answer.conflict
    return answer.best


def _instances(question: Serve, per_node: int = 8) -> list[Instance]:
    offer = next(o for o in offers(question.limits, KNOWN.systems, ("on-demand",)) if o.per_node == per_node and o.node)
    return list(instances(question, KNOWN.architecture(question.model), offer, KNOWN))


def _changed(**fields: float | dict[str, float]) -> Knowledge:
    """The knowledge with another H100."""
    chip = msgspec.structs.replace(KNOWN.systems.accelerator(CHIP), **fields)
    systems = msgspec.structs.replace(KNOWN.systems, accelerators={**KNOWN.systems.accelerators, CHIP: chip})
    return msgspec.structs.replace(KNOWN, systems=systems)


@pytest.mark.parametrize(("model", "isl"), [("Llama-3.1-70B", 24_000), (MODEL, 32_000), (MODEL, 100_000), ("Llama-3.1-70B", 120_000)])
def test_long_prompts_are_answered(model: str, isl: int) -> None:
    """Retrieval puts 24 to 128 thousand tokens into a prompt; an instance may hold a single one of them."""
    assert _best(_ask(model=model, isl=isl, osl=300, rate=1, ttft_s=None, tpot_s=None)).n_accel >= 1


def test_an_instance_holds_at_least_one_whole_request() -> None:
    """70B in bf16 leaves no room for 120,000 tokens on two H100: four or more are taken."""
    one = msgspec.structs.replace(ASKED, model="Llama-3.1-70B", isl=120_000, osl=300)
    assert min(i.layout.n_accel for i in _instances(one)) >= 4


def test_a_prompt_beyond_the_context_is_refused_in_words() -> None:
    """Llama 3.1 reads and writes 131,072 tokens together."""
    with pytest.raises(UserError, match="more than the context") as caught:
        _ask(isl=131_000, osl=100)
    assert "131,072" in caught.value.why
    assert _best(_ask(isl=130_972, osl=100, rate=0.1, ttft_s=None)).n_accel >= 1


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"engine": "pytorchx"}, "no serving engine 'pytorchx'"), ({"model": "Whisper-Large-v3"}, "does not write tokens"),
        ({"rate": 1e12}, "rate is 1e"), ({"rate": math.inf}, "rate is inf"), ({"months": math.nan}, "months is nan"),
        ({"isl": 0.5}, "isl is 0.5"), ({"tpot_s": 0.0}, "tpot_s is 0"), ({"prefix_hit": 1.5}, "prefix_hit is 1.5"),
        ({"prefix_hit": 1.0}, "prefix_hit is 1"),
    ],
)  # fmt: skip
def test_a_question_without_an_answer_is_refused_in_words(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        _ask(**changed)


@pytest.mark.parametrize("model", ["FLUX.1-dev", "BERT-large", "ViT-B/16"])
def test_only_models_that_write_tokens_are_asked_for_them(model: str) -> None:
    with pytest.raises(UserError, match=f"does not belong to {KNOWN.architecture(model).name}"):
        _ask(model=model)


def test_exactly_so_many_accelerators_are_used_online_and_offline() -> None:
    for question in (ASKED, MANY):
        best = _best(_ask(question, limits=msgspec.structs.replace(H100, gpus=48)))
        assert (best.n_accel, best.quantities["accelerators"].value) == (48, 48)


def test_too_few_accelerators_are_named_as_the_conflict() -> None:
    answer = _ask(rate=2000, limits=msgspec.structs.replace(H100, gpus=4))
    assert answer.best is None
    assert answer.conflict[0].startswith("accelerators: exactly 4 (the least")


def test_a_number_that_no_instance_divides_is_told_what_does() -> None:
    with pytest.raises(UserError, match="exactly 7") as caught:
        _ask(model="Llama-3.1-70B", rate=1, limits=msgspec.structs.replace(H100, gpus=7))
    assert caught.value.next == "--gpus 6"


def test_all_that_are_allowed_may_be_used_offline() -> None:
    """100 is no power of two."""
    limits = msgspec.structs.replace(H100, max_gpus=100, budget_usd=1e6)
    assert _best(_ask(MANY, requests=1e8, limits=limits)).n_accel == 100


def test_whole_instances_of_a_cloud_are_billed() -> None:
    """p5en.48xlarge has eight H200: one of them costs as much as all."""
    limits = Limits(on=("p5en.48xlarge",), terms=("on-demand",))
    cost = {n: _best(_ask(MANY, requests=1e5, limits=msgspec.structs.replace(limits, gpus=n))).quantities for n in (1, 8)}
    hours = {n: one["time_s"].value / 3600 for n, one in cost.items()}
    assert cost[1]["cost_usd"].value / hours[1] == pytest.approx(cost[8]["cost_usd"].value / hours[8])


def test_machines_too_slow_for_the_latency_limits_are_named_and_left_out() -> None:
    answer = _ask(model="Llama-3.1-70B", isl=2000, tpot_s=0.03, limits=Limits(terms=("on-demand",)))
    for design in answer.options:
        assert design.quantities["tpot_p99_s"].value <= 0.03
        assert design.quantities["ttft_p99_s"].value <= 1.0
    assert any(told.startswith("no number of ") and "L40S" in told for told in answer.reasons)
    assert "L40S" not in {design.accelerator for design in answer.options}


def test_designs_that_break_another_limit_say_which() -> None:
    answer = _ask(model="Llama-3.1-70B", isl=2000, limits=Limits(terms=("on-demand",), max_power_w=3e5))
    broken = [design for design in answer.options if not design.feasible]
    assert broken
    assert all(design.lost.startswith("power: at most 300 kW") for design in broken)
    assert all(design.quantities["power_w"].value <= 3e5 for design in answer.options if design.feasible)


@pytest.mark.parametrize("field", ["mem_gb", "mem_gbs", "scaleup_gbs"])
def test_more_of_anything_never_needs_more_instances(field: str) -> None:
    """The boundary is found by cutting, not on a coarse grid."""
    now = getattr(KNOWN.systems.accelerator(CHIP), field)
    costs = [_best(_ask(known=_changed(**{field: now * k}))).quantities["cost_usd"].value for k in (1, 1.25, 1.5, 2, 3)]
    assert costs == sorted(costs, reverse=True)


def test_more_arithmetic_never_needs_more_instances() -> None:
    """With the power that it takes: a board of the same power throttles."""
    chip = KNOWN.systems.accelerator(CHIP)
    rates = {field: getattr(chip, field) for field in ("tflops", "measured_tflops")}
    costs = []
    for k in (1, 1.5, 2, 3):
        quicker = {field: {name: k * rate for name, rate in found.items()} for field, found in rates.items()}
        costs.append(_best(_ask(known=_changed(tdp_w=k * (chip.tdp_w or 0), **quicker))).quantities["cost_usd"].value)
    assert costs == sorted(costs, reverse=True)


def test_longer_prompts_are_never_quicker() -> None:
    states = [_best(_ask(isl=isl, rate=1)).quantities for isl in (10, 100, 1000, 4000)]
    for name in ("ttft_s", "tpot_s"):
        found = [one[name].value for one in states]
        assert found == sorted(found), name


def test_latencies_are_those_of_the_rate_that_was_asked() -> None:
    """An instance with little to do is quicker than at the most it carries."""
    calm, busy = (_best(_ask(rate=rate)) for rate in (0.1, 10))
    assert calm.n_accel == busy.n_accel
    assert calm.quantities["tpot_s"].value < busy.quantities["tpot_s"].value
    assert calm.quantities["ttft_s"].value < busy.quantities["ttft_s"].value


def test_a_state_is_that_of_an_open_loop_at_its_rate() -> None:
    """Found from its end, without the damped passes of `open_loop`, which come within 2 % at these loads."""
    one = _instances(ASKED)[0]
    state = steady(rows_of([one]), np.array([[2.0, 8.0, 16.0]]))
    machine = one.machine
    quiet = msgspec.structs.replace(machine.delays, burst=0.0, crowd=0.0, slot=0.0)
    looped = open_loop(machine.work, machine.rates, quiet, one.demand, rate=state.requests_per_s, room=one.room)
    np.testing.assert_allclose(state.tpot, looped.tpot, rtol=0.02)
    np.testing.assert_allclose(state.ttft, looped.ttft, rtol=0.02)


def test_layouts_together_have_the_states_that_each_has_alone() -> None:
    """Rows of arrays do not mix: rates, rooms and times are those of one layout at a time."""
    ones = _instances(ASKED)
    rates = [one.rps / (i + 2) for i, one in enumerate(ones)]
    for one, rate, state in zip(ones, rates, at(ones, rates), strict=True):
        alone = one.at(rate)
        assert (state.running, state.rps, state.ttft_s) == pytest.approx((alone.running, alone.rps, alone.ttft_s), rel=1e-9)
        assert msgspec.structs.asdict(state.decode) == pytest.approx(msgspec.structs.asdict(alone.decode), rel=1e-9)


def test_an_instance_keeps_headroom_and_the_limits() -> None:
    for one in _instances(ASKED):
        assert one.rps <= HEADROOM * one.full_rps * (1 + 1e-6)
        assert one.at(one.rps).rps == pytest.approx(one.rps, rel=1e-3)


def test_what_an_instance_carries_is_a_range_of_accelerators_and_money() -> None:
    """And the rate that is asked is exact: it is kept to, with more instances or fewer."""
    answer = _ask()
    best = _best(answer).quantities
    assert best["output_tokens_per_s"].low == best["output_tokens_per_s"].value == ASKED.rate * ASKED.osl
    for name in ("accelerators", "cost_usd"):
        assert best[name].low < best[name].value < best[name].high
    known = next(one for one in answer.sensitivities if one.name == "how well the speed is known")
    assert (known.low_input, known.low < known.high) == (f"{best['accelerators'].low:.0f} accelerators", True)


def test_what_binds_says_what_a_tenth_more_saves_or_nothing_binds() -> None:
    answer = _ask(tpot_s=0.015)
    assert answer.binding is not None
    assert (answer.binding.constraint, answer.binding.gain is not None and answer.binding.gain > 0) == ("time per token", True)
    assert _ask(rate=0.1, tpot_s=1.0, ttft_s=10.0).binding is None


def _offer(network: bool) -> Offer:
    offer = next(o for o in offers(H100, KNOWN.systems, ("on-demand",)) if o.per_node == 8 and o.node and o.node.nic_gbps)
    return offer if network else msgspec.structs.replace(offer, node=None)


def test_experts_spread_over_nodes_where_there_is_a_network() -> None:
    """DeepSeek serves V3 with 32 and more expert ranks over nodes (arXiv 2412.19437, section 3.4)."""
    question, arch = msgspec.structs.replace(ASKED, model="DeepSeek-V3"), KNOWN.architecture("DeepSeek-V3")
    wide = {network: {i.layout.attention_dp for i in instances(question, arch, _offer(network), KNOWN)} for network in (True, False)}
    assert {16, 32, 64} <= wide[True]
    assert max(wide[False], default=1) <= 8


def test_no_products_are_quicker_than_the_best_that_the_chip_reaches() -> None:
    best = attainable(KNOWN.systems.accelerator(CHIP), "bf16", KNOWN.constants["kernels"])
    assert best is not None
    for one in _instances(ASKED):
        assert one.machine.rates.dense / one.machine.rates.pace <= best * (1 + 1e-9)


def test_the_last_request_takes_its_whole_time() -> None:
    """Ten requests on a thousand machines are not answered in a thousandth of the time."""
    best = _best(_ask(MANY, requests=10, limits=msgspec.structs.replace(H100, gpus=1024))).quantities
    assert best["time_s"].value - 600 >= MANY.osl * best["tpot_s"].value


def _wide(ranks: int, offer: Offer) -> Instance:
    question = msgspec.structs.replace(ASKED, model="DeepSeek-V3", ttft_s=None, tpot_s=None)
    return next(i for i in instances(question, KNOWN.architecture("DeepSeek-V3"), offer, KNOWN) if i.layout.attention_dp == ranks)


def test_a_token_crosses_the_network_once_for_each_node_that_its_experts_are_on() -> None:
    """By hand, 8 experts of a token over two nodes: the other node is reached with 1 - (1/2)^8 = 0.996, so of 400 Gbit/s a rank (50 GB/s)
    and 450 GB/s within a node the 8 copies of a byte take 0.996 / 50 + 8 / 450 ns: 211 GB/s for all of them."""
    rates, sheet = (one := _wide(16, _offer(network=True)).machine).rates, one.sheet
    assert rates.link / 1e9 == pytest.approx(8 / (0.99609 / 50 + 8 / 450) * _fitted(), rel=1e-3)
    assert sheet.link == 50e9
    links = [_wide(ranks, _offer(network=True)).machine.rates.link for ranks in (16, 32, 64)]
    assert links == sorted(links, reverse=True)


def _fitted() -> float:
    """The fitted share of a link's rate."""
    machine = _instances(ASKED)[0].machine
    return float(machine.rates.link / machine.sheet.link)


@pytest.mark.parametrize(("model", "dense", "experts"), [("gpt-oss-120b", "bf16", "mxfp4"), ("DeepSeek-V3", "fp8", "fp8")])
def test_weights_are_taken_as_they_are_published(model: str, dense: str, experts: str) -> None:
    """Model cards: gpt-oss has its experts in 4 bits, DeepSeek-V3 everything in 8."""
    found = {(one.layout.precision, one.layout.moe_precision) for one in _instances(msgspec.structs.replace(ASKED, model=model))}
    assert found == {(dense, experts)}


def test_a_slow_network_makes_wide_experts_slower() -> None:
    offer = _offer(network=True)
    assert offer.node is not None
    slow = msgspec.structs.replace(offer, node=msgspec.structs.replace(offer.node, nic_gbps=400.0))
    assert _wide(32, slow).full_rps < _wide(32, offer).full_rps


def test_a_large_mixture_is_served_over_wide_experts_where_that_is_cheapest() -> None:
    """On two to eight nodes of H100 each accelerator holds fewer experts and more requests than under tensor parallelism."""
    best = _best(_ask(model="DeepSeek-V3", isl=1000, osl=1000, rate=100, ttft_s=None, tpot_s=None, limits=H100))
    assert best.layout["attention_dp"] >= 16


def test_how_few_instances_stay_when_it_is_quiet_and_how_long_one_more_takes() -> None:
    """Nothing to answer keeps none, the whole rate all. 16 GB over half of 10 Gbit/s take 26 s, the image 12 s, the engine 60 s."""
    busy = _ask(rate=400.0)
    assert busy.best is not None
    for quiet, kept in ((0.0, 0), (400.0, busy.best.layout["instances"])):
        answer = _ask(rate=400.0, quiet_rate=quiet)
        assert answer.best is not None
        assert answer.best.layout["instances when quiet"] == kept
    assert busy.best.quantities["cold_start_s"].value == pytest.approx(98, abs=1)
