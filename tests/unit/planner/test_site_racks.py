"""Racks, feeds and what stands behind them: arithmetic written out."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.core.errors import UserError
from bedplate.planner.asking.questions import Site
from bedplate.planner.facts.systems import Node
from bedplate.planner.site.racks import BREAKERS, allowed, electrical, pack, standing
from bedplate.planner.site.ways import coolings, limit_kw, ways
from bedplate.storage.systems import load_systems

SYSTEMS = load_systems()
DGX = SYSTEMS.node("DGX-H100")


def test_air_carries_two_dgx_h100_and_a_chilled_door_four() -> None:
    """10.2 kW: floor(30 / 10.2) = 2 under air, floor(50 / 10.2) = 4 behind a door; by height 44 / 8 = 5. 128 nodes: 64 and 32 racks."""
    air = pack(DGX, 128, "air", 30, SYSTEMS, other_kw=0, other_units=0)
    door = pack(DGX, 128, "rear-door", 50, SYSTEMS, other_kw=0, other_units=0)
    assert air
    assert door
    assert (air.per_rack, air.node_racks, air.bound, air.kw_per_rack) == (2, 64, "power", pytest.approx(20.4))
    assert (door.per_rack, door.node_racks, door.bound) == (4, 32, "power")


def test_height_ends_a_rack_that_liquid_could_still_cool() -> None:
    """44 units hold 5 of 8 units: 51 of 150 kW."""
    liquid = pack(DGX, 128, "liquid", 150, SYSTEMS, other_kw=0, other_units=0)
    assert liquid
    assert (liquid.per_rack, liquid.bound, liquid.kw_per_rack) == (5, "height", pytest.approx(51))


def test_switches_and_storage_have_racks_of_their_own() -> None:
    """90 units over 44 and 66 kW over the 30 kW of air ask for 3 racks."""
    packed = pack(DGX, 4, "rear-door", 50, SYSTEMS, other_kw=66, other_units=90)
    assert packed
    assert (packed.node_racks, packed.other_racks, packed.racks) == (1, 3, 4)


def test_a_rack_scale_machine_stands_alone_and_where_it_draws_too_much_nothing_does() -> None:
    nvl = SYSTEMS.node("DGX-GB200-NVL72")
    packed = pack(nvl, 3, "liquid", 150, SYSTEMS, other_kw=0, other_units=0)
    assert packed
    assert (packed.per_rack, packed.node_racks, packed.bound) == (1, 3, "a rack of its own")
    assert pack(nvl, 3, "air", 30, SYSTEMS, other_kw=0, other_units=0) is None


@given(nodes=st.integers(1, 500), limit=st.floats(11, 200), more=st.floats(0, 100))
def test_more_power_a_rack_never_takes_more_racks(nodes: int, limit: float, more: float) -> None:
    few = pack(DGX, nodes, "liquid", limit + more, SYSTEMS, other_kw=0, other_units=0)
    many = pack(DGX, nodes, "liquid", limit, SYSTEMS, other_kw=0, other_units=0)
    assert few
    assert many
    assert few.racks <= many.racks
    assert many.kw_per_rack <= limit + 1e-9


def test_the_feed_and_the_plant_by_hand() -> None:
    """40.8 kW / (sqrt(3) x 415 V x 0.95) = 59.7 A, a quarter more 74.7: 80 A on each side. 1,462 kW of IT: 2 UPS modules of 1,200 and one
    spare, 1,462 x 5 / 60 = 121.8 kWh; 1,827 kW in all: one generator of 2,500 and one spare, as many transformers."""
    plant = electrical(1462, 1827, 40.8, SYSTEMS)
    assert (plant.breaker_a, plant.feeds, plant.ups_modules, plant.generators, plant.transformers) == (80, 2, 3, 2, 2)
    assert plant.battery_kwh == pytest.approx(121.83, abs=0.01)


def test_a_rack_beyond_the_largest_breaker_has_more_feeds() -> None:
    """600 kW are 1,098 A with the quarter: three feeds a side, the next size to 366 A."""
    plant = electrical(600, 700, 600, SYSTEMS)
    assert (plant.feeds, plant.breaker_a) == (6, 400)
    assert plant.breaker_a in BREAKERS


def test_an_instance_of_a_cloud_stands_as_the_server_with_the_same_accelerators() -> None:
    stood = standing(SYSTEMS.node("p5.48xlarge"), SYSTEMS)
    assert (stood.max_power_kw, stood.rack_units, stood.cooling) == (10.2, 8, "air")


def test_a_node_of_unknown_power_is_refused() -> None:
    nameless = Node(name="box", source="test", provider="own", accelerator="Inferentia1", n_accel=3)
    with pytest.raises(UserError, match="power of box"):
        standing(nameless, SYSTEMS)


def test_a_machine_is_cooled_as_it_was_built() -> None:
    assert allowed(DGX) == ("air", "rear-door")
    assert allowed(SYSTEMS.node("DGX-GB200-NVL72")) == ("liquid", "immersion")


def test_what_is_built_for_liquid_refuses_air_and_says_what_to_ask_for() -> None:
    asked = Site(node="DGX-GB200-NVL72", nodes=8, cooling="air")
    with pytest.raises(UserError, match="liquid") as caught:
        coolings(asked, SYSTEMS.node("DGX-GB200-NVL72"), "new hall")
    assert "--cooling liquid" in str(caught.value.next)


def test_a_hall_that_stands_is_weighed_against_its_retrofit_and_a_new_one() -> None:
    asked = Site(node="DGX-H100", nodes=16, retrofit=True, rack_kw=12)
    assert ways(asked, 163, SYSTEMS) == ("as it stands", "retrofit", "new hall")
    assert limit_kw(asked, "as it stands", "air", SYSTEMS) == 12
    assert limit_kw(msgspec.structs.replace(asked, rack_kw=None), "as it stands", "air", SYSTEMS) == 8
    assert coolings(asked, DGX, "as it stands") == ("air",)
    assert "air" not in coolings(asked, DGX, "retrofit")


def test_nobody_rents_a_hall_of_tens_of_megawatts() -> None:
    assert ways(Site(node="DGX-H100", nodes=128), 1_300, SYSTEMS) == ("new hall", "colocation")
    assert ways(Site(node="DGX-H100", nodes=5000), 51_000, SYSTEMS) == ("new hall",)
