"""What a question to serve may ask: what is refused before anything is searched, and with which words.

Choices: a name that nothing is called by is refused with the nearest one; a model that writes no tokens, a prompt beyond its context and
a load beyond every service's are refused, never answered with another. Limits: a context that is stretched beyond what the model's
description says (YaRN and kin) must be written there.
"""

from __future__ import annotations

import math

from bedplate.core.errors import UserError
from bedplate.planner.asking.questions import Batch, Serve
from bedplate.planner.facts.architecture import Architecture, counted_params
from bedplate.planner.facts.knowledge import Knowledge
from bedplate.planner.facts.systems import Accelerator
from bedplate.planner.serving.drafting import OWN
from bedplate.planner.serving.layout import CHUNK

from .checks import known

MOST_RATE = 1e6
"""Requests a second: ten times what the busiest web search answers."""
LEAST_RATE = 1 / (30 * 86400)
"""One request a month: nobody keeps an instance for less."""
MOST_REQUESTS = 1e13
"""A thousand for every person."""
MOST_MONTHS = 240.0
MOST_SCATTER = 4.0
"""Of the longest-tailed published traces, about twice."""
MOST_FOUND = 0.99
"""Share of a prompt: engines compute the last block of tokens of a prompt again even where all of it was read before."""
MOST_DRAFTED = 16
"""Tokens: engines stop at 8 to 16, and less than 1 in 10 is accepted so far out."""
SAME_WORDS = 0.005
"""Vocabularies of one family differ by their padding (Qwen2.5: by 0.3 %); those of Llama 3 and DeepSeek-V3, by 0.8 %, are no family."""


RUNS_ON = {"tensorrt-llm": ("nvidia",), "sglang": ("nvidia", "amd", "google", "intel")}
"""Engine -> vendors whose chips it runs on, where it does not run on all (the engines' installation pages)."""
UNITS = {"fp8": "fp8", "mxfp8": "fp8", "nvfp4": "fp4", "mxfp4": "fp4", "fp4": "fp4"}
"""Format of weights -> the data sheet's, whose unit multiplies it."""


def runs(engine: str, precision: str, chip: Accelerator) -> bool:
    """Whether the engine serves weights in that format on the chip: multiplied there, or widened on the way to its 16-bit unit.

    vLLM and SGLang widen on NVIDIA from Ampere on (Marlin kernels) and on AMD from CDNA 3 on.
    """
    if chip.vendor not in RUNS_ON.get(engine, (chip.vendor,)):
        return False
    return multiplied(precision, chip) or (
        engine != "tensorrt-llm"
        and bool(chip.tflops.get("bf16" if chip.vendor == "nvidia" else "fp8"))
        and chip.vendor in ("nvidia", "amd")
    )


def multiplied(precision: str, chip: Accelerator) -> bool:
    """Whether a unit of the chip multiplies the format, or it is none of the narrow ones."""
    return precision not in UNITS or bool(chip.tflops.get(UNITS[precision]))


def servable(question: Serve | Batch, arch: Architecture, knowledge: Knowledge) -> None:
    """Raises UserError, in words, for a question that has no answer."""
    if not arch.vocab_size or not arch.groups or arch.family not in ("decoder", "encoder-decoder"):
        what = f"it is of the family '{arch.family}'" if arch.groups else "it is not described layer by layer"
        raise UserError(f"{arch.name} does not write tokens", why=what, next="a language model: bedplate size list models")
    if question.engine:
        known("serving engine", question.engine, CHUNK, "--engine")
    _numbers(question)
    _drafts(question, arch, knowledge)
    if arch.max_len and question.isl + question.osl > arch.max_len:
        raise UserError(
            f"{question.isl:,.0f} tokens of prompt and {question.osl:,.0f} of answer are more than the context of {arch.name}",
            why=f"it reads and writes at most {arch.max_len:,} tokens together",
            next="a lower --isl or --osl, or a model of longer context",
        )  # fmt: skip


def _numbers(question: Serve | Batch) -> None:
    """Every number more than nothing and not beyond reason."""
    most = {"isl": math.inf, "osl": math.inf, "rate": MOST_RATE, "months": MOST_MONTHS, "requests": MOST_REQUESTS}
    for name, limit in {**most, "ttft_s": math.inf, "tpot_s": math.inf}.items():
        value = getattr(question, name, None)
        if value is None:
            continue
        if not 0 < value < math.inf:
            raise UserError(f"{name} is {value:g}", why="it must be more than nothing, and a number")
        if value > limit:
            raise UserError(f"{name} is {value:g}", why=f"more than any service has: at most {limit:g} is answered")
    if isinstance(question, Serve):
        _rates(question)
    elif question.requests < 1:
        raise UserError(f"requests is {question.requests:g}", why="there is at least one to answer")
    for name in ("isl", "osl"):
        if getattr(question, name) < 1:
            raise UserError(f"{name} is {getattr(question, name):g}", why="a prompt and an answer have at least one token")
    for name, told in (("prefix_hit", "share"), ("acceptance", "chance")):
        if not 0 <= getattr(question, name) <= 1:
            raise UserError(f"{name} is {getattr(question, name):g}", why=f"it is a {told}: 0 to 1")
    if question.prefix_hit > MOST_FOUND:
        why = f"the end of every prompt is its own: at most {MOST_FOUND:.0%} of it is found in the cache"
        raise UserError(f"prefix_hit is {question.prefix_hit:.4g}", why=why, next="--prefix-hit 95%")
    if isinstance(question, Serve) and not 0 <= question.length_cv <= MOST_SCATTER:
        raise UserError(f"length_cv is {question.length_cv:g}", why=f"lengths scatter by 0 (all alike) to {MOST_SCATTER:g} of their mean")


def _rates(question: Serve) -> None:
    if question.rate < LEAST_RATE:
        raise UserError(f"rate is {question.rate:g}", why="that is less than a request a month: no instance is kept for it")
    if question.quiet_rate is not None and not 0 <= question.quiet_rate <= question.rate:
        why = f"the quietest is no busier than the rate of {question.rate:g} a second"
        raise UserError(f"quiet_rate is {question.quiet_rate:g}", why=why, next="--quiet-rate below --rate")


def _drafts(question: Serve | Batch, arch: Architecture, knowledge: Knowledge) -> None:
    """A draft that shares the model's tokens and is smaller, and as many tokens as engines let it propose."""
    if not question.draft:
        return
    if not 1 <= question.draft_tokens <= MOST_DRAFTED:
        raise UserError(f"{question.draft_tokens} tokens cannot be drafted a step", why=f"1 to {MOST_DRAFTED} are", next="--draft-tokens 4")
    if question.draft == OWN:
        if not arch.mtp_layers:
            why = "its checkpoint has no multi-token-prediction block"
            raise UserError(f"{arch.name} drafts no tokens of its own", why=why, next="--draft with a small model of its family")
        return
    draft = knowledge.architecture(question.draft)
    if not draft.vocab_size or not draft.groups or abs(draft.vocab_size / arch.vocab_size - 1) > SAME_WORDS:
        why = f"{draft.vocab_size:,} and {arch.vocab_size:,} different tokens: a draft proposes tokens of the model that verifies them"
        raise UserError(f"{draft.name} cannot draft for {arch.name}", why=why, next="--draft with a small model of its family")
    if counted_params(draft, active=True) >= counted_params(arch, active=True):
        raise UserError(f"{draft.name} is no smaller than {arch.name}", why="its drafts would cost more than they save")
