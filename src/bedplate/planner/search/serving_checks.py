"""What a question to serve may ask: what is refused before anything is searched, and with which words.

Choices: a name that nothing is called by is refused with the nearest one; a model that writes no tokens, a prompt beyond its context and
a load beyond every service's are refused, never answered with another. Limits: a context that is stretched beyond what the model's
description says (YaRN and kin) must be written there.
"""

from __future__ import annotations

import math

from bedplate.core.errors import UserError
from bedplate.planner.asking.questions import Batch, Serve
from bedplate.planner.facts.architecture import Architecture
from bedplate.planner.serving.layout import CHUNK

from .checks import known

MOST_RATE = 1e6
"""Requests a second: ten times what the busiest web search answers."""
MOST_REQUESTS = 1e13
"""A thousand for every person."""
MOST_MONTHS = 240.0


def servable(question: Serve | Batch, arch: Architecture) -> None:
    """Raises UserError, in words, for a question that has no answer."""
    if not arch.vocab_size or not arch.groups or arch.family not in ("decoder", "encoder-decoder"):
        what = f"it is of the family '{arch.family}'" if arch.groups else "it is not described layer by layer"
        raise UserError(f"{arch.name} does not write tokens", why=what, next="a language model: bedplate size list models")
    if question.engine:
        known("serving engine", question.engine, CHUNK, "--engine")
    _numbers(question)
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
    for name in ("isl", "osl"):
        if getattr(question, name) < 1:
            raise UserError(f"{name} is {getattr(question, name):g}", why="a prompt and an answer have at least one token")
    if isinstance(question, Serve) and not 0 <= question.prefix_hit <= 1:
        raise UserError(f"prefix_hit is {question.prefix_hit:g}", why="it is a share: 0 to 1")
