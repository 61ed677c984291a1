"""Power, energy, water and carbon of a year, the shape of a day, and the time line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.core.errors import UserError
from bedplate.planner.facts.estimate import exact
from bedplate.planner.money.ways import electricity
from bedplate.planner.places.grid import assumed_carbon, carbon, carbon_row, cleanest, country, day, known, lies_in, water_row
from bedplate.planner.site.energy import by_hour, load, shifting, year
from bedplate.planner.site.timeline import figures, schedule
from bedplate.planner.site.ways import Way
from bedplate.storage.systems import load_systems

SYSTEMS = load_systems()


def test_a_year_by_hand() -> None:
    """1,000 kW of nodes at 80 %: 0.75 x 0.8 + 0.25 x 0.2 = 0.65, so 650 kW; 3 % of 1,060 kW to manage = 31.8; with 40 + 20 of networks
    and storage 741.8 kW. Rear doors at 1.25: 927.25 kW, 8,123 MWh a year; Virginia's 415.8 g/kWh: 3,377 t."""
    it = load(1000, {"compute fabric": exact(40)}, 20, 0.8, SYSTEMS)
    assert it.it_kw == pytest.approx(1060 * 1.03)
    assert it.it_mean_kw.value == pytest.approx(650 + 40 + 20 + 31.8)
    taken = year(it, "rear-door", "us-east-1", SYSTEMS)
    assert taken.site_kw.value == pytest.approx(1091.8 * 1.25)
    assert taken.mwh.value == pytest.approx(741.8 * 1.25 * 8.76)
    assert taken.tonnes.value == pytest.approx(741.8 * 1.25 * 8.76 * 0.4158)
    assert taken.water_site_m3.value == pytest.approx(741.8 * 8.76 * 0.8)
    assert taken.water_grid_m3.value == pytest.approx(741.8 * 1.25 * 8.76 * 4.5)
    for one in (taken.site_kw, taken.mwh, taken.tonnes, taken.water_site_m3, taken.water_grid_m3):
        assert one.low <= one.value <= one.high


@given(kw=st.floats(1, 1e5), use=st.floats(0.01, 1), more=st.floats(0, 1e4))
def test_more_nodes_or_more_use_never_draw_less(kw: float, use: float, more: float) -> None:
    here = load(kw, {}, 0, use, SYSTEMS)
    assert load(kw + more, {}, 0, use, SYSTEMS).it_mean_kw.value >= here.it_mean_kw.value
    assert load(kw, {}, 0, 1.0, SYSTEMS).it_mean_kw.value >= here.it_mean_kw.value
    assert here.it_mean_kw.value <= here.it_kw * 1.0001


def test_carbon_is_looked_up_by_region_then_country_then_the_median() -> None:
    assert carbon("us-east-1", SYSTEMS) == 415.8
    assert carbon("DE", SYSTEMS) == carbon("DEU", SYSTEMS)
    assert carbon_row("atlantis", SYSTEMS) is None
    assert 200 < carbon("atlantis", SYSTEMS) < 700
    row = water_row("us-east-1", SYSTEMS)
    assert row
    assert row.region == "USA"
    assert water_row("", SYSTEMS) is None


def test_a_region_of_a_cloud_lies_in_the_country_that_its_row_is_named_after() -> None:
    assert [country(region, SYSTEMS) for region in ("eu-north-1", "us-east-1", "DE", "FRA", "atlantis", "")] == [
        "SWE", "USA", "DEU", "FRA", "", "",
    ]  # fmt: skip
    assert electricity(SYSTEMS, "eu-north-1") == electricity(SYSTEMS, "SE")
    assert electricity(SYSTEMS, "US-VA")[0] == 0.09


def test_every_cloud_region_with_a_price_has_a_grid_of_its_own() -> None:
    """Nebius' and Verda's regions and Azure's are no longer the world's median; `all` and `many` are no places."""
    for row in SYSTEMS.prices:
        if row.region and row.region not in ("all", "many"):
            assert carbon_row(row.region, SYSTEMS), row.region
    assert carbon("eu-north1", SYSTEMS) == carbon("FIN-03", SYSTEMS) == carbon("FIN", SYSTEMS) == 79.2
    assert carbon("eastus", SYSTEMS) == carbon("East US", SYSTEMS) == 415.8
    assert country("northeurope", SYSTEMS) == "IRL"
    assert assumed_carbon("eu-north1", SYSTEMS).source.startswith("Finland")
    assert not assumed_carbon("", SYSTEMS).verified


@pytest.mark.parametrize(
    ("place", "wanted", "lies"),
    [
        ("eu-central-1", "DE", True), ("europe-west3", "DEU", True), ("germanywestcentral", "Germany", True), ("eu-west-2", "DE", False),
        ("eu-west-2", "EU", False), ("eu-west-2", "eu-", True), ("FIN-03", "eu", True), ("eastus", "US", True), ("us-east-1", "us-e", True),
        ("indonesiacentral", "IN", False), ("all", "US", False),
    ],
)  # fmt: skip
def test_a_country_is_every_cloud_region_in_it(place: str, wanted: str, lies: bool) -> None:
    assert lies_in(place, wanted, SYSTEMS) is lies


def test_a_region_that_nobody_knows_is_refused() -> None:
    with pytest.raises(UserError, match="no region 'mars'"):
        known("mars", SYSTEMS)
    for region in ("", "DE", "eu", "eu-", "us-east-1", "FIN-03", "eastus", "all"):
        known(region, SYSTEMS)


def test_the_hours_of_a_day_add_up_to_its_carbon_and_noon_is_cleanest_under_the_sun() -> None:
    it = load(1000, {}, 0, 0.8, SYSTEMS)
    taken = year(it, "air", "US-CA", SYSTEMS)
    hours = by_hour(taken, "US-CA", SYSTEMS)
    assert len(hours.parts) == 24
    assert hours.total == pytest.approx(taken.tonnes.value * 1000 / 365, rel=0.01)
    kept, ratio = cleanest(day("US-CA", SYSTEMS), 8)
    assert "12" in kept
    assert ratio < 0.8
    assert shifting("US-CA", SYSTEMS).endswith(f"emits {1 - ratio:.0%} less")


def test_all_hours_are_as_clean_as_the_day() -> None:
    for name in ("US-CA", "DE", "SE", "nowhere"):
        assert cleanest(day(name, SYSTEMS), 24)[1] == pytest.approx(1, abs=0.001)


def test_a_new_hall_by_hand() -> None:
    """2 MW: design 20 + building 91 = 111 weeks; generators ordered at 10 take 60, with 12 of fit-out 82; the grid 52. 48 racks at 24 a
    week are 2, acceptance 4: 117, and the building decides."""
    timing = schedule("new hall", "rear-door", 2000, 48, SYSTEMS)
    assert timing.weeks.value == pytest.approx(111 + 2 + 4)
    assert timing.critical == "building"
    assert timing.weeks.low < timing.weeks.value < timing.weeks.high


def test_a_large_site_waits_for_the_grid_and_buys_transformers() -> None:
    """Above 20 MW the queue of 208 weeks decides; 600 racks take no longer than the most, 26 weeks."""
    timing = schedule("new hall", "liquid", 90_000, 600, SYSTEMS)
    assert timing.critical == "grid connection"
    assert timing.weeks.value == pytest.approx(208 + 26 + 4)
    assert any(bar.name == "transformers" for bar in timing.milestones)
    assert "weeks-transformer" in figures("new hall", "liquid", 90_000, SYSTEMS)


def test_a_hall_that_stands_waits_for_the_machines() -> None:
    """Accelerators 24 weeks, one rack, acceptance 4."""
    timing = schedule("as it stands", "air", 200, 24, SYSTEMS)
    assert (timing.weeks.value, timing.critical) == (pytest.approx(24 + 1 + 4), "accelerators")


@given(
    way=st.sampled_from(["new hall", "colocation", "retrofit", "as it stands"]), kw=st.floats(10, 1e5), racks=st.integers(1, 2000),
    more=st.integers(0, 500),
)  # fmt: skip
def test_more_racks_are_never_sooner_and_deliveries_come_before_installation(way: Way, kw: float, racks: int, more: int) -> None:
    here, there = (schedule(way, "rear-door", kw, n, SYSTEMS) for n in (racks, racks + more))
    assert there.weeks.value >= here.weeks.value
    begins = next(bar.start_week for bar in here.milestones if bar.name == "installation")
    assert all(bar.start_week + bar.weeks <= begins + 1e-9 for bar in here.milestones if bar.name in ("accelerators", "storage"))
