"""The search for a way to train an image model: whole copies on every accelerator, and the share of its peak that such a model reaches.

    time = items x epochs x 3 x FLOPs of a forward pass / (accelerators x peak x share)

Choices: a backward pass is two forward ones. The share is a row of figures.csv with its range, one for convolutions (bound by memory, so
that newer chips reach less of their peak) and one for vision transformers; it holds gradients between accelerators, and is of training
with a loader that keeps up. Every accelerator gets at least `LEAST_ITEMS` of the batch. Failures are left out: such runs are short.
Limits: memory is not counted (weights take MB, and a micro-batch is made to fit); other image sizes than the row's need a row of their own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from bedplate.core.errors import UserError
from bedplate.planner.asking.questions import Train
from bedplate.planner.asking.sizing import Design
from bedplate.planner.facts.architecture import Architecture
from bedplate.planner.facts.estimate import Estimate, exact, spread, total
from bedplate.planner.facts.knowledge import Knowledge
from bedplate.planner.kernels.power import power

from .common import counted, metered, money, over_time, provisioned
from .offers import Offer, joins

BATCH_ITEMS = 4096.0
"""Images of a global batch: 4,096 for vision transformers (arXiv 2010.11929), up to 8,192 for ResNet-50 (arXiv 1706.02677)."""
LEAST_ITEMS = 16
PASSES = 3.0
MEMORY_SHARE = 0.6
"""Share of the bandwidth that image models use: between layers that compute and layers that stream."""
START_S = 300.0
MOST_PARAMS = 3e9
"""A model with more weights is not held whole by every accelerator (embedding tables)."""


def by_item(question: Train, arch: Architecture) -> None:
    """Raises UserError for a model that is not trained on images, a number of them that is none, or machines that a batch does not feed."""
    items, most = question.items or 0.0, int(BATCH_ITEMS / LEAST_ITEMS)
    if question.tokens or question.batch_tokens:
        raise UserError("a model is trained on tokens or on images, not on both", next="leave out --tokens and --batch-tokens, or --items")
    if (question.limits.gpus or 0) > most:
        why = f"a batch of {BATCH_ITEMS:,.0f} images gives each fewer than {LEAST_ITEMS}"
        raise UserError(f"{question.limits.gpus:,} accelerators are too many", why=why, next=f"--gpus {most}")
    if not 1 <= items * question.epochs < math.inf or question.epochs <= 0:
        raise UserError(f"{items:g} items in {question.epochs:g} epochs are nothing to train on", next="--items 1.28M --epochs 90")
    if arch.family != "vision" or not arch.flops_per_item or (arch.params or 0.0) > MOST_PARAMS:
        raise UserError(f"'{arch.name}' is not trained on images", why=f"it is of the family '{arch.family}'", next="--tokens")


def designs(question: Train, listed: list[Offer], arch: Architecture, knowledge: Knowledge) -> Iterator[Design]:
    """One design for each offer and number of accelerators."""
    for offer in listed:
        for n in _counts(question, offer):
            if joins(offer, n) and (offer.term != "spot" or n <= offer.per_node or question.limits.terms):
                yield _design(question, offer, n, arch, knowledge)


def _counts(question: Train, offer: Offer) -> list[int]:
    limits = question.limits
    if limits.gpus is not None:
        return [limits.gpus]
    most = min(limits.max_gpus or math.inf, BATCH_ITEMS / LEAST_ITEMS)
    tried = [n for n in (1, 2, 4) if n < offer.per_node] + [offer.per_node * 2**i for i in range(10)]
    return [n for n in tried if n <= most] or tried[:1]


def _design(question: Train, offer: Offer, n: int, arch: Architecture, knowledge: Knowledge) -> Design:
    row = knowledge.systems.figure("vision-transformer-peak-share" if arch.groups else "convolution-peak-share")
    share = Estimate(value=row.value, low=row.low, high=row.high, basis=row.source)
    peak = offer.chip.peak(question.precision) or 1.0
    items = share.times(n * peak / (PASSES * (arch.flops_per_item or 1.0)))
    running = items.inverse((question.items or 0.0) * question.epochs)
    time = total([running, exact(START_S, "allocation, images, data")], row.source)
    watts = float(power(offer.chip, row.value, MEMORY_SHARE, knowledge.constants["serving"]))
    drawn = metered(spread(watts * n, 0.2, 0.2, "power from activity"), offer)
    quantities = {"time_s": time, "items_per_s": items, "mfu": share, "accelerators": counted(n), "power_w": drawn}
    return Design(
        name=f"{n} x {offer.chip.name}, dp{n}", accelerator=offer.chip.name, node=offer.node.name if offer.node else "", n_accel=n,
        n_nodes=math.ceil(n / offer.per_node), provider=offer.provider, region=offer.region, term=offer.term, layout={"dp": n},
        quantities=quantities | money(offer, time, n) | over_time(drawn, time, offer) | provisioned(offer, n),
    )  # fmt: skip
