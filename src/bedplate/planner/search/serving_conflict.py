"""Why no service keeps to every limit, and the number that the next question would be answered with.

    no design is quick enough                         the limits on latency contradict each other, or the machines
    the least of one limit is above it, all else free that limit
    else                                              the limits besides latency together, each with the others kept

Choices: the least is that of designs that were simulated, as the choice is: what the closed form alone asks for would be refused when
somebody grants it. It is rounded up, so that the number that is read is enough. Limits: at most as many designs are played as for a choice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from bedplate.core.units import show_usd, show_watts
from bedplate.planner.asking.sizing import Design

from .pick import Constraint, conflict
from .serving_simulated import Made, Rehearsal

SHOWN: dict[str, Callable[[float], str]] = {"cost_usd": show_usd, "power_max_w": show_watts}
DIGITS = 3


def conflicts(
    made: Sequence[Made], freely: Sequence[Made], limits: Sequence[Constraint], slo: Sequence[Constraint], rehearsal: Rehearsal
) -> tuple[str, ...]:  # fmt: skip
    """The limits that no design keeps to; `freely`: the designs where the number of accelerators is not limited."""
    if not any(all(one.met(each.design) for one in slo) for each in made):
        return conflict([one.design for one in made], slo)
    for one in limits:
        least = _least(freely, one, slo, rehearsal)
        if least is None:
            return tuple(f"{each.name}: {each.told} (simulated, every design that was tried breaks it)" for each in slo)
        if least > one.limit:
            return (f"{one.name}: {one.told} (the least that keeps to the latency limits is {_said(least, one)})",)
    told = []
    for one in limits:
        others = [other for other in limits if other is not one]
        least = _least(freely, one, [*slo, *others], rehearsal)
        told.append(f"{one.name}: {one.told}" + (f" (with the others kept, {_said(least, one)})" if least is not None else ""))
    return tuple(told)


def too_slow(designs: Sequence[Design], slo: Sequence[Constraint]) -> list[str]:
    """The accelerators that no number of keeps to the latency limits, and by how much the best of each misses them."""
    beside: dict[str, float] = {}
    for design in designs:
        worst = max((design.quantities[one.quantity].value / one.limit for one in slo), default=0.0)
        beside[design.accelerator] = min(worst, beside.get(design.accelerator, math.inf))
    slow = sorted((worst, name) for name, worst in beside.items() if worst > 1)
    if not slow:
        return []
    listed = ", ".join(f"{name} ({worst - 1:.0%} beyond)" for worst, name in slow)
    return [f"no number of these keeps to the latency limits, by the middle of the range: {listed}"]


def _least(made: Sequence[Made], limit: Constraint, kept: Sequence[Constraint], rehearsal: Rehearsal) -> float | None:
    """The least of the limit's quantity that a simulated design within the limits `kept` has; None where there is none."""
    played = [one.design for one in rehearsal.of(made, kept, limit.quantity) if one.design.simulated is not None]
    return min((d.quantities[limit.quantity].value for d in played if all(one.met(d) for one in kept)), default=None)


def _said(least: float, limit: Constraint) -> str:
    """The number, rounded up, and how many times the limit it is."""
    unit = 10.0 ** (math.floor(math.log10(least)) - DIGITS + 1)
    enough = math.ceil(least / unit - 1e-9) * unit if limit.quantity in SHOWN else least
    times = math.ceil(100 * least / limit.limit) / 100
    return f"{SHOWN[limit.quantity](enough) if limit.quantity in SHOWN else f'{least:,.0f}'}, {times:.2f} times that"
