"""As much load as an instance takes: all requests are there at once (offline), or arrive as quickly as latency limits allow (server).

    time = requests x prompt + osl x (whole waves x D(B) + D(rest)),   B = what memory and the engine's cap let run together

Choices: an engine that never evicts (TensorRT-LLM's default) reserves the whole length of each request. Under latency limits B is the
most whose time per token stays below the limit over a margin for the 99th percentile. Where the layout is not said, tp is the least that
leaves room for caches, and copies of it fill the machine.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np

from bedplate.core.units import GIB
from bedplate.planner.facts.architecture import Architecture
from bedplate.planner.facts.cases import Answer, Case, Unsupported
from bedplate.planner.facts.knowledge import Knowledge, machine
from bedplate.planner.facts.systems import Accelerator

from .datasets import lengths_of
from .iteration import iteration
from .layout import layout_of, writer
from .loop import Delays, Demand, closed_loop
from .memory import UTILISATION, most_sequences
from .model import machine_of
from .point import constants_of, margin, ranged
from .rates import Rates
from .records import Numbers, ServeLayout
from .work import Work, per_rank

FILLED = 0.85
"""Share of the usable memory that weights may take before more accelerators share them."""

STEADY = 1e6
"""Requests of a benchmark that runs long enough for its start and end not to count."""

LIMIT_MARGIN = 1.25
"""99th percentile over mean of the time per token under random arrivals, kept clear of a limit."""


TPOT_LIMITS_MS = {"server": 200.0, "interactive": 40.0}
"""Limits on the 99th percentile of the time per token where the case gives none: MLPerf Inference's rules for Llama-2-70B (v4.0, v5.0)."""


class Offline(NamedTuple):
    """Output tokens a second of one instance, running sequences, seconds of a decode iteration and of one prompt."""

    tokens_per_s: Numbers
    running: Numbers
    decode_s: Numbers
    prompt_s: Numbers


def offline(work: Work, rates: Rates, delays: Delays, demand: Demand, *, requests: Numbers, room: Numbers) -> Offline:
    """`requests` that are all there at the start."""
    running = np.maximum(np.minimum(room, requests), 1.0)
    state = closed_loop(work, rates, delays, demand, concurrency=running, room=running, observed=running)
    waves = requests / running
    whole = np.floor(waves)
    rest = np.maximum((waves - whole) * running, 1e-3)
    last = iteration(work, rates, sequences=rest / work.attention_dp / work.pp, context=demand.context).total
    seconds = requests * state.prompt_s + demand.osl * (whole * state.decode_s + np.where(rest > 0.5, last, 0.0))
    return Offline(requests * demand.osl / seconds, running, state.decode_s, state.prompt_s)


def most_under_limit(work: Work, rates: Rates, delays: Delays, demand: Demand, *, room: Numbers, tpot_limit: Numbers) -> Numbers:
    """The most running sequences (at most `room`) whose mean time per token keeps LIMIT_MARGIN from `tpot_limit` s, by bisection."""
    if not np.any(np.isfinite(tpot_limit)):
        return room
    low, high = np.ones_like(np.asarray(room, dtype=float)), np.maximum(np.asarray(room, dtype=float), 1.0)
    for _ in range(8):
        middle = (low + high) / 2
        state = closed_loop(work, rates, delays, demand, concurrency=middle, room=middle, observed=middle)
        fits = state.tpot * LIMIT_MARGIN <= tpot_limit
        low, high = np.where(fits, middle, low), np.where(fits, high, middle)
    return np.where(np.isfinite(tpot_limit), low, room)


class Asked(NamedTuple):
    """What a serve_max case asks: a layout (`dp` copies fill the machine), lengths, requests of one copy, the limit on time per token in s
    (infinite: none), and what was assumed."""

    layout: ServeLayout
    isl: float
    osl: float
    requests: float
    tpot_limit: float
    assumed: list[str]


def served(case: Case, knowledge: Knowledge) -> Asked:
    """The case's question. Raises Unsupported without lengths or a known benchmark."""
    arch, chip = writer(case, knowledge), machine(case, knowledge)
    lengths = lengths_of(case.benchmark or case.dataset or "")
    isl, osl = case.isl or (lengths.isl if lengths else None), case.osl or (lengths.osl if lengths else None)
    if isl is None or osl is None:
        raise Unsupported(f"neither lengths nor a known data set are given ('{case.benchmark or ''}')")
    stated = case.precision or _best_precision(chip)
    layout, assumed = layout_of(_with_precision(case, stated), arch)
    if case.precision is None:
        assumed.append(f"weights taken as {stated}, the lowest that {chip.name} multiplies")
    if case.parallel is None:
        layout = _least(layout, arch, chip, case.n_accel or 1)
        assumed.append(f"layout taken as {layout.dp} copies of tp {layout.tp}")
    if case.engine is None and chip.vendor == "nvidia":
        assumed.append("no engine is named")
    requests = (case.num_requests or STEADY) / layout.dp
    limit = (case.tpot_limit_ms or TPOT_LIMITS_MS.get(case.scenario or "", float("inf"))) / 1e3
    return Asked(layout, isl, osl, requests, limit, assumed)


def _best_precision(chip: Accelerator) -> str:
    """What a benchmark submitter runs: the shortest format that the chip has a rate for."""
    return next((p for p, have in (("nvfp4", "fp4"), ("fp8", "fp8"), ("int8", "int8")) if chip.tflops.get(have)), "bf16")


def _with_precision(case: Case, precision: str) -> Case:
    return msgspec.structs.replace(case, precision=precision, kv_precision=case.kv_precision or ("fp8" if precision != "bf16" else None))


def _least(layout: ServeLayout, arch: Architecture, chip: Accelerator, n: int) -> ServeLayout:
    """The layout with the least tp that leaves memory for caches, copied over all `n` accelerators."""
    for tp in (1, 2, 4, 8):
        if tp > n:
            break
        layout = msgspec.structs.replace(layout, tp=tp, moe_tp=tp, moe_ep=1, dp=max(1, n // tp), pp=1, attention_dp=1)
        if per_rank(arch, layout).weight_bytes <= FILLED * UTILISATION * chip.mem_gb * GIB:
            break
    return layout


def groups(case: Case) -> tuple[str, ...]:
    """Groups of cases whose errors are alike, for `Spread`."""
    return ("max/benchmark" if case.benchmark else "max/lengths", "max", "")


def answer(case: Case, knowledge: Knowledge) -> Answer:
    """The answer to a serve_max case of a language model. Raises Unsupported where lengths, model or chip are unknown."""
    arch, chip, constants = writer(case, knowledge), machine(case, knowledge), constants_of(knowledge)
    asked = served(case, knowledge)
    parts = machine_of(asked.layout, arch, chip, constants)
    names = (*parts.names, f"scenario:{case.scenario}")
    room = float(most_sequences(parts.work, parts.memory.available, asked.isl + asked.osl))
    room = min(max(room, 1.0), constants.effects["max_batch"].of(names))
    ranks = parts.work, parts.rates, parts.delays, Demand(isl=asked.isl, osl=asked.osl)
    kept = most_under_limit(*ranks, room=room, tpot_limit=asked.tpot_limit)
    done = offline(*ranks, requests=asked.requests, room=kept)
    rate = float(done.tokens_per_s) * asked.layout.dp * constants.effects["sustained"].of(names)
    basis = "; ".join([f"roofline of {arch.name} on {asked.layout.n_accel} x {chip.name}, {constants.fitted_on}", *asked.assumed])
    return Answer(
        id=case.id,
        quantities={
            "output_tokens_per_s": ranged("output_tokens_per_s", rate, constants, groups(case), basis, margin(chip, constants, parts.names))
        },
        fits=parts.memory.fits,
        basis=basis,
    )
