"""From work to seconds, by part: a roofline per kind of kernel, launches that may take longer than the kernels, and what is not split.

    kernels = dense + attention + elementwise + exchange
    batch   = (kernels^4 + launches^4)^(1/4) + text + decode

Each part is work over the share of its data-sheet rate that it reaches. Launches are issued by one CPU thread and hide behind the
kernels while those are long: the power mean is the smooth maximum of both. All fields take floats or NumPy arrays of one shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bedplate.core.records import Record

from .work import Work

SHARPNESS = 4


class Rates(Record, frozen=True, kw_only=True):
    """Rates of one accelerator (FLOP/s of the matrix products, of attention; bytes/s) and how much slower its kernels are (1: as fitted).

    `slow` by part: dense, attention, elementwise, exchange, decode, launch, unet.
    """

    peak: Any
    attention_peak: Any
    memory_bw: Any
    link_bw: Any
    slow: Mapping[str, Any]


class Parts(Record, frozen=True, kw_only=True):
    """Seconds of a batch by part; `launch` is what launching adds to the kernels' time."""

    dense: Any
    attention: Any
    elementwise: Any
    exchange: Any
    launch: Any
    text: Any
    decode: Any

    @property
    def total(self) -> Any:
        return self.dense + self.attention + self.elementwise + self.exchange + self.launch + self.text + self.decode


def seconds(work: Work, rates: Rates, numbers: Mapping[str, float]) -> Parts:
    """The batch by part. `numbers`: shares of the rates, passes over the activations, and seconds a launched block (calibration)."""
    slow = rates.slow
    dense_rate = rates.peak * numbers["dense"] / slow["dense"]
    dense = work.dense / dense_rate + work.unet / (rates.peak * numbers["unet"]) * slow["unet"]
    attention = work.attention / (rates.attention_peak * numbers["attention"]) * slow["attention"] * (1 + numbers["split"] * work.split)
    passes = (
        numbers["norm_passes"] * work.norm
        + numbers["qk_passes"] * work.qk
        + numbers["rotary_passes"] * work.rotary
        + numbers["cross_passes"] * work.cross
        + 2 * work.inner
    )
    elementwise = passes / rates.memory_bw * slow["elementwise"]
    exchange = work.exchange / (rates.link_bw * numbers["exchange"]) * slow["exchange"]
    launches = slow["launch"] * (
        work.blocks * (numbers["block_s"] + numbers["split_block_s"] * work.split + numbers["ring_block_s"] * work.rounds)
        + work.qk_blocks * numbers["qk_block_s"]
        + work.rotary_blocks * numbers["rotary_block_s"]
        + work.dual_blocks * numbers["dual_block_s"]
    )
    kernels = dense + attention + elementwise + exchange
    return Parts(
        dense=dense,
        attention=attention,
        elementwise=elementwise,
        exchange=exchange,
        launch=(kernels**SHARPNESS + launches**SHARPNESS) ** (1 / SHARPNESS) - kernels,
        text=work.text / dense_rate,
        decode=work.decode / (rates.attention_peak * numbers["decode"]) * slow["decode"],
    )
