"""What a reader must know of an answer that rests on little: rows seen once, chips never measured, scales beyond every measurement.

Choices: a doubt is said in words beside the wider range, never instead of it. What was measured is read from the fitted constants' own
labels, so that it cannot differ from them.
"""

from __future__ import annotations

from bedplate.planner.calibration import Constants
from bedplate.planner.knowledge import Knowledge
from bedplate.planner.questions import Batch, Finetune, Serve, Train
from bedplate.planner.sizing import Design
from bedplate.planner.systems import Accelerator

from .offers import Offer

MOST_TRAINING = 8192
"""Accelerators of the largest measured training step (calibration/cases)."""
LONGEST_SEQUENCE = 1_048_576
"""Tokens: no published step or serving run had a longer sequence."""


def doubts(question: Train | Finetune | Serve | Batch, best: Design, offer: Offer, knowledge: Knowledge) -> tuple[str, ...]:
    """Warnings for people, the gravest first."""
    training = isinstance(question, Train | Finetune)
    told = []
    if not measured(offer.chip, knowledge.constants["training" if training else "serving"]):
        told.append(f"no run on {offer.chip.name} was ever compared: its data sheet alone stands behind these numbers")
    if training and best.n_accel > MOST_TRAINING:
        told.append(f"{best.n_accel:,} accelerators are more than any measured step had ({MOST_TRAINING:,}): the range does not cover that")
    longest = question.seq_len if isinstance(question, Train | Finetune) else question.isl + question.osl
    if longest > LONGEST_SEQUENCE:
        told.append(f"{longest:,.0f} tokens in a sequence are more than any measured run had: the range does not cover that")
    if not offer.chip.verified:
        told.append(f"the data sheet row of {offer.chip.name} is unverified")
    if offer.usd_hour is not None and not offer.verified:
        told.append(f"the price of {offer.chip.name} ({offer.term}) is unverified")
    return tuple(told)


def measured(chip: Accelerator, constants: Constants) -> bool:
    """Whether a constant was fitted on this chip or on its family (the name up to its form, such as H100)."""
    labels = {label for effects in constants.effects.values() for label in effects.effects}
    family = chip.name.split("-")[0]
    return any(
        label == f"accelerator:{chip.name}" or label.startswith((f"accelerator:{chip.name}/", f"family:{family}")) for label in labels
    )
