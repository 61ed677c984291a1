"""An architecture as the table of operations that one token passes in a forward pass: what a step's time is summed from.

Choices: one row a matrix product and one row an attention, each with its dimensions, how many layers have it and how tensor and
expert parallelism split it; memory-bound work as bytes a token. A column has the shape (operations, 1), so that a layout's arrays
broadcast against it; a fit pads the tables of many cases into (operations, cases).
Byte counts assume bf16 and the fusions that any framework has: a norm reads and writes its input once (backward: two reads, one
write), a residual sum reads twice and writes once, an activation reads its inputs and writes its output, a rotation reads and writes
queries and keys, an expert permutation reads a token and writes it `top_k` times and back.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

from bedplate.core.records import Record
from bedplate.planner.facts.architecture import (
    Architecture,
    LayerGroup,
    expert_params,
    head_widths,
    layer_params,
)
from bedplate.planner.kernels.roofline import Numbers

WHOLE, COLUMNS, ROWS = 0.0, 1.0, 2.0
"""How tensor parallelism splits a product's weight: not at all, by output, by input."""

SCAN_CHUNK = 256
"""Tokens of a chunk of the Mamba-2 scan (arXiv 2405.21060): the quadratic part runs inside it."""

Column = NDArray[np.float64]
Row = tuple[float, float, float, float, float, float]


class Products(Record, frozen=True, kw_only=True):
    """Matrix products: input and output width, how many `layers` have it, split; `routed`: by experts; `low`: may be in 8 or 4 bits."""

    inp: Column
    out: Column
    layers: Column
    split: Column
    routed: Column
    low: Column
    head: Column


class Attends(Record, frozen=True, kw_only=True):
    """Attentions: FLOPs of a forward pass per (token, key), `flat` FLOPs per token whatever the length, heads, width of one, window."""

    per_key: Column
    flat: Column
    layers: Column
    heads: Column
    width: Column
    window: Column
    keys: Column
    """Width of keys and values of one token, in channels: what context parallelism exchanges."""


class Operations(Record, frozen=True, kw_only=True):
    """All of a model. Numbers are scalars for one model, arrays where a fit stacks many."""

    products: Products
    attends: Attends
    d_model: Numbers
    layers: Numbers
    vocab: Numbers
    experts: Numbers
    top_k: Numbers
    latent: Numbers
    """Width of what is sent to an expert."""
    pairs: Numbers
    """Blocks (mixers and dense or shared feed-forwards) that tensor parallelism closes with an all-reduce."""
    mixtures: Numbers
    """Layers with routed experts."""
    whole_forward: Numbers
    whole_backward: Numbers
    """Memory-bound bytes a token and model that tensor parallelism leaves whole (norms, residual sums)."""
    split_forward: Numbers
    split_backward: Numbers
    """Memory-bound bytes a token and model that it splits (activations, rotations, scans)."""
    permuted: Numbers
    """Bytes a token and model moved to order tokens by expert and back, in each direction."""
    kept_whole: Numbers
    kept_split: Numbers
    """Activation bytes a token and model kept for the backward pass: in every tensor rank (or split by sequence), and split."""
    kept_routed: Numbers
    """Of experts, split by what tensor parallelism of experts leaves."""
    boundary: Numbers
    """Activation bytes a token that full recomputation keeps: every layer's input."""
    dense_params: Numbers
    expert_params: Numbers
    embed_params: Numbers
    head_params: Numbers
    largest_layer: Numbers
    """Weights of the largest block without its routed experts: what FSDP gathers at a time."""


def operations(arch: Architecture, *, mtp: bool = True) -> Operations:
    """The table of an architecture with layers; `mtp`: train its multi-token-prediction blocks too."""
    groups = list(arch.groups)
    heads = 1.0
    if mtp and arch.mtp_layers and groups:
        groups.append(_like(groups[-1], arch.mtp_layers))
        heads += arch.mtp_layers
    rows: list[tuple[float, ...]] = []
    for group in groups:
        rows += [(*row, 0.0) for row in _mixer_rows(arch, group)] + [(*row, 0.0) for row in _ffn_rows(arch, group)]
    rows.append((arch.d_model, max(arch.vocab_size, 1), heads, COLUMNS, 0.0, 0.0, 1.0))
    table = np.array(rows, dtype=float).T[:, :, None]
    moved = np.sum([g.count * _moved(arch, g) for g in groups], axis=0)
    kept = np.sum([g.count * _kept(arch, g) for g in groups], axis=0)
    experts = arch.experts
    mixtures = float(sum(g.count for g in groups if g.ffn == "moe"))
    return Operations(
        products=Products(**dict(zip(("inp", "out", "layers", "split", "routed", "low", "head"), table, strict=True))),
        attends=_attends(arch, groups),
        d_model=float(arch.d_model),
        layers=float(sum(g.count for g in groups)),
        vocab=float(max(arch.vocab_size, 1)),
        experts=float(experts.count if experts else 1),
        top_k=float(experts.top_k if experts else 0),
        latent=float((experts.latent if experts else 0) or arch.d_model),
        pairs=float(sum(g.count * ((g.mixer != "none") + g.cross + _has_dense(arch, g)) for g in groups)),
        mixtures=mixtures,
        whole_forward=moved[0], whole_backward=moved[1], split_forward=moved[2], split_backward=moved[3], permuted=moved[4],
        kept_whole=kept[0], kept_split=kept[1], kept_routed=kept[2],
        boundary=2.0 * arch.d_model * sum(g.count for g in groups),
        dense_params=sum(g.count * (layer_params(arch, g) - _routed(arch, g)) for g in groups),
        expert_params=mixtures * _all_experts(arch),
        embed_params=float(arch.vocab_size * arch.d_model + arch.positions * arch.d_model + arch.other_params),
        head_params=0.0 if arch.tied else float(arch.vocab_size * arch.d_model),
        largest_layer=max((layer_params(arch, g) - _routed(arch, g) for g in groups), default=0.0),
    )  # fmt: skip


def model_flops(arch: Architecture, seq: float, *, causal: bool, mtp: bool = True, trained: float = 1.0) -> float:
    """FLOPs a token by the convention `model`: 6 x the weights that a token is multiplied with (output layer, no look-up) and attention.

    `trained`: share of the weights with a gradient (LoRA: about 0, so 4 x instead of 6 x).
    """
    ops = operations(arch, mtp=mtp)
    p, a = ops.products, ops.attends
    multiplied = float(np.sum(p.inp * p.out * p.layers * np.where(p.routed > 0, ops.top_k, 1.0)))
    share = np.where(causal & (a.window >= seq), 0.5, 1.0)
    scores = float(np.sum(a.layers * (a.per_key * np.minimum(seq, a.window) * share + a.flat)))
    return 2.0 * multiplied * (2.0 + trained) + 3.0 * scores


def _like(group: LayerGroup, count: int) -> LayerGroup:
    return msgspec.structs.replace(group, count=count)


def _mixer_rows(arch: Architecture, group: LayerGroup) -> list[Row]:
    """(input, output, layers, split, routed, low precision) of a mixer's products."""
    d, count = float(arch.d_model), float(group.count)
    ways: list[tuple[float, float, float]]
    if group.mixer == "none":
        return []
    if group.mixer == "mla" and arch.latent:
        latent, heads = arch.latent, group.n_heads or arch.n_heads
        query = heads * (latent.nope_dim + latent.rope_dim)
        ways = [(d, latent.q_rank, WHOLE), (latent.q_rank, query, COLUMNS)] if latent.q_rank else [(d, query, COLUMNS)]
        ways += [
            (d, latent.kv_rank + latent.rope_dim, WHOLE),
            (latent.kv_rank, heads * (latent.nope_dim + latent.v_dim), COLUMNS),
            (heads * latent.v_dim, d, ROWS),
        ]
    elif group.mixer in ("mamba", "linear") and arch.state_space:
        s = arch.state_space
        ways = [(d, 2 * s.inner + 2 * s.groups * s.state + s.heads, COLUMNS), (s.inner, d, ROWS)]
    else:
        q, kv = head_widths(arch, group)
        kv = 0 if group.kv_shared else kv
        ways = [(d, q * (2 if arch.attention_gate else 1) + 2 * kv, COLUMNS), (q, d, ROWS)]
    return [(float(i), float(o), count, split, 0.0, 1.0) for i, o, split in ways]


def _ffn_rows(arch: Architecture, group: LayerGroup) -> list[Row]:
    """The same of a feed-forward: dense, or router, shared and routed experts."""
    d, count, up = float(arch.d_model), float(group.count), 2.0 if arch.gated else 1.0
    if group.ffn == "dense":
        width = float(group.d_ff or arch.d_ff)
        return [(d, up * width, count, COLUMNS, 0.0, 1.0), (width, d, count, ROWS, 0.0, 1.0)]
    experts = arch.experts
    if group.ffn != "moe" or experts is None:
        return []
    rows = [(d, float(experts.count), count, WHOLE, 0.0, 0.0)]
    if experts.shared_d_ff:
        rows += [(d, up * experts.shared_d_ff, count, COLUMNS, 0.0, 1.0), (float(experts.shared_d_ff), d, count, ROWS, 0.0, 1.0)]
    if experts.latent:
        rows += [(d, float(experts.latent), count, WHOLE, 0.0, 1.0), (float(experts.latent), d, count, WHOLE, 0.0, 1.0)]
    inner = float(experts.latent or arch.d_model)
    return [*rows, (inner, up * experts.d_ff, count, COLUMNS, 1.0, 1.0), (float(experts.d_ff), inner, count, ROWS, 1.0, 1.0)]


def _attends(arch: Architecture, groups: list[LayerGroup]) -> Attends:
    rows = [_attend(arch, group) for group in groups if group.mixer != "none"] or [(0.0, 0.0, 0.0, 1.0, 128.0, math.inf, 0.0)]
    table = np.array(rows, dtype=float).T[:, :, None]
    return Attends(**dict(zip(("per_key", "flat", "layers", "heads", "width", "window", "keys"), table, strict=True)))


def _attend(arch: Architecture, group: LayerGroup) -> tuple[float, ...]:
    count, heads = float(group.count), float(group.n_heads or arch.n_heads)
    window = float(group.window or math.inf)
    if group.mixer == "mla" and arch.latent:
        latent = arch.latent
        width = latent.nope_dim + latent.rope_dim + latent.v_dim
        return (2.0 * heads * width, 0.0, count, heads, width / 2.0, window, float(latent.kv_rank + latent.rope_dim))
    if group.mixer in ("mamba", "linear") and arch.state_space:
        s = arch.state_space
        flat = 6.0 * s.inner * s.state + 2.0 * SCAN_CHUNK * (s.inner + s.groups * s.state) * 0.5
        return (0.0, flat, count, float(s.heads), s.inner / max(s.heads, 1), window, 0.0)
    q, kv = head_widths(arch, group)
    return (4.0 * q, 0.0, count, heads, q / max(heads, 1.0), window, 2.0 * kv)


def _widths(arch: Architecture, group: LayerGroup) -> tuple[float, float, float]:
    """Channels of queries and attended values, of keys (and as many of values), and of a dense feed-forward's inner layer."""
    q: float = 0.0
    kv: float = 0.0
    if group.mixer == "mla" and arch.latent:
        heads = group.n_heads or arch.n_heads
        q, kv = heads * (arch.latent.nope_dim + arch.latent.rope_dim), heads * (arch.latent.nope_dim + arch.latent.v_dim) / 2
    elif group.mixer in ("mamba", "linear") and arch.state_space:
        s = arch.state_space
        q, kv = 2.0 * s.inner, s.inner / 2 + s.groups * s.state
    elif group.mixer != "none":
        q, kv = head_widths(arch, group)
    dense = float(group.d_ff or arch.d_ff) if group.ffn == "dense" else 0.0
    if group.ffn == "moe" and arch.experts:
        dense = float(arch.experts.shared_d_ff)
    return q, kv, dense


def _moved(arch: Architecture, group: LayerGroup) -> Column:
    """Memory-bound bytes a token and layer: whole forward and backward, split forward and backward, permuted."""
    d, blocks = arch.d_model, (group.mixer != "none") + (group.ffn != "none") + group.cross
    q, kv, inner = _widths(arch, group)
    scan = 2.0 if group.mixer in ("mamba", "linear") else 1.0
    routed = arch.experts.top_k * arch.experts.d_ff if group.ffn == "moe" and arch.experts else 0
    sent = arch.experts.top_k * (arch.experts.latent or d) if group.ffn == "moe" and arch.experts else 0
    forward, backward = (6.0, 10.0) if arch.gated else (4.0, 6.0)
    return np.array([
        10.0 * d * blocks, 12.0 * d * blocks,
        4.0 * scan * (q + kv) + forward * (inner + routed), 4.0 * scan * (q + kv) + backward * (inner + routed),
        4.0 * (sent + d * (sent > 0)),
    ])  # fmt: skip


def _kept(arch: Architecture, group: LayerGroup) -> Column:
    """Activation bytes a token and layer kept for the backward pass (Korthikanti et al. 2022, eq. 1, for any widths, without dropout).

    Whole: inputs of the norms and of the first products. Split: queries, keys, values, the attention's output, the feed-forward's.
    """
    d, blocks = arch.d_model, (group.mixer != "none") + (group.ffn != "none") + group.cross
    q, kv, inner = _widths(arch, group)
    out = q if group.mixer != "mla" or not arch.latent else (group.n_heads or arch.n_heads) * arch.latent.v_dim
    low_rank = 2.0 * (arch.latent.q_rank + arch.latent.kv_rank) if group.mixer == "mla" and arch.latent else 0.0
    factor = 6.0 if arch.gated else 4.0
    experts = arch.experts if group.ffn == "moe" else None
    routed = experts.top_k * (factor * experts.d_ff + 2.0 * (experts.latent or d) * 2.0) if experts else 0.0
    return np.array([4.0 * d * blocks + low_rank, 2.0 * (q + 2.0 * kv) + 2.0 * out + factor * inner, routed])


def _has_dense(arch: Architecture, group: LayerGroup) -> bool:
    return group.ffn == "dense" or bool(group.ffn == "moe" and arch.experts and arch.experts.shared_d_ff)


def _all_experts(arch: Architecture) -> float:
    return expert_params(arch) * (arch.experts.count if arch.experts else 0)


def _routed(arch: Architecture, group: LayerGroup) -> float:
    return _all_experts(arch) if group.ffn == "moe" else 0.0
