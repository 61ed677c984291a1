"""What the catalogue holds, to be looked at: the rows of a kind, and the columns that people compare.

Choices: a column is a field, or `field.key` of a field that maps; the columns at a row's end say where it is from and whether a second
source was seen, because every list shows them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from bedplate.core.errors import NotFound

from .knowledge import Knowledge
from .systems import Row

COLUMNS: dict[str, tuple[str, ...]] = {
    "accelerators": ("vendor", "kind", "mem_gb", "mem_gbs", "tflops.bf16", "tflops.fp8", "tdp_w", "scaleup_gbs", "scaleup_domain"),
    "nodes": ("provider", "accelerator", "n_accel", "nic_gbps", "host_mem_gb", "max_power_kw", "cooling"),
    "models": ("family", "params", "active_params", "n_layers", "d_model", "n_heads", "n_kv_heads", "vocab_size"),
    "links": ("kind", "gbps", "latency_us", "pj_per_bit", "reach_m", "price_usd"),
    "switches": ("vendor", "fabric", "ports", "gbps_per_port", "max_power_w", "price_usd"),
    "storage": ("kind", "read_gbs", "write_gbs", "latency_ms", "capacity_tb", "price_usd", "usd_per_tb_month", "power_w"),
    "prices": ("provider", "region", "accelerator", "n_accel", "on_demand", "spot", "reserved_1y", "reserved_3y", "purchase_usd"),
    "grids": ("kind", "region", "year", "g_per_kwh", "carbon_free", "usd_per_kwh", "pue", "water_l_kwh"),
    "figures": ("value", "low", "high", "unit"),
}
"""Kind of row -> the columns between its name and its source."""

_ROWS: dict[str, Callable[[Knowledge], Iterable[Row]]] = {
    "accelerators": lambda known: known.systems.accelerators.values(),
    "nodes": lambda known: known.systems.nodes.values(),
    "models": lambda known: known.architectures.rows.values(),
    "links": lambda known: known.systems.links.values(),
    "switches": lambda known: known.systems.switches.values(),
    "storage": lambda known: known.systems.storage.values(),
    "prices": lambda known: known.systems.prices,
    "grids": lambda known: known.systems.grids,
    "figures": lambda known: known.systems.figures.values(),
}


def listing(kind: str, knowledge: Knowledge, word: str = "") -> tuple[Row, ...]:
    """The rows of a kind, all or those where `word` stands in the name, an alias or a column, whatever its case. Raises NotFound."""
    if kind not in _ROWS:
        raise NotFound(f"there is no list of '{kind}'", why="lists: " + ", ".join(_ROWS), next="bedplate size list accelerators")
    wanted = word.lower()
    return tuple(row for row in _ROWS[kind](knowledge) if not wanted or any(wanted in one.lower() for one in _words(kind, row)))


def cell(row: Row, column: str) -> str | float | None:
    """What a row has in a column; None where it says nothing."""
    field, _, key = column.partition(".")
    value: str | float | dict[str, float] | None = getattr(row, field)
    return value.get(key) if isinstance(value, dict) else value


def _words(kind: str, row: Row) -> Iterable[str]:
    yield row.name
    yield from row.aliases
    yield from (value for column in COLUMNS[kind] if isinstance(value := cell(row, column), str))
