"""From a case to the records that `step` and `memory` take, with what was assumed where the case is silent.

Choices: the defaults are the engine's (`engines`) and the vendor's node; each one taken is named in `notes`, which ends up in the
answer's basis.
"""

from __future__ import annotations

import math
import re

from bedplate.core.records import Record
from bedplate.planner.facts.architecture import Architecture, LayerGroup, counted_params
from bedplate.planner.facts.cases import Case, ModelName, Parallel, Unsupported
from bedplate.planner.facts.knowledge import Knowledge, machine
from bedplate.planner.facts.knowledge import model as known_model
from bedplate.planner.facts.systems import BYTES, Accelerator, Systems
from bedplate.planner.kernels.limits import attainable
from bedplate.planner.kernels.wires import scale_up

from .engines import QUANTISE, Engine, engine, unfused
from .layout import FULL, NONE, SELECTIVE, Layout
from .operators import Operations, operations
from .rates import Machine, Workload

LEVELS = {"none": NONE, "selective": SELECTIVE, "full": FULL}
FABRIC_GBPS = {"gpu": 200.0, "tpu": 25.0}
"""Gbit/s a chip on the network between domains where neither the case nor a node of the catalogue says."""
BLACKWELL = ("B200", "B300")
RELEASES = ("25.09", "26.08")
"""The oldest and the newest measured release of Megatron-Bridge."""
GRAPHED_FROM = "26.06"
"""The release from which mixtures run as whole CUDA graphs on Blackwell."""
STYLES = ("tp", "sequential")
"""How several accelerators share a model in inference: by tensor, or layers one after the other."""
UNNAMED = "engine:unnamed"
"""The label of a case that names no engine."""
FROZEN = ("lora", "qlora", "adapter", "adapter_v2", "inference")
USUAL_TOKENS = {False: 8192, True: 4096}
"""Tokens of a sequence in published training of dense models and of mixtures, where a case does not say."""
STEADY = 4.0
"""Micro-batches a pipeline stage where a case gives no batch: enough for the pipeline to fill."""
STEP_TOKENS = 4.0 * 2**20
"""Tokens of a step in published pre-training (Llama 1 and 2; GPT-3 3.2 million, Llama 3 up to 16)."""
ALPACA_TOKENS, GENERATED_TOKENS = 975.0, 256.0
"""The longest row of litgpt's fine-tuning data set (Alpaca), to which a batch is padded, and what its generation script makes."""
ADAPTER_SHARE = 0.002
"""Share of the weights that adapters add where a case does not say (LoRA of rank 8 to 16 on queries and values)."""
DEQUANTISE_BYTES = 0.26e9
"""Of the quantisation library's own buffers, beside two copies of the largest matrix."""
GATHERS_LOW = ("megatron", "torchtitan")
"""Stacks that gather sharded weights in 8 bits where the products take them so."""
KEPT_LOW = 0.85
"""Of a gated layer's activations where the inputs of its products are kept in 8 bits (Transformer Engine)."""
RMS_BYTES = 26.0
"""Kept a token, layer and channel by two RMS norms computed step by step in fp32 (input, its square's root, product)."""


class Setup(Record, frozen=True, kw_only=True):
    """Everything that a training step's time and memory follow from."""

    arch: Architecture
    chip: Accelerator
    layout: Layout
    work: Workload
    ops: Operations
    machine: Machine
    labels: tuple[str, ...]
    chips: int
    mtp: bool
    notes: tuple[str, ...] = ()


def setup(case: Case, knowledge: Knowledge) -> Setup:
    """The case in the model's terms. Raises Unsupported where model or accelerator is unknown, or the layout contradicts itself."""
    arch = architecture(case, knowledge)
    chip = machine(case, knowledge)
    sold = knowledge.systems.accelerator(chip.name)
    staged = case.parallel is not None and case.parallel.zero is not None
    own = engine(case.engine or ("deepspeed" if staged else None), chip.kind)
    notes: list[str] = []
    seq = _seq(case, arch, notes)
    mtp = own.mtp and "w/o MTP" not in (case.variant or "")
    layout = _layout(case, arch, own, seq, notes)
    chips = case.n_accel or int(layout.tp * layout.pp * layout.cp * layout.dp)
    return Setup(
        arch=arch,
        chip=chip,
        layout=layout,
        work=_workload(case, arch, chip, own, seq),
        ops=operations(arch, mtp=mtp),
        machine=_machine(case, chip, sold, knowledge, chips),
        labels=_labels(case, own, arch, chip),
        chips=chips,
        mtp=mtp,
        notes=tuple(notes),
    )


def architecture(case: Case, knowledge: Knowledge) -> Architecture:
    """The named architecture; else a plain decoder from the dimensions that the case prints."""
    try:
        arch = known_model(case, knowledge)
    except Unsupported:
        if case.model is None or not (case.model.n_layers and case.model.d_model):
            raise
        return _printed(case.model)
    if not arch.groups or not arch.d_model:
        raise Unsupported(f"'{arch.name}' is not described layer by layer: no training model for it")
    return arch


def _printed(name: ModelName) -> Architecture:
    d, layers = name.d_model or 0, name.n_layers or 0
    d_ff = name.d_ff or 4 * d
    heads = name.n_heads or max(d // 128, 1)
    return Architecture(
        name=name.name, source="the case", d_model=d, n_heads=heads, n_kv_heads=name.n_kv_heads or heads, d_ff=d_ff, gated=d_ff != 4 * d,
        vocab_size=name.vocab_size or 51200, tied=d_ff == 4 * d, groups=(LayerGroup(count=layers),), params=name.params,
    )  # fmt: skip


def _seq(case: Case, arch: Architecture, notes: list[str]) -> float:
    if case.seq_len:
        return float(case.seq_len)
    if case.engine == "litgpt" and case.technique:
        seq = ALPACA_TOKENS if case.technique != "inference" else GENERATED_TOKENS
        notes.append(f"sequences of {seq:.0f} tokens assumed, as in the engine's own tables")
        return seq
    seq = float(min(arch.max_len or USUAL_TOKENS[True], USUAL_TOKENS[arch.moe]))
    notes.append(f"sequences of {seq:.0f} tokens assumed")
    return seq


def _layout(case: Case, arch: Architecture, own: Engine, seq: float, notes: list[str]) -> Layout:
    given = case.parallel
    tp, pp, cp, vp = (float((given and getattr(given, name)) or 1) for name in ("tp", "pp", "cp", "vp"))
    if given and given.pp_schedule and "nterleaved" in given.pp_schedule and vp == 1:
        vp = 2.0
    chips = float(case.n_accel or tp * pp * cp * float((given and given.dp) or 1))
    if given and given.style in STYLES:
        tp, pp = (chips, pp) if given.style == "tp" else (tp, chips)
    dp = chips / (tp * pp * cp)
    if dp < 1 or dp != int(dp):
        raise Unsupported(f"{chips:.0f} accelerators do not hold tp {tp:.0f} x pp {pp:.0f} x cp {cp:.0f}")
    if case.gbs and case.gbs < dp and not (given and (given.tp or given.cp or given.dp)):
        tp = _shared(dp, case.gbs, arch, notes)
        dp = dp / tp
    mode = (given and given.fsdp) or ""
    zero = {"full": 3, "hybrid": 3, "shard_grad_op": 2, "none": 1}.get(mode, _stage(given, own))
    ep = float((given and given.ep) or _expert_default(arch, zero, chips / pp, notes))
    gbs = float(case.gbs or (case.tokens_per_step or 0.0) / seq or dp * (case.grad_accum or _usual_accum(case, dp, pp, zero, seq)))
    mbs, accum = _batch(case, own, gbs / dp, pp, zero)
    if pp > 1 and not (given and (given.vp or given.pp_schedule)):
        vp = _interleaved(arch, pp, accum)
    level = case.recompute or _recompute_default(case, arch, own, notes)
    shard = float((given and given.fsdp_degree) or (dp * cp if mode != "hybrid" else min(8.0, dp * cp)))
    said = given.sequence_parallel if given else None
    sequence = said if said is not None else not (unfused(case, arch.gated) and level == "full")
    offload = bool(case.cpu_offload) or (own.offloads and level == "selective")
    schedule = ((given and given.pp_schedule) or "").lower()
    return Layout(
        tp=tp, pp=pp, cp=cp, dp=dp, ep=ep, etp=float((given and given.etp) or 1), vp=vp, mbs=mbs, accum=accum, zero=float(zero),
        shard=shard, sequence=float(bool(sequence)), recompute=float(LEVELS.get(level, NONE)), offload=float(offload),
        bubble=0.3 if "zero" in schedule or schedule.startswith("zb") else 1.0,
    )  # fmt: skip


def _shared(ranks: float, gbs: float, arch: Architecture, notes: list[str]) -> float:
    """Tensor parallelism where there are fewer sequences than ranks: enough, in a power of two, for each group of ranks to have one."""
    enough = 2 ** math.ceil(math.log2(ranks / gbs))
    tp = math.gcd(enough, int(ranks), max(arch.n_heads, 1))
    if tp > 1:
        notes.append(f"tensor parallelism of {tp} assumed: there are fewer sequences than accelerators")
    return float(tp)


def _stage(given: Parallel | None, own: Engine) -> int:
    """What a case says is sharded, by ZeRO's stages (`ZeRO-2 (Pos+g)`, a number; a baseline shards nothing), else the engine's default."""
    said = "" if given is None or given.zero is None else str(given.zero)
    found = re.search(r"[0-3]", said)
    return int(found[0]) if found else 0 if said else own.zero


def _usual_accum(case: Case, dp: float, pp: float, zero: int, seq: float) -> float:
    """Micro-batches a rank where a case tells no batch: enough to fill a pipeline, and in pre-training for the usual tokens of a step."""
    least = STEADY * pp if pp > 1 else 1.0
    if case.mbs or case.local_batch or zero >= 3 or case.task not in (None, "pretrain"):
        return least
    return max(least, math.ceil(STEP_TOKENS / (seq * dp)))


def _interleaved(arch: Architecture, pp: float, accum: float) -> float:
    """Virtual stages of a pipeline whose source names none: one where it has micro-batches enough, else as many as keep it busiest.

    Weighs the bubble (pp-1)/(vp x accum) against the unevenness of layers, embedding and head cut into pp x vp chunks.
    """
    blocks = sum(group.count for group in arch.groups) + 2.0
    if accum >= STEADY * pp:
        return 1.0
    return min(
        range(1, max(int(blocks / pp), 1) + 1), key=lambda vp: (pp - 1.0) / (vp * accum) + math.ceil(blocks / (pp * vp)) * pp * vp / blocks
    )


def _recompute_default(case: Case, arch: Architecture, own: Engine, notes: list[str]) -> str:
    level = own.recompute
    if case.flops_convention == "hardware" or (unfused(case, arch.gated) and case.kind == "train_step"):
        level = "full"
    if own.stack == "litgpt" and case.kind == "memory" and (case.technique == "inference" or (case.n_accel or 1) > 1):
        level = "full"
    if level != "none":
        notes.append(f"{level} recomputation assumed, the engine's default")
    return level


def _expert_default(arch: Architecture, zero: int, ranks: float, notes: list[str]) -> float:
    if arch.experts is None or zero >= 3:
        return 1.0
    ep = float(math.gcd(arch.experts.count, int(min(ranks, 8))))
    notes.append(f"expert parallelism of {ep:.0f} assumed")
    return ep


def _batch(case: Case, own: Engine, per_rank: float, pp: float, zero: int) -> tuple[float, float]:
    """Sequences a micro-batch, and micro-batches a step and data-parallel rank."""
    if not own.accumulates and pp == 1:
        accum = float(case.grad_accum or 1.0)
        return per_rank / accum, accum
    if case.mbs:
        return float(case.mbs), max(per_rank / case.mbs, 1.0)
    if case.grad_accum:
        return per_rank / case.grad_accum, float(case.grad_accum)
    if pp > 1 and own.accum_is_stages:
        return max(per_rank / pp, 1.0), min(pp, per_rank)
    if zero >= 3 and pp == 1:
        return per_rank, 1.0
    return min(per_rank, 1.0), max(per_rank, 1.0)


def _workload(case: Case, arch: Architecture, chip: Accelerator, own: Engine, seq: float) -> Workload:
    precision = case.precision or "bf16"
    low = precision in QUANTISE and chip.peak(precision) != chip.peak("bf16")
    pure = bool(case.parallel and case.parallel.fsdp_mixed_precision == "pure")
    old = unfused(case, arch.gated)
    return Workload(
        seq=seq,
        low=float(low),
        low_bytes=BYTES.get(precision, 2.0) if low else 2.0,
        quantise=QUANTISE.get(precision, 0.0) if low else 0.0,
        flash=float(not old),
        causal=float(arch.family == "decoder"),
        again_products=0.0 if old else own.again_products,
        again_attention=1.0 if old else own.again_attention,
        again_stream=0.0 if old else own.again_stream,
        dropout=float(old),
        kept_low=KEPT_LOW if low and own.stack == "megatron" else 1.0,
        reduce=2.0 if pure or _bridge(case) else own.reduce,
        gathered=1.0 if low and own.stack in GATHERS_LOW else own.gathered,
        gradient_bytes=2.0 if _bridge(case) else own.gradient_bytes,
        optimiser_bytes=own.optimiser_bytes,
        balanced=float(own.balanced),
        **_tuning(case, arch, own),
    )


def _bridge(case: Case) -> bool:
    """Whether gradients are kept and reduced in bf16, as NeMo's and Megatron-Bridge's recipes do."""
    return case.engine_detail == "megatron-bridge" or case.engine == "nemo"


def _tuning(case: Case, arch: Architecture, own: Engine) -> dict[str, float]:
    """Fields of a workload that fine-tuning and inference set: what is frozen, what weights take, buffers."""
    precision, technique = case.precision or "bf16", case.technique or ""
    frozen = case.task == "lora" or technique in FROZEN
    quantised = precision.startswith("nf4")
    mixed = "mixed" in (case.precision_detail or "")
    weights = BYTES[precision] if quantised else 6.0 if mixed else 2.0 if frozen else own.weight_bytes
    params = counted_params(arch)
    share = ADAPTER_SHARE if technique != "inference" else 0.0
    spare = 0.0
    if quantised:
        spare += DEQUANTISE_BYTES + 4.0 * arch.d_model * max([arch.d_ff] + [g.d_ff for g in arch.groups])
    if own.stack == "litgpt" and frozen and technique != "inference" and (case.n_accel or 1) > 1:
        spare += weights * params
    return {
        "frozen": float(frozen),
        "trained": float(case.trainable_params or share * params) if frozen else 0.0,
        "weight_bytes": weights,
        "end_bytes": 2.0 if quantised else 0.0,
        "kept_eager": RMS_BYTES if own.stack == "litgpt" and arch.gated and technique != "inference" else 0.0,
        "spare": spare,
    }


def _machine(case: Case, chip: Accelerator, sold: Accelerator, knowledge: Knowledge, chips: int) -> Machine:
    precision, constants = case.precision or "bf16", knowledge.constants["kernels"]
    peak = attainable(chip, "bf16", constants)
    if not peak:
        raise Unsupported(f"the catalogue has no peak of {chip.name} in bf16")
    slices = (case.parallel and case.parallel.slices) or 1
    return Machine(
        peak=peak,
        peak_low=(attainable(chip, precision, constants) if precision in QUANTISE else None) or peak,
        memory=chip.mem_gbs * 1e9,
        capacity=chip.mem_gb * 2.0**30,
        domain=_domain(chip, chips, slices),
        scaleup=scale_up(chip, chips)[1] * 1e9,
        fabric=_fabric(case, chip, knowledge.systems) / 8 * 1e9,
        power=(chip.tdp_w / sold.tdp_w) if chip.tdp_w and sold.tdp_w else 1.0,
        axes=_axes(chip),
    )


FLAT_POD = 256
"""Chips of the largest pod whose torus has two dimensions (TPU v2, v5e, v6e); v3's has two and more chips, later ones have three."""


def _axes(chip: Accelerator) -> float:
    """Dimensions of the torus that joins the chips; 1 where switches do."""
    return 1.0 if chip.kind != "tpu" else 2.0 if chip.scaleup_domain <= FLAT_POD or chip.name == "TPU-v3" else 3.0


def _domain(chip: Accelerator, chips: int, slices: int) -> float:
    """Chips that share the scale-up network: all where they fit; else the largest power of two (an NVL72 rack runs jobs of 64)."""
    most = scale_up(chip, chips)[0]
    if slices > 1:
        return chips / slices
    return float(chips) if chips <= most else 2.0 ** math.floor(math.log2(most))


def _fabric(case: Case, chip: Accelerator, systems: Systems) -> float:
    """Gbit/s of one chip on the network between domains, one direction: as printed, else its vendor's node's, else the fastest's."""
    printed = re.search(r"(\d+) ?Gbps", f"{case.interconnect or ''} {case.network or ''}")
    if printed:
        return float(printed[1]) / 8
    nodes = [n for n in systems.nodes.values() if n.accelerator == chip.name and n.nic_gbps]
    own = [n for n in nodes if n.provider == chip.vendor] or nodes
    if own:
        return max((n.nic_gbps or 0.0) / n.n_accel for n in own)
    return FABRIC_GBPS.get(chip.kind, FABRIC_GBPS["gpu"])


def _labels(case: Case, own: Engine, arch: Architecture, chip: Accelerator) -> tuple[str, ...]:
    """What the fitted effects may hang on."""
    dtype, generation = case.precision or "bf16", family(chip.name)
    labels = [
        f"stack:{own.stack}", f"vendor:{chip.vendor}", f"kind:{chip.kind}", f"accelerator:{chip.name}", f"accelerator:{chip.name}/{dtype}",
        f"precision:{dtype}", f"family:{generation}",
    ]  # fmt: skip
    release = _release(case)
    if release:
        labels += [f"release:{release}", *(["graphed"] if release >= GRAPHED_FROM and generation in BLACKWELL else [])]
    dropping = "drop" in (case.variant or "") and "dropless" not in (case.variant or "")
    marks = {
        "era:2022": unfused(case, arch.gated),
        UNNAMED: case.engine is None,
        "ampere-attention": own.ampere_attention and chip.kind == "gpu" and generation not in ("A100", "V100"),
        "eager": case.compile is False or (own.eager and case.compile is None and case.kind == "train_step"),
        "autocast": (case.precision_detail or "").startswith("amp"),
        "token-drop": dropping or case.token_drop is True,
        "async-tp": bool(case.parallel and case.parallel.async_tp),
        f"task:{case.task}": case.task in ("sft", "lora"),
        f"technique:{case.technique}": case.kind == "memory" and case.technique is not None,
        "quantised": dtype.startswith("nf4"),
        "mixed": "mixed" in (case.precision_detail or ""),
        "rms": arch.gated,
    }
    return (*labels, *(mark for mark, on in marks.items() if on))


def _release(case: Case) -> str:
    """The NeMo release whose kernels run, among those that were measured: the nearest of them where it is older or newer."""
    if not _bridge(case):
        return ""
    found = re.match(r"\d\d\.\d\d", case.engine_version or "")
    return min(max(found[0], RELEASES[0]), RELEASES[1]) if found else ""


def family(chip: str) -> str:
    """The generation of a chip: `H100`, `B200`, `TPU-v5e`: what stands before the form factor."""
    return chip if chip.startswith("TPU") else chip.split("-", maxsplit=1)[0].removeprefix("G" if chip.startswith(("GB", "GH")) else "")
