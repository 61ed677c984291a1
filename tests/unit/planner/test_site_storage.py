"""Storage from reading, bursts and capacity, and what waits where it is too slow."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.core.errors import UserError
from bedplate.planner.facts.systems import StorageSystem
from bedplate.planner.site.storage import Need, checkpoint_stall, halved, input_stall, need, plan
from bedplate.storage.systems import load_systems

SYSTEMS = load_systems()
ONE = StorageSystem(
    name="one", source="test", kind="parallel", read_gbs=100, write_gbs=50, latency_ms=1, capacity_tb=200, price_usd=1e5, power_w=1000,
    rack_units=2,
)  # fmt: skip
COLD = StorageSystem(
    name="Ceph-HDD-object-node", source="test", kind="object", read_gbs=2, write_gbs=1, latency_ms=20, capacity_tb=250, price_usd=5e4,
    power_w=800,
)  # fmt: skip
HERE = msgspec.structs.replace(SYSTEMS, storage={"one": ONE, COLD.name: COLD})


def test_units_by_hand() -> None:
    """500 GB/s over 100 x 0.8 are 6.25; 12 TB in 60 s are 200 GB/s, over 50 x 0.8 = 5; 4,000 TB x 0.25 over 200 = 5. Reading asks for
    most: 7 units with 1,400 TB; the other 2,600 TB take 11 object nodes. 7 x 1,000 + 11 x 800 W = 15.8 kW."""
    asked = Need(read_gbs=500, checkpoint_tb=12, burst_s=60, interval_s=1800, capacity_tb=4000)
    assert asked.write_gbs == 200
    made = plan(asked, 16, HERE)
    assert (made.units, made.bound, made.cold_units) == (7, "reading", 11)
    assert made.kw == pytest.approx(15.8)
    assert made.usd == 7 * 1e5 + 11 * 5e4
    assert (made.read_gbs, made.write_gbs) == (pytest.approx(560), pytest.approx(280))


def test_a_burst_that_must_be_quick_decides() -> None:
    """20 TB in 20 s are 1,000 GB/s: 25 units."""
    made = plan(Need(read_gbs=10, checkpoint_tb=20, burst_s=20, interval_s=1800, capacity_tb=100), 16, HERE)
    assert (made.units, made.bound, made.cold_units) == (25, "checkpoints", 0)


def test_stall_by_hand() -> None:
    """300 of the 400 GB/s needed leave a quarter of the time waiting; 12 TB at 200 GB/s take 60 s of 1,800: 3.3 %."""
    assert input_stall(400, 300) == 0.25
    assert input_stall(400, 500) == 0
    assert input_stall(0, 0) == 0
    asked = Need(read_gbs=400, checkpoint_tb=12, burst_s=60, interval_s=1800, capacity_tb=1)
    assert checkpoint_stall(asked, 200) == pytest.approx(60 / 1800)
    assert checkpoint_stall(asked, 0) == 1
    assert "%" in halved(asked, plan(asked, 4, HERE))


@given(read=st.floats(0.1, 5000), checkpoint=st.floats(0, 50), capacity=st.floats(0, 1e5), more=st.floats(0, 1000))
def test_more_reading_takes_no_fewer_units_and_a_plan_never_stalls(read: float, checkpoint: float, capacity: float, more: float) -> None:
    asked = Need(read_gbs=read, checkpoint_tb=checkpoint, burst_s=60, interval_s=1800, capacity_tb=capacity)
    made, wider = plan(asked, 4, HERE), plan(msgspec.structs.replace(asked, read_gbs=read + more), 4, HERE)
    assert wider.units >= made.units
    assert input_stall(asked.read_gbs, made.read_gbs) == pytest.approx(0, abs=1e-6)
    assert made.units * ONE.capacity_tb + made.cold_units * COLD.capacity_tb >= capacity - 1e-6


def test_what_the_question_leaves_open_comes_from_the_accelerators() -> None:
    """128 DGX H100: 1,024 x 0.5 = 512 GB/s, 1,024 x 5 = 5,120 TB, 1,024 x 80 GB x 0.15 = 12.3 TB of checkpoint."""
    node, chip = SYSTEMS.node("DGX-H100"), SYSTEMS.accelerator("h100")
    asked = need(node, 128, chip, SYSTEMS, read=None, checkpoint=None, capacity=None)
    assert (asked.read_gbs, asked.capacity_tb, asked.checkpoint_tb) == (512, 5120, pytest.approx(12.288))
    large = need(node, 10_000, chip, SYSTEMS, read=None, checkpoint=None, capacity=None)
    assert large.checkpoint_tb == 20, "one model's weights and optimiser, however many copies of it train"
    said = need(node, 128, chip, SYSTEMS, read=7, checkpoint=1, capacity=10)
    assert (said.read_gbs, said.checkpoint_tb, said.capacity_tb) == (7, 1, 10)


def test_without_a_price_nothing_is_planned() -> None:
    with pytest.raises(UserError, match="storage"):
        plan(Need(read_gbs=1, checkpoint_tb=1, burst_s=60, interval_s=1800, capacity_tb=1), 1, msgspec.structs.replace(SYSTEMS, storage={}))
