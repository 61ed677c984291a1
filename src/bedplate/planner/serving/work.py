"""What one rank does in one pass through the model: bytes to read and operations to do, per step, token and cached token.

Choices: a rank's share follows from the layout alone: attention and dense parts are cut by tp and repeated by attention_dp, experts by
moe_ep x moe_tp over all tokens of the group, every count by pp. Heads that cannot be cut further are repeated (grouped-query attention
with tp > n_kv_heads, latent attention always). Fields may be stacked into NumPy arrays (`stack`).
Limits: the embedding look-up is free, the output layer is read and multiplied in bf16; windows of different lengths are averaged;
states of state-space layers are in 32 bits, as models' configurations ask (`mamba_ssm_cache_dtype`).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from bedplate.core.records import Record
from bedplate.planner.facts.architecture import (
    Architecture,
    LayerGroup,
    attention_flops,
    counted_params,
    expert_params,
    head_widths,
    kv_bytes_per_token,
    layer_params,
    state_bytes,
)
from bedplate.planner.facts.systems import BYTES

from .records import Numbers, ServeLayout


class Work(Record, frozen=True, kw_only=True):
    """Counts of one rank and one pass through its stages (all layers / pp)."""

    dense_bytes: Numbers
    expert_bytes: Numbers
    """All experts that the rank holds."""
    n_experts: Numbers
    top_k: Numbers
    dense_flops: Numbers
    """Per token of the rank's attention group."""
    expert_flops: Numbers
    """Per token of the whole expert group, if tokens spread evenly."""
    kv_full: Numbers
    kv_window: Numbers
    window: Numbers
    state: Numbers
    """Bytes per sequence of fixed state, read and written a step."""
    attention_full: Numbers
    """FLOPs per query and key, of the layers without and (`attention_window`) with a window."""
    attention_window: Numbers
    attention_prefill: Numbers
    """As attention_full, in prefill: latent attention leaves its latent space there."""
    state_flops: Numbers
    layers: Numbers
    moe_layers: Numbers
    d_model: Numbers
    hidden_bytes: Numbers
    weight_bytes: Numbers
    """All weights that the rank's memory holds."""
    kv_held: Numbers
    """Bytes of cache that one token of one sequence takes on one rank of its attention group, in layers that keep all tokens, and
    (`held_window`) in those that keep a window. What is kept and what is read differ under sparse attention."""
    held_window: Numbers
    tp: Numbers
    pp: Numbers
    attention_dp: Numbers
    moe_ep: Numbers
    moe_tp: Numbers


def per_rank(arch: Architecture, layout: ServeLayout) -> Work:
    """The work of one rank of `layout` for `arch`."""
    groups = [group for group in arch.groups if group.part == "decoder"] or list(arch.groups)
    size, kv_size = BYTES.get(layout.precision, 2.0), BYTES.get(layout.kv_precision, 2.0)
    tp, cut = layout.tp, layout.moe_ep * layout.moe_tp
    experts = arch.experts
    moe_layers = sum(group.count for group in groups if group.ffn == "moe") if experts else 0
    routed = expert_params(arch) * moe_layers
    n_experts, top_k = (experts.count, experts.top_k) if experts else (0, 0)
    dense = sum(group.count * (layer_params(arch, group) - _routed(arch, group)) for group in groups)
    head = arch.vocab_size * arch.d_model
    expert_bytes = routed * n_experts * BYTES.get(layout.moe_precision, 2.0) / cut
    beside = max(0.0, counted_params(arch) - dense - routed * n_experts - head)
    kv = [(group, kv_bytes_per_token(arch, group, kv_size) * group.count / _kv_cut(arch, group, tp)) for group in groups]
    attention = [(group, _attention_flops(arch, group) * group.count / tp) for group in groups]
    windowed = [group for group in groups if _looks_back(arch, group)]
    index = _index_bytes(arch) * sum(group.count for group in groups if group.mixer == "mla") / layout.pp
    return Work(
        dense_bytes=(dense * size + head * 2) / tp / layout.pp,
        expert_bytes=expert_bytes / layout.pp,
        n_experts=float(n_experts),
        top_k=float(top_k),
        dense_flops=2 * (dense + head) / tp / layout.pp,
        expert_flops=2 * routed * top_k / cut / layout.pp,
        kv_full=sum(b for g, b in kv if g not in windowed) / layout.pp + index,
        kv_window=sum(b for g, b in kv if g in windowed) / layout.pp,
        window=sum(g.count * _looks_back(arch, g) for g in windowed) / max(1, sum(g.count for g in windowed)),
        state=2 * sum(g.count * state_bytes(arch, g) for g in groups) / tp / layout.pp,
        attention_full=sum(f for g, f in attention if g not in windowed) / layout.pp,
        attention_window=sum(f for g, f in attention if g in windowed) / layout.pp,
        attention_prefill=sum(g.count * _prefill_flops(arch, g) for g in groups if g not in windowed) / tp / layout.pp,
        state_flops=sum(g.count * attention_flops(arch, g, 1, 1, causal=False) for g in groups if g.mixer in ("mamba", "linear"))
        / tp
        / layout.pp,
        layers=sum(g.count for g in groups) / layout.pp,
        moe_layers=moe_layers / layout.pp,
        d_model=float(arch.d_model),
        hidden_bytes=arch.d_model * 2.0,
        weight_bytes=(dense * size + head * 2 + beside * 2) / tp / layout.pp + expert_bytes / layout.pp,
        kv_held=sum(b for g, b in kv if not g.window) / layout.pp,
        held_window=sum(b for g, b in kv if g.window) / layout.pp,
        tp=float(tp),
        pp=float(layout.pp),
        attention_dp=float(layout.attention_dp),
        moe_ep=float(layout.moe_ep),
        moe_tp=float(layout.moe_tp),
    )


def stack(works: Sequence[Work]) -> Work:
    """One Work whose fields are arrays, an element for each of `works`."""
    names = msgspec.structs.fields(Work)
    return Work(**{field.name: np.array([getattr(work, field.name) for work in works], dtype=float) for field in names})


def _routed(arch: Architecture, group: LayerGroup) -> float:
    return expert_params(arch) * arch.experts.count if group.ffn == "moe" and arch.experts else 0.0


def _looks_back(arch: Architecture, group: LayerGroup) -> int:
    """Tokens that a query of the layer attends to at most: its window, or what a sparse indexer picks; 0: all."""
    picked = arch.latent.index_top if group.mixer == "mla" and arch.latent and arch.latent.index_heads else 0
    return group.window or picked


def _index_bytes(arch: Architecture) -> float:
    """Bytes of index key that a sparse indexer reads of every cached token."""
    return float(arch.latent.index_dim) if arch.latent and arch.latent.index_heads else 0.0


def _kv_cut(arch: Architecture, group: LayerGroup, tp: int) -> int:
    """Over how many ranks a token's keys and values are cut: heads are whole, latent attention has one."""
    if group.mixer == "mla":
        return 1
    return min(tp, group.n_kv_heads or arch.n_kv_heads or arch.n_heads or 1)


def _attention_flops(arch: Architecture, group: LayerGroup) -> float:
    """FLOPs of one query against one key: in decode, latent attention works in its latent space (weights absorbed)."""
    if group.mixer == "mla" and arch.latent:
        return 2.0 * (group.n_heads or arch.n_heads) * (2 * arch.latent.kv_rank + arch.latent.rope_dim)
    return 4.0 * head_widths(arch, group)[0] if group.mixer == "attention" else 0.0


def _prefill_flops(arch: Architecture, group: LayerGroup) -> float:
    return attention_flops(arch, group, 1, 1, causal=False) if group.mixer in ("attention", "mla") else 0.0
