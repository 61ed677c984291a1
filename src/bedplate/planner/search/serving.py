"""The designs that serve a language model, online under latency limits or offline as quickly as it goes: instances, and how many of them.

Online, the rate over what an instance carries says how many, and their latencies are those at the rate that was asked. Nobody knows to the
digit what an instance carries: the range of the accelerators, and so of money and power, is what its 80 % range asks for. Offline, more
instances are quicker: counts double up to what is allowed.

Choices: what is chosen is simulated afterwards (`serving_simulated.py`), and its latencies are the simulation's. With `gpus`
a design has exactly so many; one that would need more keeps what it needs, so that the conflict can be named.
Limits: no autoscaling within the day (`money.mix` takes a load curve).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import msgspec

from bedplate.core.records import Record
from bedplate.planner.asking.questions import Batch, Serve
from bedplate.planner.asking.sizing import Breakdown, Design, Simulated
from bedplate.planner.facts.architecture import Architecture
from bedplate.planner.facts.calibration import Constants
from bedplate.planner.facts.cases import Case, ModelName
from bedplate.planner.facts.estimate import Estimate, exact, product, spread
from bedplate.planner.facts.knowledge import Knowledge
from bedplate.planner.kernels.power import power
from bedplate.planner.money.rent import HOURS_MONTH
from bedplate.planner.serving.point import groups
from bedplate.planner.serving.records import ServeMemory
from bedplate.planner.serving.scaling import COLD, autoscaling, cold_start

from .carrying import TAIL_TPOT, TAIL_TTFT, Instance, State
from .common import START_S, counted, metered, money, over_time, parts, provisioned
from .offers import Offer

PROMPTS = "prompts"
"""Part of the iteration's time: prompts that are read in it."""
MOST = 1024
"""Accelerators looked at offline where no limit is given."""


class Spreads(Record, frozen=True, kw_only=True):
    """80 % half-widths (down, up: natural logarithms) for a model and an engine."""

    speed: tuple[float, float]
    ttft: tuple[float, float]
    tpot: tuple[float, float]
    watts: tuple[float, float]
    basis: str


def needed(question: Serve, instance: Instance, per_node: int) -> int | None:
    """Instances that carry the whole rate, and as many more as the nodes that are paid for hold where the number of accelerators is not
    limited; None where `gpus` is no whole number of such instances."""
    number = math.ceil(question.rate / instance.rps)
    exactly, size = question.limits.gpus, instance.layout.n_accel
    if exactly is None:
        return number if question.limits.max_gpus else math.ceil(number * size / per_node) * per_node // size
    return None if exactly % size else max(number, exactly // size)


def served(
    question: Serve, offer: Offer, instance: Instance, number: int, state: State, known: Spreads, knowledge: Knowledge
) -> Design:  # fmt: skip
    """The design that serves the whole rate for `months` with that many instances, each in `state`; `known`: ranges of its engine."""
    exactly, size = question.limits.gpus, instance.layout.n_accel
    carried = instance.rps if number <= (needed(question, instance, offer.per_node) or 0) else question.rate / number
    few, many = (math.ceil(number_of / carried) for number_of in _rates(question.rate, known.speed))
    ranged = Estimate(value=number, low=min(few, number), high=max(many, number), basis=known.basis) if exactly is None else exact(number)
    time, tokens = exact(question.months * HOURS_MONTH * 3600, "as asked"), exact(question.rate * question.osl, "as asked")
    made = {"time_s": time, "output_tokens_per_s": tokens, "accelerators": ranged.times(size)}
    made |= _latency(state, known, instance.longest_s) | _paid(offer, instance, state, ranged, time, known, knowledge)
    if "cost_usd" in made:
        made["usd_per_month"] = made["cost_usd"].times(1 / question.months)
    wait = _cold_start(offer, instance)
    design = _design(offer, instance, state, number, _per_token(made, tokens) | {"cold_start_s": wait})
    if question.quiet_rate is None:
        return design
    bounds = autoscaling(question.quiet_rate, question.rate, carried, wait.value, target=1.0, to_zero=True)
    quiet = {"instances when quiet": bounds.least, "requests that wait after a jump": round(bounds.backlog)}
    return msgspec.structs.replace(design, layout=design.layout | quiet)


def played(design: Design, found: Simulated, known: Spreads) -> Design:
    """The design with what its simulation found: its means and 99th percentiles in the place of the closed form's."""
    basis = f"simulation of {found.requests:,} requests; {known.basis}"
    waits = {"ttft_s": spread(found.ttft_s.mean, *known.ttft, basis), "ttft_p99_s": spread(found.ttft_s.p99, *known.ttft, basis)}
    waits |= {"tpot_s": spread(found.tpot_s.mean, *known.tpot, basis), "tpot_p99_s": spread(found.tpot_s.p99, *known.tpot, basis)}
    step_s = found.tpot_s.mean * float(design.layout.get("tokens a step", 1.0))
    lasting = tuple(_lasting(one, step_s) for one in design.breakdowns)
    return msgspec.structs.replace(design, simulated=found, quantities=design.quantities | waits, breakdowns=lasting)


def _cold_start(offer: Offer, instance: Instance) -> Estimate:
    """Seconds until one more instance answers: its weights come over half of its nodes' network."""
    nodes = math.ceil(instance.layout.n_accel / offer.per_node)
    read_gbs = nodes * (offer.node.nic_gbps if offer.node and offer.node.nic_gbps else 10.0) / 8 / 2
    seconds = cold_start(instance.machine.memory.weights * instance.layout.n_accel, read_gbs)
    return spread(seconds, math.log(2), math.log(2), COLD)


def _rates(rate: float, speed: tuple[float, float]) -> tuple[float, float]:
    """The rate over how much better and how much worse an instance may do than is thought."""
    return rate / math.exp(speed[1]), rate * math.exp(speed[0])


def batched(
    question: Batch, offer: Offer, instance: Instance, state: State, number: int, known: Spreads, knowledge: Knowledge
) -> Design:  # fmt: skip
    """The design that answers all requests with that many instances, each in its full `state`; the last request takes its whole time,
    however many there are."""
    seconds = START_S + max(question.requests / (state.rps * number), state.ttft_s + question.osl * state.tpot_s)
    time = spread(seconds, known.speed[1], known.speed[0], known.basis)
    tokens = spread(question.requests * question.osl / (seconds - START_S), *known.speed, known.basis)
    made = {"time_s": time, "output_tokens_per_s": tokens, "accelerators": counted(number * instance.layout.n_accel)}
    made |= _latency(state, known) | _paid(offer, instance, state, exact(number), time, known, knowledge)
    return _design(offer, instance, state, number, _per_token(made, tokens.times((seconds - START_S) / seconds)))


def numbers(question: Batch, instance: Instance) -> Iterator[int]:
    """Instances to look at: as many as `gpus` holds; else doubling, all that are allowed, and what the deadline needs."""
    limits, size = question.limits, instance.layout.n_accel
    if limits.gpus is not None:
        yield from [limits.gpus // size] if limits.gpus % size == 0 else []
        return
    most = (limits.max_gpus or MOST) // size
    tried = {2**i for i in range(most.bit_length())} | {most}
    if limits.by_s is not None and limits.by_s > START_S:
        tried.add(math.ceil(question.requests / instance.full_rps / (limits.by_s - START_S)))
    yield from sorted(n for n in tried if 0 < n <= most)


def spreads(question: Serve | Batch, arch: Architecture, constants: Constants) -> Spreads:
    """How far answers about this model and engine are off."""
    model = ModelName(name=question.model, moe=arch.experts is not None)
    names = groups(Case(id="", kind="serve_point", engine=question.engine or None, model=model))

    def of(name: str) -> tuple[float, float]:
        down, up = constants.spreads[name].of(names)
        return down, up

    return Spreads(
        speed=of("output_tokens_per_s"), ttft=of("ttft_ms"), tpot=of("tpot_ms"), watts=of("avg_power_w"),
        basis=f"roofline of the engine's iterations; {constants.fitted_on}",
    )  # fmt: skip


def _latency(state: State, known: Spreads, longest_s: float = 0.0) -> dict[str, Estimate]:
    """Means and 99th percentiles; no 99th percentile is below what the longest prompt in a hundred takes alone."""
    return {
        "ttft_s": spread(state.ttft_s, *known.ttft, known.basis), "tpot_s": spread(state.tpot_s, *known.tpot, known.basis),
        "ttft_p99_s": spread(max(state.ttft_s * TAIL_TTFT, longest_s), *known.ttft, known.basis),
        "tpot_p99_s": spread(state.tpot_s * TAIL_TPOT, *known.tpot, known.basis),
    }  # fmt: skip


def _paid(
    offer: Offer, instance: Instance, state: State, number: Estimate, time: Estimate, known: Spreads, knowledge: Knowledge
) -> dict[str, Estimate]:
    """Power, energy, carbon and money of `number` instances, whole nodes of them, over `time`."""
    constants, size = knowledge.constants["serving"], instance.layout.n_accel
    watts = float(power(instance.chip, state.compute, state.memory, constants)) * size * number.value
    busy = 1 - math.exp(-state.running)  # a Poisson number of requests runs at a time (M/G/infinity): none is there for exp(-mean)
    at_work = spread(watts, *known.watts, "power from activity, idle nodes where no request runs")
    drawn = metered(at_work, offer, round(number.value) * size, knowledge.systems, busy)
    least, bill, most = (money(offer, time, round(n) * size) for n in (number.low, number.value, number.high))
    for name, cost in bill.items():
        asked = Estimate(value=1.0, low=least[name].value / cost.value, high=most[name].value / cost.value)
        bill[name] = product(cost, asked, cost.basis)
    return {"power_w": drawn} | over_time(drawn, time, offer) | provisioned(offer, round(number.value) * size) | bill


def _per_token(made: dict[str, Estimate], tokens: Estimate) -> dict[str, Estimate]:
    """The quantities with energy and money of a token, `tokens` a second being written over the whole time."""
    made = made | {"energy_per_token_j": made["power_w"].times(1 / tokens.value)}
    if "cost_usd" in made:
        made["usd_per_million_tokens"] = made["cost_usd"].times(1e6 / (tokens.value * made["time_s"].value))
    return made


def _design(offer: Offer, instance: Instance, state: State, number: int, quantities: dict[str, Estimate]) -> Design:
    layout = instance.layout
    n = number * layout.n_accel
    names = {"tp": layout.tp, "pp": layout.pp, "attention_dp": layout.attention_dp, "moe_ep": layout.moe_ep}
    shown = {name: value for name, value in names.items() if value > 1} or {"tp": 1}
    drafts = {"drafted tokens": layout.drafted, "tokens a step": round(layout.per_step, 2)} if layout.drafted else {}
    return Design(
        name=f"{number} x ({' '.join(f'{k}{v}' for k, v in shown.items())}) on {instance.chip.name}", accelerator=instance.chip.name,
        node=offer.node.name if offer.node else "", n_accel=n, n_nodes=math.ceil(n / offer.per_node), provider=offer.provider,
        region=offer.region, term=offer.term, quantities=quantities,
        layout={"instances": number, **shown, "requests_per_instance": round(state.running, 1), "precision": layout.precision,
                "moe_precision": layout.moe_precision, "kv_precision": layout.kv_precision, "engine": layout.engine} | drafts,
        breakdowns=(_iteration(state, layout.per_step), _held(instance.machine.memory)),
    )  # fmt: skip


def _iteration(state: State, per_step: float) -> Breakdown:
    """One decode iteration with the drafts of a step, and what prompts of others add to it: together the time of the tokens it yields."""
    shares = {name: float(getattr(state.decode, name)) for name in state.decode.__struct_fields__} | {"drafting": state.drafting}
    return parts("iteration", "s", shares | {PROMPTS: state.tpot_s * per_step - sum(shares.values())})


def _lasting(breakdown: Breakdown, seconds: float) -> Breakdown:
    """The iteration with as much time for prompts as makes it last so long; other breakdowns as they are."""
    if breakdown.name != "iteration":
        return breakdown
    shares = {part.name: part.value for part in breakdown.parts if part.name != PROMPTS}
    return parts("iteration", "s", shares | {PROMPTS: seconds - sum(shares.values())})


def _held(memory: ServeMemory) -> Breakdown:
    """The fullest accelerator: what weights and runtime leave is caches."""
    return parts(
        "memory", "bytes", {"weights": memory.weights, "caches": max(memory.available, 0.0), "activations and runtime": memory.overhead}
    )
