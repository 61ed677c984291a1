"""The words of the serving room: a layout, a load, the parts of an iteration and of the memory, and the result.

Choices: numbers of a layout are plain; numbers of an iteration may be NumPy arrays of equal length (one element a batch, a layout or a
case), so that search and fits evaluate thousands at once. Times are seconds, sizes bytes, rates per second.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from bedplate.core.records import Record

from .speculative import tokens_per_step

Numbers = Any
"""A float, or a NumPy array of floats (msgspec cannot spell the union)."""


class ServeLayout(Record, frozen=True, kw_only=True):
    """How one instance is spread, and by which engine.

    One instance has tp x pp x attention_dp accelerators, of which moe_tp x moe_ep = tp x attention_dp share the experts of a stage; `dp`
    equal instances stand beside each other. Precisions are of the weights and matrix products; `max_batch` is the engine's cap on running
    sequences of one instance (None: memory decides), `chunk` the most tokens of one iteration of one attention rank.
    """

    tp: int = 1
    pp: int = 1
    attention_dp: int = 1
    moe_tp: int = 1
    moe_ep: int = 1
    dp: int = 1
    precision: str = "bf16"
    moe_precision: str = "bf16"
    kv_precision: str = "bf16"
    engine: str = ""
    engine_version: str = ""
    max_batch: int | None = None
    chunk: int = 8192
    prefix_hit: float = 0.0
    """Share of the prompt's tokens whose cache is found ready."""
    drafted: int = 0
    """Tokens that a draft proposes a step (0: no speculation), of which each is accepted with chance `acceptance`."""
    acceptance: float = 0.7
    benchmark: str = ""
    """The named benchmark that the instance runs in, where it is one whose host was measured with it."""
    drafts: str = ""
    """The model's name where its checkpoint carries blocks that draft tokens: whether an engine uses them is seldom stated."""

    @property
    def n_accel(self) -> int:
        """Accelerators of all instances."""
        return self.tp * self.pp * self.attention_dp * self.dp

    @property
    def per_step(self) -> float:
        """Tokens of an answer that one decode step yields."""
        return tokens_per_step(self.acceptance, self.drafted)


class ServeLoad(Record, frozen=True, kw_only=True):
    """What is asked of all instances together: `isl` prompt and `osl` answer tokens, and either `concurrency` requests held in flight
    or `rate` requests a second. `varied`: lengths scatter as people's do (exponentially), else they are all equal.
    `vision_flops` is what the encoders before the model take for one request."""

    isl: float
    osl: float
    concurrency: float | None = None
    rate: float | None = None
    varied: bool = False
    static: bool = False
    """A fixed batch that starts and ends together, instead of continuous batching."""
    vision_flops: float = 0.0
    observed: bool = False
    """`concurrency` is a running batch that was observed, not a number of requests in flight."""


class IterationBreakdown(Record, frozen=True, kw_only=True):
    """Seconds of one engine iteration by cause: reading weights, reading caches, arithmetic beyond those, communication between
    accelerators, and what engine and launches add."""

    weights: Numbers
    kv: Numbers
    compute: Numbers
    attention: Numbers
    communication: Numbers
    overhead: Numbers

    @property
    def total(self) -> Numbers:
        return self.weights + self.kv + self.compute + self.attention + self.communication + self.overhead


class ServeMemory(Record, frozen=True, kw_only=True):
    """Bytes on one accelerator. `tokens`: how many tokens of cache the whole instance can hold; below 0 the weights alone do not fit."""

    weights: float
    overhead: float
    available: float
    kv_per_token: float
    tokens: float

    @property
    def fits(self) -> bool:
        return self.tokens > 0

    def within(self, bytes_: float) -> bool:
        """Whether weights and runtime are within so many bytes, whatever share of them the engine was told to take."""
        return self.weights + self.overhead <= bytes_


class ServeResult(Record, frozen=True, kw_only=True):
    """What a load gets from a layout. Shares (0 to 1) are of the matrix peak, of the memory bandwidth, and of the time in which
    kernels run. `bound` names what limits it: requests, memory, arrivals or prefill."""

    ttft_s: float
    tpot_s: float
    output_tokens_per_s: float
    requests_per_s: float
    running: float
    itl_s: dict[str, float] = msgspec.field(default_factory=dict)
    compute_share: float = 0.0
    memory_share: float = 0.0
    busy_share: float = 1.0
    power_w: float | None = None
    decode: IterationBreakdown | None = None
    memory: ServeMemory | None = None
    bound: Literal["requests", "memory", "arrivals", "prefill"] = "requests"
    overloaded: bool = False
