"""How a training step is spread over accelerators: one layout, or arrays of many of the same length.

Choices: every field is a number or an array, so that a search evaluates all its candidates in one call. Ranks are laid out as Megatron
does: tensor innermost, then context, expert and data, pipeline outermost; so tensor groups stay inside a scale-up domain where they can.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bedplate.core.records import Record
from bedplate.planner.kernels.roofline import Numbers

NONE, SELECTIVE, FULL = 0, 1, 2
"""Levels of activation recomputation."""


def scalar(value: Numbers) -> float:
    """The one number of an array of one."""
    return float(np.asarray(value).reshape(-1)[0])


class Layout(Record, frozen=True, kw_only=True):
    """Degrees of parallelism and the batch. Chips = tp x cp x pp x dp; `ep` divides tp x cp x dp.

    `mbs` sequences go through a pipeline stage at a time, `accum` such micro-batches a step and data-parallel rank. `zero`: what the
    `shard` ranks share: 0 nothing, 1 the optimiser's state, 2 gradients too, 3 weights too (FSDP). `vp`: virtual stages a rank.
    `sequence`: 1 where what tensor parallelism leaves whole is split by sequence. `recompute`: NONE, SELECTIVE or FULL,
    in the `share` of the layers. `offload`: share of what is kept that goes to the host.
    `bubble`: the share of the pipeline's bubble that remains (zero-bubble schedules: less than 1).
    """

    tp: Numbers = 1.0
    pp: Numbers = 1.0
    cp: Numbers = 1.0
    dp: Numbers = 1.0
    ep: Numbers = 1.0
    etp: Numbers = 1.0
    vp: Numbers = 1.0
    mbs: Numbers = 1.0
    accum: Numbers = 1.0
    zero: Numbers = 0.0
    shard: Numbers = 1.0
    sequence: Numbers = 1.0
    recompute: Numbers = 0.0
    share: Numbers = 1.0
    offload: Numbers = 0.0
    bubble: Numbers = 1.0

    @property
    def chips(self) -> Numbers:
        return self.tp * self.pp * self.cp * self.dp

    @property
    def batch(self) -> Numbers:
        """Sequences of a step."""
        return self.mbs * self.accum * self.dp


def misfits(layout: Layout, *, heads: int, layers: int, experts: int) -> NDArray[np.bool_]:
    """True where a layout cannot be: heads not divisible by tp, stages without a layer, experts or ranks not by ep."""
    tall = np.mod(max(heads, 1), layout.tp) > 0
    deep = np.asarray(layout.pp * layout.vp) > layers
    wide = np.mod(max(experts, 1), layout.ep) > 0
    apart = np.mod(layout.tp * layout.cp * layout.dp / layout.etp, layout.ep) > 0
    return np.asarray(tall | deep | wide | apart)
