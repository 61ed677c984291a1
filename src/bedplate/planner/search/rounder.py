"""Fewer accelerators that are quicker: groups of experts that do not divide the number that was asked for cost more than the rest is worth.

Choices: a mixture lies on 8, 16, ... 128 accelerators that hold its experts together, pipelines have powers of two of stages; a number that
only 8 divides (264) leaves neither. The nearest numbers below that 2, 4, 8 and 16 nodes divide are looked at, and the quickest is named.
Limits: it is a hint beside the answer; the number that was asked for is kept.
"""

from __future__ import annotations

import msgspec

from bedplate.core.units import show_days
from bedplate.planner.asking.questions import Finetune, Train
from bedplate.planner.asking.sizing import Design
from bedplate.planner.facts.knowledge import Knowledge

from .offers import Offer
from .training import best_layouts, trained

NODES = (2, 4, 8, 16)
QUICKER = 0.98
"""Share of the time from which fewer accelerators are worth a word."""


def rounder(question: Train | Finetune, best: Design, offer: Offer, knowledge: Knowledge) -> list[str]:
    """A sentence where fewer accelerators than the number that was asked for train a mixture in less time."""
    asked, arch = question.limits.gpus, knowledge.architecture(question.model)
    if asked is None or arch.experts is None or asked <= offer.per_node:
        return []
    found: list[tuple[float, int, Design]] = []
    for number in sorted({asked // (nodes * offer.per_node) * nodes * offer.per_node for nodes in NODES} - {0, asked}):
        fewer = msgspec.structs.replace(question, limits=msgspec.structs.replace(question.limits, gpus=number))
        for one in best_layouts(fewer, offer, arch, knowledge):
            design = trained(fewer, offer, one, knowledge)
            found.append((design.quantities["time_s"].value, number, design))
    if not found:
        return []
    seconds, number, design = min(found, key=lambda one: one[0])
    if seconds > QUICKER * best.quantities["time_s"].value:
        return []
    layout = design.name.partition(", ")[2]
    return [
        f"fewer accelerators are quicker: {number:,} take {show_days(seconds)} ({layout}); larger groups of experts or more stages "
        f"divide {number:,} and not {asked:,}"
    ]
