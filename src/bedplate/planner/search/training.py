"""The search for a way to train: every layout of every machine and count, in one array for each machine and count.

Choices: the fastest layout that fits stands for its machine and count, because at a given count the fastest is the cheapest and takes
least energy. Counts are powers of two of whole nodes, between what the deadline needs at the chip's peak and what the batch can feed.
The global batch, where it is not given, is the power of two nearest to BATCH_TOKENS of the model's size.
Limits: layouts are regular (equal stages, one expert group); clusters of mixed machines are not looked at.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import msgspec
import numpy as np
from numpy.typing import NDArray

from bedplate.core.errors import UserError
from bedplate.core.records import Record
from bedplate.planner.architecture import Architecture, counted_params
from bedplate.planner.cases import Case, ModelName, Parallel, Unsupported
from bedplate.planner.estimate import exact, spread, total
from bedplate.planner.knowledge import Knowledge
from bedplate.planner.power import power
from bedplate.planner.questions import Finetune, Train
from bedplate.planner.sizing import Design
from bedplate.planner.systems import Systems
from bedplate.planner.training.answer import spread_groups
from bedplate.planner.training.fit import held
from bedplate.planner.training.goodput import Goodput, goodput
from bedplate.planner.training.layout import FULL, NONE, SELECTIVE, Layout, misfits
from bedplate.planner.training.memory import memory
from bedplate.planner.training.operators import model_flops
from bedplate.planner.training.rates import rates
from bedplate.planner.training.setup import Setup, setup
from bedplate.planner.training.step import StepBreakdown, step

from .common import counted, metered, money, over_time, parts
from .offers import Offer, joins, named, node_of

BATCH_TOKENS = ((3e9, 2**20), (30e9, 2**22), (math.inf, 2**24))
"""(weights below which, tokens): GPT-3 used 0.5 to 3.2 M by size (arXiv 2005.14165), Llama 3 4 M growing to 16 M (arXiv 2407.21783)."""
FINETUNE_BATCH_TOKENS = 2**17
MOST = 32768
"""Accelerators looked at where no limit is given."""
PEAK_SHARE = 0.75
"""No training step does better than this share of its chip's peak: counts that cannot meet the deadline even so are not looked at."""
START_S = 600.0
"""Seconds paid before the first step: allocation, image, loading weights and data, compiling (5 to 15 minutes in published run logs)."""
SAFETY = 0.92
"""Share of an accelerator's memory that a layout may take: 3 % is the driver's and the communication library's, 5 % what a peak was
above the count in the worst tenth of measured steps (a layout that runs out of memory costs more than one that recomputes a little)."""


class Found(Record, frozen=True, kw_only=True):
    """The fastest layout of one machine and count: its step and memory by part, and how many layouts were looked at."""

    offer_chip: str
    n: int
    made: Setup
    layout: Layout
    seconds: float
    parts: dict[str, float]
    memory: dict[str, float]
    looked_at: int


def batch_sequences(question: Train | Finetune, arch: Architecture) -> float:
    """Sequences of a global batch."""
    size = counted_params(arch)
    usual = FINETUNE_BATCH_TOKENS if isinstance(question, Finetune) else next(tokens for most, tokens in BATCH_TOKENS if size < most)
    wanted = (question.batch_tokens or usual) / question.seq_len
    return float(2 ** max(0, round(math.log2(max(wanted, 1.0)))))


def counts(question: Train | Finetune, offer: Offer, arch: Architecture, sequences: float) -> list[int]:
    """Numbers of accelerators to look at; where none is allowed, the nearest on both sides, so that what contradicts can be named.

    Raises UserError where `gpus` is no whole number of nodes and more than one.
    """
    limits, unit = question.limits, offer.per_node
    if limits.gpus is not None:
        if limits.gpus > unit and limits.gpus % unit:
            raise UserError(f"{limits.gpus} accelerators are not whole nodes of {unit}", next=f"--gpus {limits.gpus // unit * unit}")
        return [limits.gpus]
    peak = offer.chip.peak(question.precision) or 0.0
    flops = model_flops(arch, float(question.seq_len), causal=True, mtp=False) * question.tokens
    least = flops / (peak * PEAK_SHARE * limits.by_s) if limits.by_s and peak else 1.0
    most = min(limits.max_gpus or MOST, sequences * 64, MOST)
    small = [n for n in (1, 2, 4) if n < unit and isinstance(question, Finetune)]
    tried = small + [unit * 2**i for i in range(16)] + [unit * 3 * 2**i for i in range(14)]
    tried.sort()
    within, enough = [n for n in tried if n <= most], [n for n in tried if n >= least]
    return [n for n in within if n >= least] or within[-1:] + enough[:4]


def best_layouts(question: Train | Finetune, offer: Offer, arch: Architecture, knowledge: Knowledge) -> Iterator[Found]:
    """For each count the fastest layout that fits; a count where none fits yields nothing."""
    sequences = batch_sequences(question, arch)
    for n in counts(question, offer, arch, sequences):
        if not joins(offer, n):
            continue
        try:
            made = setup(_case(question, offer, arch, n, sequences), knowledge)
        except Unsupported:
            continue
        found = _fastest(made, offer, n, sequences, knowledge)
        if found is not None:
            yield found


def _case(question: Train | Finetune, offer: Offer, arch: Architecture, n: int, sequences: float) -> Case:
    """The question in the canonical form, so that engine defaults are those of a measured case."""
    lora = isinstance(question, Finetune) and question.method != "full"
    adapters = _adapter_params(arch, question.rank) if isinstance(question, Finetune) and lora else None
    return Case(
        id="", kind="train_step", model=ModelName(name=arch.name, moe=arch.moe), accelerator=offer.chip.name, n_accel=n,
        engine=question.engine or "pytorch", precision=question.precision, task="lora" if lora else "pretrain", seq_len=question.seq_len,
        gbs=sequences, mbs=1, trainable_params=adapters, engine_version="current", parallel=Parallel(tp=1, pp=1, cp=1),
        interconnect=_network(offer),
    )  # fmt: skip


def _network(offer: Offer) -> str | None:
    """The network of the offer's node, as a case prints it."""
    if offer.node is None or not offer.node.nic_gbps:
        return None
    return f"{offer.node.nic_gbps / offer.node.n_accel * 8:.0f} Gbps"


def _adapter_params(arch: Architecture, rank: int) -> float:
    """Weights of rank-r adapters on the four attention products of every layer: r (in + out) each (LoRA, arXiv 2106.09685)."""
    heads = arch.n_heads * (arch.head_dim or arch.d_model // max(arch.n_heads, 1))
    kv = heads * (arch.n_kv_heads or arch.n_heads) / max(arch.n_heads, 1)
    return rank * arch.n_layers * (2 * (arch.d_model + heads) + 2 * (arch.d_model + kv))


def grid(arch: Architecture, n: int, per_node: int, domain: int, seq: float, sequences: float) -> Layout:
    """All regular layouts of `n` accelerators as arrays; those that cannot be are left out."""
    powers = [2**i for i in range(12)]
    tps = [t for t in powers[:4] if t <= min(per_node, max(domain, 1))]
    pps = [p for p in powers[:7] if p <= min(arch.n_layers, n)]
    cps = [c for c in powers[:5] if c == 1 or seq / c >= 4096]
    experts = arch.experts.count if arch.experts else 1
    eps = [e for e in powers[:8] if experts % e == 0] if arch.experts else [1]
    axes = (tps, pps, cps, eps, [1, 2, 4], [1, 2, 4], [NONE, SELECTIVE, FULL], [1, 3])
    tp, pp, cp, ep, vp, mbs, recompute, zero = (a.reshape(-1).astype(float) for a in np.meshgrid(*axes, indexing="ij"))
    dp = n / (tp * pp * cp)
    accum = sequences / (dp * mbs)
    whole = (dp >= 1) & (dp == np.floor(dp)) & (accum >= 1) & (accum == np.floor(accum))
    regular = ((vp == 1) | ((pp > 1) & (accum >= pp) & (arch.n_layers >= pp * vp))) & ((zero < 3) | (pp == 1)) & (accum >= pp)
    kept = whole & regular
    tp, pp, cp, ep, vp, mbs, recompute, zero, dp, accum = (a[kept] for a in (tp, pp, cp, ep, vp, mbs, recompute, zero, dp, accum))
    layout = Layout(
        tp=tp, pp=pp, cp=cp, ep=ep, vp=vp, mbs=mbs, recompute=recompute, zero=zero, dp=dp, accum=accum, shard=dp * cp,
        etp=np.ones_like(tp), sequence=np.ones_like(tp), offload=np.zeros_like(tp), bubble=np.ones_like(tp),
    )  # fmt: skip
    return _where(layout, ~misfits(layout, heads=arch.n_kv_heads or arch.n_heads, layers=arch.n_layers, experts=experts))


def _where(layout: Layout, kept: NDArray[np.bool_] | int) -> Layout:
    size = np.asarray(layout.tp).size
    return msgspec.structs.replace(
        layout, **{name: np.broadcast_to(np.asarray(getattr(layout, name)), (size,))[kept] for name in layout.__struct_fields__}
    )


def _fastest(made: Setup, offer: Offer, n: int, sequences: float, knowledge: Knowledge) -> Found | None:
    layouts = grid(made.arch, n, offer.per_node, int(made.machine.domain), float(made.work.seq), sequences)
    size = np.asarray(layouts.tp).size
    if not size:
        return None
    used = memory(layouts, made.work, made.ops, held(knowledge.constants["memory"], made))
    fits = np.broadcast_to(np.asarray(used.total), (size,)) <= SAFETY * made.machine.capacity
    if not fits.any():
        return None
    spent = step(layouts, made.work, made.ops, made.machine, rates(knowledge.constants["training"], made.labels))
    seconds = np.where(fits, np.broadcast_to(np.asarray(spent.total), (size,)), np.inf)
    i = int(np.argmin(seconds))
    return Found(
        offer_chip=offer.chip.name, n=n, made=made, layout=_where(layouts, i), seconds=float(seconds[i]), parts=_at(spent, i, size),
        memory=_at(used, i, size), looked_at=size,
    )  # fmt: skip


def _at(whole: Record, i: int, size: int) -> dict[str, float]:
    """One element of every part."""
    return {name: float(np.broadcast_to(np.asarray(getattr(whole, name)), (size,))[i]) for name in whole.__struct_fields__}


def trained(question: Train | Finetune, offer: Offer, found: Found, knowledge: Knowledge) -> Design:
    """The design: time, money, power, energy and carbon of the whole run, failures and restarts included."""
    made, constants = found.made, knowledge.constants["training"]
    sequences = found.layout.dp * found.layout.accum * found.layout.mbs
    steps = math.ceil(question.tokens / (float(sequences) * question.seq_len))
    down, up = constants.spreads["step_time_s"].of(spread_groups(made, constants.effects["matrix"].effects))
    one = spread(found.seconds, down, up, "operator roofline and collectives, fitted on published steps")
    kept = _goodput(offer, found, knowledge)
    running = one.times(steps / kept.useful)
    time = total([running, exact(START_S, "allocation, images, weights")], one.basis)
    flops = model_flops(made.arch, float(question.seq_len), causal=True, mtp=False) * float(sequences) * question.seq_len / found.n
    peak = made.chip.peak(question.precision) or 1.0
    watts = spread(_watts(found, flops, knowledge) * found.n, 0.12, 0.12, "power from activity")
    drawn = metered(watts, offer)
    quantities = {
        "time_s": time, "step_time_s": one, "tokens_per_s": one.inverse(float(sequences) * question.seq_len),
        "mfu": one.inverse(flops / peak), "accelerators": counted(found.n), "power_w": drawn,
        "peak_mem_bytes": spread(sum(found.memory.values()), 0.08, 0.08, "bytes as frameworks hold them"),
        "goodput": exact(kept.useful, _said(kept)),
    }  # fmt: skip
    quantities |= money(offer, time, found.n) | over_time(drawn, time, offer)
    return Design(
        name=f"{found.n} x {made.chip.name}, {_told(found.layout)}", accelerator=made.chip.name, node=offer.node.name if offer.node else "",
        n_accel=found.n, n_nodes=math.ceil(found.n / offer.per_node), provider=offer.provider, region=offer.region, term=offer.term,
        layout=_degrees(found.layout), quantities=quantities,
        breakdowns=(parts("step", "s", found.parts), parts("memory", "bytes", found.memory)),
    )  # fmt: skip


def _goodput(offer: Offer, found: Found, knowledge: Knowledge) -> Goodput:
    """Failures by accelerator, and on spot reclaims by node; checkpoints hold weights and optimiser."""
    saved = sum(found.memory.get(name, 0.0) for name in ("weights", "optimiser"))
    reclaims = knowledge.systems.figure("spot-interruptions-day").value / 24 if offer.term == "spot" else 0.0
    return goodput(found.n, math.ceil(found.n / offer.per_node), saved, reclaims_per_node_hour=reclaims)


def _said(kept: Goodput) -> str:
    return f"a checkpoint every {kept.interval_s / 60:.0f} min, an interruption every {kept.between_s / 3600:.1f} h"


def _watts(found: Found, flops: float, knowledge: Knowledge) -> float:
    """Watts of one accelerator: its share of the peak from the model's FLOPs, of the bandwidth from the memory-bound parts of the step."""
    peak = found.made.chip.peak("bf16") or 1.0
    compute = min(1.0, flops / found.seconds / peak)
    streamed = found.parts.get("stream", 0.0) + found.parts.get("optimiser", 0.0) + found.parts.get("loss", 0.0)
    return float(power(found.made.chip, compute, min(1.0, 0.3 + streamed / found.seconds), knowledge.constants["serving"]))


_RECOMPUTE = {NONE: "none", SELECTIVE: "selective", FULL: "full"}


def _degrees(layout: Layout) -> dict[str, object]:
    """The layout for people: degrees above 1, the batch, the level of recomputation and what is sharded."""
    names = ("tp", "pp", "cp", "ep", "vp")
    shown: dict[str, object] = {name: int(getattr(layout, name)) for name in names if getattr(layout, name) > 1}
    shown |= {"dp": int(layout.dp), "micro_batch": int(layout.mbs), "accumulation": int(layout.accum)}
    return shown | {"zero": int(layout.zero), "recompute": _RECOMPUTE[int(layout.recompute)]}


def _told(layout: Layout) -> str:
    degrees = _degrees(layout)
    return " ".join(f"{name}{degrees[name]}" for name in ("tp", "pp", "cp", "ep", "dp") if name in degrees)


def memory_needed(question: Train | Finetune, arch: Architecture) -> float:
    """Bytes of weights, gradients and optimiser state of the whole model: what many accelerators must hold together at least."""
    frozen = isinstance(question, Finetune) and question.method != "full"
    per_weight = {"qlora": 0.6, "lora": 2.0}.get(question.method, 18.0) if isinstance(question, Finetune) and frozen else 18.0
    return counted_params(arch) * per_weight


def fitting_hint(question: Train | Finetune, arch: Architecture, systems: Systems) -> str:
    """What would make a model fit that fits nowhere: so many of the machines that were named, else of the GPU with most memory."""
    need = memory_needed(question, arch)
    gpus = [
        chip for chip in systems.accelerators.values() if chip.kind == "gpu" and any(p.accelerator == chip.name for p in systems.prices)
    ]
    chips = named(question.limits, systems) or [max(gpus, key=lambda chip: chip.mem_gb)]
    held = " or ".join(f"{math.ceil(need / (chip.mem_gb * 1e9 * 0.8))} x {chip.name}" for chip in chips)
    alone = [chip.name for chip in chips if node_of(chip, systems) is None]
    more = f"; no node with {', '.join(alone)} is known, so that only one of them can work on a job" if alone else ""
    return f"weights, gradients and optimiser take {need / 1e9:,.0f} GB, activations come on top: {held} would hold the former{more}"


def breakdown_names() -> tuple[str, ...]:
    """The parts of a step, in the order of StepBreakdown."""
    return StepBreakdown.__struct_fields__
