"""What the cost of the chosen way hangs on: one figure at a time between its low and its high, widest first.

Bought: the terms of owning, its price and electricity, each put into `own.owned`. Rented, or a mix: the parts of its money, moved with what
they are proportional to: the rate by how far a quotation lies from a list (or by the range of a reduction that is assumed), the hours by
a fifth more or less work where hours are paid and not months, data by the prices of data.
"""

from __future__ import annotations

import msgspec

from bedplate.planner.asking.questions import Cost
from bedplate.planner.asking.sizing import Design, Sensitivity
from bedplate.planner.facts.systems import Node, Systems

from .own import FIGURES, Ownership, owned
from .rent import COMMITTED_MONTHS
from .ways import electricity, housed, purchase, terms_of_owning, with_unit

WORK_SPREAD = 0.2
"""How much more or less work there may be than was thought: a fifth."""
_DATA = {"storage": "object-storage-usd-tb-month", "egress": "egress-usd-gb"}


def tornado(question: Cost, node: Node, best: Design, systems: Systems) -> tuple[Sensitivity, ...]:
    """The bars of the chosen way, widest first."""
    bars = _bought(question, node, best, systems) if best.term == "buy" else _rented(best, systems)
    return tuple(sorted((bar for bar in bars if bar.low != bar.high), key=lambda bar: -abs(bar.high - bar.low)))


def _bought(question: Cost, node: Node, best: Design, systems: Systems) -> list[Sensitivity]:
    bought = purchase(node, systems)
    if bought is None:
        return []
    rate, _ = electricity(systems, question.limits.region)
    usual = terms_of_owning(bought, systems, utilisation=question.utilisation, cooling=housed(node), usd_per_kwh=rate)
    power, pue = systems.figure("electricity-usd-kwh"), systems.figure(f"pue-{housed(node)}")
    moved = {row: (field, systems.figure(row).low, systems.figure(row).high) for field, row in FIGURES.items()}
    moved |= {"electricity": ("usd_per_kwh", rate * power.low / power.value, rate * power.high / power.value)}
    moved |= {"pue": ("pue", pue.low, pue.high)}
    moved["purchase price"] = ("purchase_usd", usual.purchase_usd * 0.85, usual.purchase_usd * 1.15)
    beside = best.quantities["cost_usd"].value - owned(usual, question.months) * question.count

    def usd(terms: Ownership, field: str, value: float) -> float:
        return owned(msgspec.structs.replace(terms, **{field: value}), question.months) * question.count + beside

    return [
        Sensitivity(
            name=name, low_input=with_unit(low, name, systems), high_input=with_unit(high, name, systems),
            low=usd(usual, field, low), high=usd(usual, field, high),
        )
        for name, (field, low, high) in moved.items()
    ]  # fmt: skip


def _rented(best: Design, systems: Systems) -> list[Sensitivity]:
    parts = {part.name: part.value for part in best.breakdowns[0].parts}
    whole = best.quantities["cost_usd"].value
    machines = {name: value for name, value in parts.items() if name not in _DATA}
    paid_by_the_hour = sum(value for name, value in machines.items() if name not in (*COMMITTED_MONTHS, "idle"))
    spread = systems.figure("price-spread").value
    bars = [
        Sensitivity(
            name="price of the machines", low_input=f"{spread:.0%} less", high_input=f"{spread:.0%} more",
            low=whole - spread * sum(machines.values()), high=whole + spread * sum(machines.values()),
        )
    ]  # fmt: skip
    if best.term not in COMMITTED_MONTHS:
        bars.append(
            Sensitivity(
                name="hours of work", low_input=f"{WORK_SPREAD:.0%} fewer", high_input=f"{WORK_SPREAD:.0%} more",
                low=whole - WORK_SPREAD * paid_by_the_hour, high=whole + WORK_SPREAD * paid_by_the_hour,
            )
        )  # fmt: skip
    for name, row in _DATA.items():
        figure, held = systems.figure(row), parts.get(name, 0.0)
        low, high = (held * (end / figure.value - 1) for end in (figure.low, figure.high))
        inputs = {"low_input": with_unit(figure.low, row, systems), "high_input": with_unit(figure.high, row, systems)}
        bars.append(Sensitivity(name=name, **inputs, low=whole + low, high=whole + high))
    return bars
