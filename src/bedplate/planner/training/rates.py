"""What a step's arithmetic rests on beside the layout: the chips' rates, and the fitted constants of one engine on one chip.

Choices: `Machine` is the data sheet in SI units; `Rates` are the fitted factors, resolved for one case from effects of its labels
(`calibration/training.py` fits them). Both hold numbers or arrays, like a layout.
"""

from __future__ import annotations

from collections.abc import Iterable

from bedplate.core.records import Record
from bedplate.planner.facts.calibration import Constants
from bedplate.planner.kernels.roofline import Numbers


class Machine(Record, frozen=True, kw_only=True):
    """Rates in FLOP/s and bytes/s of one chip, one direction; `domain`: chips that share a scale-up network in this job.

    `power`: its power limit over the product's (1 where it runs as sold). `capacity` in bytes (what is sold as 80 GB
    are GiB).
    """

    peak: Numbers
    """What a large product attains in bf16 (`kernels.limits`)."""
    peak_low: Numbers
    """The same in the precision of the low-precision products; that of bf16 where there are none."""
    memory: Numbers
    capacity: Numbers
    domain: Numbers
    scaleup: Numbers
    fabric: Numbers
    power: Numbers = 1.0
    axes: Numbers = 1.0
    """Of the links of a torus, 1 / `axes` join a chip to the neighbours of one ring (TPU pods of two or three dimensions)."""


class Workload(Record, frozen=True, kw_only=True):
    """What is trained and how an engine does it; the sizes are bytes an element.

    `low`: 1 where linear layers run in 8 or 4 bits, whose operand takes `low_bytes` and whose quantising moves `quantise` bytes.
    `flash`: 1 where attention's scores stay on the chip. `again_*`: the share of a forward pass that SELECTIVE recomputation repeats.
    `frozen`: 1 where the base weights have no gradient (LoRA). `reduce`: bytes of a gradient on the wire, `gathered` of a weight.
    """

    seq: Numbers
    low: Numbers = 0.0
    low_bytes: Numbers = 2.0
    quantise: Numbers = 0.0
    flash: Numbers = 1.0
    causal: Numbers = 1.0
    again_products: Numbers = 0.0
    again_attention: Numbers = 1.0
    again_stream: Numbers = 0.0
    kept_eager: Numbers = 0.0
    """Further bytes kept a token, layer and channel of the model where norms and the like run unfused in fp32."""
    dropout: Numbers = 0.0
    frozen: Numbers = 0.0
    trained: Numbers = 0.0
    """Weights with a gradient where the base is frozen (adapters)."""
    reduce: Numbers = 4.0
    gathered: Numbers = 2.0
    weight_bytes: Numbers = 2.0
    gradient_bytes: Numbers = 4.0
    optimiser_bytes: Numbers = 12.0
    kept_low: Numbers = 1.0
    """Share of the activations' bytes where inputs of products are kept in 8 bits."""
    end_bytes: Numbers = 0.0
    """Bytes of a weight of embedding and output layer, where those of the layers take fewer (quantised)."""
    spare: Numbers = 0.0
    """Bytes of buffers beside those of the layout: a copy while loading, dequantised weights."""
    balanced: Numbers = 0.0
    """1 where pipeline stages are cut so that the head counts as a layer."""


class Rates(Record, frozen=True, kw_only=True):
    """Fitted factors. Efficiencies multiply a rate, `*_shown` is the share of a communication that compute does not hide."""

    matrix: Numbers
    """Share of the attainable rate in bf16 that large products keep inside a step (clocks under load, neighbours)."""
    matrix_low: Numbers
    """The same in low precision."""
    grouped: Numbers
    """Share of `matrix` that experts' grouped products attain."""
    ramp: Numbers
    """Inner dimension at which a product runs at half its rate in bf16; longer by as much as a format is quicker."""
    unhidden: Numbers
    attention: Numbers
    """Share of the attainable rate in bf16 by fused attention."""
    narrow: Numbers
    """Exponent by which heads of fewer than 128 channels slow fused attention."""
    scan: Numbers
    """Share of the attainable rate in bf16 by state-space scans."""
    stream: Numbers
    """Memory-bound traffic beside the count of `operations`, over the bandwidth's attained share."""
    permute: Numbers
    """The same of ordering tokens by expert."""
    quantise: Numbers
    loss: Numbers
    """Bytes moved a logit by the loss, forward and backward."""
    scaleup: Numbers
    fabric: Numbers
    tensor_shown: Numbers
    context_shown: Numbers
    expert_shown: Numbers
    expert_far: Numbers
    """Factor on `expert_shown` where experts span domains: there, recipes run one micro-batch's exchange beside another's compute."""
    data_shown: Numbers
    """Share of the data-parallel traffic that never hides (first and last bucket)."""
    contention: Numbers
    """By how much of a hidden communication's time the compute beside it is slowed."""
    host_layer: Numbers
    """Seconds of host work a layer and micro-batch; it shows in quadrature with the chip's, which runs behind it."""
    host_mixture: Numbers
    """The same of a mixture layer (token counts, launches of many small products)."""
    jitter: Numbers
    """Slow-down a doubling of the domains that a step spans."""
    power: Numbers
    """Exponent of the attained rate on the power limit."""
    optimiser: Numbers
    """Bytes moved a local weight by the optimiser."""


def rates(constants: Constants, labels: Iterable[str]) -> Rates:
    """The rates of a case, from the effects of its labels."""
    known = tuple(labels)
    return Rates(**{name: constants.effects[name].of(known) for name in Rates.__struct_fields__})
