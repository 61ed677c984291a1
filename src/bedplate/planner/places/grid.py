"""What the electricity of a region is like: carbon, price region by region, water, and the shape of a typical day.

Choices: a region is matched by its exact name first (a cloud's `eu-north-1`; Azure's `East US` is its `eastus`), then by its country: the
one that a row of that region is named after, else that of `countries.py`. Where nothing is known the world's median country stands in.
A day's shape is relative to its mean, so that it goes with any yearly figure.
Limits: yearly means of the place, not of the contract: a purchase of green electricity is not counted; no season, no forecast.
"""

from __future__ import annotations

import difflib

from bedplate.core.errors import UserError
from bedplate.planner.asking.sizing import Assumption
from bedplate.planner.facts.systems import HOURS, DayShape, Grid, Systems

from .countries import EU, ISO3, country_of, squeezed


def carbon(region: str, systems: Systems) -> float:
    """gCO2e per kWh of a region by exact name, then by country; the world's median country where it is not known."""
    row = carbon_row(region, systems)
    if row is not None:
        return row.g_per_kwh or 0.0
    values = sorted(grid.g_per_kwh for grid in systems.grids if grid.kind == "country" and grid.g_per_kwh is not None)
    return values[len(values) // 2]


def assumed_carbon(region: str, systems: Systems) -> Assumption:
    """The same with its source; the world's median is nobody's own figure, and unverified."""
    row, value = carbon_row(region, systems), f"{carbon(region, systems):g} g CO2e/kWh"
    if row is None:
        return Assumption(name="carbon", value=value, source="the world's median country: no grid is known there", verified=False)
    return Assumption(name="carbon", value=value, source=f"{row.name}, {row.year}: {row.source}", as_of=row.as_of, verified=row.verified)


def carbon_row(region: str, systems: Systems) -> Grid | None:
    """The row that says a region's carbon; None: not known."""
    rows = [grid for grid in systems.grids if grid.g_per_kwh is not None]
    exactly = [grid for grid in rows if region and squeezed(grid.region) == squeezed(region)]
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
        if region and squeezed(grid.region) == squeezed(region) and grid.name in letters:
            return letters[grid.name]
    named = next((code for name, code in letters.items() if region and squeezed(name) == squeezed(region)), "")
    return named or (region.upper() if region.upper() in letters.values() else country_of(region))


def lies_in(place: str, wanted: str, systems: Systems) -> bool:
    """Whether an offer's region is one of those wanted: a beginning of its name, its country in letters or words, or `EU`.

    The European Union is its members: London's `eu-west-2` begins like it and lies outside.
    """
    if squeezed(wanted) == "eu":
        return squeezed(place) == "eu" or country(place, systems) in EU
    whole = country(wanted, systems)
    words = [grid.name for grid in systems.grids if grid.kind == "country" and grid.region == whole]
    if whole and squeezed(wanted) in {squeezed(name) for name in (whole, *words, *(two for two, three in ISO3.items() if three == whole))}:
        return country(place, systems) == whole
    return squeezed(place).startswith(squeezed(wanted))


def known(region: str, systems: Systems) -> None:
    """Raises UserError for a region that no row and no country knows."""
    names = {name for name in (*(row.region for row in systems.prices), *(grid.region for grid in systems.grids)) if name}
    if not region or squeezed(region) == "eu" or country(region, systems):
        return
    if any(squeezed(name).startswith(squeezed(region)) for name in names):
        return
    spoken = {name.lower(): name for name in (*names, *(grid.name for grid in systems.grids if grid.kind == "country"))}
    near = [spoken[name] for name in difflib.get_close_matches(region.lower(), sorted(spoken), n=3, cutoff=0.7)]
    raise UserError(
        f"there is no region '{region}'", why=f"nearest: {', '.join(near)}" if near else "no price and no grid is known of it",
        next="a country in two or three letters (DE), or a cloud's region (eu-central-1)",
    )  # fmt: skip


def two_letters(region: str, systems: Systems) -> str:
    """The same in two letters, for the countries that prices are kept of."""
    place = country(region, systems)
    return next((short for short, long in ISO3.items() if long == place), "")


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
