"""Prefill and decode on workers of their own (DistServe, arXiv 2401.09670): time to first token and time per token.

    concurrency = workers x b + rate x ttft        those who decode, b a worker, and those who wait for a first token (Little's law)
    rate        = workers x b / (osl x tpot(b))    b is found by bisection: both sides rise with it
    capacity    = prefill workers x prompts per pass / pass                 a pass takes as many prompts a rank as its chunk holds
    ttft        = client + pass + caches over the network + burst + queue + spill
    queue       = u x pass / 2 + pass of one / (2 c) x u^(sqrt(2 (c + 1)) - 1) / (1 - u)       u = rate / capacity, c attention ranks
    spill       = f / (1 - f) x osl x tpot,  f = spill x 0.4 sqrt((1 - 1 / workers) / slots)

The queue is what is left of the pass that runs (ranks go in step) and Sakasegawa's wait of an M/G/c queue with equal services (1977).
A router that does not count sends some worker more than its slots: of requests thrown at random, E[(N - slots)+] = 0.4 sqrt(variance)
wait (normal approximation of the binomial), each for a share of a whole answer.

Choices: the same rooflines and delays as one instance; decode carries no prompts. Limits: workers of one kind are equal; caches move at
one accelerator's network rate and are not overlapped with the pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from bedplate.core.units import GIB
from bedplate.planner.facts.cases import Answer, Case, Unsupported
from bedplate.planner.facts.knowledge import Knowledge, machine

from .iteration import iteration
from .layout import ONE_BY_ONE, layout_of, load_of, writer
from .loop import Delays, prefill_chunks
from .model import machine_of
from .point import constants_of, margin, ranged
from .rates import SCALE_OUT, Rates
from .records import Numbers
from .work import Work

SATURATED = 0.97
"""Share of the prefill capacity from which prefill is said to be what limits."""
NEARLY = 0.999
"""Share of the capacity up to which the queue's formula is taken: a closed loop never quite reaches it."""
ROUNDS = 6
"""Passes to the requests in flight: each is nearer by the share of them that waits."""
HALVINGS = 26
"""Of the interval in which the requests in decode lie: to 1e-7 of the concurrency."""


class Side(NamedTuple):
    """One kind of worker: a rank's work and rates, how many workers."""

    work: Work
    rates: Rates
    workers: Numbers


class Split(NamedTuple):
    """Steady state of a disaggregated deployment; times in s."""

    ttft: Numbers
    tpot: Numbers
    requests_per_s: Numbers
    running: Numbers
    pass_s: Numbers
    saturated: Numbers


class Prefilling(NamedTuple):
    """Times (s) of the prefill workers at any rate: of one prompt `alone` with all that does not queue, of a `full` pass, of one of its
    prompts on its rank (`each`); `ranks` that take prompts; prompts a second at most."""

    alone: Numbers
    full: Numbers
    each: Numbers
    ranks: Numbers
    capacity: Numbers

    def queue(self, rate: Numbers) -> Numbers:
        """Mean wait of a prompt that arrives among `rate` a second."""
        used = np.minimum(rate / self.capacity, NEARLY)
        behind = used ** (np.sqrt(2 * (self.ranks + 1)) - 1) / (1 - used)
        return used * self.full / 2 + self.each / (2 * self.ranks) * behind


def _prefilling(prefill: Side, delays: Delays, isl: Numbers, concurrency: Numbers, chunk: Numbers) -> Prefilling:
    chunks = prefill_chunks(isl, chunk)
    packed = np.maximum(1.0, np.floor(chunk / isl))
    one = _pass(prefill, isl, isl, chunks, 1.0)
    full = _pass(prefill, isl, isl * packed, chunks, prefill.work.attention_dp)
    ranks = prefill.workers * prefill.work.attention_dp
    capacity = ranks * packed / full
    moved = isl * (prefill.work.kv_held + prefill.work.held_window) / SCALE_OUT
    alone = delays.client + one + moved + delays.burst * concurrency / 2 / capacity
    return Prefilling(alone, full, full / packed, ranks, capacity)


def disaggregated(
    prefill: Side, decode: Side, delays: Delays, *, isl: Numbers, osl: Numbers, concurrency: Numbers, chunk: Numbers = 8192.0
) -> Split:
    """The steady state with `concurrency` requests in flight."""
    before = _prefilling(prefill, delays, isl, concurrency, chunk)

    def at(running: Numbers) -> tuple[Numbers, Numbers, Numbers]:
        """(time to first token, time per token, rate) with `running` requests in each decode worker"""
        of_rank = np.maximum(running / decode.work.attention_dp / decode.work.pp, 1e-3)
        tpot = iteration(decode.work, decode.rates, sequences=of_rank, context=isl + osl / 2).total
        rate = running * decode.workers / (osl * tpot)
        lost = np.minimum(delays.spill * 0.4 * np.sqrt((1 - 1 / decode.workers) / np.maximum(running, 1.0)), 0.5)
        ttft = before.alone + before.queue(rate) + (delays.batching + 0.5) * tpot + lost / (1 - lost) * osl * tpot
        return ttft, tpot, rate

    low, high = np.zeros_like(np.asarray(concurrency, dtype=float)), concurrency / decode.workers
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        ttft, _, rate = at(middle)
        fits = (middle * decode.workers + rate * ttft <= concurrency) & (rate < before.capacity)
        low, high = np.where(fits, middle, low), np.where(fits, high, middle)
    _, tpot, rate = at(high)
    ttft = concurrency / rate - osl * tpot
    return Split(ttft, tpot, rate, high, before.each / prefill.work.attention_dp, rate >= SATURATED * before.capacity)


def decoding(split_at: Callable[[float], Split], running: float) -> Split:
    """The steady state in which `running` requests decode: with them are those that wait for a first token, found in ROUNDS passes."""
    split = split_at(running)
    for _ in range(ROUNDS):
        split = split_at(running + float(split.requests_per_s * split.ttft))
    return split


def _pass(side: Side, isl: Numbers, tokens: Numbers, chunks: Numbers, ranks: Numbers) -> Numbers:
    """Seconds to prefill `tokens` of prompts of `isl` in `chunks` iterations on each of `ranks` attention ranks."""
    parts = iteration(
        side.work, side.rates, sequences=0.0, context=0.0, prefill=tokens / chunks, prefill_context=isl / 2, prefill_ranks=ranks
    )
    return chunks * parts.total


def groups(case: Case) -> tuple[str, ...]:
    """Groups of cases whose errors are alike, for `Spread`."""
    return (f"disagg/{case.engine or ''}", "disagg", "")


def answer(case: Case, knowledge: Knowledge) -> Answer:
    """The answer to a serve_disagg case. Raises Unsupported where a side, the model, the chip or the load is unknown."""
    if case.prefill is None or case.decode is None:
        raise Unsupported("the prefill or the decode workers are not given")
    arch, chip, constants = writer(case, knowledge), machine(case, knowledge), constants_of(knowledge)
    load, said = load_of(case, constants)
    stated = case.decode.batch_size if case.concurrency is None and case.batch_size is None else None
    if stated is not None:
        said = [one for one in said if one != ONE_BY_ONE] + [f"{stated} requests decode on each worker, as stated"]
    elif load.concurrency is None:
        raise Unsupported("disaggregated serving is modelled at a fixed concurrency")
    before, assumed = layout_of(case, arch, case.prefill)
    after, _ = layout_of(case, arch, case.decode)
    prefill, decode = machine_of(before, arch, chip, constants), machine_of(after, arch, chip, constants)
    first, second = Side(prefill.work, prefill.rates, case.prefill.workers or 1), Side(decode.work, decode.rates, case.decode.workers or 1)

    def split_at(concurrency: float) -> Split:
        chunk = float(before.chunk)
        return disaggregated(first, second, decode.delays, isl=load.isl, osl=load.osl, concurrency=concurrency, chunk=chunk)

    split = split_at(load.concurrency or 1.0) if stated is None else decoding(split_at, stated * float(second.workers))
    basis = "; ".join([f"roofline of {arch.name} on {chip.name}, workers apart, {constants.fitted_on}", *assumed, *said])
    names, extra = groups(case), margin(chip, constants, decode.names)
    values = {"ttft_ms": float(split.ttft) * 1e3, "tpot_ms": float(split.tpot) * 1e3}
    values["output_tokens_per_s"] = float(split.requests_per_s) * load.osl
    return Answer(
        id=case.id,
        quantities={name: ranged(name, value, constants, names, basis, extra) for name, value in values.items()},
        fits=all(side.memory.within(chip.mem_gb * GIB) for side in (prefill, decode)),
        basis=basis,
    )
