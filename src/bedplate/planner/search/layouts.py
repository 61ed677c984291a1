"""Every regular way to spread a training step over `n` accelerators, as arrays, and the global batch that each of them makes.

Choices: `n` is any number: pipelines have a power of two of stages, or as many as divide the layers; what is left is data-parallel. A
batch is whole micro-batches of every data-parallel rank: the number nearest to what is wanted, within `BATCH_SLACK` of it. The degrees
of tensor, context and expert parallelism are powers of two, as engines are used.
Limits: layouts are regular (equal stages, one expert group).
"""

from __future__ import annotations

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

from bedplate.planner.asking.questions import Finetune, Train
from bedplate.planner.facts.architecture import Architecture, counted_params
from bedplate.planner.training.layout import FULL, NONE, SELECTIVE, Layout, misfits

BATCH_TOKENS = ((3e9, 2**20), (200e9, 2**22), (math.inf, 2**24))
"""(weights below which, tokens): GPT-3 used 0.5 M for 1.3 B and 3.2 M for 175 B (arXiv 2005.14165, table 2.1), Llama 2 4 M for all its
sizes (arXiv 2307.09288), Llama 3 405B 16 M for most of its run (arXiv 2407.21783, table 3 and section 3.4.1)."""
FINETUNE_BATCH_TOKENS = 2**17
BATCH_SLACK = 0.125
"""By how much the batch may differ from the wanted one: gradient noise hardly tells (critical batch size, arXiv 1812.06162)."""
SHARDING = ("pytorch", "litgpt", "llm-foundry")
"""Engines that spread a model by sharding it over data-parallel ranks alone (FSDP), without tensor or pipeline parallelism."""
MOST_STAGES = 64
MICRO_TOKENS = 16384
"""Tokens of a micro-batch from which products are no quicker on any chip."""


def batch_sequences(question: Train | Finetune, arch: Architecture) -> float:
    """Sequences of the global batch that is wanted: what was asked for, else the usual for the model's size."""
    size = counted_params(arch)
    usual = FINETUNE_BATCH_TOKENS if isinstance(question, Finetune) else next(tokens for most, tokens in BATCH_TOKENS if size < most)
    if question.batch_tokens:
        return max(1.0, float(round(question.batch_tokens / question.seq_len)))
    return float(2 ** max(0, round(math.log2(max(usual / question.seq_len, 1.0)))))


def grid(arch: Architecture, n: int, per_node: int, domain: int, seq: float, sequences: float, *, cut: bool = True) -> Layout:
    """All regular layouts of `n` accelerators as arrays; those that cannot be are left out. Without `cut` the model is sharded only."""
    powers = [2**i for i in range(12)]
    tps = [t for t in powers[:4] if t <= min(per_node, max(domain, 1)) and n % t == 0]
    cps = [c for c in powers[:5] if (c == 1 or seq / c >= 4096) and n % c == 0]
    experts = arch.experts.count if arch.experts else 1
    eps = [e for e in powers[:8] if experts % e == 0] if arch.experts else [1]
    pps = stages(arch.n_layers, n)
    tps, pps, cps, eps = (tps, pps, cps, eps) if cut else ([1], [1], [1], [1])
    axes = (tps, pps, cps, eps, [1, 2, 4], micro_batches(seq), [NONE, SELECTIVE, FULL], [1, 3])
    tp, pp, cp, ep, vp, mbs, recompute, zero = (a.reshape(-1).astype(float) for a in np.meshgrid(*axes, indexing="ij"))
    dp = n / (tp * pp * cp)
    accum = np.maximum(np.round(sequences / (dp * mbs)), 1.0)
    whole = (dp >= 1) & (dp == np.floor(dp)) & (np.abs(accum * dp * mbs / sequences - 1) <= BATCH_SLACK)
    regular = ((vp == 1) | ((pp > 1) & (accum >= pp) & (arch.n_layers >= pp * vp))) & ((zero < 3) | (pp == 1)) & (accum >= pp)
    kept = whole & regular
    tp, pp, cp, ep, vp, mbs, recompute, zero, dp, accum = (a[kept] for a in (tp, pp, cp, ep, vp, mbs, recompute, zero, dp, accum))
    layout = Layout(
        tp=tp, pp=pp, cp=cp, ep=ep, vp=vp, mbs=mbs, recompute=recompute, zero=zero, dp=dp, accum=accum, shard=dp * cp,
        etp=np.ones_like(tp), sequence=np.ones_like(tp), offload=np.zeros_like(tp), bubble=np.ones_like(tp),
    )  # fmt: skip
    return where(layout, ~misfits(layout, heads=arch.n_kv_heads or arch.n_heads, layers=arch.n_layers, experts=experts))


def micro_batches(seq: float) -> list[int]:
    """Sequences that go through a stage at a time: up to 4, more of short ones."""
    return [2**i for i in range(10) if i < 3 or 2**i * seq <= MICRO_TOKENS]


def stages(layers: int, n: int) -> list[int]:
    """Numbers of pipeline stages that divide `n`: powers of two, and those that divide the layers."""
    most = min(layers, n, MOST_STAGES)
    return [p for p in range(1, most + 1) if n % p == 0 and (p & (p - 1) == 0 or layers % p == 0)]


def where(layout: Layout, kept: NDArray[np.bool_] | int) -> Layout:
    """The layouts that are kept, or the one of that index."""
    size = np.asarray(layout.tp).size
    return msgspec.structs.replace(
        layout, **{name: np.broadcast_to(np.asarray(getattr(layout, name)), (size,))[kept] for name in layout.__struct_fields__}
    )
