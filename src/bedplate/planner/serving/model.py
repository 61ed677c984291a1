"""`serve`: what a load gets from a layout of a model on a chip. The one entry of the room for the verbs, the search and the cases.

Choices: pure function of records; constants are looked up once by label. Replicas (`dp`) share the load evenly.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from bedplate.core.records import Record
from bedplate.planner.facts.architecture import Architecture
from bedplate.planner.facts.calibration import Constants
from bedplate.planner.facts.systems import Accelerator
from bedplate.planner.kernels.power import power

from .loop import Delays, Demand, Steady, closed_loop, delays_of, open_loop
from .memory import memory, most_sequences
from .percentiles import gap
from .rates import Rates, Sheet, labels, scaled, sheet
from .records import IterationBreakdown, ServeLayout, ServeLoad, ServeMemory, ServeResult
from .static import fixed_batch
from .work import Work, per_rank

PERCENTILES = {"median": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}


class Machine(Record, frozen=True, kw_only=True):
    """A layout on a chip under the fitted constants: everything about it that does not depend on the load."""

    work: Work
    sheet: Sheet
    rates: Rates
    delays: Delays
    memory: ServeMemory
    names: tuple[str, ...]
    room: float
    """Running sequences that the engine allows, whatever memory says."""


def machine_of(layout: ServeLayout, arch: Architecture, chip: Accelerator, constants: Constants) -> Machine:
    """Raises Unsupported where the chip cannot compute in the layout's precision."""
    work, data = per_rank(arch, layout), sheet(layout, chip)
    names = labels(layout, chip)

    def of(name: str) -> float:
        return constants.effects[name].of(names)

    return Machine(
        work=work,
        sheet=data,
        rates=scaled(data, constants, names),
        delays=delays_of(of),
        memory=memory(work, layout, chip),
        names=names,
        room=float(layout.max_batch) if layout.max_batch else math.inf,
    )


def serve(layout: ServeLayout, load: ServeLoad, arch: Architecture, chip: Accelerator, constants: Constants) -> ServeResult:
    """Times, throughput, power and what bounds them, of all instances of `layout` together under `load`.

    Raises Unsupported where the chip cannot compute in the layout's precision. Power is None where the board's limit is not known.
    """
    machine = machine_of(layout, arch, chip, constants)
    if load.static:
        return fixed_batch(layout, load, machine.work, machine.rates, machine.memory)
    room = room_of(machine, load)
    state = _steady(layout, load, machine, room)
    rate = float(state.requests_per_s) * layout.dp
    compute, bandwidth = shares(machine, load, state)
    busy = 1 - float(state.decode.overhead / (state.decode_s + state.arrivals * state.prompt_s))
    return ServeResult(
        ttft_s=float(state.ttft),
        tpot_s=float(state.tpot),
        output_tokens_per_s=rate * load.osl,
        requests_per_s=rate,
        running=float(state.running) * layout.dp,
        itl_s={name: _gap(share, state, load, constants, machine.names) for name, share in PERCENTILES.items()},
        compute_share=compute,
        memory_share=bandwidth,
        busy_share=busy,
        power_w=None if chip.tdp_w is None else float(power(chip, compute, bandwidth, constants, busy)) * layout.n_accel,
        decode=_plain(state.decode),
        memory=machine.memory,
        bound=_bound(load, state, room),
        overloaded=load.rate is not None and rate < 0.999 * load.rate,
    )


def room_of(machine: Machine, load: ServeLoad) -> float:
    """Sequences of this load that can run together on one instance; at least one."""
    return max(1.0, min(machine.room, float(most_sequences(machine.work, machine.memory.available, load.isl + load.osl / 2))))


def _steady(layout: ServeLayout, load: ServeLoad, machine: Machine, room: float) -> Steady:
    demand = Demand(
        isl=load.isl,
        osl=load.osl,
        chunk=float(layout.chunk),
        per_step=layout.per_step,
        verified=1.0 + layout.drafted,
        prefix_hit=layout.prefix_hit,
        vision_s=load.vision_flops / (machine.rates.dense * layout.tp),
    )
    parts = machine.work, machine.rates, machine.delays
    if load.concurrency is None:
        return open_loop(*parts, demand, rate=(load.rate or 0.0) / layout.dp, room=room)
    concurrency = load.concurrency / layout.dp
    return closed_loop(*parts, demand, concurrency=concurrency, room=room, observed=concurrency if load.observed else math.nan)


def shares(machine: Machine, load: ServeLoad, state: Steady) -> tuple[float, float]:
    """Mean shares (0 to 1) of the matrix peak and of the memory bandwidth that one accelerator uses in this state."""
    work, data = machine.work, machine.sheet
    tokens = state.running / work.attention_dp / work.pp + state.arrivals * load.isl / work.attention_dp / work.pp
    step = state.decode_s + state.arrivals * state.prompt_s
    busy = tokens * (work.dense_flops / data.dense + work.attention_dp * work.expert_flops / data.moe) * work.pp
    decode = state.decode
    read = decode.weights * machine.rates.memory / data.memory + decode.kv * machine.rates.kv / data.memory
    return float(min(1.0, busy / step / work.pp)), float(min(1.0, read / machine.rates.pace / step / work.pp * work.pp))


def _gap(share: float, state: Steady, load: ServeLoad, constants: Constants, names: tuple[str, ...]) -> float:
    return gap(
        share,
        decode=float(state.decode_s),
        prompt=float(state.prompt_s),
        arrivals=float(state.arrivals),
        jitter=constants.effects["jitter"].of(names),
        varied=load.varied,
    )


def _bound(load: ServeLoad, state: Steady, room: float) -> Any:
    if float(state.running) >= 0.99 * room and (load.concurrency is None or load.concurrency > room):
        return "memory"
    if float(state.arrivals * state.prompt_s) > float(state.decode_s):
        return "prefill"
    return "requests" if load.concurrency is not None else "arrivals"


def _plain(parts: IterationBreakdown) -> IterationBreakdown:
    """The same with plain floats."""
    return IterationBreakdown(**{name: float(np.asarray(getattr(parts, name))) for name in parts.__struct_fields__})
