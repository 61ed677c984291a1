"""What drafts of speculative decoding cost and yield: a small model, or a block of the model itself, proposes tokens for a step to verify.

    step          = verifying iteration + tokens x draft's iteration       both at the requests that run
    time a token  = (step + prompts an iteration x (prompt + draft's prompt)) / tokens a step
    tokens a step = (1 - a^(k + 1)) / (1 - a)                                `speculative.py`; the verifying iteration multiplies k + 1

Choices: the draft is cut as the model is (over tp, repeated on each attention rank), but not into pipeline stages; it reads every prompt
and keeps caches of its own. A block of the model itself ("mtp") is one more of its last layers, run again for each token (DeepSeek-V3,
arXiv 2412.19437, section 2.2); embedding and output layer are the model's. The engine's host works once a step, not once a draft.
Limits: acceptance is the same for every token; trees of drafts are not told apart from chains.
"""

from __future__ import annotations

import msgspec
import numpy as np

from bedplate.core.records import Record
from bedplate.planner.facts.architecture import Architecture

from .iteration import iteration
from .loop import Demand, Steady, prefill_chunks
from .model import Machine
from .rates import Rates
from .records import IterationBreakdown, Numbers, ServeLayout
from .work import Work, per_rank

OWN = "mtp"
"""The name of a draft that the model's own checkpoint carries."""


class Drafter(Record, frozen=True, kw_only=True):
    """A rank's share of the draft, its rates, and the `tokens` that it proposes a step. `weight_bytes` of a rank are beyond the model's."""

    work: Work
    rates: Rates
    tokens: int
    weight_bytes: float

    def passes(self, running: Numbers, context: Numbers) -> IterationBreakdown:
        """Seconds of all its passes of one step in which `running` requests run, by cause."""
        one = iteration(self.work, self.rates, sequences=running / self.work.attention_dp, context=context)
        return IterationBreakdown(**{name: self.tokens * getattr(one, name) for name in one.__struct_fields__})

    def prompt_s(self, demand: Demand) -> Numbers:
        """Seconds to read one prompt."""
        chunks = prefill_chunks(demand.prompt, demand.chunk)
        of_one = {"prefill": demand.prompt / chunks, "prefill_context": demand.isl - demand.prompt / 2}
        return chunks * iteration(self.work, self.rates, sequences=0.0, context=0.0, **of_one).total


def own_block(arch: Architecture) -> Architecture:
    """One more layer like the last, which proposes a token: what `mtp` runs."""
    last = msgspec.structs.replace(arch.groups[-1], count=1)
    return msgspec.structs.replace(arch, groups=(last,), mtp_layers=0, other_params=0.0, encoders=(), params=None, active_params=None)


def drafter(layout: ServeLayout, machine: Machine, draft: Architecture, *, own: bool) -> Drafter:
    """The draft beside a model on `machine`; `own`: a block of the model itself, whose embedding and output layer are there already."""
    work = per_rank(draft, msgspec.structs.replace(layout, pp=1))
    shared = 2.0 * draft.vocab_size * draft.d_model / layout.tp
    weights = float(work.dense_bytes + work.expert_bytes) - shared if own else float(work.weight_bytes)
    quiet = msgspec.structs.replace(machine.rates, step=0.0, sequence=0.0)
    return Drafter(work=work, rates=quiet, tokens=layout.drafted, weight_bytes=weights)


def beside(machine: Machine, draft: Drafter) -> Machine:
    """The machine with the draft's weights and caches in its memory; of a pipeline the last stage holds them."""
    work, held = machine.work, machine.memory
    both = msgspec.structs.replace(
        work, weight_bytes=work.weight_bytes + draft.weight_bytes, kv_held=work.kv_held + draft.work.kv_held,
        held_window=work.held_window + draft.work.held_window,
    )  # fmt: skip
    available, token = held.available - draft.weight_bytes, max(both.kv_held + both.held_window, 1e-9)
    kept = msgspec.structs.replace(
        held, weights=held.weights + draft.weight_bytes, available=available, kv_per_token=token,
        tokens=available / token * float(work.attention_dp),
    )  # fmt: skip
    return msgspec.structs.replace(machine, work=both, memory=kept)


def drafted(state: Steady, draft: Drafter, demand: Demand, batching: Numbers) -> Steady:
    """The steady state with the draft's passes; `state` is that of the verifying iterations alone. `batching` iterations pass before a
    prompt enters."""
    more, prompt = draft.passes(state.running, demand.context), draft.prompt_s(demand)
    decode = IterationBreakdown(**{name: getattr(state.decode, name) + getattr(more, name) for name in more.__struct_fields__})
    added = more.total + state.arrivals * prompt
    tpot = state.tpot + added / demand.per_step
    return msgspec.structs.replace(
        state, decode=decode, decode_s=state.decode_s + more.total, prompt_s=state.prompt_s + prompt, crowded_s=state.crowded_s + prompt,
        tpot=tpot, ttft=state.ttft + (batching + 0.5) * added + prompt + more.total,
        requests_per_s=state.running / np.maximum(demand.osl * tpot, 1e-12),
    )  # fmt: skip
