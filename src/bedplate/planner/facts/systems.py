"""What there is to compute on: accelerators, nodes, links, switches, storage, prices and grids, as records.

Choices: a row is a data sheet's figure with its source and date, never a fitted one (those are in `calibration.py`). Every rate says
its unit in the field's name; an absent figure is None and whoever needs it says so. `verified` is False where only one
unnamed memory of a data sheet stands behind the row: the answers that rest on it say 'unverified'.
Limits: a row is one product; firmware, clocks and steppings are not told apart.
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Mapping
from typing import Literal, TypeVar

import msgspec

from bedplate.core.errors import NotFound
from bedplate.core.records import Record

Precision = Literal["fp64", "fp32", "tf32", "bf16", "fp16", "fp8", "mxfp8", "nvfp4", "mxfp4", "fp4", "int8", "int4", "nf4", "nf4-dq"]

BYTES: dict[str, float] = {
    "fp64": 8, "fp32": 4, "tf32": 4, "bf16": 2, "fp16": 2, "fp8": 1, "int8": 1,
    "mxfp8": 1 + 1 / 32, "nvfp4": 0.5 + 1 / 16, "mxfp4": 0.5 + 1 / 32, "fp4": 0.5 + 1 / 32, "int4": 0.5 + 2 / 64,
    "nf4": 0.5 + 4 / 64, "nf4-dq": 0.5 + 1 / 64 + 4 / (64 * 256),
}  # fmt: skip
"""Bytes of one weight with its scales: MX formats carry one byte for 32 values and NVFP4 one for 16 (OCP MX v1.0; NVIDIA NVFP4),
NF4 four bytes for 64, double quantised one byte for 64 and four for 256 of those (QLoRA, arXiv 2305.14314)."""


class Row(Record, frozen=True, kw_only=True):
    """What every row of the catalogue says of itself."""

    name: str
    aliases: tuple[str, ...] = ()
    source: str
    as_of: str = ""
    verified: bool = True
    notes: str = ""


class Accelerator(Row, frozen=True, kw_only=True):
    """One chip or board. Dense peaks (no sparsity) in TFLOP/s by precision; `scaleup_gbs` is one direction, GB/s, of one chip.

    `export_class` is the entry of the US Commerce Control List that its peaks and die area put it in (15 CFR 774, 3A090; 4A994 where they
    lie below it, '' where the die area is not known): a reading of published figures, no legal advice. `runs`: frameworks and exports.
    """

    vendor: str
    kind: str = "gpu"
    form_factor: str = ""
    mem_gb: float
    mem_type: str = ""
    mem_gbs: float
    tdp_w: float | None = None
    idle_w: float | None = None
    tflops: dict[str, float]
    scaleup_gbs: float | None = None
    scaleup_domain: int = 1
    measured_tflops: dict[str, float] = msgspec.field(default_factory=dict)
    die_mm2: float | None = None
    export_class: str = ""
    runs: tuple[str, ...] = ()

    @property
    def generation(self) -> str:
        """The letters that the name starts with, a superchip's G left out: B for B200, GB200 and B300, TPU for TPU-v5p."""
        letters = "".join(itertools.takewhile(str.isalpha, self.name))
        return letters[1:] if letters in ("GB", "GH") else letters

    def exceeds(self, export: str) -> bool:
        """Whether its export class lies above `export` in EXPORT_ORDER; a class that is not known does not."""
        return bool(export and self.export_class) and _export_rank(self.export_class) > _export_rank(export)

    def peak(self, precision: str) -> float | None:
        """Dense peak in FLOP/s of a matrix product in `precision`, or of the format it would be computed in here; None: cannot."""
        for name in _FALL_BACK.get(precision, (precision,)):
            if self.tflops.get(name):
                return self.tflops[name] * 1e12
        return None


EXPORT_ORDER = ("EAR99", "4A994", "4A090.b", "3A090.b", "4A090.a", "4A090", "3A090.a", "3A090")
"""Entries of the US Commerce Control List, the less controlled first; the entries without a letter stand for all their letters."""


def _export_rank(entry: str) -> int:
    return EXPORT_ORDER.index(entry) if entry in EXPORT_ORDER else len(EXPORT_ORDER)


_FALL_BACK = {
    "mxfp8": ("mxfp8", "fp8", "bf16", "fp16"), "fp8": ("fp8", "bf16", "fp16"), "nvfp4": ("nvfp4", "fp4", "fp8", "bf16", "fp16"),
    "mxfp4": ("mxfp4", "fp4", "fp8", "bf16", "fp16"), "fp4": ("fp4", "fp8", "bf16", "fp16"), "int8": ("int8", "bf16", "fp16"),
    "int4": ("int4", "bf16", "fp16"), "nf4": ("bf16", "fp16"), "nf4-dq": ("bf16", "fp16"), "bf16": ("bf16", "fp16", "fp32"),
    "fp16": ("fp16", "bf16", "fp32"), "tf32": ("tf32", "fp32"), "fp32": ("fp32",), "fp64": ("fp64",),
}  # fmt: skip


class Node(Row, frozen=True, kw_only=True):
    """A server, or one rack-scale unit, as sold or rented. `nic_gbps` is the sum of its scale-out ports in Gbit/s, one direction."""

    provider: str
    accelerator: str
    n_accel: int
    cpu_vcpus: int | None = None
    host_mem_gb: float | None = None
    nic_gbps: float | None = None
    nic_count: int | None = None
    scaleup: str = ""
    max_power_kw: float | None = None
    rack_units: int | None = None
    cooling: str = ""


class Link(Row, frozen=True, kw_only=True):
    """A kind of connection. `gbps` of one port, one direction; `latency_us` port to port.

    `pj_per_bit` and `price_usd` are of a whole connection: both ends and the medium.
    """

    kind: Literal["scale-up", "scale-out", "memory", "cable"]
    gbps: float
    latency_us: float | None = None
    pj_per_bit: float | None = None
    reach_m: float | None = None
    price_usd: float | None = None

    @property
    def watts(self) -> float:
        """Of both ends and the medium at full rate: pJ/bit x Gbit/s is mW."""
        return (self.pj_per_bit or 0.0) * self.gbps / 1000


class Switch(Row, frozen=True, kw_only=True):
    """A switch: `ports` at `gbps_per_port`."""

    vendor: str
    fabric: str
    ports: int
    gbps_per_port: float
    typical_power_w: float | None = None
    max_power_w: float | None = None
    rack_units: float | None = None
    price_usd: float | None = None


class StorageSystem(Row, frozen=True, kw_only=True):
    """A storage system or tier, per unit as sold: read and write in GB/s, latency of one read, usable capacity, price and power."""

    kind: Literal["nvme", "parallel", "object", "memory"]
    read_gbs: float
    write_gbs: float
    latency_ms: float
    capacity_tb: float
    price_usd: float | None = None
    usd_per_tb_month: float | None = None
    power_w: float | None = None
    rack_units: float | None = None


class Price(Row, frozen=True, kw_only=True):
    """What a node costs. `name` is the instance; USD per hour and instance, or `purchase_usd` for one bought.

    `quoted`: a quotation, as every row of a folder of one's own: terms that it does not state are not on offer, and none is worked out.
    """

    provider: str
    accelerator: str
    n_accel: int = 1
    region: str = ""
    on_demand: float | None = None
    spot: float | None = None
    reserved_1y: float | None = None
    reserved_3y: float | None = None
    purchase_usd: float | None = None
    quoted: bool = False


class Grid(Row, frozen=True, kw_only=True):
    """Electricity of a region: gCO2e per kWh, price per kWh; the PUE of a fleet.

    `water_l_kwh`: what generating a kWh consumes (kind 'water'), or what a fleet evaporates for a kWh of IT (kind 'water_fleet').
    """

    kind: str
    region: str = ""
    g_per_kwh: float | None = None
    carbon_free: float | None = None
    usd_per_kwh: float | None = None
    pue: float | None = None
    water_l_kwh: float | None = None
    year: str = ""


HOURS = tuple(f"{hour:02d}" for hour in range(24))
"""The hours of a day as rows spell them."""


class DayShape(Row, frozen=True, kw_only=True):
    """Carbon intensity over a typical day: local hour ('00' to '23') -> ratio to the day's mean, for regions that start so."""

    regions: tuple[str, ...]
    hour: dict[str, float]


class Figure(Row, frozen=True, kw_only=True):
    """A figure that no data sheet gives: a wage, a rate of failure, a price of floor space. [`low`, `high`] is what it may be (80 %)."""

    value: float
    low: float
    high: float
    unit: str


R = TypeVar("R", bound=Row)


class Systems(Record, frozen=True, kw_only=True):
    """The whole catalogue, by name. A look-up that fails raises NotFound with the nearest names."""

    accelerators: Mapping[str, Accelerator]
    nodes: Mapping[str, Node]
    links: Mapping[str, Link] = msgspec.field(default_factory=dict)
    switches: Mapping[str, Switch] = msgspec.field(default_factory=dict)
    storage: Mapping[str, StorageSystem] = msgspec.field(default_factory=dict)
    prices: tuple[Price, ...] = ()
    grids: tuple[Grid, ...] = ()
    days: Mapping[str, DayShape] = msgspec.field(default_factory=dict)
    figures: Mapping[str, Figure] = msgspec.field(default_factory=dict)

    def accelerator(self, name: str) -> Accelerator:
        return find(self.accelerators, name, "accelerator")

    def node(self, name: str) -> Node:
        return find(self.nodes, name, "node")

    def figure(self, name: str) -> Figure:
        return find(self.figures, name, "figure")


def find(rows: Mapping[str, R], name: str, what: str) -> R:
    """The row of that name: exact, else by name, alias or the only beginning that fits once case, dashes and dots are left out.

    Raises NotFound with the nearest names.
    """
    if name in rows:
        return rows[name]
    wanted = _squeezed(name)
    squeezed = {_squeezed(alias): known for known, row in rows.items() for alias in row.aliases}
    squeezed |= {_squeezed(known): known for known in rows}
    if wanted in squeezed:
        return rows[squeezed[wanted]]
    starts = {known for short, known in squeezed.items() if wanted and short.startswith(wanted)}
    if len(starts) == 1:
        return rows[starts.pop()]
    near = starts or {squeezed[short] for short in difflib.get_close_matches(wanted, squeezed, n=4, cutoff=0.4)}
    raise NotFound(
        f"there is no {what} '{name}'",
        why="nearest: " + ", ".join(sorted(near)[:8]) if near else "nothing is called like it",
        next=f"bedplate size list {what}s",
    )


def _squeezed(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())
