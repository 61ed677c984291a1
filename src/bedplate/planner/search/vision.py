"""The search for a way to train an image model: whole copies on every accelerator, gradients over the fabric, items from storage.

    time = items x epochs / (batch / step) / useful share + start;   step: `training.images`

Choices: the batch is LEAST_BATCH, more where accelerators would get fewer than USUAL_ITEMS of it, and at most MOST_BATCH; every accelerator
gets at least LEAST_ITEMS. What the storage must read follows from a step that waits for nothing; with a rate of the storage the wait for
it counts. Cores of the node decode; where the catalogue does not know them they are taken to keep up.
Limits: epochs are the caller's, and a larger batch may need more of them; items of another size than the row's need a row of their own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from bedplate.core.errors import UserError
from bedplate.core.records import Record
from bedplate.core.units import GIB
from bedplate.planner.asking.questions import Train
from bedplate.planner.asking.sizing import Design
from bedplate.planner.facts.architecture import Architecture, counted_params
from bedplate.planner.facts.cases import Unsupported
from bedplate.planner.facts.estimate import Estimate, exact, product, spread, total
from bedplate.planner.facts.knowledge import Knowledge
from bedplate.planner.kernels.collective import Fabric
from bedplate.planner.kernels.items import LAUNCH_RANGE, LAUNCH_S, PASSES, Item, Pass, item_of
from bedplate.planner.kernels.items import parts as item_parts
from bedplate.planner.kernels.power import power
from bedplate.planner.training.goodput import Goodput, goodput
from bedplate.planner.training.images import Feed, ImageStep, held, image_step, micro_batch

from .checks import TRAINED_IN, known, on_accelerators
from .common import SAVED_BYTES, counted, metered, money, over_time, parts, provisioned, saved
from .offers import Offer, joins

LEAST_BATCH = 4096.0
"""Items of a global batch: 4,096 for vision transformers (arXiv 2010.11929), for ResNet-50 up to 8,192 (arXiv 1706.02677)."""
MOST_BATCH = 32768.0
"""With rates by layer ResNet-50 keeps its quality up to here (LARS, arXiv 1708.03888, section 6; LAMB, arXiv 1904.00962)."""
USUAL_ITEMS, LEAST_ITEMS = 32, 16
START_S = 300.0
SAFETY = 0.92
FIGURES = ("image-bytes", "jpeg-core-mbs", "checkpoint-seconds", "node-idle-share")
WORK: Pass = "train"


class Laid(Record, frozen=True, kw_only=True):
    """One number of accelerators on one offer: its batch, its step (as it may be at its `quick` and its `slow` end) and what is saved."""

    n: int
    batch: float
    micro: int
    step: ImageStep
    quick: ImageStep
    slow: ImageStep
    feed: Feed
    item: Item
    params: float
    kept: Goodput

    @property
    def needed_gbs(self) -> Estimate:
        """What the storage must read so that no step waits for it."""
        least, value, most = (self.batch * self.feed.item_bytes / one.run / 1e9 for one in (self.slow, self.step, self.quick))
        return Estimate(value=value, low=least, high=most, basis=f"{self.feed.item_bytes:,.0f} bytes an item, no step waits")

    @property
    def stall(self) -> Estimate:
        """Share of the time that steps wait for input."""
        shares = sorted(1 - one.run / one.total for one in (self.slow, self.step, self.quick))
        return Estimate(value=1 - self.step.run / self.step.total, low=shares[0], high=shares[-1], basis="the step beyond its work")


def by_item(question: Train, arch: Architecture) -> None:
    """Raises UserError for a model that is not trained on images, a number of them that is none, or machines that a batch does not feed."""
    on_accelerators(arch)
    items, most = question.items or 0.0, int((question.batch_items or MOST_BATCH) / LEAST_ITEMS)
    if question.tokens or question.batch_tokens:
        raise UserError("a model is trained on tokens or on images, not on both", next="leave out --tokens and --batch-tokens, or --items")
    known("precision to train in", question.precision, TRAINED_IN, "--precision")
    for name in ("batch_items", "item_bytes", "storage_gbs"):
        value = getattr(question, name)
        if value is not None and not 0 < value < math.inf:
            raise UserError(f"{name} is {value:g}", why="it must be more than nothing, and a number")
    if most < 1:
        raise UserError(f"a batch of {question.batch_items:g} items feeds no accelerator", next=f"--batch-items {LEAST_ITEMS} or more")
    if (question.limits.gpus or 0) > most:
        why = f"a batch of {question.batch_items or MOST_BATCH:,.0f} images gives each fewer than {LEAST_ITEMS}"
        raise UserError(f"{question.limits.gpus:,} accelerators are too many", why=why, next=f"--gpus {most}")
    if not 1 <= items * question.epochs < math.inf or question.epochs <= 0:
        raise UserError(f"{items:g} items in {question.epochs:g} epochs are nothing to train on", next="--items 1.28M --epochs 90")
    if arch.family != "vision":
        raise UserError(f"'{arch.name}' is not trained on images", why=f"it is of the family '{arch.family}'", next="--tokens")


def designs(question: Train, listed: list[Offer], arch: Architecture, knowledge: Knowledge) -> Iterator[Design]:
    """One design for each offer and number of accelerators. Raises UserError where no machine holds a single item."""
    found = 0
    for offer in listed:
        for n in _counts(question, offer):
            if joins(offer, n) and (offer.term != "spot" or n <= offer.per_node or question.limits.terms):
                made = _laid(question, offer, n, arch, knowledge)
                if made is not None:
                    found += 1
                    yield _design(question, offer, made, knowledge)
    if not found:
        raise UserError(f"{arch.name} and one item fit no machine within these limits", next="more memory: --on h200")


def _counts(question: Train, offer: Offer) -> list[int]:
    limits = question.limits
    if limits.gpus is not None:
        return [limits.gpus]
    most = min(limits.max_gpus or math.inf, (question.batch_items or MOST_BATCH) / LEAST_ITEMS)
    tried = [n for n in (1, 2, 4) if n < offer.per_node] + [offer.per_node * 2**i for i in range(12)]
    return [n for n in tried if n <= most] or tried[:1]


def _laid(question: Train, offer: Offer, n: int, arch: Architecture, knowledge: Knowledge) -> Laid | None:
    """The step on `n` accelerators; None where the chip has no peak in the precision or holds not one item."""
    batch = question.batch_items or min(max(LEAST_BATCH, USUAL_ITEMS * n), MOST_BATCH)
    params, constants = arch.params or counted_params(arch), knowledge.constants
    try:
        item = item_of(arch)
        per_item = item_parts(item, WORK, offer.chip, question.precision, constants["kernels"], constants["items"])
    except Unsupported:
        return None
    micro = micro_batch(batch / n, params, item.activations, SAFETY * offer.chip.mem_gb * GIB)
    if micro < 1:
        return None
    down, up = constants["items"].spreads["items_per_s"].of((WORK,))
    cores, net = knowledge.systems.figure("jpeg-core-mbs"), network(offer, knowledge)

    def step(off: float, core_mbs: float) -> ImageStep:
        paced = per_item[0] * math.exp(off), per_item[1] * math.exp(off)
        launch = LAUNCH_S * LAUNCH_RANGE ** (off / max(down, up))
        return image_step(paced, batch / n, n, params, net, _feed(question, offer, n, core_mbs, knowledge), launch)

    reclaims = knowledge.systems.figure("spot-interruptions-day").value / 24 if offer.term == "spot" else 0.0
    kept = goodput(n, math.ceil(n / offer.per_node), params * SAVED_BYTES, reclaims_per_node_hour=reclaims)
    return Laid(
        n=n, batch=batch, micro=micro, step=step(0.0, cores.value), quick=step(-down, cores.high), slow=step(up, cores.low),
        feed=_feed(question, offer, n, cores.value, knowledge), item=item, params=params, kept=kept,
    )  # fmt: skip


def _feed(question: Train, offer: Offer, n: int, core_mbs: float, knowledge: Knowledge) -> Feed:
    """Two threads share a core; a part of a node has that part of its cores."""
    node = offer.node
    cores = n / node.n_accel * node.cpu_vcpus / 2 if node and node.cpu_vcpus else None
    return Feed(
        item_bytes=question.item_bytes or knowledge.systems.figure("image-bytes").value,
        storage=question.storage_gbs * 1e9 if question.storage_gbs else None,
        decoding=cores * core_mbs * 1e6 if cores else None,
    )


def network(offer: Offer, knowledge: Knowledge) -> Fabric:
    """The two levels of the offer's machines: links within a node, an even share of its ports between nodes."""
    chip, node, effects = offer.chip, offer.node, knowledge.constants["kernels"].effects
    kind = ("fabric:efa",) if node and node.provider == "aws" else ()
    port = (node.nic_gbps or PLAIN_GBPS) / node.n_accel if node else PLAIN_GBPS
    return Fabric(
        domain=float(max(1, min(offer.per_node, chip.scaleup_domain))) if chip.scaleup_domain > 1 else float(offer.per_node),
        scaleup=(chip.scaleup_gbs or PCIE_GBS) * 1e9 * effects["scaleup"].of(()), fabric=port / 8 * 1e9 * effects["fabric"].of(kind),
        scaleup_alpha=effects["scaleup_alpha"].of(()), fabric_alpha=effects["fabric_alpha"].of(kind),
    )  # fmt: skip


PCIE_GBS, PLAIN_GBPS = 32.0, 10.0
"""Of a chip without a link of its own (PCIe 4.0 x16), and of a machine whose network is not known."""


def _design(question: Train, offer: Offer, made: Laid, knowledge: Knowledge) -> Design:
    n, memory = made.n, held(made.micro, made.params, made.item.activations)
    drawn, quantities = _rates(question, offer, made, knowledge)
    time = quantities["time_s"]
    quantities |= money(offer, time, n) | over_time(drawn, time, offer) | provisioned(offer, n)
    layout = {"dp": n, "batch_items": round(made.batch), "items_per_accelerator": round(made.batch / n, 1), "micro_batch": made.micro}
    return Design(
        name=f"{n} x {offer.chip.name}, dp{n}", accelerator=offer.chip.name, node=offer.node.name if offer.node else "", n_accel=n,
        n_nodes=math.ceil(n / offer.per_node), provider=offer.provider, region=offer.region, term=offer.term, layout=layout,
        quantities=quantities | {"peak_mem_bytes": exact(sum(memory.values()), "states of the optimiser and activations")},
        breakdowns=(parts("step", "s", _named(made.step)), parts("memory", "bytes", memory)),
    )  # fmt: skip


def _rates(question: Train, offer: Offer, made: Laid, knowledge: Knowledge) -> tuple[Estimate, dict[str, Estimate]]:
    """Power at the meter, and everything that follows from the step."""
    basis = "operations and activations of an item; the range is of published rates of other models and chips"
    step = Estimate(value=made.step.total, low=made.quick.total, high=made.slow.total, basis=basis)
    rate = step.inverse(made.batch)
    time = total([rate.inverse((question.items or 0.0) * question.epochs / made.kept.useful), exact(START_S, "allocation, images, data")])
    flops = PASSES[WORK] * made.item.flops * made.batch / made.n
    mfu = step.inverse(flops / (offer.chip.peak(question.precision) or 1.0))
    drawn = _drawn(offer, made, mfu.value, knowledge)
    data = (question.items or 0.0) * made.feed.item_bytes
    return drawn, saved(made.params * SAVED_BYTES, made.kept.interval_s, data, knowledge.systems) | {
        "time_s": time, "step_time_s": step, "items_per_s": rate, "mfu": mfu, "accelerators": counted(made.n), "power_w": drawn,
        "goodput": exact(made.kept.useful, f"a checkpoint every {made.kept.interval_s / 60:.0f} min"),
        "storage_read_gbs": made.needed_gbs,
        "input_stall": made.stall, "decode_cores": _cores(made.needed_gbs, knowledge),
    }  # fmt: skip


def _drawn(offer: Offer, made: Laid, mfu: float, knowledge: Knowledge) -> Estimate:
    """Watts at the meter: what a step draws while it runs, and idle nodes while it waits for its input."""
    runs = 1 - made.stall.value
    at_work = float(power(offer.chip, mfu / runs, made.step.stream / made.step.run, knowledge.constants["serving"])) * made.n
    ends = (made.stall.high, made.stall.value, made.stall.low)
    watts = spread(at_work, 0.2, 0.2, "power from activity, idle nodes where steps wait")
    low, mean, high = (metered(watts, offer, made.n, knowledge.systems, 1 - stall) for stall in ends)
    return Estimate(value=mean.value, low=min(low.low, mean.low), high=max(high.high, mean.high), basis=watts.basis)


def _cores(needed_gbs: Estimate, knowledge: Knowledge) -> Estimate:
    """Processor cores, of all nodes together, that decode as fast as the storage must read."""
    one = knowledge.systems.figure("jpeg-core-mbs")
    rate = Estimate(value=one.value, low=one.low, high=one.high).inverse(1000.0)
    return product(needed_gbs, rate, f"{one.value:g} MB/s a core")


def _named(step: ImageStep) -> dict[str, float]:
    return {name: float(getattr(step, name)) for name in step.__struct_fields__}


def warnings(question: Train, best: Design) -> list[str]:
    """What a reader must know of an answer on images."""
    told, batch, waits = [], float(best.layout["batch_items"]), {p.name for p in best.breakdowns[0].parts}
    if question.storage_gbs is None:
        told.append("no wait for the storage is in the time: --storage-gbs says what it reads")
    if "decoding" in waits:
        told.append("processor cores decode too slowly: decode on the accelerators, or store smaller or decoded images")
    if batch > PLAIN_BATCH:
        told.append(f"a batch of {batch:,.0f} images needs rates by layer (LARS, LAMB), and may need more epochs than were asked")
    told.append("images: two constants of published rates stand behind the step (networks fused by a vendor are up to twice as quick)")
    return told


PLAIN_BATCH = 8192.0
"""Images of the largest batch that plain SGD trains ResNet-50 with at full quality (arXiv 1706.02677, figure 1)."""
