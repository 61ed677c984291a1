"""Seconds of one item (an image, a text, a clip) through a network on one accelerator, from its operations and its activations.

    seconds = passes of FLOPs / (share x attainable rate) + activations x 2 bytes x reads and writes / bandwidth

Training passes the network three times: forward, and twice on the way back. Activations are the elements that its layers give out; how
long small networks take follows them more than the FLOPs (Radosavovic et al., Designing Network Design Spaces, arXiv 2003.13678, section
3.1). A layer of a transformer gives out 4 d + d_ff + d elements a token: queries, keys, values, what attention makes of them, and the two
products of the feed-forward. Products and streams follow one another in a network, so their times add. A launched pass takes LAUNCH_S at
the least.

Choices: `share` and reads and writes are fitted (calibration/items.py), the same for convolutions and transformers, training and
answering apart. Limits: no fused or quantised networks of a vendor (TensorRT is up to twice as quick); attention is taken as fused.
"""

from __future__ import annotations

from typing import Literal

from bedplate.core.records import Record
from bedplate.planner.facts.architecture import Architecture, attention_flops, layer_params
from bedplate.planner.facts.calibration import Constants
from bedplate.planner.facts.cases import Unsupported
from bedplate.planner.facts.systems import Accelerator

from .limits import attainable

Pass = Literal["train", "infer"]
PASSES: dict[Pass, float] = {"train": 3.0, "infer": 1.0}
ELEMENT = 2.0
"""Bytes of an activation in 16 bits."""
LAUNCH_S = 0.003
"""Seconds of one pass of a batch of one: 0.8 ms of a compiled ResNet-50 to 11 ms of an eager EfficientNet-B0 (NVIDIA/DeepLearningExamples,
PyTorch/Classification/ConvNets/efficientnet/README.md, latency at batch 1 on an A100)."""
LAUNCH_RANGE = 3.0
"""How many times shorter or longer it may be."""


class Item(Record, frozen=True, kw_only=True):
    """FLOPs of one forward pass of one item, and elements that its layers give out."""

    flops: float
    activations: float


def item_of(arch: Architecture, tokens: float | None = None) -> Item:
    """The item's work: of `tokens` tokens (None: as many as the model takes) where it is described layer by layer, else as published.

    Raises Unsupported where neither layers nor activations are known.
    """
    length = tokens or arch.positions or arch.max_len
    if arch.groups and length:
        flops = sum(
            g.count * (2 * length * layer_params(arch, g, active=True) + attention_flops(arch, g, length, length, causal=False))
            for g in arch.groups
        )
        wide = sum(g.count * (5 * arch.d_model + (g.d_ff or arch.d_ff)) for g in arch.groups)
        return Item(flops=flops, activations=length * wide)
    if not arch.flops_per_item or not arch.activations_per_item:
        raise Unsupported(f"the operations and activations of an item of {arch.name} are not known")
    return Item(flops=arch.flops_per_item, activations=arch.activations_per_item)


def parts(item: Item, work: Pass, chip: Accelerator, precision: str, kernels: Constants, constants: Constants) -> tuple[float, float]:
    """Seconds of one item in products and in streams, in a batch that fills the chip. Raises Unsupported without a peak."""
    rate = attainable(chip, precision, kernels)
    if rate is None:
        raise Unsupported(f"the catalogue has no peak of {chip.name} in {precision}")
    products = PASSES[work] * item.flops / (rate * constants.numbers[f"{work}_share"])
    return products, item.activations * ELEMENT * constants.numbers[f"{work}_passes"] / (chip.mem_gbs * 1e9)


def seconds(item: Item, work: Pass, chip: Accelerator, precision: str, kernels: Constants, constants: Constants) -> float:
    """Seconds of one item, in a batch that fills the chip."""
    return sum(parts(item, work, chip, precision, kernels, constants))
