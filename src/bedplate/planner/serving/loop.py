"""What continuous batching makes of iteration times: time per token, time to first token and throughput under a steady load.

Closed loop (`concurrency` requests always in flight, Little's law) with B running, D(B) a decode iteration and M one that also carries a
prompt's chunk:

    time per token        = D + chunks x B / osl x (M - D)           each request passes B others' prompts in its osl iterations
    time to first token   = client + wait for a batch + half an iteration + chunks x M + burst + queue for memory
    throughput            = B x tokens / time per token

`burst`: clients start all requests at once, and a share of the mean (about one round in ten) carries that queue of concurrency / 2
prompts. `queue`: requests that memory has no room for wait (concurrency - B) / request rate.

Choices: closed form, a short fixed point, arrays throughout. Limits: lengths within one load are exchangeable; no priority, no pre-emption.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bedplate.core.records import Record

from .iteration import iteration
from .rates import Rates
from .records import IterationBreakdown, Numbers
from .work import Work

ROUNDS = 4
"""Passes of the fixed point between requests running and time to first token; it contracts by the share of time spent in prefill."""


STEPS = 24
"""Damped passes to the number running in an open loop."""


class Delays(Record, frozen=True, kw_only=True):
    """Fitted waits before the first token.

    `client` s of request handling; `batching` iterations that an engine waits to fill attention ranks; `burst` share of the starting queue
    in the mean; `crowd` s of handling for each request in flight (they come together and are taken up one by one); `slot` share of a
    request's whole time spent waiting for its slot, by concurrency (of some versions; nothing in general); `spill` share of the chance
    overflow of decode workers that waits (`disagg.py`)."""

    client: Numbers
    batching: Numbers
    burst: Numbers
    crowd: Numbers
    slot: Numbers
    spill: Numbers


def delays_of(of: Callable[[str], Numbers]) -> Delays:
    """Delays from a look-up of each constant's value."""
    return Delays(
        client=1e-3 * of("client_ms"),
        batching=of("batching"),
        burst=of("burst"),
        crowd=1e-3 * of("crowd_ms"),
        slot=of("slot"),
        spill=of("spill"),
    )


class Steady(Record, frozen=True, kw_only=True):
    """A steady state of one instance. Times in s; `arrivals` prompts start in one iteration on average."""

    ttft: Numbers
    tpot: Numbers
    decode: IterationBreakdown
    decode_s: Numbers
    prompt_s: Numbers
    """What one prompt adds to the iterations that carry it."""
    crowded_s: Numbers
    """The same where many prompts share an iteration."""
    running: Numbers
    requests_per_s: Numbers
    arrivals: Numbers


def prefill_chunks(tokens: Numbers, chunk: Numbers) -> Numbers:
    """Iterations that a prompt is spread over."""
    return np.ceil(np.maximum(tokens, 1.0) / chunk)


class Demand(Record, frozen=True, kw_only=True):
    """What each request asks and how the engine cuts it: `isl` prompt tokens of which a share `prefix_hit` is found cached, `osl` answer
    tokens, `chunk` the most prompt tokens of one rank and iteration, `per_step` tokens that one decode step yields from `verified` ones,
    `vision_s` seconds of encoders before the prompt."""

    isl: Numbers
    osl: Numbers
    chunk: Numbers = 8192.0
    per_step: Numbers = 1.0
    verified: Numbers = 1.0
    prefix_hit: Numbers = 0.0
    vision_s: Numbers = 0.0

    @property
    def prompt(self) -> Numbers:
        """Prompt tokens that are computed."""
        return np.maximum(self.isl * (1 - self.prefix_hit), 1.0)

    @property
    def context(self) -> Numbers:
        """Mean cached tokens of a running request."""
        return self.isl + self.osl / 2


def closed_loop(
    work: Work, rates: Rates, delays: Delays, demand: Demand, *, concurrency: Numbers, room: Numbers, observed: Numbers = np.nan
) -> Steady:
    """The steady state with `concurrency` requests in flight of which at most `room` run; `observed` is the number that was seen to run
    (NaN: it follows)."""
    osl = demand.osl
    running = np.where(np.isnan(observed), np.minimum(concurrency, room), observed)
    for _ in range(1 if np.all(np.isfinite(observed)) else ROUNDS):
        state = _at(work, rates, delays, demand, concurrency, np.maximum(running, 1e-3))
        share = osl * state.tpot / (osl * state.tpot + state.ttft)
        running = np.where(np.isnan(observed), np.minimum(room, concurrency * share), observed)
    waiting = np.maximum(concurrency - room, 0.0) / state.requests_per_s
    return _with_ttft(state, state.ttft + waiting)


def open_loop(work: Work, rates: Rates, delays: Delays, demand: Demand, *, rate: Numbers, room: Numbers) -> Steady:
    """The steady state with `rate` requests a second arriving at random at one instance.

    Running requests follow from Little's law, rate x osl x time per token, capped by `room`; the wait for prompts ahead is that of an
    M/G/1 queue whose service is a prompt (Pollaczek-Khinchine with exponential prompts): load / (1 - load) x prompt.
    """
    osl = demand.osl
    running = np.minimum(room, 1.0)
    for _ in range(STEPS):
        state = _at(work, rates, delays, demand, running, np.maximum(running, 1e-3))
        running = np.minimum(room, (running + rate * osl * state.tpot) / 2)
    used = np.minimum(state.arrivals * state.prompt_s / (state.tpot * demand.per_step), 0.999)
    together = delays.crowd * running + delays.burst * running / 2 * state.crowded_s
    alone = state.ttft - together - delays.slot * osl * state.tpot / np.maximum(running, 1.0)
    return _with_ttft(state, alone + used / (1 - used) * state.prompt_s)


def _at(work: Work, rates: Rates, delays: Delays, demand: Demand, concurrency: Numbers, running: Numbers) -> Steady:
    """Times with `running` of `concurrency` requests decoding."""
    osl, chunks = demand.osl, prefill_chunks(demand.prompt, demand.chunk)
    arrivals = running * demand.per_step / osl
    decode = iteration(
        work, rates, sequences=running / work.attention_dp / work.pp, context=demand.context, verified=demand.verified
    )  # fmt: skip
    alone = decode.total
    mixed, added = _carried(work, rates, demand, running, arrivals / work.pp * np.maximum(delays.batching, 1.0), alone)
    crowded = _carried(work, rates, demand, running, concurrency, alone)[1] + demand.vision_s
    prompt_s = added + demand.vision_s
    step = alone + arrivals * prompt_s
    whole = osl * step / demand.per_step
    waits = delays.client + delays.crowd * concurrency + delays.slot * whole / np.maximum(concurrency, 1.0)
    return Steady(
        ttft=waits + (delays.batching + 0.5) * step + chunks * mixed + demand.vision_s + delays.burst * concurrency / 2 * crowded,
        tpot=step / demand.per_step,
        decode=decode,
        decode_s=alone,
        prompt_s=prompt_s,
        crowded_s=crowded,
        running=running,
        requests_per_s=running / whole,
        arrivals=arrivals,
    )


def _carried(work: Work, rates: Rates, demand: Demand, running: Numbers, together: Numbers, alone: Numbers) -> tuple[Numbers, Numbers]:
    """(an iteration that carries chunks of `together` prompts, what it adds to `alone` for each of them)"""
    prompt, chunks = demand.prompt, prefill_chunks(demand.prompt, demand.chunk)
    ranks = np.clip(together, 1.0, work.attention_dp)
    each = np.clip(together / ranks, 1.0, np.maximum(1.0, demand.chunk / prompt))
    mixed = iteration(
        work,
        rates,
        sequences=running / work.attention_dp / work.pp,
        context=demand.context,
        verified=demand.verified,
        prefill=prompt / chunks * each,
        prefill_context=demand.isl - prompt / 2,
        prefill_ranks=ranks,
    ).total
    return mixed, chunks * (mixed - alone) / ranks / each / work.pp


def _with_ttft(state: Steady, ttft: Numbers) -> Steady:
    fields = {name: getattr(state, name) for name in state.__struct_fields__}
    return Steady(**(fields | {"ttft": ttft}))
