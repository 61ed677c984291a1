"""What a row of the catalogue may say: the checks that the loader asks for each row as it is read, and for the whole afterwards.

Choices: a check refuses what cannot be true (a negative rate, a share above 1, a figure outside its own range, a row that calls itself
verified and names no source but memory), never what is only unusual. Limits: it cannot tell a wrong figure of the right size.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import msgspec

from .architecture import Architecture, Architectures
from .systems import HOURS, DayShape, Figure, Grid, Price, Row, Systems

MOST_G_KWH = 2000.0
"""Old lignite plants emit about 1,200 g CO2 for a kWh (IPCC AR5 WG III, annex III: coal up to 910 in new plants)."""
MOST_USD_KWH = 5.0

_MAY_BE_ZERO = {
    "g_per_kwh", "carbon_free", "water_l_kwh", "value", "low", "high", "n_accel", "latency_us", "latency_ms", "pj_per_bit", "rack_units",
}  # fmt: skip

_BETWEEN = {
    "mem_gb": (0.01, 1e5, "GB (GiB)"), "mem_gbs": (10.0, 1e8, "GB/s"), "tdp_w": (1.0, 1e5, "W"), "idle_w": (0.1, 1e5, "W"),
    "tflops": (1e-3, 1e6, "TFLOP/s"), "scaleup_gbs": (0.1, 1e6, "GB/s"), "scaleup_domain": (1, 1e6, "accelerators"),
    "n_accel": (0, 1e5, "accelerators"), "nic_gbps": (0.1, 1e7, "Gbit/s"), "max_power_kw": (0.01, 1e5, "kW"), "rack_units": (0, 1e3, "U"),
    "on_demand": (1e-4, 1e6, "USD an hour"), "spot": (1e-4, 1e6, "USD an hour"), "reserved_1y": (1e-4, 1e6, "USD an hour"),
    "reserved_3y": (1e-4, 1e6, "USD an hour"), "purchase_usd": (1.0, 1e10, "USD"),
}  # fmt: skip
"""Field -> the least and the most that it can be, wide of anything sold, and its unit: what lies outside is in another unit."""


def fault(row: Row) -> str:
    """What is wrong with a row, beginning with the field; '' where nothing is."""
    for field in row.__struct_fields__:
        value = getattr(row, field)
        for key, number in value.items() if isinstance(value, dict) else [("", value)]:
            if isinstance(number, bool) or not isinstance(number, (int, float)):
                continue
            if not math.isfinite(number) or number < 0 or (number == 0 and field not in _MAY_BE_ZERO):
                return f"{field}.{key}: {number:g} makes no sense" if key else f"{field}: {number:g} makes no sense"
            least, most, unit = _BETWEEN.get(field, (0.0, math.inf, ""))
            if not least <= number <= most:
                where = f"{field}.{key}" if key else field
                return f"{where}: {number:g} lies outside {least:g} to {most:g}; is it in {unit}?"
    if row.verified and row.source.lower().startswith("recalled") and "agrees with" not in row.source:
        return "verified: true, and the source is a memory; name where it was read, or say false"
    return _own_fault(row)


def _own_fault(row: Row) -> str:
    if isinstance(row, Figure) and not row.low <= row.value <= row.high:
        return f"value: {row.value:g} lies outside {row.low:g} to {row.high:g}"
    if isinstance(row, Grid) and row.carbon_free is not None and row.carbon_free > 1:
        return f"carbon_free: {row.carbon_free:g} is no share"
    if isinstance(row, Grid) and row.g_per_kwh is not None and row.g_per_kwh > MOST_G_KWH:
        return f"g_per_kwh: {row.g_per_kwh:g} is more than burning anything emits; is it in grams a kWh?"
    if isinstance(row, Grid) and row.usd_per_kwh is not None and row.usd_per_kwh > MOST_USD_KWH:
        return f"usd_per_kwh: {row.usd_per_kwh:g} is no price of a kWh; is it in USD a kWh?"
    if isinstance(row, Grid) and row.pue is not None and row.pue < 1:
        return f"pue: {row.pue:g} is below 1"
    if isinstance(row, Price) and not any((row.on_demand, row.spot, row.reserved_1y, row.reserved_3y, row.purchase_usd)):
        return "on_demand: the row states no price"
    if isinstance(row, Price) and row.n_accel < 1:
        return "n_accel: a price is of at least 1 accelerator"
    if isinstance(row, DayShape):
        if sorted(row.hour) != sorted(HOURS):
            return "hour: needs 00 to 23"
        if abs(sum(row.hour.values()) / 24 - 1) > 0.02:
            return f"hour: the mean is {sum(row.hour.values()) / 24:.2f}, it should be 1"
    return ""


def model_fault(arch: Architecture) -> str:
    """What is wrong with an architecture, beginning with the field; '' where nothing is. Told by no row but its own."""
    for field, number in _numbers(arch, ""):
        if not math.isfinite(number) or number < 0 or number > MOST_OF_A_MODEL:
            return f"{field}: {number:g} makes no sense"
    if arch.groups and min(arch.d_model, arch.n_heads) < 1:
        return "d_model, n_heads: layers without a width or heads"
    if arch.d_model < arch.n_heads:
        return f"d_model: {arch.d_model} is too little for {arch.n_heads} heads"
    if any(group.count < 1 or group.compress < 1 for group in arch.groups) or arch.n_layers > MOST_LAYERS:
        return f"groups: a group has 1 to {MOST_LAYERS} layers"
    if arch.experts is not None and not 1 <= arch.experts.top_k <= arch.experts.count:
        return f"experts.top_k: {arch.experts.top_k} of {arch.experts.count} experts"
    return ""


def _numbers(record: msgspec.Struct, before: str) -> Iterator[tuple[str, float]]:
    for name in record.__struct_fields__:
        value = getattr(record, name)
        for one in value if isinstance(value, tuple) else (value,):
            if isinstance(one, msgspec.Struct):
                yield from _numbers(one, f"{before}{name}.")
            elif isinstance(one, int | float) and not isinstance(one, bool):
                yield f"{before}{name}", one


MOST_LAYERS = 10_000
"""The deepest model of the catalogue has 128 layers."""
MOST_OF_A_MODEL = 1e18
"""More parameters, FLOPs or elements than any model has."""


def dangling(models: Architectures) -> str:
    """The first other name that stands for no model; '' where every one does."""
    return next(
        (f"aliases: '{name}' is '{to}', and there is no such model" for name, to in models.aliases.items() if to not in models.rows), ""
    )


def loose_end(systems: Systems) -> tuple[str, str] | None:
    """(file, what is wrong) of the first row that names an accelerator that no row describes, or of a name that two rows claim."""
    for file, rows in (("nodes.csv", tuple(systems.nodes.values())), ("prices.csv", systems.prices)):
        for row in rows:
            if row.accelerator not in systems.accelerators:
                return file, f"row '{row.name}', accelerator: there is no '{row.accelerator}' in accelerators.csv"
    claimed: dict[str, str] = {}
    for name, chip in systems.accelerators.items():
        for alias in chip.aliases:
            if claimed.setdefault(alias, name) != name:
                return "accelerators.csv", f"row '{name}', aliases: '{alias}' is already that of '{claimed[alias]}'"
    return None
