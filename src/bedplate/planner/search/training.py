"""The search for a way to train: every layout of every machine and count, in one array for each machine and count.

Choices: the fastest layout that fits stands for its machine and count, because at a given count the fastest is the cheapest and takes
least energy. Where none is given, counts are 1 and 1.5 times powers of two of whole nodes and the most that is allowed, between what the
deadline needs at the chip's peak and what the batch can feed. Layouts whose batches differ are compared by the time for a sequence.
Limits: clusters of mixed machines are not looked at.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from bedplate.core.errors import UserError
from bedplate.core.records import Record
from bedplate.core.units import GIB
from bedplate.planner.asking.questions import Finetune, Train
from bedplate.planner.asking.sizing import Design
from bedplate.planner.facts.architecture import Architecture, counted_params
from bedplate.planner.facts.cases import Case, ModelName, Parallel, Unsupported
from bedplate.planner.facts.estimate import exact, spread, total
from bedplate.planner.facts.knowledge import Knowledge
from bedplate.planner.facts.systems import Accelerator
from bedplate.planner.kernels.power import power
from bedplate.planner.training.answer import spread_groups
from bedplate.planner.training.fit import held
from bedplate.planner.training.goodput import Goodput, goodput
from bedplate.planner.training.layout import FULL, NONE, SELECTIVE, Layout
from bedplate.planner.training.memory import memory
from bedplate.planner.training.operators import model_flops
from bedplate.planner.training.rates import rates
from bedplate.planner.training.setup import Setup, setup
from bedplate.planner.training.step import step

from .common import SAVED_BYTES, START_S, counted, metered, money, over_time, parts, provisioned, saved
from .layouts import BATCH_SLACK, SHARDING, batch_sequences, grid, where
from .offers import Offer, joins

QLORA_WEIGHTS = "nf4-dq"
"""Format of QLoRA's frozen weights (arXiv 2305.14314, section 3); products are in bf16."""
PLAIN = "pytorch"
"""The engine where none is named."""
MOST = 32768
"""Accelerators looked at where no limit is given."""
PEAK_SHARE = 0.75
"""No training step does better than this share of its chip's peak: counts that cannot meet the deadline even so are not looked at."""
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


def counts(question: Train | Finetune, offer: Offer, arch: Architecture, sequences: float) -> list[int]:
    """Numbers of accelerators to look at; where none is allowed, the nearest on both sides, so that what contradicts can be named."""
    limits, unit = question.limits, offer.per_node
    if limits.gpus is not None:
        return [limits.gpus]
    peak = offer.chip.peak(question.precision) or 0.0
    flops = model_flops(arch, float(question.seq_len), causal=True, mtp=False) * question.tokens
    least = flops / (peak * PEAK_SHARE * limits.by_s) if limits.by_s and peak else 1.0
    most = min(limits.max_gpus or MOST, sequences * 64, MOST)
    small = [n for n in (1, 2, 4) if n < unit and isinstance(question, Finetune)]
    allowed = [int(limits.max_gpus // unit * unit)] if limits.max_gpus and limits.max_gpus >= unit else []
    tried = sorted({*small, *allowed, *(unit * 2**i for i in range(16)), *(unit * 3 * 2**i for i in range(14))})
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
    precision = QLORA_WEIGHTS if isinstance(question, Finetune) and question.method == "qlora" else question.precision
    adapters = _adapter_params(arch, question.rank) if isinstance(question, Finetune) and lora else None
    return Case(
        id="", kind="train_step", model=ModelName(name=arch.name, moe=arch.moe), accelerator=offer.chip.name, n_accel=n,
        engine=question.engine or PLAIN, precision=precision, task="lora" if lora else "pretrain", seq_len=question.seq_len,
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


def _fastest(made: Setup, offer: Offer, n: int, sequences: float, knowledge: Knowledge) -> Found | None:
    cut = not any(f"stack:{name}" in made.labels for name in SHARDING)
    layouts = grid(made.arch, n, offer.per_node, int(made.machine.domain), float(made.work.seq), sequences, cut=cut)
    size = np.asarray(layouts.tp).size
    if not size:
        return None
    used = memory(layouts, made.work, made.ops, held(knowledge.constants["memory"], made))
    fits = np.broadcast_to(np.asarray(used.total), (size,)) <= SAFETY * made.machine.capacity
    if not fits.any():
        return None
    spent = step(layouts, made.work, made.ops, made.machine, rates(knowledge.constants["training"], made.labels))
    seconds = np.broadcast_to(np.asarray(spent.total), (size,))
    i = int(np.argmin(np.where(fits, seconds / np.asarray(layouts.batch), np.inf)))
    return Found(
        offer_chip=offer.chip.name, n=n, made=made, layout=where(layouts, i), seconds=float(seconds[i]), parts=_at(spent, i, size),
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
    trained_share = 1.0 - float(made.work.frozen)
    token = model_flops(made.arch, float(question.seq_len), causal=True, mtp=False, trained=trained_share)
    flops = token * float(sequences) * question.seq_len / found.n
    peak = made.chip.peak(question.precision) or 1.0
    watts = spread(_watts(found, flops, knowledge) * found.n, 0.12, 0.12, "power from activity")
    drawn = metered(watts, offer, found.n, knowledge.systems)
    quantities = {
        "time_s": time, "step_time_s": one, "tokens_per_s": one.inverse(float(sequences) * question.seq_len),
        "mfu": one.inverse(flops / peak), "accelerators": counted(found.n), "power_w": drawn,
        "peak_mem_bytes": spread(sum(found.memory.values()), 0.08, 0.08, "bytes as frameworks hold them"),
        "mem_bytes": exact(float(made.machine.capacity), "as sold"), "goodput": exact(kept.useful, _said(kept)),
    }  # fmt: skip
    quantities |= money(offer, time, found.n) | over_time(drawn, time, offer) | provisioned(offer, found.n)
    quantities |= saved(_checkpoint(question, made.arch), kept.interval_s, question.tokens * _token_bytes(made.arch), knowledge.systems)
    return Design(
        name=f"{found.n} x {made.chip.name}, {_told(found.layout)}", accelerator=made.chip.name, node=offer.node.name if offer.node else "",
        n_accel=found.n, n_nodes=math.ceil(found.n / offer.per_node), provider=offer.provider, region=offer.region, term=offer.term,
        layout=_degrees(found.layout, question.seq_len) | {"engine": question.engine or PLAIN}, quantities=quantities,
        breakdowns=(parts("step", "s", found.parts), parts("memory", "bytes", found.memory)),
    )  # fmt: skip


def _checkpoint(question: Train | Finetune, arch: Architecture) -> float:
    """Bytes of a checkpoint: of all weights, or of the adapters alone."""
    adapters = isinstance(question, Finetune) and question.method != "full"
    return (_adapter_params(arch, question.rank) if isinstance(question, Finetune) and adapters else counted_params(arch)) * SAVED_BYTES


def _token_bytes(arch: Architecture) -> float:
    """Of a token on disk: 16 bits hold 65,536 words, else it takes 32 (Megatron-LM, indexed_dataset.py)."""
    return 2.0 if arch.vocab_size < 65_500 else 4.0


def _goodput(offer: Offer, found: Found, knowledge: Knowledge) -> Goodput:
    """Failures by accelerator, and on spot reclaims by node; checkpoints hold weights and optimiser."""
    written = sum(found.memory.get(name, 0.0) for name in ("weights", "optimiser"))
    reclaims = knowledge.systems.figure("spot-interruptions-day").value / 24 if offer.term == "spot" else 0.0
    return goodput(found.n, math.ceil(found.n / offer.per_node), written, reclaims_per_node_hour=reclaims)


def _said(kept: Goodput) -> str:
    return f"a checkpoint every {kept.interval_s / 60:.0f} min, an interruption every {kept.between_s / 3600:.1f} h"


def _watts(found: Found, flops: float, knowledge: Knowledge) -> float:
    """Watts of one accelerator: its share of the peak from the model's FLOPs, of the bandwidth from the memory-bound parts of the step."""
    peak = found.made.chip.peak("bf16") or 1.0
    compute = min(1.0, flops / found.seconds / peak)
    streamed = found.parts.get("stream", 0.0) + found.parts.get("optimiser", 0.0) + found.parts.get("loss", 0.0)
    return float(power(found.made.chip, compute, min(1.0, 0.3 + streamed / found.seconds), knowledge.constants["serving"]))


_RECOMPUTE = {NONE: "none", SELECTIVE: "selective", FULL: "full"}


def _degrees(layout: Layout, seq_len: int) -> dict[str, object]:
    """The layout for people: degrees above 1, the batch, the level of recomputation and what is sharded."""
    names = ("tp", "pp", "cp", "ep", "vp")
    shown: dict[str, object] = {name: int(getattr(layout, name)) for name in names if getattr(layout, name) > 1}
    shown |= {"dp": int(layout.dp), "micro_batch": int(layout.mbs), "accumulation": int(layout.accum)}
    shown["batch_tokens"] = int(layout.batch) * seq_len
    return shown | {"zero": int(layout.zero), "recompute": _RECOMPUTE[int(layout.recompute)]}


def _told(layout: Layout) -> str:
    degrees = {name: int(getattr(layout, name)) for name in ("tp", "pp", "cp", "ep", "dp")}
    return " ".join(f"{name}{degree}" for name, degree in degrees.items() if degree > 1 or name == "dp")


def memory_needed(question: Train | Finetune, arch: Architecture) -> float:
    """Bytes of weights, gradients and optimiser state of the whole model: what many accelerators must hold together at least."""
    frozen = isinstance(question, Finetune) and question.method != "full"
    per_weight = {"qlora": 0.6, "lora": 2.0}.get(question.method, 18.0) if isinstance(question, Finetune) and frozen else 18.0
    return counted_params(arch) * per_weight


def fits_nowhere(question: Train | Finetune, arch: Architecture, listed: list[Offer]) -> UserError:
    """What to say where nothing fits: the batch does not feed that many, or so many of the machine with most memory would hold it."""
    gpus, sequences = question.limits.gpus, batch_sequences(question, arch)
    _, _, least = _memory_lacking(question, arch, listed)
    if gpus and gpus >= 2 * least and all(joins(offer, gpus) for offer in listed):
        return UserError(
            f"a batch of {sequences:,.0f} sequences fits no layout of {gpus:,} accelerators",
            why=f"none shares it out within {BATCH_SLACK:.0%}, with a whole sequence for each that holds a copy",
            next=f"--batch-tokens {math.ceil(sequences / gpus) * gpus * question.seq_len}, or another --gpus",
        )  # fmt: skip
    why, then = _too_large(question, arch, listed)
    return UserError(f"{arch.name} fits no machine within these limits", why=why, next=then)


def _too_large(question: Train | Finetune, arch: Architecture, listed: list[Offer]) -> tuple[str, str]:
    """(why, what next) where the memory is what lacks."""
    need, roomiest, least = _memory_lacking(question, arch, listed)
    held = f"{least:,} x {roomiest.name} would hold the former"
    why = f"weights, gradients and optimiser take {need / 1e9:,.0f} GB, activations come on top: {held}"
    if arch.max_len and question.seq_len > arch.max_len:
        return f"{why}; sequences of {question.seq_len:,} tokens are longer than its context", f"--seq-len {arch.max_len}"
    joined = {offer.chip.name for offer in listed if joins(offer, 2 * offer.per_node)}
    alone = sorted({offer.chip.name for offer in listed} - joined)
    if alone:
        told = "is known, so that only one of them can work on a job"
        return f"{why}; no node of {', '.join(alone)} with a network {told}", "bring a nodes.csv: --systems FOLDER, or another --on"
    return why, "raise --gpus or --max-gpus, or shard more: another --on"


def _memory_lacking(question: Train | Finetune, arch: Architecture, listed: list[Offer]) -> tuple[float, Accelerator, int]:
    """Bytes that are needed at least, the machine with most memory, and how many of it hold them."""
    need = memory_needed(question, arch)
    roomiest = max((offer.chip for offer in listed), key=lambda chip: chip.mem_gb)
    return need, roomiest, math.ceil(need / (roomiest.mem_gb * GIB * SAFETY))


def sensible(question: Train | Finetune, offer: Offer, found: Found) -> bool:
    """Whether the terms suit the job where none were named: one reclaimed node stops all of a synchronous step's."""
    return bool(question.limits.terms) or offer.term != "spot" or found.n <= offer.per_node
