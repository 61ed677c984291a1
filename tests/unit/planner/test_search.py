"""The search: what must hold of every answer, whatever the constants are."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedplate.assembly import knowledge
from bedplate.core.errors import NotFound, UserError
from bedplate.planner.asking.questions import Batch, Finetune, Limits, Serve, Train
from bedplate.planner.asking.sizing import Design, Sizing
from bedplate.planner.facts.estimate import exact
from bedplate.planner.facts.systems import Systems
from bedplate.planner.search import size
from bedplate.planner.search.common import constraints
from bedplate.planner.search.offers import machine_key, offers
from bedplate.planner.search.pick import Constraint, conflict, front, pick
from bedplate.planner.search.training import best_layouts

KNOWN = knowledge()
DAY = 86_400.0
H100 = Limits(on=("H100-SXM5-80GB",))
MODEL = "Llama-3.1-8B"


def _train(**limits: object) -> Sizing:
    given = msgspec.structs.replace(H100, **limits)
    return size(Train(model=MODEL, tokens=1e11, seq_len=8192, limits=given), KNOWN)


def _best(answer: Sizing) -> Design:
    assert answer.best is not None, answer.conflict
    return answer.best


def test_a_published_run_is_sized_within_a_fifth() -> None:
    """DeepSeek-V3: 14.8T tokens on 2,048 H800 took 2.664M GPU-hours (arXiv 2412.19437, table 1); an H100 computes alike."""
    question = Train(model="DeepSeek-V3", tokens=14.8e12, precision="fp8", limits=msgspec.structs.replace(H100, gpus=2048))
    hours = _best(size(question, KNOWN)).quantities["time_s"].value / 3600 * 2048
    assert hours == pytest.approx(2.664e6, rel=0.2)


def test_the_deadline_is_kept_and_the_cheapest_that_keeps_it_is_chosen() -> None:
    answer = _train(by_s=10 * DAY)
    best = _best(answer)
    assert best.quantities["time_s"].value <= 10 * DAY
    kept = [d for d in answer.options if d.quantities["time_s"].value <= 10 * DAY]
    assert all(best.quantities["cost_usd"].value <= d.quantities["cost_usd"].value for d in kept)


def test_a_looser_deadline_never_costs_more() -> None:
    costs = [_best(_train(by_s=days * DAY)).quantities["cost_usd"].value for days in (3, 6, 12, 24)]
    assert costs == sorted(costs, reverse=True)


def test_a_larger_budget_is_never_slower() -> None:
    times = [_best(_train(budget_usd=usd)).quantities["time_s"].value for usd in (2e4, 4e4, 8e4)]
    assert times == sorted(times, reverse=True)


def test_breakdowns_add_up_and_money_power_and_energy_follow_from_time() -> None:
    best = _best(_train(gpus=64))
    parts = {b.name: b for b in best.breakdowns}
    assert parts["step"].total == pytest.approx(best.quantities["step_time_s"].value)
    assert parts["memory"].total == pytest.approx(best.quantities["peak_mem_bytes"].value)
    energy = best.quantities["power_w"].value * best.quantities["time_s"].value / 3.6e6
    assert best.quantities["energy_kwh"].value == pytest.approx(energy)


def test_every_number_lies_within_its_own_range() -> None:
    for design in _train(by_s=20 * DAY).options:
        for name, estimate in design.quantities.items():
            assert estimate.low <= estimate.value <= estimate.high, (design.name, name)


@settings(max_examples=12, deadline=None)
@given(st.sampled_from(["mem_gbs", "scaleup_gbs", "mem_gb"]), st.floats(1.05, 4.0))
def test_a_better_chip_never_makes_the_best_step_slower(field: str, factor: float) -> None:
    """More bandwidth, faster links or more memory only add choices."""
    chip = KNOWN.systems.accelerator("H100-SXM5-80GB")
    better = msgspec.structs.replace(chip, **{field: getattr(chip, field) * factor})
    systems: Systems = msgspec.structs.replace(KNOWN.systems, accelerators={**KNOWN.systems.accelerators, chip.name: better})
    question = Train(model="Llama-3.1-70B", tokens=1e12, seq_len=8192, limits=msgspec.structs.replace(H100, gpus=256))
    now = _best(size(question, KNOWN)).quantities["step_time_s"].value
    then = _best(size(question, msgspec.structs.replace(KNOWN, systems=systems))).quantities["step_time_s"].value
    assert then <= now * (1 + 1e-9)


def test_a_layout_of_the_answer_uses_all_accelerators_and_the_whole_batch() -> None:
    question = Train(model="Llama-3.1-70B", tokens=1e12, seq_len=8192, batch_tokens=2**22, limits=msgspec.structs.replace(H100, gpus=256))
    layout = _best(size(question, KNOWN)).layout
    used = layout.get("tp", 1) * layout.get("pp", 1) * layout.get("cp", 1) * layout["dp"]
    assert used == 256
    assert layout["dp"] * layout["micro_batch"] * layout["accumulation"] * 8192 == 2**22


def test_machines_that_differ_in_price_only_are_worked_out_once() -> None:
    listed = offers(H100, KNOWN.systems, ("on-demand", "spot"))
    assert len({machine_key(offer) for offer in listed}) < len(listed)


def test_no_layout_crosses_nodes_that_have_no_network() -> None:
    """A single card without a fabric trains alone."""
    alone = next(o for o in offers(Limits(on=("L40S",)), KNOWN.systems, ("on-demand",)) if o.per_node == 1)
    question = Finetune(model=MODEL, limits=Limits(on=("L40S",)))
    found = list(best_layouts(question, alone, KNOWN.architecture(MODEL), KNOWN))
    assert {one.n for one in found} <= {1}


def test_tuning_adapters_needs_less_than_tuning_everything() -> None:
    limits = msgspec.structs.replace(H100, gpus=8)
    memory = {
        method: _best(size(Finetune(model=MODEL, method=method, limits=limits), KNOWN)).quantities["peak_mem_bytes"].value  # type: ignore[arg-type]
        for method in ("lora", "full")
    }
    assert memory["lora"] < memory["full"]


def _serve(**changed: object) -> Sizing:
    asked = Serve(model=MODEL, isl=1000, osl=200, rate=20, ttft_s=1.0, tpot_s=0.05, limits=H100)
    return size(msgspec.structs.replace(asked, **changed), KNOWN)


def test_more_requests_never_need_fewer_accelerators() -> None:
    counts = [_best(_serve(rate=rate)).quantities["cost_usd"].value for rate in (1, 10, 100, 1000)]
    assert counts == sorted(counts)


def test_a_tighter_latency_limit_never_costs_less() -> None:
    costs = [_best(_serve(tpot_s=limit)).quantities["cost_usd"].value for limit in (0.1, 0.03, 0.015)]
    assert costs == sorted(costs)


def test_the_answer_keeps_the_latency_limits_it_was_given() -> None:
    best = _best(_serve())
    assert best.quantities["ttft_p99_s"].value <= 1.0
    assert best.quantities["tpot_p99_s"].value <= 0.05


def test_a_limit_that_no_machine_meets_is_named_alone() -> None:
    answer = _serve(tpot_s=1e-4)
    assert answer.best is None
    assert len(answer.conflict) == 1
    assert "time per token" in answer.conflict[0]


def test_more_machines_answer_a_batch_sooner_within_the_same_money() -> None:
    question = Batch(model=MODEL, isl=500, osl=500, requests=1e6, limits=msgspec.structs.replace(H100, by_s=DAY))
    assert _best(size(question, KNOWN)).quantities["time_s"].value <= DAY


def _design(name: str, **quantities: float) -> Design:
    return Design(name=name, accelerator=name, quantities={k: exact(v) for k, v in quantities.items()})


A, B, C = (
    _design("a", time_s=10, cost_usd=100, energy_kwh=5), _design("b", time_s=20, cost_usd=50, energy_kwh=5),
    _design("c", time_s=25, cost_usd=60, energy_kwh=6),
)  # fmt: skip


def test_the_front_leaves_out_what_another_beats_in_everything() -> None:
    assert front([A, B, C]) == (A, B)


def test_the_smallest_set_of_limits_that_cannot_be_met_together_is_named() -> None:
    """Each of 15 s and 60 USD is met by some design, the two together by none; 30 s takes no part."""
    limits = [
        Constraint(name="deadline", quantity="time_s", limit=15, told="15 s"),
        Constraint(name="budget", quantity="cost_usd", limit=60, told="60 USD"),
        Constraint(name="late", quantity="time_s", limit=30, told="30 s"),
    ]
    assert [line.split(":")[0] for line in conflict([A, B, C], limits)] == ["deadline", "budget"]


def test_what_relaxing_the_binding_limit_by_a_tenth_buys() -> None:
    """18.5 s asks for a (100 USD); 10 % more lets b in at 50 USD: half is saved."""
    limit = Constraint(name="deadline", quantity="time_s", limit=18.5, told="18.5 s")
    found = pick([A, B, C], [limit], "cost_usd")
    assert found.best == A
    assert found.binding is not None
    assert found.binding.gain == pytest.approx(0.5)


def test_mistakes_are_told_with_what_to_do() -> None:
    with pytest.raises(NotFound, match="no model"):
        size(Train(model="llama-9", tokens=1e9), KNOWN)
    with pytest.raises(NotFound, match="no accelerator"):
        size(Train(model=MODEL, tokens=1e9, limits=Limits(on=("H1000",))), KNOWN)
    with pytest.raises(UserError, match="tokens"):
        size(Train(model=MODEL, tokens=0), KNOWN)
    with pytest.raises(UserError, match="whole nodes"):
        size(Train(model=MODEL, tokens=1e9, limits=msgspec.structs.replace(H100, gpus=12)), KNOWN)


def test_a_model_that_fits_nowhere_is_told_what_would_hold_it() -> None:
    with pytest.raises(UserError, match="fits no machine") as caught:
        size(Train(model="GPT-1008.0B", tokens=1e9, limits=msgspec.structs.replace(H100, gpus=8)), KNOWN)
    assert "GB" in caught.value.why


def test_thousands_of_layouts_are_one_array() -> None:
    """What makes the search quick: one call for each machine and count, not one for each layout."""
    offer = next(o for o in offers(H100, KNOWN.systems, ("on-demand",)) if o.per_node == 8)
    question = Train(model="DeepSeek-V3", tokens=1e12, limits=msgspec.structs.replace(H100, gpus=1024))
    (found,) = best_layouts(question, offer, KNOWN.architecture("DeepSeek-V3"), KNOWN)
    assert found.looked_at > 1_000
    assert np.isfinite(found.seconds)


def test_limits_are_told_in_units_that_fit() -> None:
    """An hour is no 0.0417 days, and 5 kW no 0.005 MW."""
    told = [one.told for one in constraints(Limits(by_s=3600, max_power_w=5e3))]
    assert told == ["within 60.0 min", "at most 5 kW at any time"]
    assert constraints(Limits(by_s=30 * 86400))[0].told == "within 30 days"
