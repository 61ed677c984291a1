"""The ways to house machines, and which a question looks at."""

from __future__ import annotations

from typing import Literal

from bedplate.core.errors import UserError
from bedplate.planner.asking.questions import Cooling, Site
from bedplate.planner.facts.systems import Node, Systems

from .racks import allowed

Way = Literal["new hall", "colocation", "retrofit", "as it stands"]


def ways(question: Site, site_kw: float, systems: Systems) -> tuple[Way, ...]:
    """A retrofit is weighed against the hall as it stands and a new one; otherwise a new hall against colocation, while there is any."""
    if question.retrofit:
        return ("as it stands", "retrofit", "new hall")
    return ("new hall", "colocation") if site_kw <= systems.figure("colocation-kw-most").high else ("new hall",)


def coolings(question: Site, node: Node, way: Way) -> tuple[Cooling, ...]:
    """The kinds of cooling to look at in that way: immersion only where it is asked for, because hardly a machine is sold for it.

    Raises UserError where the question asks for air and the node has no fans for it.
    """
    possible = allowed(node)
    if node.cooling == "liquid" and question.cooling and question.cooling not in possible:
        raise UserError(
            f"{node.name} is built for {node.cooling} cooling", why=f"{question.cooling} was asked for", next=f"--cooling {possible[0]}"
        )
    if way == "as it stands":
        return ("air",) if "air" in possible and question.cooling in (None, "air") else ()
    wanted = (question.cooling,) if question.cooling else tuple(kind for kind in possible if kind != "immersion")
    return tuple(kind for kind in wanted if way != "retrofit" or kind != "air")


def limit_kw(question: Site, way: Way, cooling: Cooling, systems: Systems) -> float:
    """kW that a rack may draw: the hall's own as it stands, else the end of that cooling, or what the question allows of it."""
    end = systems.figure(f"rack-kw-{cooling}").value
    if way == "as it stands":
        return question.rack_kw or systems.figure("rack-kw-ordinary").value
    return end
