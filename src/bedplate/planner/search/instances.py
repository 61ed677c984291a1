"""One instance that serves: the layouts that hold a model, what each carries within latency limits, and its state at any rate below.

A state is worked out from the requests that run, because everything follows from their number B without a fixed point: the time per token,
the rate B / (answer x time per token) of Little's law, and the time to first token with the wait of an M/G/1 queue before the prompts.
What an instance carries is the last B within the limits, found by cutting the interval (`_last`), so that more memory, a quicker chip or a
looser limit never carries less.

Choices: HEADROOM of the most that memory allows is planned with, and a mean is kept below a limit on the 99th percentile by TAIL_*; nor is
the first token of the longest prompt in a hundred later than that limit with nobody else there. What is chosen is then simulated
(`serving_simulated.py`). No rate of products exceeds what the best of them reaches on the chip (`kernels.limits.attainable`), whatever the
fitted efficiency of an engine.
Limits: replicas share the load evenly; requests are alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec
import numpy as np
from numpy.typing import NDArray

from bedplate.core.records import Record
from bedplate.planner.asking.questions import Batch, Serve
from bedplate.planner.facts.architecture import Architecture
from bedplate.planner.facts.cases import Case, ModelName, Unsupported
from bedplate.planner.facts.knowledge import Knowledge
from bedplate.planner.facts.systems import Accelerator
from bedplate.planner.kernels.limits import attainable
from bedplate.planner.serving.drafting import OWN, Drafter, beside, drafted, drafter, own_block
from bedplate.planner.serving.layout import CHECKPOINT, layout_of
from bedplate.planner.serving.loop import Demand, Steady, closed_loop
from bedplate.planner.serving.memory import most_sequences
from bedplate.planner.serving.model import Machine, machine_of, shares
from bedplate.planner.serving.records import IterationBreakdown, ServeLayout, ServeLoad
from bedplate.planner.serving.traffic import longest_of

from .offers import Offer, joins

HEADROOM = 0.8
"""Share of an instance's most that arrives at random: a queue at 80 % use waits four services (M/M/1), at 90 % nine."""
TAIL_TTFT, TAIL_TPOT = 2.0, 1.25
"""99th percentile over mean: of the time to first token at 80 % use, of the time per token (ML.ENERGY's itl percentiles over batches). Of
lengths that are all alike the simulation has the same (medians 2.0 and 1.2 over 35 layouts); what scatters more is left to it."""
MOST_RUNNING = 1024
"""Sequences that engines let run together on one attention rank (vLLM max_num_seqs 256 to 1,024 on large accelerators)."""
LEAST_RUNNING = 0.1
"""An instance that runs a request a tenth of the time is idle: no latency is better below."""
CUTS, ROUNDS = 24, 4
"""The interval is cut into so many, so often: the last B is found to within 1 part in 10,000."""
FULLEST = 0.999
"""Share of the time spent on prompts at which their queue is taken to be at its longest."""

Points = NDArray[np.float64]


class State(Record, frozen=True, kw_only=True):
    """An instance at work: requests that run and that come in a second, mean times in s, shares of peak and bandwidth used;
    `drafting`: s of a step that its drafts take, beside the iteration `decode` that verifies them."""

    running: float
    rps: float
    ttft_s: float
    tpot_s: float
    compute: float
    memory: float
    decode: IterationBreakdown
    drafting: float = 0.0


class Instance(Record, frozen=True, kw_only=True):
    """A layout that holds the model. `room`: requests that run at most; `full_rps`: a second when it never waits for them; `rps`: at
    random arrivals within the limits (where none keeps to them: with next to no load); `longest_s`: to the first token of the longest
    prompt in a hundred, with nobody else there; `draft`: what proposes tokens."""

    layout: ServeLayout
    chip: Accelerator
    machine: Machine
    demand: Demand
    room: float
    full_rps: float
    rps: float
    longest_s: float
    draft: Drafter | None = None

    def at(self, rate: float) -> State:
        """Its state when `rate` requests a second come at random; at `rps` at the most."""
        running = _last(lambda points: np.asarray(self.steady(points).requests_per_s) <= rate, 1e-4, self.room)
        return self._state(self.steady(np.array([running])), running)

    def full(self) -> State:
        """Its state when there is always a next request."""
        return self._state(_full(self.machine, self.demand, self.room, self.draft), self.room)

    def steady(self, running: Points) -> Steady:
        """The steady states under random arrivals in which `running` requests run."""
        return steady(self.machine, self.demand, running, self.draft)

    def _state(self, found: Steady, running: float) -> State:
        one = _last_of(found)
        multiplied = msgspec.structs.replace(one, running=one.running * self.demand.verified)
        load = ServeLoad(isl=self.demand.isl, osl=self.demand.osl, concurrency=running)
        compute, memory = shares(self.machine, load, multiplied)
        decode, drafting = one.decode, 0.0
        if self.draft is not None:
            passes = self.draft.passes(one.running, self.demand.context)
            drafting = float(passes.total)
            decode = IterationBreakdown(**{f: getattr(decode, f) - float(getattr(passes, f)) for f in decode.__struct_fields__})
        return State(
            running=running, rps=one.requests_per_s, ttft_s=one.ttft, tpot_s=one.tpot, compute=compute, memory=memory, decode=decode,
            drafting=drafting,
        )  # fmt: skip


def instances(question: Serve | Batch, arch: Architecture, offer: Offer, knowledge: Knowledge) -> Iterator[Instance]:
    """Every layout that holds the model, its draft and one request, with what it carries."""
    case = Case(
        id="", kind="serve_point", model=ModelName(name=arch.name, moe=arch.moe), engine=question.engine or None,
        precision=question.precision or published(arch) or None,
    )  # fmt: skip
    try:
        plain, _ = layout_of(case, arch)
    except Unsupported:
        return
    if question.draft:
        plain = msgspec.structs.replace(plain, drafted=question.draft_tokens, acceptance=question.acceptance)
    longest = longest_of(question.isl, question.length_cv, (arch.max_len or np.inf) - question.osl) if isinstance(question, Serve) else 0.0
    for layout in layouts(plain, arch, offer):
        try:
            machine = machine_of(layout, arch, offer.chip, knowledge.constants["serving"])
        except Unsupported:
            continue
        machine = _networked(_capped(machine, layout, offer.chip, knowledge), layout, offer)
        draft = _draft(question, layout, machine, arch, knowledge)
        machine = beside(machine, draft) if draft else machine
        whole = float(most_sequences(machine.work, machine.memory.available, question.isl + question.osl))
        if machine.memory.fits and whole >= layout.attention_dp:
            yield _instance(question, layout, machine, offer.chip, draft, longest)


def _draft(question: Serve | Batch, layout: ServeLayout, machine: Machine, arch: Architecture, knowledge: Knowledge) -> Drafter | None:
    """What proposes tokens; None where nothing does."""
    if not question.draft:
        return None
    own = question.draft == OWN
    return drafter(layout, machine, own_block(arch) if own else knowledge.architecture(question.draft), own=own)


def published(arch: Architecture) -> str:
    """The format of the published weights where it is not bf16, whatever the case of the letters of the model's name."""
    return next((kept for name, kept in CHECKPOINT.items() if arch.name.lower().startswith(name.lower())), "")


def layouts(plain: ServeLayout, arch: Architecture, offer: Offer) -> Iterator[ServeLayout]:
    """tp within a scale-up domain, pp over nodes; a mixture's experts cut by tensor or by expert, or with an attention rank each, over as
    many nodes as have a network."""
    chip, per_node = offer.chip, offer.per_node
    domain = max(1, min(per_node, chip.scaleup_domain)) if chip.scaleup_domain > 1 else per_node
    widths = [n for n in (1, 2, 4, 8, 16, 32, 64) if n <= domain]
    cut = [n for n in (2, 4, 8, 16, 32, 64) if arch.experts and arch.experts.count % n == 0]
    for tp in widths:
        if arch.n_heads % tp:
            continue
        for pp in (1, 2, 4) if tp == widths[-1] else (1,):
            if joins(offer, tp * pp):
                yield msgspec.structs.replace(plain, tp=tp, pp=pp, attention_dp=1, moe_tp=tp, moe_ep=1, dp=1)
                if tp in cut:
                    yield msgspec.structs.replace(plain, tp=tp, pp=pp, attention_dp=1, moe_tp=1, moe_ep=tp, dp=1)
    for ranks in cut:
        if joins(offer, ranks):
            yield msgspec.structs.replace(plain, tp=1, pp=1, attention_dp=ranks, moe_tp=1, moe_ep=ranks, dp=1)


def _capped(machine: Machine, layout: ServeLayout, chip: Accelerator, knowledge: Knowledge) -> Machine:
    """The machine with no rate of products above the best that the chip reaches in the format that is multiplied."""

    def best(label: str, precision: str) -> float:
        multiplied = "bf16" if f"{label}:16" in machine.names else precision
        return (attainable(chip, multiplied, knowledge.constants["kernels"]) or np.inf) * float(machine.rates.pace)

    rates = machine.rates
    dense, moe = min(rates.dense, best("precision", layout.precision)), min(rates.moe, best("moe", layout.moe_precision))
    return msgspec.structs.replace(machine, rates=msgspec.structs.replace(rates, dense=dense, moe=moe))


def _networked(machine: Machine, layout: ServeLayout, offer: Offer) -> Machine:
    """The machine with the link that experts spread over nodes have. A token crosses the network once for each other node that its experts
    are on, and is passed on there over the scale-up links (DeepSeek-V3, arXiv 2412.19437, section 3.2.2); the network is the node's own."""
    chip, node, k = offer.chip, offer.node, float(machine.work.top_k)
    domain = min(offer.per_node, chip.scaleup_domain)
    if layout.attention_dp <= chip.scaleup_domain or not chip.scaleup_gbs or node is None or not node.nic_gbps:
        return machine
    nodes, fitted = layout.attention_dp / domain, machine.rates.link / machine.sheet.link
    network, inside = fitted * node.nic_gbps * 1e9 / 8 / node.n_accel, fitted * chip.scaleup_gbs * 1e9
    others = (nodes - 1) * (1 - (1 - 1 / nodes) ** k)
    link = k / (others / network + k / inside)
    return msgspec.structs.replace(machine, rates=msgspec.structs.replace(machine.rates, link=link))


def _instance(
    question: Serve | Batch, layout: ServeLayout, machine: Machine, chip: Accelerator, draft: Drafter | None, longest: float
) -> Instance:  # fmt: skip
    """The layout with what it carries; `longest`: tokens of the longest prompt in a hundred."""
    demand = Demand(
        isl=question.isl, osl=question.osl, chunk=float(layout.chunk), per_step=layout.per_step, verified=1.0 + layout.drafted,
        prefix_hit=question.prefix_hit,
    )  # fmt: skip
    fits = float(most_sequences(machine.work, machine.memory.available, demand.context))
    room = max(1.0, min(fits, float(MOST_RUNNING * layout.attention_dp)))
    full_rps = float(_last_of(_full(machine, demand, room, draft)).requests_per_s)
    longest_s = _alone(machine, msgspec.structs.replace(demand, isl=longest), draft) if longest else 0.0

    def within(running: Points) -> NDArray[np.bool_]:
        state = steady(machine, demand, running, draft)
        good = np.asarray(state.requests_per_s) <= HEADROOM * full_rps
        if isinstance(question, Serve) and question.ttft_s is not None:
            good &= np.maximum(np.asarray(state.ttft) * TAIL_TTFT, longest_s) <= question.ttft_s
        if isinstance(question, Serve) and question.tpot_s is not None:
            good &= np.asarray(state.tpot) * TAIL_TPOT <= question.tpot_s
        return good

    carried = steady(machine, demand, np.array([_last(within, LEAST_RUNNING, room)]), draft)
    return Instance(
        layout=layout, chip=chip, machine=machine, demand=demand, room=room, full_rps=full_rps,
        rps=float(_last_of(carried).requests_per_s), longest_s=longest_s, draft=draft,
    )  # fmt: skip


def _alone(machine: Machine, demand: Demand, draft: Drafter | None) -> float:
    """Seconds to the first token of such a request with nobody else there."""
    return float(_last_of(steady(machine, demand, np.array([LEAST_RUNNING]), draft)).ttft)


def steady(machine: Machine, demand: Demand, running: Points, draft: Drafter | None = None) -> Steady:
    """The steady states under random arrivals in which `running` requests run: those of `serving.loop.open_loop`, found from their end."""
    quiet = msgspec.structs.replace(machine.delays, burst=0.0, crowd=0.0, slot=0.0)
    state = closed_loop(machine.work, machine.rates, quiet, demand, concurrency=running, room=np.inf, observed=running)
    state = drafted(state, draft, demand, quiet.batching) if draft else state
    used = np.minimum(state.arrivals * state.prompt_s / (state.tpot * demand.per_step), FULLEST)
    return msgspec.structs.replace(state, ttft=state.ttft + used / (1 - used) * state.prompt_s)


def _full(machine: Machine, demand: Demand, room: float, draft: Drafter | None) -> Steady:
    """The state with `room` requests always in flight."""
    state = closed_loop(machine.work, machine.rates, machine.delays, demand, concurrency=np.array([room]), room=room)
    return drafted(state, draft, demand, machine.delays.batching) if draft else state


def _last(good: Callable[[Points], NDArray[np.bool_]], low: float, high: float) -> float:
    """The last number in [low, high] up to which all are good; `low` where none is."""
    low = min(low, high)
    for _ in range(ROUNDS):
        points = np.geomspace(low, high, CUTS)
        fine = good(points)
        if fine.all():
            return high
        first = int(np.argmin(fine))
        if first == 0:
            return low
        low, high = float(points[first - 1]), float(points[first])
    return low


def _last_of(found: Steady) -> Steady:
    """The last state of an array of them, in plain numbers."""

    def plain(value: object) -> float:
        return float(np.asarray(value, dtype=float).reshape(-1)[-1])

    decode = msgspec.structs.replace(found.decode, **{f: plain(getattr(found.decode, f)) for f in found.decode.__struct_fields__})
    fields = {f: plain(getattr(found, f)) for f in found.__struct_fields__ if f != "decode"}
    return msgspec.structs.replace(found, decode=decode, **fields)
