"""How quickly an accelerator does a rank's work under an engine: data-sheet rates times fitted efficiencies, and the engine's own delays.

Choices: every constant is one of `serving.json`'s effects, looked up by the labels of the engine (family, release, exact version), the
accelerator, the precision and both; a label that was never measured has no effect and leaves the general value.
Limits: one memory bandwidth for all tensors; the link is the scale-up fabric where the ranks of a stage fit into it, else the host's
bus, else the network at SCALE_OUT.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from bedplate.core.records import Record
from bedplate.planner.facts.calibration import Constants
from bedplate.planner.facts.cases import Unsupported
from bedplate.planner.facts.systems import Accelerator

from .records import Numbers, ServeLayout

SCALE_OUT = 50e9
"""Bytes a second and accelerator between nodes: one 400 Gbit/s port each, as in HGX reference designs."""


HOST, BUS_GBS = 8, 63.0
"""Accelerators that one host usually has, and the most that its PCIe (5.0 x16) carries of each, GB/s one direction: so ranks beyond a
bridge, or without one, meet. Only beyond a host do they go over the network."""

SWITCHED_GBS = 100.0
"""From here on a scale-up link is a fabric of its own (NVLink, Infinity Fabric, ICI); below, accelerators meet over the host's PCIe."""

APART = "disagg-"
"""Before the release of an engine whose prefill and decode workers are apart: routers and transfers have releases of their own."""

LEAN = 700 / 989
"""Board W per dense bf16 TFLOP/s from which clocks hold under full matrix load: that of an H100 SXM5."""


REACHED = 0.78
"""Usual share of the data sheet's bf16 rate that the best shape reaches: 0.73 to 0.87 on NVIDIA's (`measured_tflops`, MAMF)."""


class Rates(Record, frozen=True, kw_only=True):
    """Effective rates of one accelerator (bytes/s, FLOP/s) and delays (s) under one engine. `pace` multiplies every iteration."""

    memory: Numbers
    experts: Numbers
    kv: Numbers
    dense: Numbers
    moe: Numbers
    attention: Numbers
    link: Numbers
    alpha: Numbers
    layer: Numbers
    moe_layer: Numbers
    step: Numbers
    sequence: Numbers
    prefill_layer: Numbers
    prefill_moe_layer: Numbers
    imbalance: Numbers
    padding: Numbers
    pace: Numbers


class Sheet(Record, frozen=True, kw_only=True):
    """The data sheet's part of the rates: what the fitted efficiencies multiply. Matrix rates are the data sheet's times what the chip
    reaches of them where that was measured: an MI300X stays at two thirds of what is usual."""

    memory: Numbers
    dense: Numbers
    moe: Numbers
    attention: Numbers
    link: Numbers
    lean: Numbers
    """Board power per matrix rate over LEAN, at most 1: boards with less throttle (an H100 PCIe has an SXM's die and half its power)."""


def labels(layout: ServeLayout, chip: Accelerator) -> tuple[str, ...]:
    """What effects may hang on, from general to particular."""
    found = [
        f"accelerator:{chip.name}",
        f"generation:{chip.generation}",
        f"precision:{_bits(chip, layout.precision)}",
        f"moe:{_bits(chip, layout.moe_precision)}",
    ]
    if layout.engine:
        found.append(f"engine:{layout.engine}")
    if layout.engine and layout.engine_version.startswith(APART):
        found.append(f"apart:{layout.engine}")
    if layout.engine and layout.engine_version:
        release = ".".join(layout.engine_version.split(".")[:2])
        found += [f"release:{layout.engine}-{release}", f"version:{layout.engine}-{layout.engine_version}"]
        if layout.drafts:
            found.append(f"drafts:{layout.engine}-{release}/{layout.drafts}")
    if layout.benchmark:
        found.append("setting:benchmark-adp" if layout.attention_dp > 1 else "setting:benchmark")
        found.append(f"host:{chip.name}/{'one' if layout.n_accel == 1 else 'many'}/{layout.benchmark}")
    found.append("link:switched" if (chip.scaleup_gbs or 0) >= SWITCHED_GBS else "link:host")
    if layout.engine and layout.attention_dp > 1:
        found.append(f"adp:{layout.engine}")
    return tuple(found)


def sheet(layout: ServeLayout, chip: Accelerator) -> Sheet:
    """Raises Unsupported where the chip has no rate for the precision."""
    dense, moe, attention = _multiplied(chip, layout.precision), _multiplied(chip, layout.moe_precision), chip.peak("bf16")
    if dense is None or moe is None or attention is None:
        raise Unsupported(f"the data sheet of {chip.name} gives no rate for {layout.precision}")
    reached = _reached(chip)
    lean = min(1.0, chip.tdp_w / (attention / 1e12) / LEAN) if chip.tdp_w else 1.0
    link = _link(chip, layout.tp * layout.attention_dp)
    return Sheet(memory=chip.mem_gbs * 1e9, dense=dense * reached, moe=moe * reached, attention=attention * reached, link=link, lean=lean)


def _link(chip: Accelerator, ranks: int) -> float:
    """Bytes a second and accelerator between `ranks` ranks: over its own links, else the host's bus, else the network."""
    if not chip.scaleup_gbs or ranks > max(chip.scaleup_domain, HOST):
        return SCALE_OUT
    return 1e9 * (chip.scaleup_gbs if ranks <= chip.scaleup_domain else min(chip.scaleup_gbs, BUS_GBS))


def _reached(chip: Accelerator) -> float:
    """How much more or less of its data sheet's matrix rate this chip reaches at best than chips do; 1 where nobody measured."""
    best, stated = chip.measured_tflops.get("bf16"), chip.tflops.get("bf16")
    return best / stated / REACHED if best and stated else 1.0


FOUR_BITS = ("nvfp4", "mxfp4", "fp4", "int4", "nf4", "nf4-dq")


def _widened(chip: Accelerator, precision: str) -> bool:
    """Whether weights in `precision` are widened to 16 bits before they are multiplied: four-bit ones where the chip has no four-bit
    floating-point rate, four-bit integers and NormalFloat everywhere."""
    return precision in FOUR_BITS and (precision in ("int4", "nf4", "nf4-dq") or not chip.tflops.get("fp4"))


def _multiplied(chip: Accelerator, precision: str) -> float | None:
    """FLOP/s of a product with weights in `precision`."""
    return chip.peak("bf16" if _widened(chip, precision) else precision)


def _bits(chip: Accelerator, precision: str) -> int:
    """Width of the numbers that are multiplied: formats of one width share their efficiencies."""
    if _widened(chip, precision):
        return 16
    return 4 if precision in FOUR_BITS else 8 if precision in ("fp8", "mxfp8", "int8") else 16


def scaled(sheet: Sheet, constants: Constants, names: Sequence[str]) -> Rates:
    """The sheet's rates times their efficiencies for these labels, and the delays."""

    def of(name: str) -> float:
        return constants.effects[name].of(names)

    return combine(sheet, of)


def combine(sheet: Sheet, of: Callable[[str], Numbers]) -> Rates:
    """Rates from a sheet and a look-up of each constant's value (floats, or arrays over cases)."""
    held = sheet.lean ** np.minimum(of("throttle"), 1.0)
    return Rates(
        memory=sheet.memory * of("memory"),
        experts=sheet.memory * of("experts"),
        kv=sheet.memory * of("kv"),
        dense=sheet.dense * held * of("gemm"),
        moe=sheet.moe * held * of("moe_gemm"),
        attention=sheet.attention * held * of("attention"),
        link=sheet.link * of("link"),
        alpha=1e-6 * of("alpha_us"),
        layer=1e-6 * of("layer_us"),
        moe_layer=1e-6 * of("moe_layer_us"),
        step=1e-6 * of("step_us"),
        sequence=1e-6 * of("sequence_us"),
        prefill_layer=1e-6 * of("prefill_layer_us"),
        prefill_moe_layer=1e-6 * of("prefill_moe_layer_us"),
        imbalance=of("imbalance"),
        padding=of("padding"),
        pace=of("pace"),
    )


def stack(sheets: Sequence[Sheet]) -> Sheet:
    """One Sheet whose fields are arrays, an element for each of `sheets`."""
    names = msgspec.structs.fields(Sheet)
    return Sheet(**{field.name: np.array([getattr(s, field.name) for s in sheets], dtype=float) for field in names})
