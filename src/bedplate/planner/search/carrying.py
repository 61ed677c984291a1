"""What instances carry and how they are at work, of every layout that a question looks at together: arrays with a row for each.

A state is worked out from the requests that run, because everything follows from their number B without a fixed point: the time per token,
the rate B / (answer x time per token) of Little's law, and the time to first token with the wait of an M/G/1 queue before the prompts.
What an instance carries is the last B within the limits, found by cutting the interval (`_last`), so that more memory, a quicker chip or a
looser limit never carries less.

Choices: HEADROOM of the most that memory allows is planned with, and a mean is kept below a limit on the 99th percentile by TAIL_*; nor is
the first token of the longest prompt in a hundred later than that limit with nobody else there. What is chosen is then simulated
(`serving_simulated.py`). Hundreds of layouts are cut at once, because an array of them takes hardly longer than one.
Limits: replicas share the load evenly; requests are alike; one question's layouts are all of one model, with a draft or without.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from bedplate.core.records import Record
from bedplate.planner.asking.questions import Batch, Serve
from bedplate.planner.facts.systems import Accelerator
from bedplate.planner.serving.drafting import Drafter, drafted
from bedplate.planner.serving.loop import Delays, Demand, Steady, closed_loop
from bedplate.planner.serving.model import Machine, shares
from bedplate.planner.serving.rates import Rates
from bedplate.planner.serving.records import IterationBreakdown, ServeLayout, ServeLoad
from bedplate.planner.serving.work import Work

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
One = TypeVar("One", bound=Record)


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


class Held(Record, frozen=True, kw_only=True):
    """A layout that holds the model and one request. `room`: requests that run at most; `draft`: what proposes tokens."""

    layout: ServeLayout
    chip: Accelerator
    machine: Machine
    demand: Demand
    room: float
    draft: Drafter | None = None


class Instance(Held, frozen=True, kw_only=True):
    """Such a layout with what it carries. `full_rps`: requests a second when it never waits for them; `rps`: at random arrivals within the
    limits (where none keeps to them: with next to no load); `longest_s`: to the first token of the longest prompt in a hundred, with
    nobody else there."""

    full_rps: float
    rps: float
    longest_s: float

    def at(self, rate: float) -> State:
        """Its state when `rate` requests a second come at random; at `rps` at the most."""
        return at([self], [rate])[0]


class Rows(Record, frozen=True, kw_only=True):
    """What states are worked out from, each number a column with a row for each layout."""

    work: Work
    rates: Rates
    delays: Delays
    demand: Demand
    room: Points
    draft: Drafter | None


def carrying(question: Serve | Batch, held: Sequence[Held], longest: float) -> list[Instance]:
    """The layouts with what each carries; `longest`: tokens of the longest prompt in a hundred (0: they are alike)."""
    if not held:
        return []
    rows = rows_of(held)
    most = np.asarray(_full(rows).requests_per_s)
    alone = np.zeros_like(most)
    if longest:
        demand = msgspec.structs.replace(rows.demand, isl=longest)
        alone = np.asarray(steady(msgspec.structs.replace(rows, demand=demand), np.full_like(most, LEAST_RUNNING)).ttft)
    rate = _carried(question, rows, most, alone)
    return [
        Instance(**_fields(one), full_rps=float(f), rps=float(r), longest_s=float(a))
        for one, f, r, a in zip(held, most[:, 0], rate, alone[:, 0], strict=True)
    ]


def carried(question: Serve | Batch, found: Sequence[Instance]) -> list[Instance]:
    """The same instances with what they carry within another question's limits on latency."""
    if not found:
        return []
    most, alone = (np.array([[getattr(one, name)] for one in found]) for name in ("full_rps", "longest_s"))
    rate = _carried(question, rows_of(found), most, alone)
    return [msgspec.structs.replace(one, rps=float(r)) for one, r in zip(found, rate, strict=True)]


def _carried(question: Serve | Batch, rows: Rows, most: Points, alone: Points) -> Points:
    """Requests a second that each carries; `most` when it never waits for them, `alone` s to the longest prompt's first token."""

    def within(running: Points) -> NDArray[np.bool_]:
        state = steady(rows, running)
        good = np.asarray(state.requests_per_s) <= HEADROOM * most
        if isinstance(question, Serve) and question.ttft_s is not None:
            good &= np.maximum(np.asarray(state.ttft) * TAIL_TTFT, alone) <= question.ttft_s
        if isinstance(question, Serve) and question.tpot_s is not None:
            good &= np.asarray(state.tpot) * TAIL_TPOT <= question.tpot_s
        return good

    running = _last(within, np.full_like(rows.room, LEAST_RUNNING), rows.room)
    rate: Points = np.asarray(steady(rows, running).requests_per_s)[:, 0]
    return rate


def at(ones: Sequence[Instance], rates: Sequence[float]) -> list[State]:
    """The state of each when so many requests a second come to it at random."""
    if not ones:
        return []
    rows, asked = rows_of(ones), np.array(rates, dtype=float)[:, None]
    running = _last(lambda points: np.asarray(steady(rows, points).requests_per_s) <= asked, np.full_like(rows.room, 1e-4), rows.room)
    return _states(ones, rows, steady(rows, running), running)


def full(ones: Sequence[Instance]) -> list[State]:
    """The state of each when there is always a next request."""
    if not ones:
        return []
    rows = rows_of(ones)
    return _states(ones, rows, _full(rows), rows.room)


def rows_of(held: Sequence[Held]) -> Rows:
    """The layouts together."""
    machines, drafts = [one.machine for one in held], [one.draft for one in held if one.draft is not None]
    draft = None
    if drafts:
        tokens, weights = (np.array([[getattr(one, name)] for one in drafts], dtype=float) for name in ("tokens", "weight_bytes"))
        parts: dict[str, Any] = {"tokens": tokens, "weight_bytes": weights}
        draft = Drafter(work=_stacked([one.work for one in drafts]), rates=_stacked([one.rates for one in drafts]), **parts)
    return Rows(
        work=_stacked([one.work for one in machines]), rates=_stacked([one.rates for one in machines]),
        delays=_stacked([one.delays for one in machines]), demand=_stacked([one.demand for one in held]),
        room=np.array([[one.room] for one in held], dtype=float), draft=draft,
    )  # fmt: skip


def steady(rows: Rows, running: Points) -> Steady:
    """The steady states under random arrivals in which `running` requests run: those of `serving.loop.open_loop`, found from their end."""
    quiet, demand = msgspec.structs.replace(rows.delays, burst=0.0, crowd=0.0, slot=0.0), rows.demand
    state = closed_loop(rows.work, rows.rates, quiet, demand, concurrency=running, room=np.inf, observed=running)
    state = drafted(state, rows.draft, demand, quiet.batching) if rows.draft else state
    used = np.minimum(state.arrivals * state.prompt_s / (state.tpot * demand.per_step), FULLEST)
    return msgspec.structs.replace(state, ttft=state.ttft + used / (1 - used) * state.prompt_s)


def _full(rows: Rows) -> Steady:
    """The states with `room` requests always in flight."""
    state = closed_loop(rows.work, rows.rates, rows.delays, rows.demand, concurrency=rows.room, room=rows.room)
    return drafted(state, rows.draft, rows.demand, rows.delays.batching) if rows.draft else state


def _last(good: Callable[[Points], NDArray[np.bool_]], low: Points, high: Points) -> Points:
    """Of each row the last number in [low, high] up to which all are good; `low` where none is. All are columns."""
    low, row = np.minimum(low, high)[:, 0], np.arange(len(high))
    high = high[:, 0]
    for _ in range(ROUNDS):
        points = np.geomspace(low, high, CUTS, axis=1)
        fine = good(points)
        first, whole = np.argmin(fine, axis=1), fine.all(axis=1)
        below, above = points[row, np.maximum(first - 1, 0)], points[row, first]
        low, high = np.where(whole, high, below), np.where(whole, high, above)
    found: Points = low[:, None]
    return found


def _states(ones: Sequence[Held], rows: Rows, found: Steady, running: Points) -> list[State]:
    """A state for each row, in plain numbers."""
    passes = rows.draft.passes(found.running, rows.demand.context) if rows.draft else None
    drafting = _plain(passes, len(ones)) if passes else [None] * len(ones)
    decodes, fields = _plain(found.decode, len(ones)), _plain(found, len(ones), skip=("decode",))
    return [
        _state(one, Steady(**kept, decode=IterationBreakdown(**decode)), own, float(b))
        for one, kept, decode, own, b in zip(ones, fields, decodes, drafting, running[:, 0], strict=True)
    ]


def _state(held: Held, one: Steady, drafting: dict[str, float] | None, running: float) -> State:
    """The state in which `running` requests run; `drafting`: s of a step's drafts by cause, which its decode holds too."""
    demand, decode = held.demand, one.decode
    multiplied = msgspec.structs.replace(one, running=one.running * demand.verified)
    compute, memory = shares(held.machine, ServeLoad(isl=demand.isl, osl=demand.osl, concurrency=running), multiplied)
    if drafting is not None:
        decode = IterationBreakdown(**{name: getattr(decode, name) - s for name, s in drafting.items()})
    return State(
        running=running, rps=one.requests_per_s, ttft_s=one.ttft, tpot_s=one.tpot, compute=compute, memory=memory, decode=decode,
        drafting=sum((drafting or {}).values()),
    )  # fmt: skip


def _stacked(ones: Sequence[One]) -> One:
    """One record whose numbers are columns with a row for each of `ones`."""
    kind = type(ones[0])
    return kind(**{name: np.array([[getattr(one, name)] for one in ones], dtype=float) for name in kind.__struct_fields__})


def _plain(found: Record, n: int, skip: tuple[str, ...] = ()) -> list[dict[str, float]]:
    """The fields of each of `n` rows, in plain numbers."""
    names = [name for name in found.__struct_fields__ if name not in skip]
    columns = [np.broadcast_to(np.asarray(getattr(found, name), dtype=float), (n, 1))[:, 0].tolist() for name in names]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _fields(held: Held) -> dict[str, Any]:
    return {name: getattr(held, name) for name in Held.__struct_fields__}
