"""What each training engine does where a case does not say: sharding, bytes on the wire, recomputation, fusion.

Choices: facts of the engines' own defaults, not fitted. An engine that is not listed is taken to be like Megatron-Core, on a TPU like
MaxText.
"""

from __future__ import annotations

from bedplate.core.records import Record
from bedplate.planner.facts.cases import Case


class Engine(Record, frozen=True, kw_only=True):
    """Defaults of one engine. `stack`: the code base that its kernels come from. `zero` as in Layout; the `again_*` shares as in Workload.

    `ampere_attention`: fused attention as written for the A100 (FlashAttention 2, Triton), which newer chips run below their own kernels.
    """

    stack: str
    zero: int = 1
    reduce: float = 4.0
    gathered: float = 2.0
    again_products: float = 0.0
    again_attention: float = 1.0
    again_stream: float = 0.0
    recompute: str = "none"
    accum_is_stages: bool = False
    """A pipeline gets as many micro-batches as it has stages unless told otherwise."""
    accumulates: bool = True
    """A step is cut into micro-batches; where not, a stated micro-batch is that of one chip."""
    offloads: bool = False
    """Activations that are neither kept nor repeated go to the host."""
    mtp: bool = False
    weight_bytes: float = 2.0
    gradient_bytes: float = 4.0
    optimiser_bytes: float = 12.0
    balanced: bool = False
    ampere_attention: bool = False
    eager: bool = False
    """Models run as written unless a case says that they are compiled."""


MEGATRON = Engine(stack="megatron", mtp=True, again_products=0.1, again_attention=0.0, again_stream=1.0)
ENGINES: dict[str, Engine] = {
    "megatron": MEGATRON,
    "nemo": MEGATRON,
    "llm-foundry": Engine(stack="llm-foundry", zero=3, reduce=4.0, weight_bytes=0.0, gradient_bytes=4.0, ampere_attention=True),
    "torchtitan": Engine(
        stack="torchtitan", zero=3, reduce=4.0, again_products=0.5, again_attention=0.0, again_stream=1.0, accum_is_stages=True,
        weight_bytes=0.0, balanced=True, ampere_attention=True,
    ),
    "maxtext": Engine(
        stack="maxtext", zero=3, reduce=2.0, accumulates=False, offloads=True, again_products=0.6, again_attention=1.0,
        again_stream=1.0, weight_bytes=0.0,
        recompute="selective",
    ),
    "deepspeed": Engine(stack="deepspeed", zero=3, reduce=2.0, gradient_bytes=2.0, ampere_attention=True, eager=True),
    "pytorch": Engine(stack="pytorch", zero=3, reduce=4.0, weight_bytes=0.0, ampere_attention=True, eager=True),
    "litgpt": Engine(stack="litgpt", zero=3, reduce=2.0, gradient_bytes=2.0, optimiser_bytes=4.0, ampere_attention=True),
}  # fmt: skip

QUANTISE = {"fp8": 5.0, "mxfp8": 4.1, "nvfp4": 5.5, "mxfp4": 4.6, "fp4": 5.0, "int8": 5.0}
"""Bytes moved to quantise one element: read in bf16 (twice where a tensor's maximum is found first), written by rows and by columns."""


ALIASES = {
    "pax": "maxtext", "t5x": "maxtext", "levanter": "maxtext", "tensorflow": "maxtext", "jax": "maxtext", "jax-toolbox": "maxtext",
    "megascale": "megatron", "primus": "megatron", "nanotron": "megatron", "megatron-deepspeed": "deepspeed", "gpt-neox": "deepspeed",
    "colossalai": "deepspeed", "optimum-habana": "deepspeed", "composer": "llm-foundry", "torchtune": "pytorch", "axolotl": "pytorch",
    "transformers": "pytorch", "huggingface": "pytorch", "accelerate": "pytorch", "trl": "pytorch", "unsloth": "pytorch",
    "llama-factory": "pytorch", "lightning": "pytorch", "metaseq": "pytorch", "nemo-automodel": "pytorch", "verl": "pytorch",
}  # fmt: skip
"""Engines whose kernels and schedules are those of another."""


def engine(name: str | None, kind: str = "gpu") -> Engine:
    """The engine's defaults; where a case names none, those of the common one on that kind of chip."""
    usual = ENGINES["maxtext"] if kind == "tpu" else MEGATRON
    return ENGINES.get(ALIASES.get(name or "", name or ""), usual)


UNFUSED_TOKENS = 2048
"""Longest sequences of the time before fused attention."""


def unfused(case: Case, gated: bool) -> bool:
    """Whether attention's scores go through memory: Megatron of 2022 and before on the A100 or V100.

    Told by short sequences, no release, a feed-forward that is not `gated` (those came with fused attention), and a source that counts
    recomputation or states it, as those of that time did.
    """
    if (case.seq_len or 0) > UNFUSED_TOKENS or gated or not (case.recompute or case.flops_convention == "hardware"):
        return False
    old_chip = (case.accelerator or "").startswith(("A100", "V100"))
    old_stack = ALIASES.get(case.engine or "", case.engine) in ("megatron", "deepspeed", None) and case.engine != "megascale"
    return old_chip and old_stack and not (case.engine_version or case.engine_detail)
