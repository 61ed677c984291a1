"""Power of a site, and what a year of it takes in energy, water and carbon.

    IT at its nameplate   nodes x kW + networks + storage + management
    IT on average         nodes x kW x (busy share x use + idle share x (1 - use)) + the rest, which does not rest
    site                  IT x PUE of the cooling
    water                 IT energy x evaporation at the site + site energy x what generating a kWh takes
    carbon                site energy x the grid's mean, location-based (GHG Protocol scope 2)

Choices: networks and storage draw the same day and night. The day's shape moves carbon between hours and leaves the year's mean as it is.
"""

from __future__ import annotations

from bedplate.core.records import Record
from bedplate.planner.asking.questions import Cooling
from bedplate.planner.asking.sizing import Breakdown, Part
from bedplate.planner.facts.estimate import Estimate, exact, product, total
from bedplate.planner.facts.systems import HOURS, Figure, Systems
from bedplate.planner.places.grid import carbon, carbon_row, cleanest, day, water_row

HOURS_YEAR = 8760.0
FIGURES = ("node-busy-share", "node-idle-share", "management-share", "carbon-spread")


class Load(Record, frozen=True, kw_only=True):
    """IT power by part in kW: at the nameplate and on average."""

    nameplate: dict[str, float]
    mean: dict[str, Estimate]

    @property
    def it_kw(self) -> float:
        return sum(self.nameplate.values())

    @property
    def it_mean_kw(self) -> Estimate:
        return total(list(self.mean.values()), "share of the nameplate by use")


class Year(Record, frozen=True, kw_only=True):
    """A year of a site: power in kW, energy in MWh, water in m3, carbon in t."""

    site_kw: Estimate
    site_mean_kw: Estimate
    pue: Estimate
    mwh: Estimate
    water_site_m3: Estimate
    water_grid_m3: Estimate
    tonnes: Estimate


def ranged(figure: Figure) -> Estimate:
    """A figure as an estimate."""
    return Estimate(value=figure.value, low=figure.low, high=figure.high, basis=figure.source)


def load(nodes_kw: float, networks: dict[str, Estimate], storage_kw: float, utilisation: float, systems: Systems) -> Load:
    """The IT load; `networks` by name, `nodes_kw` of all nodes at their nameplate."""
    busy, idle = systems.figure("node-busy-share"), systems.figure("node-idle-share")
    share = total([ranged(busy).times(utilisation), ranged(idle).times(1 - utilisation)])
    highest = {name: drawn.high for name, drawn in networks.items()}
    rest = {"nodes": nodes_kw, **highest, "storage": storage_kw}
    management = systems.figure("management-share")
    managing = sum(rest.values()) * management.value
    return Load(
        nameplate=rest | {"management": managing},
        mean={"nodes": share.times(nodes_kw), **networks, "storage": exact(storage_kw), "management": exact(managing)},
    )


def year(it: Load, cooling: Cooling, region: str, systems: Systems) -> Year:
    """What the load takes in a year in that region under that cooling."""
    pue = ranged(systems.figure(f"pue-{cooling}"))
    mean = product(it.it_mean_kw, pue)
    mwh = mean.times(HOURS_YEAR / 1000)
    spread = systems.figure("carbon-spread").value
    grams = carbon(region, systems)
    known = carbon_row(region, systems)
    basis = f"{known.name}, {known.year}: {known.source}" if known else "the world's median country"
    spread = spread if known else max(spread, 0.5)
    per_kwh = Estimate(value=grams, low=grams * (1 - spread), high=grams * (1 + spread), basis=basis)
    return Year(
        site_kw=pue.times(it.it_kw), site_mean_kw=mean, pue=pue, mwh=mwh,
        water_site_m3=_corners(it.it_mean_kw.times(HOURS_YEAR / 1000), ranged(systems.figure(f"site-water-l-kwh-{cooling}"))),
        water_grid_m3=_corners(mwh, _grid_water(region, systems)),
        tonnes=product(mwh, per_kwh.times(1 / 1000)),
    )  # fmt: skip


def _grid_water(region: str, systems: Systems) -> Estimate:
    usual = systems.figure("grid-water-l-kwh")
    row = water_row(region, systems)
    if row is None or row.water_l_kwh is None:
        return ranged(usual)
    return Estimate(value=row.water_l_kwh, low=row.water_l_kwh / 2, high=row.water_l_kwh * 2, basis=row.source)


def _corners(left: Estimate, right: Estimate) -> Estimate:
    """left x right where a bound may be nothing: low with low, high with high."""
    return Estimate(value=left.value * right.value, low=left.low * right.low, high=left.high * right.high, basis=right.basis)


def by_hour(taken: Year, region: str, systems: Systems) -> Breakdown:
    """kg CO2e of a typical day by its hours."""
    shape = day(region, systems)
    daily = taken.tonnes.value * 1000 / 365
    parts = tuple(Part(name=hour, value=daily / 24 * shape.hour[hour], note=shape.name) for hour in HOURS)
    return Breakdown(name="carbon by hour", unit="kg", parts=parts)


def shifting(region: str, systems: Systems, hours: int = 8) -> str:
    """What the cleanest hours of the day would save, in words."""
    shape = day(region, systems)
    kept, ratio = cleanest(shape, hours)
    when = f"the {hours} cleanest hours of a typical day ({' '.join(kept)} h, shape '{shape.name}', unverified)"
    return f"work that can wait for {when} emits {1 - ratio:.0%} less"
