"""Typical lengths of named data sets, for cases that give the set and no length.

Choices: means in tokens of the model. The ML.ENERGY benchmark (v3) does not print prompt lengths; those below are fitted with the other
serving constants (`isl`) and start from what the sets are: single chat turns (LMArena), multiple-choice questions (GPQA),
code around a gap (Sourcegraph), one picture or one clip with a question. Limits: tokens of pictures depend on the model's vision tower.
"""

from __future__ import annotations

from typing import NamedTuple

from bedplate.planner.facts.calibration import Constants


class Lengths(NamedTuple):
    """Mean tokens of prompt and answer."""

    isl: float
    osl: float


LENGTHS = {
    "lm-arena-chat": Lengths(150, 600),
    "gpqa": Lengths(250, 7000),
    "sourcegraph-fim": Lengths(1200, 300),
    "image-chat": Lengths(1100, 700),
    "video-chat": Lengths(4000, 400),
    "mlperf-llama2-70b": Lengths(294, 294),
    "mlperf-gptj": Lengths(841, 69),
    "mlperf-mixtral-8x7b": Lengths(430, 145),
    "mlperf-llama3.1-405b": Lengths(9400, 684),
    "mlperf-llama3.1-8b": Lengths(778, 73),
    "mlperf-deepseek-r1": Lengths(800, 3880),
}
"""MLPerf: means of the round's reference data sets (OpenOrca for Llama-2-70B: mean answer 294.45 tokens in the reference's accuracy
target `TOKENS_PER_SAMPLE`; CNN/DailyMail for GPT-J and Llama-3.1-8B; LongBench, RULER and GovReport for 405B)."""


def lengths_of(name: str) -> Lengths | None:
    """Lengths of a benchmark by its name, whatever its spelling, accuracy target or scenario adds behind; None: never heard of."""
    squeezed = _squeezed(name)
    return next((lengths for known, lengths in LENGTHS.items() if squeezed.startswith(_squeezed(known))), None)


def _squeezed(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())


def prompt_tokens(dataset: str, constants: Constants) -> float:
    """Mean prompt: the fitted figure, which starts from the typical one; the general mean for a set never heard of."""
    fitted = constants.effects["isl"]
    label = f"dataset:{dataset}"
    if label in fitted.effects or dataset not in LENGTHS:
        return fitted.of((label,))
    return LENGTHS[dataset].isl


def answer_tokens(dataset: str) -> float:
    """Mean answer: the typical one; 300 for a set never heard of."""
    known = LENGTHS.get(dataset)
    return known.osl if known else 300.0
