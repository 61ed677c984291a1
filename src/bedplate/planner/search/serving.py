"""The search for a way to serve a language model, online under latency limits or offline as quickly as it goes.

For each machine and each layout that holds the weights, the engine's steady states from one request to a full memory are worked out in
one call; the last one within the limits, less HEADROOM for random arrivals, is what an instance carries, and the rate says how many.

Choices: a mean time is kept below a limit on the 99th percentile by TAIL_*; layouts stay within a scale-up domain, pipelines across nodes
only where the weights need it. Limits: replicas share the load evenly; no autoscaling within the day (`money.mix` takes a load curve).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import msgspec
import numpy as np

from bedplate.core.records import Record
from bedplate.planner.architecture import Architecture
from bedplate.planner.calibration import Constants
from bedplate.planner.cases import Case, ModelName, Unsupported
from bedplate.planner.estimate import Estimate, exact, spread
from bedplate.planner.knowledge import Knowledge
from bedplate.planner.money.rent import HOURS_MONTH
from bedplate.planner.power import power
from bedplate.planner.questions import Batch, Serve
from bedplate.planner.serving.layout import layout_of
from bedplate.planner.serving.loop import Demand, Steady, closed_loop
from bedplate.planner.serving.memory import most_sequences
from bedplate.planner.serving.model import Machine, machine_of, shares
from bedplate.planner.serving.point import groups
from bedplate.planner.serving.records import IterationBreakdown, ServeLayout, ServeLoad, ServeMemory
from bedplate.planner.sizing import Breakdown, Design
from bedplate.planner.systems import Accelerator

from .common import counted, metered, money, over_time, parts, provisioned
from .offers import Offer, joins

HEADROOM = 0.8
"""Share of an instance's most that arrives at random: a queue at 80 % use waits four services (M/M/1), at 90 % nine."""
TAIL_TTFT, TAIL_TPOT = 2.0, 1.25
"""99th percentile over mean: of the time to first token at 80 % use, of the time per token (ML.ENERGY's itl percentiles over batches)."""
START_S = 600.0
"""Seconds paid before the first request: allocation, image, loading weights, capturing graphs."""
MOST_RUNNING = 1024
"""Sequences that engines let run together by default (vLLM max_num_seqs 256 to 1,024 on large accelerators)."""
POINTS = 24


class State(Record, frozen=True, kw_only=True):
    """What one instance carries, and how: requests a second, means in s, its share of peak and bandwidth."""

    layout: ServeLayout
    chip: Accelerator
    machine: Machine
    concurrency: float
    rps: float
    ttft_s: float
    tpot_s: float
    compute: float
    memory: float
    decode: IterationBreakdown


def states(question: Serve | Batch, arch: Architecture, offer: Offer, constants: Constants) -> Iterator[State]:
    """The best state of every layout that holds the model. A layout that meets no limit gives its state with one request."""
    case = Case(
        id="", kind="serve_point", model=ModelName(name=arch.name, moe=arch.moe), engine=question.engine or None,
        precision=question.precision or None,
    )  # fmt: skip
    try:
        plain, _ = layout_of(case, arch)
    except Unsupported:
        return
    chip = offer.chip
    for layout in _layouts(plain, arch, chip, offer.per_node):
        if not joins(offer, layout.n_accel):
            continue
        try:
            machine = machine_of(layout, arch, chip, constants)
        except Unsupported:
            continue
        if machine.memory.fits:
            yield _state(question, layout, machine, chip)


def _layouts(plain: ServeLayout, arch: Architecture, chip: Accelerator, per_node: int) -> Iterator[ServeLayout]:
    """tp within a scale-up domain, pp over nodes; a mixture's experts cut by tensor or by expert, or with an attention rank each."""
    domain = max(1, min(per_node, chip.scaleup_domain)) if chip.scaleup_domain > 1 else per_node
    widths = [n for n in (1, 2, 4, 8, 16, 32, 64) if n <= domain]
    for tp in widths:
        if arch.n_heads % tp:
            continue
        for pp in (1, 2, 4) if tp == widths[-1] else (1,):
            yield msgspec.structs.replace(plain, tp=tp, pp=pp, attention_dp=1, moe_tp=tp, moe_ep=1, dp=1)
            if arch.experts and tp > 1 and arch.experts.count % tp == 0:
                yield msgspec.structs.replace(plain, tp=tp, pp=pp, attention_dp=1, moe_tp=1, moe_ep=tp, dp=1)
        if arch.experts and tp > 1 and arch.experts.count % tp == 0:
            yield msgspec.structs.replace(plain, tp=1, pp=1, attention_dp=tp, moe_tp=1, moe_ep=tp, dp=1)


def _state(question: Serve | Batch, layout: ServeLayout, machine: Machine, chip: Accelerator) -> State:
    context = question.isl + question.osl / 2
    room = max(1.0, min(float(most_sequences(machine.work, machine.memory.available, context)), MOST_RUNNING))
    tried = np.unique(np.round(np.geomspace(1.0, room, POINTS)))
    hit = question.prefix_hit if isinstance(question, Serve) else 0.0
    demand = Demand(isl=question.isl, osl=question.osl, chunk=float(layout.chunk), per_step=layout.per_step, prefix_hit=hit)
    found = closed_loop(machine.work, machine.rates, machine.delays, demand, concurrency=tried, room=room)
    chosen = _last_within(question, found)
    one = _element(found, chosen)
    compute, memory = shares(machine, ServeLoad(isl=question.isl, osl=question.osl, concurrency=float(tried[chosen])), one)
    return State(
        layout=layout, chip=chip, machine=machine, concurrency=float(tried[chosen]), rps=float(one.requests_per_s), ttft_s=float(one.ttft),
        tpot_s=float(one.tpot), compute=compute, memory=memory, decode=one.decode,
    )  # fmt: skip


def _last_within(question: Serve | Batch, found: Steady) -> int:
    """The index of the most requests a second within the latency limits; 0 where none is."""
    rates = np.asarray(found.requests_per_s, dtype=float)
    if isinstance(question, Batch):
        return int(np.argmax(rates))
    good = np.ones(rates.shape, dtype=bool)
    if question.ttft_s is not None:
        good &= np.asarray(found.ttft) * TAIL_TTFT <= question.ttft_s
    if question.tpot_s is not None:
        good &= np.asarray(found.tpot) * TAIL_TPOT <= question.tpot_s
    return int(np.argmax(np.where(good, rates, -1.0))) if good.any() else 0


def _element(found: Steady, i: int) -> Steady:
    """One state out of the array of them."""

    def at(value: object) -> object:
        array = np.asarray(value)
        return array.reshape(-1)[i] if array.size > 1 else value

    decode = msgspec.structs.replace(found.decode, **{f: at(getattr(found.decode, f)) for f in found.decode.__struct_fields__})
    fields = {f: at(getattr(found, f)) for f in found.__struct_fields__ if f != "decode"}
    return msgspec.structs.replace(found, decode=decode, **fields)


def served(question: Serve, offer: Offer, state: State, knowledge: Knowledge) -> Design:
    """The design that serves the whole rate for `months` from instances of this state."""
    instances = max(1, math.ceil(question.rate / (state.rps * HEADROOM)))
    seconds = question.months * HOURS_MONTH * 3600
    use = min(1.0, question.rate / (instances * state.rps))
    quantities = _quantities(question, offer, state, instances, seconds, use, knowledge)
    return _design(offer, state, instances, quantities)


def batched(question: Batch, offer: Offer, state: State, instances: int, knowledge: Knowledge) -> Design:
    """The design that answers all requests with that many instances."""
    seconds = START_S + question.requests / (state.rps * instances)
    return _design(offer, state, instances, _quantities(question, offer, state, instances, seconds, 1.0, knowledge))


def _quantities(
    question: Serve | Batch, offer: Offer, state: State, instances: int, seconds: float, use: float, knowledge: Knowledge
) -> dict[str, Estimate]:
    constants = knowledge.constants["serving"]
    mixture = float(state.machine.work.n_experts) > 0
    model = ModelName(name=question.model, moe=mixture)
    names = groups(Case(id="", kind="serve_point", engine=question.engine or None, model=model))
    basis = f"roofline of the engine's iterations; {constants.fitted_on}"
    speed_down, speed_up = constants.spreads["output_tokens_per_s"].of(names)
    n = instances * state.layout.n_accel
    tokens = spread(instances * state.rps * question.osl * use, speed_down, speed_up, basis)
    online = isinstance(question, Serve)
    time = exact(seconds, "as asked") if online else spread(seconds, speed_up, speed_down, basis)
    watts = float(power(state.chip, state.compute * use, state.memory * use, constants)) * n
    drawn = metered(spread(watts, *constants.spreads["avg_power_w"].of(names), "power from activity"), offer)
    bill = money(offer, time, n)
    made = {
        "time_s": time, "output_tokens_per_s": tokens, "accelerators": counted(n), "power_w": drawn,
        "ttft_s": spread(state.ttft_s, *constants.spreads["ttft_ms"].of(names), basis),
        "tpot_s": spread(state.tpot_s, *constants.spreads["tpot_ms"].of(names), basis),
        "ttft_p99_s": spread(state.ttft_s * TAIL_TTFT, *constants.spreads["ttft_ms"].of(names), basis),
        "tpot_p99_s": spread(state.tpot_s * TAIL_TPOT, *constants.spreads["tpot_ms"].of(names), basis),
        "energy_per_token_j": drawn.times(1 / tokens.value),
    }  # fmt: skip
    made |= bill | over_time(drawn, time, offer) | provisioned(offer, n)
    if bill:
        made["usd_per_million_tokens"] = bill["cost_usd"].times(1e6 / (tokens.value * seconds))
    return made


def _design(offer: Offer, state: State, instances: int, quantities: dict[str, Estimate]) -> Design:
    layout, held = state.layout, state.machine.memory
    n = instances * layout.n_accel
    names = {"tp": layout.tp, "pp": layout.pp, "attention_dp": layout.attention_dp, "moe_ep": layout.moe_ep}
    shown = {name: value for name, value in names.items() if value > 1} or {"tp": 1}
    return Design(
        name=f"{instances} x ({' '.join(f'{k}{v}' for k, v in shown.items())}) on {state.chip.name}", accelerator=state.chip.name,
        node=offer.node.name if offer.node else "", n_accel=n, n_nodes=math.ceil(n / offer.per_node), provider=offer.provider,
        region=offer.region, term=offer.term, quantities=quantities,
        layout={"instances": instances, **shown, "requests_per_instance": state.concurrency, "precision": layout.precision,
                "moe_precision": layout.moe_precision, "kv_precision": layout.kv_precision, "engine": layout.engine},
        breakdowns=(_iteration(state.decode), _held(held)),
    )  # fmt: skip


def _iteration(decode: IterationBreakdown) -> Breakdown:
    """One decode iteration."""
    return parts("iteration", "s", {name: float(getattr(decode, name)) for name in decode.__struct_fields__})


def _held(memory: ServeMemory) -> Breakdown:
    """The fullest accelerator: what weights and runtime leave is caches."""
    return parts(
        "memory", "bytes", {"weights": memory.weights, "caches": max(memory.available, 0.0), "activations and runtime": memory.overhead}
    )
