"""From a case to a layout and a load: what the source leaves out gets a stated default.

Defaults, each named in the answer's basis: the weights' precision is that of the checkpoint (`CHECKPOINT`) or bf16; caches are bf16 but
beside quantised weights under TensorRT-LLM and on chips that multiply in 4 bits (`with_caches`); tp fills the accelerators; experts are
cut by tensor parallelism; lengths of a named dataset are those of `datasets.py`.
"""

from __future__ import annotations

import msgspec

from bedplate.planner.facts.architecture import Architecture
from bedplate.planner.facts.calibration import Constants
from bedplate.planner.facts.cases import Case, Parallel, Unsupported
from bedplate.planner.facts.knowledge import Knowledge, model
from bedplate.planner.facts.systems import Accelerator

from .datasets import answer_tokens, prompt_tokens
from .rates import APART
from .records import ServeLayout, ServeLoad

CHECKPOINT = {
    "DeepSeek-V3": "fp8", "DeepSeek-R1": "fp8", "MiniMax-M2": "fp8", "gpt-oss": "mxfp4", "Kimi-K2.5": "int4", "Kimi-K2-Thinking": "int4",
    "Kimi-K2": "fp8",
}  # fmt: skip
"""Models whose published weights are not bf16 (their model cards), by what their names start with; the first that fits stands."""

UNSTATED_PROMPT = 1000.0
"""Tokens of a prompt of which nothing is said."""

ONE_BY_ONE = "one request at a time"
"""Said where nothing is known of the load."""
CHUNK = {"vllm": 8192, "sglang": 8192, "tensorrt-llm": 8192}
"""Most prompt tokens of one iteration: the engines' defaults on large accelerators (max_num_batched_tokens, chunked_prefill_size,
max_num_tokens)."""


def precisions(case: Case, arch: Architecture) -> tuple[str, str, str, list[str]]:
    """(dense, experts, caches, what was assumed). In a 4-bit mixture only the experts are in 4 bits, as ModelOpt and the
    published FP4 checkpoints of DeepSeek, Llama 4 and Qwen3 have it."""
    said: list[str] = []
    stated = case.precision
    if stated is None:
        stated = next((p for name, p in CHECKPOINT.items() if arch.name.startswith(name)), "bf16")
        said.append(f"weights taken as {stated}")
    moe = case.moe_precision or stated
    dense = "bf16" if arch.moe and stated in ("nvfp4", "mxfp4", "fp4", "int4") else stated
    kv = case.kv_precision or ("fp8" if case.engine == "tensorrt-llm" and stated in ("fp8", "nvfp4", "fp4") else "bf16")
    if case.kv_precision is None:
        said.append(f"caches taken as {kv}")
    return dense, moe, kv, said


def layout_of(case: Case, arch: Architecture, parallel: Parallel | None = None) -> tuple[ServeLayout, list[str]]:
    """The case's layout (or the one of `parallel`: a prefill or decode worker), and what was assumed."""
    given = parallel or case.parallel or Parallel()
    dense, moe, kv, said = precisions(case, arch)
    adp, pp, dp = given.attention_dp or 1, given.pp or 1, given.dp or 1
    n = given.n_accel if parallel else case.n_accel
    workers = (given.workers or 1) if parallel else 1
    tp = given.tp or max(1, (n or adp * pp * dp) // (adp * pp * dp * workers))
    if given.tp is None and tp > 1:
        said.append(f"layout taken as tp {tp}")
    moe_tp, moe_ep = _expert_cut(given, tp * adp)
    layout = ServeLayout(
        tp=tp,
        pp=pp,
        attention_dp=adp,
        moe_tp=moe_tp,
        moe_ep=moe_ep,
        dp=dp,
        precision=dense,
        moe_precision=moe,
        kv_precision=kv,
        engine=engine_of(case),
        engine_version=(APART if parallel else "") + (case.engine_version or ""),
        chunk=CHUNK.get(engine_of(case), 8192),
        benchmark=case.dataset or "",
        drafts=arch.name if arch.mtp_layers else "",
    )
    return layout, said


def with_caches(layout: ServeLayout, chip: Accelerator) -> ServeLayout:
    """The layout, with 8-bit caches beside quantised weights where the chip multiplies in 4 bits: so recipes for such chips run when
    nothing is stated (vLLM's and SGLang's for B200 set `--kv-cache-dtype fp8`, those for Hopper do not). Weights of 16 bits keep
    caches of 16."""
    quantised = layout.moe_precision not in ("bf16", "fp16")
    return msgspec.structs.replace(layout, kv_precision="fp8") if quantised and chip.tflops.get("fp4") else layout


def engine_of(case: Case) -> str:
    """The engine's family: as stated, or as the system's name has it; empty where neither says."""
    if case.engine:
        return case.engine
    named = (case.system or "").lower()
    return next((engine for engine in CHUNK if engine in named), "")


def _expert_cut(given: Parallel, ranks: int) -> tuple[int, int]:
    """moe_tp and moe_ep so that their product is the ranks of a stage."""
    if given.moe_ep:
        return max(1, ranks // given.moe_ep), given.moe_ep
    if given.moe_tp:
        return given.moe_tp, max(1, ranks // given.moe_tp)
    ep = given.ep or 1
    return max(1, ranks // ep), ep


def load_of(case: Case, constants: Constants) -> tuple[ServeLoad, list[str]]:
    """The case's load, and what was assumed."""
    said: list[str] = []
    isl, osl, concurrency = case.isl, case.osl, case.concurrency or case.batch_size
    if isl is None:
        isl = prompt_tokens(case.dataset, constants) if case.dataset else UNSTATED_PROMPT
        said.append(f"prompts{f' of {case.dataset}' if case.dataset else ''} taken as {isl:.0f} tokens on average")
    if osl is None:
        osl = answer_tokens(case.dataset) if case.dataset else 1.0
        said.append(f"answers taken as {osl:.0f} tokens")
    if concurrency is None and case.request_rate is None:
        concurrency = 1.0
        said.append(ONE_BY_ONE)
    rate = case.request_rate if concurrency is None else None
    load = ServeLoad(
        isl=isl, osl=osl, concurrency=concurrency, rate=rate, varied=case.dataset is not None, static=case.batching == "static"
    )
    return load, said


def writer(case: Case, knowledge: Knowledge) -> Architecture:
    """The case's model. Raises Unsupported where it is unknown or does not write tokens."""
    arch = model(case, knowledge)
    if not arch.vocab_size or not arch.groups or arch.family not in ("decoder", "encoder-decoder"):
        raise Unsupported(f"{arch.name} is not served token by token")
    return arch
