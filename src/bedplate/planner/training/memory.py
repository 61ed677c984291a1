"""The memory of one accelerator in training or inference, part by part, for one layout or an array of them.

Choices: bytes are counted as frameworks hold them: weights, gradients and optimiser state after sharding, activations kept for the
backward pass of every micro-batch in flight (Korthikanti et al., arXiv 2205.05198, eq. 1 to 6, for any widths), logits, and buffers
(gathered blocks, dequantised weights). The worst rank counts: the first stage of a pipeline holds most micro-batches, the last one the
logits. Three fitted factors stand for what no formula gives: what an engine keeps beside the formula, what selective recomputation
leaves, and the allocator's reserve.
Limits: the driver's context and the communication library's buffers (1 to 3 GiB) are not in it: neither are they in published peaks.
"""

from __future__ import annotations

import numpy as np

from bedplate.core.records import Record
from bedplate.planner.kernels.roofline import Numbers

from .layout import FULL, SELECTIVE, Layout
from .operators import Operations
from .rates import Workload


class MemoryBreakdown(Record, frozen=True, kw_only=True):
    """Bytes on the worst rank by part, which sum to `total`; for an array of layouts each is an array."""

    weights: Numbers
    gradients: Numbers
    optimiser: Numbers
    activations: Numbers
    logits: Numbers
    buffers: Numbers
    reserve: Numbers

    @property
    def total(self) -> Numbers:
        return sum((getattr(self, name) for name in self.__struct_fields__), start=np.zeros(()))


class Held(Record, frozen=True, kw_only=True):
    """Fitted factors: `kept` on activations, `selective` on what selective recomputation leaves, bytes a `logit`, the allocator's share."""

    kept: Numbers = 1.0
    selective: Numbers = 1.0
    logit: Numbers = 8.0
    reserve: Numbers = 0.0


def memory(layout: Layout, work: Workload, ops: Operations, held: Held) -> MemoryBreakdown:
    """Where the memory of the worst rank goes."""
    weights, gradients, optimiser = state(layout, work, ops)
    first = activations(layout, work, ops, held)
    logits = layout.mbs * work.seq / layout.cp * ops.vocab / layout.tp * held.logit
    staged = np.asarray(layout.pp) > 1
    last = first / np.maximum(in_flight(layout), 1.0) + logits
    worse_last = staged & (last > first)
    kept = np.where(staged, np.where(worse_last, last - logits, first), first)
    shown = np.where(staged & ~worse_last, 0.0, logits)
    sharded = np.asarray(layout.zero) >= 3
    spare = work.spare + np.where(sharded & (np.asarray(layout.shard) > 1), _gathered(layout, ops), 0.0)
    parts = (weights, gradients, optimiser, kept, shown, spare)
    return MemoryBreakdown(
        weights=weights, gradients=gradients, optimiser=optimiser, activations=kept, logits=shown, buffers=spare,
        reserve=held.reserve * sum(parts, start=np.zeros(())),
    )  # fmt: skip


def state(layout: Layout, work: Workload, ops: Operations) -> tuple[Numbers, Numbers, Numbers]:
    """Bytes of weights, gradients and optimiser state on the worst rank: a pipeline's first stage, with the embedding, or its last."""
    body = ops.dense_params / (layout.tp * layout.pp)
    ends = (
        np.where(np.asarray(layout.pp) > 1, np.maximum(ops.embed_params, ops.head_params), ops.embed_params + ops.head_params) / layout.tp
    )
    routed = ops.expert_params / (layout.etp * layout.ep * layout.pp)
    ranks = layout.dp * layout.cp
    shard = np.clip(layout.shard, 1.0, ranks)
    spread = np.maximum(ranks * layout.tp / (layout.ep * layout.etp), 1.0)

    def split(level: float) -> tuple[Numbers, Numbers]:
        on = np.asarray(layout.zero) >= level
        return np.where(on, shard, 1.0), np.where(on, np.minimum(spread, np.where(on, shard, 1.0)), 1.0)

    by3, by2, by1 = split(3), split(2), split(1)
    free = 1.0 - np.asarray(work.frozen)
    own = np.asarray(work.weight_bytes)
    one = np.where((own == 0) & (np.asarray(layout.zero) < 3), 2.0, own)
    weights = (body * one + ends * np.maximum(one, work.end_bytes)) / by3[0] + routed * one / by3[1]
    gradients = work.gradient_bytes * (free * ((body + ends) / by2[0] + routed / by2[1]) + work.trained)
    optimiser = work.optimiser_bytes * (free * ((body + ends) / by1[0] + routed / by1[1]) + work.trained)
    return weights, gradients, optimiser


def in_flight(layout: Layout) -> Numbers:
    """Micro-batches whose activations the first stage holds: pp under 1F1B, pp + (pp-1)/vp interleaved, never more than there are."""
    deep = layout.pp + np.where(np.asarray(layout.vp) > 1, (layout.pp - 1) / layout.vp, 0.0)
    return np.where(np.asarray(layout.pp) > 1, np.minimum(deep, layout.accum), 1.0)


def activations(layout: Layout, work: Workload, ops: Operations, held: Held) -> Numbers:
    """Bytes of activations that the first stage keeps, under its level of recomputation."""
    tokens = layout.mbs * work.seq / layout.cp
    whole = np.where(np.asarray(layout.sequence) > 0, layout.tp, 1.0)
    width = ops.d_model * ops.layers
    masks = np.asarray(work.dropout) * 2.0 * width / whole
    kept = (
        (ops.kept_whole + work.kept_eager * width) / whole + masks + ops.kept_split / layout.tp + ops.kept_routed * layout.etp / layout.tp
    )
    scores = np.sum(ops.attends.layers * ops.attends.heads * np.minimum(work.seq, ops.attends.window), axis=0) / layout.tp
    unfused = np.where(np.asarray(work.flash) > 0, 0.0, SCORE_BYTES * scores)
    plain = (kept + unfused) * work.kept_low
    partly = kept * work.kept_low * np.where(np.asarray(work.flash) > 0, held.selective, 1.0)
    level = np.asarray(layout.recompute)
    less = np.where(level == FULL, ops.boundary / whole, np.where(level == SELECTIVE, partly, plain))
    stored = (layout.share * less + (1.0 - layout.share) * plain) * held.kept
    resting = tokens * stored / layout.pp * in_flight(layout) * (1.0 - (1.0 - OFFLOADED) * layout.offload)
    working = np.where((level == FULL) & (np.asarray(work.flash) > 0), 2.0 * tokens * kept / ops.layers, 0.0)
    return resting + working


def _gathered(layout: Layout, ops: Operations) -> Numbers:
    """Bytes of whole weights in bf16 under ZeRO-3: two blocks and the ends; in a pipeline the stage and its gradients."""
    blocks = 2.0 * (2.0 * ops.largest_layer + ops.embed_params + ops.head_params) / layout.tp
    stage = 4.0 * ops.dense_params / (layout.tp * layout.pp)
    return np.where(np.asarray(layout.pp) > 1, stage, blocks)


SCORE_BYTES = 5.0
"""A score kept where attention is not fused: softmax's result, dropout's result and mask (Korthikanti, 5 a s^2 b)."""
OFFLOADED = 0.1
"""Share of the activations that is still on the accelerator where they are offloaded to the host: the layers being moved."""
