"""What a reader must know of an answer that rests on little: rows seen once, chips never measured, scales beyond every measurement.

Choices: a doubt is said in words beside the wider range, never instead of it. What was measured is read from the fitted constants' own
labels, so that it cannot differ from them.
"""

from __future__ import annotations

from bedplate.core.units import show_usd
from bedplate.planner.asking.questions import Batch, Finetune, Limits, Serve, Train
from bedplate.planner.asking.sizing import Design
from bedplate.planner.facts.calibration import Constants
from bedplate.planner.facts.knowledge import Knowledge
from bedplate.planner.facts.systems import Accelerator

from . import generation, vision
from .kinds import kind_of
from .offers import Offer
from .rounder import rounder
from .serving_checks import multiplied

MOST_TRAINING = 8192
"""Accelerators of the largest measured training step (calibration/cases)."""
SHORTEST_SEQUENCE = 512
"""Tokens: no measured step had a shorter sequence (calibration/cases)."""
MOST_TOKENS = 4e13
"""Tokens of the longest published runs (Llama 4 Scout, Qwen3: 36 to 40 T)."""
LONGEST_SEQUENCE = 1_048_576
"""Tokens: no published step or serving run had a longer sequence."""


def doubts(question: Train | Finetune | Serve | Batch, best: Design, offer: Offer, knowledge: Knowledge) -> tuple[str, ...]:
    """Warnings for people, the gravest first."""
    training = isinstance(question, Train | Finetune)
    told = [*_bound(best, question.limits), *_parts_of_nodes(best, offer)]
    if isinstance(question, Train | Finetune):
        told += _of_training(question, best, offer, knowledge)
    arch = knowledge.architecture(question.model)
    if isinstance(question, Serve | Batch) and kind_of(arch) != "language":
        told += generation.warnings(arch, offer, knowledge)
    elif not measured(offer.chip, knowledge.constants["training" if training else "serving"]):
        told.append(f"no run on {offer.chip.name} was ever compared: its data sheet alone stands behind these numbers")
    kept = {str(best.layout.get(name, "")) for name in ("precision", "moe_precision")}
    if narrow := sorted(name for name in kept if not multiplied(name, offer.chip)):
        told.append(f"{offer.chip.name} has no unit for {', '.join(narrow)}: weights alone are kept in it, products are in 16 bits")
    if training and best.n_accel > MOST_TRAINING:
        told.append(f"{best.n_accel:,} accelerators are more than any measured step had ({MOST_TRAINING:,}): the range does not cover that")
    longest = question.seq_len if isinstance(question, Train | Finetune) else question.isl + question.osl
    if longest > LONGEST_SEQUENCE:
        told.append(f"{longest:,.0f} tokens in a sequence are more than any measured run had: the range does not cover that")
    if question.model.endswith(".json") and arch.notes:
        told.append(f"{question.model}: {arch.notes}")
    if not offer.chip.verified:
        told.append(f"the data sheet row of {offer.chip.name} is unverified")
    if best.term == "spot":
        told.append("machines on spot are taken away at any time: --term on-demand is what nobody reclaims")
    if offer.usd_hour is None:
        told.append(f"no price of {offer.chip.name} is known: there is no money in this answer")
    elif not offer.verified:
        told.append(f"the price of {offer.chip.name} ({offer.term}) is {offer.assumed or 'unverified'}")
    return tuple(told)


def _bound(best: Design, limits: Limits) -> list[str]:
    """What a job's share of a commitment or an investment takes for granted."""
    told = []
    for name, what in (("commitment_usd", "committed for whole terms"), ("capex_usd", "invested")):
        whole, cost = best.quantities.get(name), best.quantities.get("cost_usd")
        if whole is None or cost is None:
            continue
        told.append(f"{show_usd(whole.value)} are {what}: the cost is this job's share, if other work fills the rest of that time")
        if limits.budget_usd is not None and whole.value > limits.budget_usd:
            told.append(f"the {show_usd(whole.value)} that are {what} are more than the budget, the share alone is within it")
    return told


def _parts_of_nodes(best: Design, offer: Offer) -> list[str]:
    """Whole nodes are paid for, also where a part of one works."""
    paid = best.n_nodes * offer.per_node
    idle = paid - best.n_accel
    return [f"{idle} of {paid} accelerators stay idle: nodes of {offer.per_node} are paid for whole"] if idle else []


def _of_training(question: Train | Finetune, best: Design, offer: Offer, knowledge: Knowledge) -> list[str]:
    """The batch that could not be as asked, sequences and runs beyond the usual, what is not in the time."""
    if isinstance(question, Train) and question.items is not None:
        return vision.warnings(question, best)
    told, arch, limits = rounder(question, best, offer, knowledge), knowledge.architecture(question.model), question.limits
    batch = float(best.layout.get("batch_tokens") or question.batch_tokens or 0.0)
    if question.batch_tokens and abs(batch / question.batch_tokens - 1) > 0.001:
        told.append(f"a batch of {batch:,.0f} tokens, the nearest to {question.batch_tokens:,.0f} that this layout divides")
    if arch.max_len and question.seq_len > arch.max_len:
        told.append(f"sequences of {question.seq_len:,} tokens are longer than the context of {arch.name} ({arch.max_len:,})")
    if question.seq_len < SHORTEST_SEQUENCE:
        told.append(f"sequences of {question.seq_len:,} tokens are shorter than any measured step had: the range does not cover that")
    if question.tokens > MOST_TOKENS:
        told.append(f"{question.tokens:.3g} tokens are more than any published run had ({MOST_TOKENS:.2g})")
    if isinstance(question, Finetune) and question.method == "qlora":
        told.append("the time to turn 4-bit weights into 16-bit ones, in each pass, is not in the step: it takes a tenth to a half more")
    if question.precision == "bf16" and not offer.chip.tflops.get("bf16"):
        told.append(f"{offer.chip.name} multiplies no bf16: its fp16 is taken")
    if (limits.by_s, limits.gpus, limits.max_gpus, limits.budget_usd, limits.max_power_w) == (None,) * 5:
        told.append("no deadline, number, budget or power was set, so that time x money^2 decides: --by 30d says what is wanted")
    return told


def measured(chip: Accelerator, constants: Constants) -> bool:
    """Whether a constant was fitted on this chip or on its family (the name up to its form, such as H100)."""
    labels = {label for effects in constants.effects.values() for label in effects.effects}
    family = chip.name.split("-")[0]
    return any(
        label == f"accelerator:{chip.name}" or label.startswith((f"accelerator:{chip.name}/", f"family:{family}")) for label in labels
    )
