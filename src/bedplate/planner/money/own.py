"""The cost of nodes that are bought, month by month of their life.

    depreciation  (purchase + installation - residual) / life
    finance       level payments at rate r over n months, P r / (1 - (1 + r)^-n), less the part that pays the principal
    maintenance   share of the purchase a year
    power         wall kW x PUE x hours x USD/kWh
    space         kW of the nameplate x USD per kW and month
    staff         nodes / nodes per person x USD a year

Choices: every figure comes from `figures.csv` with its source and range, or from the caller. Money is USD of today: no inflation, no tax.
"""

from __future__ import annotations

import msgspec

from bedplate.core.records import Record
from bedplate.planner.asking.sizing import Breakdown, Part
from bedplate.planner.facts.systems import Systems

from .rent import HOURS_MONTH


class Ownership(Record, frozen=True, kw_only=True):
    """The terms of owning one node. kW are at the wall of the node, PUE brings them to the meter."""

    purchase_usd: float
    nameplate_kw: float
    mean_kw: float
    life_years: float
    residual: float
    finance_rate: float
    maintenance: float
    installation: float
    pue: float
    usd_per_kwh: float
    space_usd_kw_month: float
    staff_usd_year: float
    nodes_per_person: float


FIGURES = {
    "life_years": "depreciation-years", "residual": "residual-share", "finance_rate": "finance-rate", "maintenance": "maintenance-share",
    "installation": "installation-share", "space_usd_kw_month": "space-usd-kw-month", "staff_usd_year": "staff-usd-year",
    "nodes_per_person": "staff-nodes",
}  # fmt: skip
"""Field of Ownership -> row of figures.csv."""


def ownership(systems: Systems, *, purchase_usd: float, nameplate_kw: float, mean_kw: float, pue: float, usd_per_kwh: float) -> Ownership:
    """The usual terms, from `figures.csv`."""
    usual = {field: systems.figure(row).value for field, row in FIGURES.items()}
    return msgspec.convert(
        usual | {"purchase_usd": purchase_usd, "nameplate_kw": nameplate_kw, "mean_kw": mean_kw, "pue": pue, "usd_per_kwh": usd_per_kwh},
        Ownership,
    )


def monthly(terms: Ownership) -> Breakdown:
    """USD a month for one node during its life."""
    invested = terms.purchase_usd * (1 + terms.installation)
    months = terms.life_years * 12
    depreciation = (invested - terms.residual * terms.purchase_usd) / months
    parts = {
        "depreciation": depreciation,
        "finance": interest(invested, terms.finance_rate, months),
        "maintenance": terms.purchase_usd * terms.maintenance / 12,
        "power": terms.mean_kw * terms.pue * HOURS_MONTH * terms.usd_per_kwh,
        "space": terms.nameplate_kw * terms.space_usd_kw_month,
        "staff": terms.staff_usd_year / 12 / terms.nodes_per_person,
    }
    return Breakdown(name="owning a node", unit="USD/month", parts=tuple(Part(name=name, value=value) for name, value in parts.items()))


def interest(principal: float, yearly_rate: float, months: float) -> float:
    """Interest a month, averaged over level payments that pay `principal` back in `months`."""
    if yearly_rate == 0:
        return 0.0
    rate = yearly_rate / 12
    payment: float = principal * rate / (1 - (1 + rate) ** -months)
    return payment - principal / months


def owned(terms: Ownership, months: float) -> float:
    """USD for one node kept `months`. Given up before its life ends, it is sold for half of what is not written off yet."""
    part = monthly(terms)
    kept = min(months, terms.life_years * 12)
    written_off = next(p.value for p in part.parts if p.name == "depreciation")
    unwritten = written_off * (terms.life_years * 12 - kept)
    return part.total * months + EARLY_SALE_LOSS * unwritten


EARLY_SALE_LOSS = 0.5
"""Share of the book value lost when a node is sold early: assumed, no published figure was found."""


def payback_months(purchase_usd: float, rent_usd_month: float, running_usd_month: float = 0.0) -> float | None:
    """Months after which buying has cost less than renting; None: never."""
    saved = rent_usd_month - running_usd_month
    return purchase_usd / saved if saved > 0 else None
