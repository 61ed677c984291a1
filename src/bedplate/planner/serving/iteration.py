"""The time of one engine iteration: a roofline over a rank's work, plus communication and the engine's delays.

    dense   = smoothmax(bytes / memory rate, tokens x FLOPs / matrix rate)
    experts = smoothmax(hit x bytes / memory rate, all tokens x FLOPs x uneven / matrix rate)
    hit     = p + c sqrt(p (1 - p) / experts of a rank), p = 1 - (1 - top_k / experts)^tokens
    uneven  = 1 + c sqrt(ranks / (tokens x top_k)),      c = imbalance x 0.56 log2(ranks)^0.83

`p` is the share of the experts that `tokens` uniform draws reach in expectation; ranks of expert parallelism wait for the fullest of them,
and 0.56 log2(n)^0.83 is the expected largest of n normal deviates (within 4 % for n to 64; tables of order statistics).
    cache   = max(bytes of keys and values / memory rate, FLOPs / attention rate)
    collective = alpha log2(n) / 3 + 2 (n - 1) / n x bytes / link   (alpha-beta ring; Thakur et al. 2005), two a layer

Choices: the roofline of Williams et al. (2009) with a smooth corner (SMOOTH), because real kernels never sit exactly on it; work of the
slowest attention rank decides (ranks wait for each other at the experts, and some engines pad the others to as many tokens:
`padding`). Pipeline stages follow one another: latency is their sum.
Limits: no overlap of communication with arithmetic; routing is uniform but for the fitted imbalance.
"""

from __future__ import annotations

from typing import cast

import numpy as np

from .rates import Rates
from .records import IterationBreakdown, Numbers
from .work import Work

SMOOTH = 3.0
"""Norm that joins the two sides of the roofline: infinite is a sharp corner, 1 a sum."""


def smoothmax(left: Numbers, right: Numbers) -> Numbers:
    """(left^p + right^p)^(1/p) with p = SMOOTH: never below the larger."""
    return (left**SMOOTH + right**SMOOTH) ** (1 / SMOOTH)


def experts_hit(work: Work, tokens: Numbers) -> Numbers:
    """Share of the experts that at least one of `tokens` uniform draws of top_k reaches, in expectation."""
    share = np.where(work.n_experts > 0, work.top_k / np.maximum(work.n_experts, 1), 0.0)
    return 1 - (1 - np.minimum(share, 1.0)) ** np.maximum(tokens, 1.0)


def largest_of(ranks: Numbers) -> Numbers:
    """Expected largest of `ranks` standard normal deviates."""
    return 0.56 * np.log2(np.maximum(ranks, 1.0)) ** 0.83


def _experts(work: Work, rates: Rates, tokens: Numbers) -> tuple[Numbers, Numbers]:
    """(seconds to read the experts hit, seconds to multiply) on the fullest rank."""
    above = rates.imbalance * largest_of(work.moe_ep)
    hit = experts_hit(work, tokens)
    of_rank = np.maximum(work.n_experts / work.moe_ep, 1.0)
    fullest = np.minimum(hit + above * np.sqrt(hit * (1 - hit) / of_rank), 1.0)
    uneven = 1 + above * np.sqrt(work.moe_ep / np.maximum(tokens * np.maximum(work.top_k, 1.0), 1.0))
    done = tokens * work.expert_flops * np.minimum(uneven, work.moe_ep) / rates.moe
    return fullest * work.expert_bytes / rates.experts, done


def iteration(
    work: Work,
    rates: Rates,
    *,
    sequences: Numbers,
    context: Numbers,
    prefill: Numbers = 0.0,
    prefill_context: Numbers = 0.0,
    prefill_ranks: Numbers = 1.0,
    verified: Numbers = 1.0,
) -> IterationBreakdown:
    """Seconds of one pass in which each attention rank decodes `sequences` with `context` cached tokens each, and `prefill_ranks` of the
    ranks take `prefill` prompt tokens too, each of which looks at `prefill_context` keys on average. Each sequence multiplies `verified`
    tokens: one, and the drafted ones under speculation."""
    of_rank = sequences * verified + prefill
    filled = prefill_ranks + np.minimum(rates.padding, 1.0) * (work.attention_dp - prefill_ranks)
    of_all = sequences * verified * work.attention_dp + prefill * filled
    dense_read, dense_done = work.dense_bytes / rates.memory, of_rank * work.dense_flops / rates.dense
    expert_read, expert_done = _experts(work, rates, of_all)
    products = smoothmax(dense_read, dense_done) + smoothmax(expert_read, expert_done)
    read = dense_read + expert_read
    kv, attention = _attention(work, rates, sequences, context, prefill, prefill_context)
    scale = rates.pace * work.pp
    overhead = work.layers * rates.layer + work.moe_layers * rates.moe_layer + sequences * rates.sequence
    launches = work.layers * rates.prefill_layer + work.moe_layers * rates.prefill_moe_layer
    launched = np.where(np.asarray(prefill) > 0, launches, 0.0)
    return IterationBreakdown(
        weights=read * scale,
        kv=kv * scale,
        compute=(products - read) * scale,
        attention=attention * scale,
        communication=_communication(work, rates, of_rank, of_all) * scale,
        overhead=(overhead + launched) * scale + rates.step * rates.pace,
    )


def _attention(
    work: Work, rates: Rates, sequences: Numbers, context: Numbers, prefill: Numbers, prefill_context: Numbers
) -> tuple[Numbers, Numbers]:
    """Seconds to read caches, and of attention's arithmetic beyond them."""
    near = np.minimum(context, work.window)
    read = sequences * (work.kv_full * context + work.kv_window * near + work.state) / rates.kv
    done = sequences * (work.attention_full * context + work.attention_window * near + work.state_flops) / rates.attention
    pairs = work.attention_prefill * prefill_context + work.attention_window * np.minimum(prefill_context, work.window)
    prompt = prefill * (pairs + work.state_flops) / rates.attention
    return read, np.maximum(done - read, 0.0) + prompt


def _communication(work: Work, rates: Rates, of_rank: Numbers, of_all: Numbers) -> Numbers:
    """Seconds of all collectives of one stage: two all-reduces a layer under tp, dispatch and combine
    a mixture layer under attention_dp."""
    reduce = np.where(
        work.tp > 1, 2 * (rates.alpha * np.log2(work.tp) / 3 + _ring(work.tp) * of_rank * work.hidden_bytes / rates.link), 0.0
    )
    sent = np.minimum(of_all, of_rank * np.maximum(work.top_k, 1)) * work.hidden_bytes
    ranks = work.tp * work.attention_dp
    exchange = np.where(work.attention_dp > 1, 2 * (rates.alpha * np.log2(ranks) / 3 + sent / rates.link), 0.0)
    handed = np.where(work.pp > 1, rates.alpha + of_rank * work.hidden_bytes / rates.link, 0.0)
    return cast(Numbers, work.layers * reduce + work.moe_layers * exchange + handed)


def _ring(n: Numbers) -> Numbers:
    return 2 * (n - 1) / np.maximum(n, 1)
