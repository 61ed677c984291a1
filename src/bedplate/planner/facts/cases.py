"""A question to the planner in its one canonical form, and the answer's.

Choices: one record for every kind of measurement, because they share most fields and a source leaves out any of them; a field that a
source does not give is None, and each model says which default it puts in its place. Units are in docs/reference/size-cases.md.
Limits: unknown fields are ignored, so that a file made for a newer planner still reads.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from bedplate.core.records import Record

from .estimate import Estimate

Kind = Literal[
    "train_step", "time_to_train", "serve_point", "serve_disagg", "serve_max", "generate_image", "generate_video",
    "collective", "memory", "training_energy", "gemm",
]  # fmt: skip


class ModelName(Record, frozen=True, kw_only=True):
    """Which architecture; the dimensions only where the source prints them."""

    name: str
    source_name: str = ""
    moe: bool = False
    n_layers: int | None = None
    d_model: int | None = None
    n_heads: int | None = None
    n_kv_heads: int | None = None
    d_ff: int | None = None
    vocab_size: int | None = None
    params: float | None = None
    active_params: float | None = None


class Overrides(Record, frozen=True, kw_only=True):
    """In what this machine differs from the accelerator's row."""

    mem_gb: float | None = None
    mem_type: str | None = None
    mem_gbps: float | None = None
    tdp_w: float | None = None


class Parallel(Record, frozen=True, kw_only=True):
    """A layout: degrees of each kind of parallelism. None: the source does not say."""

    tp: int | None = None
    pp: int | None = None
    cp: int | None = None
    ep: int | None = None
    dp: int | None = None
    vp: int | None = None
    etp: int | None = None
    fsdp: str | None = None
    fsdp_degree: int | None = None
    zero: int | str | None = None
    fsdp_mixed_precision: str | None = None
    sequence_parallel: bool | None = None
    async_tp: bool | None = None
    pp_schedule: str | None = None
    slices: int | None = None
    attention_dp: int | None = None
    moe_tp: int | None = None
    moe_ep: int | None = None
    ulysses: int | None = None
    ring: int | None = None
    style: str | None = None
    workers: int | None = None
    batch_size: int | None = None
    n_accel: int | None = None


class Case(Record, frozen=True, kw_only=True):
    """One workload on one machine. See docs/reference/size-cases.md for units; every field but `id` and `kind` may be absent."""

    id: str
    kind: Kind
    model: ModelName | None = None
    variant: str | None = None
    accelerator: str | None = None
    accelerator_overrides: Overrides | None = None
    n_accel: int | None = None
    n_nodes: int | None = None
    interconnect: str | None = None
    network: str | None = None
    system: str | None = None
    slice: str | None = None
    submitter: str | None = None
    cluster: str | None = None
    engine: str | None = None
    engine_version: str | None = None
    engine_detail: str | None = None
    framework: str | None = None
    precision: str | None = None
    moe_precision: str | None = None
    kv_precision: str | None = None
    compute_precision: str | None = None
    precision_detail: str | None = None
    power_limited: bool | None = None
    flops_convention: str | None = None
    attention_flops: str | None = None
    task: str | None = None
    seq_len: int | None = None
    gbs: float | None = None
    mbs: float | None = None
    local_batch: float | None = None
    grad_accum: float | None = None
    tokens_per_step: float | None = None
    recompute: str | None = None
    recompute_detail: str | None = None
    cpu_offload: bool | None = None
    compile: bool | None = None
    technique: str | None = None
    moe_routing: str | None = None
    token_drop: bool | None = None
    parallel: Parallel | None = None
    prefill: Parallel | None = None
    decode: Parallel | None = None
    benchmark: str | None = None
    round: str | None = None
    division: str | None = None
    isl: float | None = None
    osl: float | None = None
    dataset: str | None = None
    concurrency: float | None = None
    batch_size: float | None = None
    batching: str | None = None
    request_rate: float | None = None
    num_requests: int | None = None
    scenario: str | None = None
    status: str | None = None
    ttft_limit_ms: float | None = None
    tpot_limit_ms: float | None = None
    resolution: tuple[int, int] | None = None
    steps: int | None = None
    frames: int | None = None
    fps: float | None = None
    collective: str | None = None
    bytes: float | None = None
    message_size: str | None = None
    trainable_params: float | None = None
    config: Any = None
    baseline: Any = None
    memory_unit_in_source: str | None = None
    gpu_hours: float | None = None
    power_w: float | None = None
    pue: float | None = None
    g_per_kwh: float | None = None
    tokens: float | None = None
    shape_mnk: tuple[int, int, int] | None = None


class Answer(Record, frozen=True, kw_only=True):
    """What the planner says to one case: quantities by the name the case's kind gives them, or why there is no answer."""

    id: str
    quantities: dict[str, Estimate] = msgspec.field(default_factory=dict)
    fits: bool | None = None
    basis: str = ""
    unsupported: str = ""
    warnings: tuple[str, ...] = ()


class Unsupported(Exception):
    """The planner has no model for this case; the text says why. It becomes `Answer.unsupported`, never a traceback."""
