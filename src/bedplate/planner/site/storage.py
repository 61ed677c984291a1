"""Storage from what the work asks of it: reading, checkpoint bursts and capacity, in tiers.

    units       max(read / r, burst / w, hot capacity / c), where r and w are the data sheet's rates less what applications do not reach
    stall       waiting for input max(0, 1 - given / needed) of the time; for a checkpoint size / given / interval, at most all of it

Choices: the fast tier is the parallel system that is cheapest for the need; what is not hot lies on objects; drives in the nodes cache.
Limits: no metadata rates, no small files, no replication to another site.
"""

from __future__ import annotations

import math

from bedplate.core.errors import UserError
from bedplate.core.records import Record
from bedplate.planner.facts.systems import Accelerator, Node, StorageSystem, Systems

FIGURES = (
    "storage-read-gbs-accelerator", "storage-tb-accelerator", "storage-hot-share", "storage-efficiency", "checkpoint-memory-share",
    "checkpoint-tb-most",    "checkpoint-seconds", "checkpoint-minutes",
)  # fmt: skip
OWN_OBJECTS = "Ceph-HDD-object-node"


class Need(Record, frozen=True, kw_only=True):
    """What the work asks: GB/s of reading, a checkpoint of `checkpoint_tb` within `burst_s` every `interval_s`, and TB in all."""

    read_gbs: float
    checkpoint_tb: float
    burst_s: float
    interval_s: float
    capacity_tb: float

    @property
    def write_gbs(self) -> float:
        return self.checkpoint_tb * 1000 / self.burst_s


class Plan(Record, frozen=True, kw_only=True):
    """The tiers: `units` of the fast system and `cold_units` for the rest; rates as applications see them, GB/s."""

    fast: StorageSystem
    units: int
    cold: StorageSystem
    cold_units: int
    local_tb: float
    read_gbs: float
    write_gbs: float
    kw: float
    usd: float
    rack_units: float
    bound: str


def need(
    node: Node, nodes: int, chip: Accelerator, systems: Systems, *, read: float | None, checkpoint: float | None, capacity: float | None
) -> Need:
    """The need, with the usual figures by accelerator where the question gives none."""
    n = node.n_accel * nodes
    share = systems.figure("checkpoint-memory-share").value
    return Need(
        read_gbs=read if read is not None else n * systems.figure("storage-read-gbs-accelerator").value,
        checkpoint_tb=checkpoint
        if checkpoint is not None
        else min(n * chip.mem_gb / 1000 * share, systems.figure("checkpoint-tb-most").value),
        burst_s=systems.figure("checkpoint-seconds").value,
        interval_s=systems.figure("checkpoint-minutes").value * 60,
        capacity_tb=capacity if capacity is not None else n * systems.figure("storage-tb-accelerator").value,
    )


def plan(asked: Need, nodes: int, systems: Systems) -> Plan:
    """The cheapest fast tier that carries the need, and objects for the rest. Raises UserError where no system has a price."""
    priced = [system for system in systems.storage.values() if system.kind == "parallel" and system.price_usd]
    if not priced or OWN_OBJECTS not in systems.storage:
        raise UserError("no storage system with a price is known", next="bring a storage.csv of your own: --systems FOLDER")
    hot = systems.figure("storage-hot-share").value
    reached = systems.figure("storage-efficiency").value
    fast = min(priced, key=lambda system: _units(asked, system, hot, reached)[0] * (system.price_usd or 0.0))
    units, bound = _units(asked, fast, hot, reached)
    cold = systems.storage[OWN_OBJECTS]
    cold_units = math.ceil(max(0.0, asked.capacity_tb - units * fast.capacity_tb) / cold.capacity_tb)
    local = systems.storage.get("NVMe-node-local")
    return Plan(
        fast=fast, units=units, cold=cold, cold_units=cold_units, local_tb=nodes * local.capacity_tb if local else 0.0,
        read_gbs=units * fast.read_gbs * reached, write_gbs=units * fast.write_gbs * reached,
        kw=(units * (fast.power_w or 0.0) + cold_units * (cold.power_w or 0.0)) / 1000,
        usd=units * (fast.price_usd or 0.0) + cold_units * (cold.price_usd or 0.0),
        rack_units=units * (fast.rack_units or 2) + cold_units * (cold.rack_units or 4), bound=bound,
    )  # fmt: skip


def _units(asked: Need, system: StorageSystem, hot: float, reached: float) -> tuple[int, str]:
    """Units of a system, and which of the needs asks for most."""
    by = {
        "reading": asked.read_gbs / (system.read_gbs * reached),
        "checkpoints": asked.write_gbs / (system.write_gbs * reached),
        "capacity": asked.capacity_tb * hot / system.capacity_tb,
    }
    bound = max(by, key=lambda name: by[name])
    return max(1, math.ceil(by[bound] - 1e-9)), bound


def input_stall(needed_gbs: float, given_gbs: float) -> float:
    """Share of the time that accelerators wait for input."""
    return max(0.0, 1 - given_gbs / needed_gbs) if needed_gbs else 0.0


def halved(asked: Need, made: Plan) -> str:
    """What half of the storage would cost in waiting, in words."""
    reading = input_stall(asked.read_gbs, made.read_gbs / 2)
    saving = checkpoint_stall(asked, made.write_gbs / 2)
    return f"with half of it accelerators would wait {reading:.0%} of the time for input and {saving:.1%} for checkpoints"


def checkpoint_stall(asked: Need, given_gbs: float) -> float:
    """Share of the time that a synchronous checkpoint takes."""
    return min(1.0, asked.checkpoint_tb * 1000 / given_gbs / asked.interval_s) if given_gbs else 1.0
