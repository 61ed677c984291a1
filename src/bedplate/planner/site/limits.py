"""What a site must keep to: which limits a design breaks, which one binds, and what a tenth more of it would buy."""

from __future__ import annotations

import math

from bedplate.planner.asking.questions import Site
from bedplate.planner.asking.sizing import Binding, Design

from .design import WEEK_S, Given, Parts

IN_A_HALL = ("as it stands", "retrofit")


def used(question: Site, design: Design) -> dict[str, tuple[float, float, str]]:
    """Limit -> (what is needed, the limit, its unit); only limits that were given and apply."""
    values = {name: one.value for name, one in design.quantities.items()}
    limits = question.limits
    asked = {
        "site power": (values["power_max_w"] / 1000, limits.max_power_w / 1000 if limits.max_power_w else None, "kW"),
        "budget": (values.get("cost_usd", 0.0), limits.budget_usd, "USD"),
        "deadline": (values["time_s"] / WEEK_S, limits.by_s / WEEK_S if limits.by_s else None, "weeks"),
        "power of the hall": (values["power_max_w"] / 1000, question.hall_kw if design.layout["way"] in IN_A_HALL else None, "kW"),
    }
    return {name: (needed, limit, unit) for name, (needed, limit, unit) in asked.items() if limit}


def broken(question: Site, design: Design) -> list[tuple[str, str]]:
    """(limit, what is needed) of each limit that a design breaks."""
    return [
        (f"{name} {_told(limit)} {unit}", f"{needed:,.0f} {unit}{_fitting(question, needed, limit, unit)}")
        for name, (needed, limit, unit) in used(question, design).items()
        if needed > limit * (1 + 1e-9)
    ]


def _told(limit: float) -> str:
    return f"{limit:,.0f}" if limit >= 10 else f"{limit:.3g}"


def _fitting(question: Site, needed: float, limit: float, unit: str) -> str:
    fits = math.floor(question.nodes * limit / needed)
    return f" (nodes that would fit: about {fits})" if unit == "kW" and fits else ""


def smallest(question: Site, designs: list[Design]) -> tuple[str, ...]:
    """The fewest limits that no design can keep together: one that all break, else all that the closest design breaks."""
    each = [{name for name, (needed, limit, _) in used(question, one).items() if needed > limit} for one in designs]
    shared = set.intersection(*each)
    if shared:
        name = sorted(shared)[0]
        closest = min(designs, key=lambda one: used(question, one)[name][0])
        told = [(limit, needed) for limit, needed in broken(question, closest) if limit.startswith(name)]
    else:
        closest = min(designs, key=lambda one: len(broken(question, one)))
        told = broken(question, closest)
    return (f"{question.nodes} nodes of {question.node}", *(f"{limit}, and {closest.name} needs {needed}" for limit, needed in told))


def front(designs: list[Design], objective: str) -> tuple[Design, ...]:
    """The designs that no other equals or beats in time, in the objective and in energy at once."""
    axes = ("time_s", objective, "energy_mwh_year")
    points = [tuple(one.quantities[axis].value for axis in axes) for one in designs]

    def beaten(point: tuple[float, ...]) -> bool:
        return any(other != point and all(a <= b for a, b in zip(other, point, strict=True)) for other in points)

    return tuple(one for one, point in zip(designs, points, strict=True) if not beaten(point))


def binding(given: Given, design: Design, made: Parts) -> Binding:
    """The limit that is closest or worst, else what ends a rack; and what 10 % more of it buys, in nodes."""
    question, node = given.question, given.node
    given_limits = used(question, design)
    if given_limits:
        name = max(given_limits, key=lambda one: given_limits[one][0] / given_limits[one][1])
        needed, limit, unit = given_limits[name]
        if needed > 0.9 * limit and name != "deadline":
            fits, more = math.floor(question.nodes * limit / needed), math.floor(question.nodes * limit * 1.1 / needed)
            relaxed = f"about {more} nodes instead of {fits}" if more > fits else "not one node more"
            return Binding(constraint=name, limit=f"{limit:,.0f} {unit}", relaxed=relaxed, gain=more / fits - 1 if fits else None)
        if needed > 0.9 * limit:
            return Binding(constraint=name, limit=f"{limit:,.0f} {unit}", relaxed=f"{made.timing.critical} decides")
    kw = node.max_power_kw or 1.0
    packing = made.packing
    if packing.bound == "power":
        more, said = math.floor(packing.limit_kw * 1.1 / kw + 1e-9), f"{packing.limit_kw:g} kW"
    elif packing.bound == "height":
        usable = given.systems.figure("rack-units-usable").value
        more, said = math.floor(usable * 1.1 / (node.rack_units or 1)), f"{usable:g} units"
    else:
        return Binding(constraint="rack", limit="one machine a rack")
    fewer = math.ceil(question.nodes / more)
    return Binding(
        constraint=f"rack {packing.bound}", limit=said, gain=1 - fewer / packing.node_racks,
        relaxed=f"{more} nodes a rack instead of {packing.per_rack}: {fewer} racks of nodes instead of {packing.node_racks}",
    )  # fmt: skip
