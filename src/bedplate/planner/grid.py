"""What the electricity of a region is like: carbon, price region by region, water, and the shape of a typical day.

Choices: a region is matched by its exact name first (a cloud's `eu-north-1`), then by its country: the one that a row of that region is
named after, else the one whose letters it starts with. Where nothing is known the world's median country stands in. A day's shape is
relative to its mean, so that it goes with any yearly figure.
Limits: yearly means of the place, not of the contract: a purchase of green electricity is not counted; no season, no forecast.
"""

from __future__ import annotations

from .systems import DayShape, Grid, Systems

HOURS = tuple(f"{hour:02d}" for hour in range(24))

_ISO3 = {
    "US": "USA", "DE": "DEU", "FR": "FRA", "SE": "SWE", "NO": "NOR", "FI": "FIN", "IE": "IRL", "NL": "NLD", "GB": "GBR", "UK": "GBR",
    "JP": "JPN", "SG": "SGP", "IN": "IND", "CN": "CHN", "CA": "CAN", "AU": "AUS", "BR": "BRA", "ES": "ESP", "IT": "ITA", "PL": "POL",
}  # fmt: skip


def carbon(region: str, systems: Systems) -> float:
    """gCO2e per kWh of a region by exact name, then by country; the world's median country where it is not known."""
    row = carbon_row(region, systems)
    if row is not None:
        return row.g_per_kwh or 0.0
    values = sorted(grid.g_per_kwh for grid in systems.grids if grid.kind == "country" and grid.g_per_kwh is not None)
    return values[len(values) // 2]


def carbon_row(region: str, systems: Systems) -> Grid | None:
    """The row that says a region's carbon; None: not known."""
    rows = [grid for grid in systems.grids if grid.g_per_kwh is not None]
    exactly = [grid for grid in rows if region and grid.region.lower() == region.lower()]
    place = country(region, systems)
    return next(iter(exactly or [grid for grid in rows if place and grid.kind == "country" and grid.region == place]), None)


def water_row(region: str, systems: Systems) -> Grid | None:
    """The row that says the water a country's electricity takes; None: not known."""
    place = country(region, systems)
    return next((grid for grid in systems.grids if place and grid.kind == "water" and grid.region == place), None)


def country(region: str, systems: Systems) -> str:
    """The three letters of the country that a region lies in (ISO 3166-1 alpha-3); '' where it is not known."""
    letters = {grid.name: grid.region for grid in systems.grids if grid.kind == "country"}
    for grid in systems.grids:
        if region and grid.region.lower() == region.lower() and grid.name in letters:
            return letters[grid.name]
    found = _ISO3.get(region[:2].upper(), "")
    return region.upper() if region.upper() in letters.values() else found


def two_letters(region: str, systems: Systems) -> str:
    """The same in two letters, for the countries that prices are kept of."""
    place = country(region, systems)
    return next((short for short, long in _ISO3.items() if long == place), "")


def day(region: str, systems: Systems) -> DayShape:
    """The shape of a typical day there: that of the longest beginning of the region's name, else the shape for all."""

    def fits(shape: DayShape) -> int:
        return max((len(start) for start in shape.regions if start != "*" and region.upper().startswith(start.upper())), default=0)

    best = max(systems.days.values(), key=fits)
    return best if fits(best) else next(shape for shape in systems.days.values() if "*" in shape.regions)


def cleanest(shape: DayShape, hours: int) -> tuple[tuple[str, ...], float]:
    """The `hours` hours of the day with the least carbon, in order of the day, and their mean as a ratio to the day's."""
    kept = sorted(sorted(HOURS, key=lambda hour: shape.hour[hour])[:hours])
    return tuple(kept), sum(shape.hour[hour] for hour in kept) / hours
