"""What a site costs: built, equipped, run and, at the end of the time asked for, worth something still; and how sure that is.

    capital   nodes + networks + storage + racks + hall (new: USD per kW with its cooling; retrofit: USD per kW; colocation: none)
    monthly   as in `money.own` for one node; the hall is paid as space: hall / life + interest, per kW of the nameplate

Choices: networks, storage and racks are worked out here and take the place of the usual share for installation; their life is the nodes'.
A hall that stands costs no space. The range adds in quadrature what each figure alone does. Limits: no land, no utility works, no tax.
"""

from __future__ import annotations

import math

import msgspec

from bedplate.core.records import Record
from bedplate.planner.asking.questions import Cooling
from bedplate.planner.asking.sizing import Breakdown, Part, Sensitivity
from bedplate.planner.facts.estimate import Estimate
from bedplate.planner.facts.systems import Systems
from bedplate.planner.money.own import FIGURES as OWN_FIGURES
from bedplate.planner.money.own import Ownership, interest, monthly, owned, ownership
from bedplate.planner.money.ways import Purchase, with_unit

from .ways import Way


class Bill(Record, frozen=True, kw_only=True):
    """Capital by part, USD, and the terms of owning one node of `nodes`."""

    capital: dict[str, float]
    terms: Ownership
    nodes: int

    @property
    def capital_usd(self) -> float:
        return sum(self.capital.values())


def hall_usd_kw(way: Way, cooling: Cooling, systems: Systems) -> float:
    """USD of works per kW of IT load."""
    if way == "new hall":
        more = systems.figure(f"cooling-usd-kw-{cooling}").value - systems.figure("cooling-usd-kw-air").value
        return systems.figure("hall-usd-kw").value + more
    return systems.figure("retrofit-usd-kw").value if way == "retrofit" else 0.0


def hall_figures(way: Way, cooling: Cooling) -> tuple[str, ...]:
    """The rows of figures.csv behind `hall_usd_kw` and the space."""
    if way == "new hall":
        return ("hall-usd-kw", "hall-life-years", f"cooling-usd-kw-{cooling}", "cooling-usd-kw-air")
    return {"retrofit": ("retrofit-usd-kw", "hall-life-years"), "colocation": ("space-usd-kw-month",)}.get(way, ())


def bill(
    way: Way, cooling: Cooling, bought: Purchase, nodes: int, systems: Systems, *,
    it_kw: float, it_mean_kw: float, equipment: dict[str, float], usd_per_kwh: float,
) -> Bill:  # fmt: skip
    """The bill of one way; `equipment`: networks, storage and racks in USD."""
    works = hall_usd_kw(way, cooling, systems)
    terms = ownership(
        systems, purchase_usd=bought.usd, nameplate_kw=it_kw / nodes, mean_kw=it_mean_kw / nodes,
        pue=systems.figure(f"pue-{cooling}").value, usd_per_kwh=usd_per_kwh,
    )  # fmt: skip
    terms = msgspec.structs.replace(
        terms, installation=sum(equipment.values()) / (bought.usd * nodes), space_usd_kw_month=_space(way, works, systems)
    )
    capital = {"nodes": bought.usd * nodes, **equipment} | ({"hall": works * it_kw} if works else {})
    return Bill(capital=capital, terms=terms, nodes=nodes)


def _space(way: Way, works_usd_kw: float, systems: Systems) -> float:
    """USD per kW and month for where it stands."""
    if way == "colocation":
        return systems.figure("space-usd-kw-month").value
    months = systems.figure("hall-life-years").value * 12
    return works_usd_kw / months + interest(works_usd_kw, systems.figure("finance-rate").value, months)


def spent(bill: Bill, months: float) -> float:
    """USD over `months`."""
    return owned(bill.terms, months) * bill.nodes


def spent_parts(bill: Bill, months: float) -> Breakdown:
    """The same by part."""
    by_part = {part.name: part.value * months * bill.nodes for part in monthly(bill.terms).parts}
    by_part["early sale"] = spent(bill, months) - sum(by_part.values())
    return Breakdown(name="money", unit="USD", parts=tuple(Part(name=name, value=value) for name, value in by_part.items() if value))


def swings(bill: Bill, months: float, cooling: Cooling, way: Way, systems: Systems) -> tuple[Sensitivity, ...]:
    """USD over the months when one figure at a time is low or high, widest first."""
    spread = systems.figure("price-spread").value
    terms = bill.terms
    moved = {
        row: (field, systems.figure(row).low, systems.figure(row).high) for field, row in OWN_FIGURES.items() if field != "installation"
    }
    moved["space-usd-kw-month"] = ("space_usd_kw_month", *_space_range(way, terms.space_usd_kw_month, systems))
    moved[f"pue-{cooling}"] = ("pue", systems.figure(f"pue-{cooling}").low, systems.figure(f"pue-{cooling}").high)
    power = systems.figure("electricity-usd-kwh")
    moved["electricity"] = ("usd_per_kwh", terms.usd_per_kwh * power.low / power.value, terms.usd_per_kwh * power.high / power.value)
    moved["price of the nodes"] = ("purchase_usd", terms.purchase_usd * (1 - spread), terms.purchase_usd * (1 + spread))
    moved["networks, storage, racks"] = ("installation", terms.installation * (1 - spread), terms.installation * (1 + spread))
    busy, idle = systems.figure("node-busy-share"), systems.figure("node-idle-share")
    moved["mean power"] = (
        "mean_kw",
        terms.mean_kw * min(busy.low / busy.value, idle.low / idle.value),
        min(terms.nameplate_kw, terms.mean_kw * busy.high / busy.value),
    )
    bars = [
        Sensitivity(
            name=name, low_input=with_unit(low, name, systems), high_input=with_unit(high, name, systems),
            low=_with(bill, months, field, low), high=_with(bill, months, field, high),
        )
        for name, (field, low, high) in moved.items()
    ]  # fmt: skip
    return tuple(sorted((bar for bar in bars if bar.low != bar.high), key=lambda bar: -abs(bar.high - bar.low)))


def _space_range(way: Way, usual: float, systems: Systems) -> tuple[float, float]:
    figure = systems.figure({"new hall": "hall-usd-kw", "retrofit": "retrofit-usd-kw"}.get(way, "space-usd-kw-month"))
    return usual * figure.low / figure.value, usual * figure.high / figure.value


def _with(bill: Bill, months: float, field: str, value: float) -> float:
    changed = {field: value}
    if field == "purchase_usd":
        changed["installation"] = bill.terms.installation * bill.terms.purchase_usd / value
    return owned(msgspec.structs.replace(bill.terms, **changed), months) * bill.nodes


def ranged(bill: Bill, months: float, bars: tuple[Sensitivity, ...], basis: str) -> Estimate:
    """USD with its range: what each figure alone does, in quadrature."""
    usd = spent(bill, months)
    down = math.hypot(*(usd - min(bar.low, bar.high, usd) for bar in bars))
    up = math.hypot(*(max(bar.low, bar.high, usd) - usd for bar in bars))
    return Estimate(value=usd, low=max(usd - down, usd * 0.1), high=usd + up, basis=basis)
