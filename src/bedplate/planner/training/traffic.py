"""Seconds of communication in a step that compute does not hide, by kind of parallelism.

Choices: volumes from the papers that introduced each kind; times from `kernels.collective`; how much shows is a fitted share, but a
data-parallel transfer that is longer than the compute it runs beside always shows for the rest.
"""

from __future__ import annotations

import numpy as np

from bedplate.planner.kernels.collective import Fabric, exchange_seconds, gather_seconds, hand_over_seconds, reduce_seconds
from bedplate.planner.kernels.roofline import Numbers

from .layout import FULL, Layout
from .operators import Operations
from .rates import Rates, Workload


def _again(layout: Layout) -> Numbers:
    """Forward passes that recomputation adds."""
    return np.where(np.asarray(layout.recompute) == FULL, layout.share, 0.0)


def tensor(layout: Layout, ops: Operations, net: Fabric, rates: Rates, tokens: Numbers) -> Numbers:
    """A micro-batch's all-reduces (or their halves) of tensor parallelism: one a block forward, one backward, one more where recomputed."""
    once = reduce_seconds(tokens * ops.d_model * 2.0, layout.tp, 1.0, net)
    passes = 2.0 + _again(layout)
    return ops.pairs * passes * once * rates.tensor_shown


def context(layout: Layout, ops: Operations, net: Fabric, rates: Rates, tokens: Numbers, attention: Numbers) -> Numbers:
    """A micro-batch's keys and values going round the context ring: once forward, twice backward (with their gradients).

    They travel beside `attention` seconds of scores (Ring Attention, arXiv 2310.01889); what is longer shows, and a fitted share always.
    """
    a = ops.attends
    channels = np.sum(a.layers * a.keys, axis=0)
    once = gather_seconds(tokens * layout.cp * channels * 2.0 / layout.tp, layout.cp, layout.tp, net)
    passes = 3.0 + _again(layout)
    return np.maximum(passes * once * rates.context_shown, passes * once - attention)


def expert(layout: Layout, ops: Operations, net: Fabric, rates: Rates, tokens: Numbers) -> Numbers:
    """A micro-batch's all-to-alls of expert parallelism: dispatch and combine, forward and backward.

    A token goes once to a domain that holds several of its experts (DeepEP), whatever their number.
    """
    sent = tokens * layout.etp / layout.tp * ops.top_k * ops.latent * 2.0
    domains = np.maximum(layout.ep * layout.etp / net.domain, 1.0)
    reached = domains * (1.0 - (1.0 - 1.0 / domains) ** np.maximum(ops.top_k, 1.0))
    copies = np.maximum(ops.top_k, 1.0) / reached
    once = exchange_seconds(sent, layout.ep, layout.etp, net, copies)
    passes = 4.0 + 2.0 * _again(layout)
    shown = rates.expert_shown * np.where(domains > 1, rates.expert_far, 1.0)
    return ops.mixtures * passes * once * shown


def held(layout: Layout, ops: Operations) -> tuple[Numbers, Numbers]:
    """Weights of one rank before any sharding over data: dense (with its share of embeddings) and of experts."""
    dense = (ops.dense_params + ops.embed_params + ops.head_params) / (layout.tp * layout.pp)
    return dense, ops.expert_params / (layout.etp * layout.ep * layout.pp)


def data(layout: Layout, work: Workload, ops: Operations, net: Fabric, rates: Rates, busy: Numbers) -> Numbers:
    """A step's gradients and weights between data-parallel ranks, beside `busy` seconds of compute a micro-batch.

    ZeRO-3 gathers weights for each pass of each micro-batch and reduces gradients after it; otherwise, and in a pipeline, both happen
    once a step, beside one micro-batch.
    """
    dense, routed = held(layout, ops)
    kept = np.asarray(1.0 - np.asarray(work.frozen))
    full = (np.asarray(layout.zero) >= 3) & (np.asarray(layout.pp) == 1)
    gathers = np.where(full, 2.0, kept) * work.gathered
    reduces = kept * work.reduce

    def moved(weights: Numbers, ranks: Numbers, stride: Numbers) -> Numbers:
        shard = np.clip(np.minimum(layout.shard, ranks), 1.0, None)
        copies = ranks / shard
        within = gather_seconds(weights * (gathers + reduces), np.where(full, shard, ranks), stride, net)
        across = reduce_seconds(weights * reduces / shard, copies, stride * shard, net)
        return within + np.where(full, across / np.maximum(layout.accum, 1.0), 0.0)

    ranks = layout.dp * layout.cp
    once = moved(dense, ranks, layout.tp)
    once = once + np.where(np.asarray(ops.mixtures) > 0, moved(routed, np.maximum(ranks * layout.tp / (layout.ep * layout.etp), 1.0),
                                                               layout.ep * layout.etp), 0.0)  # fmt: skip
    shown = np.maximum(once * rates.data_shown, once - busy) + rates.contention * np.minimum(once, busy)
    return shown * np.where(full, layout.accum, 1.0)


def pipeline(layout: Layout, ops: Operations, net: Fabric, rates: Rates, tokens: Numbers) -> Numbers:
    """A step's activations and gradients handed from stage to stage, on the way that no other micro-batch hides."""
    hop = hand_over_seconds(tokens * ops.d_model * 2.0 / layout.tp, layout.chips / layout.pp, net)
    hops = 2.0 * ((layout.accum - 1) * rates.data_shown + layout.pp - 1) * layout.vp
    return np.where(np.asarray(layout.pp) > 1, hops * hop, 0.0)
