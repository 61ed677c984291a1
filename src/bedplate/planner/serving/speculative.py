"""Speculative decoding: tokens that one verified step yields.

    tokens = (1 - a^(k + 1)) / (1 - a)        a: chance that a drafted token is accepted, k: tokens drafted a step

(Leviathan et al., arXiv 2211.17192, equation 1.) Choices: the step that verifies multiplies k + 1 tokens a sequence and reads weights and
caches once; what the drafting itself takes is in `drafting.py`.
"""

from __future__ import annotations


def tokens_per_step(acceptance: float, drafted: int) -> float:
    """Expected tokens of one step; 1 without drafts, drafted + 1 where all are accepted."""
    if drafted <= 0:
        return 1.0
    if acceptance >= 1.0:
        return float(drafted + 1)
    return float((1 - acceptance ** (drafted + 1)) / (1 - acceptance))
