"""What every search shares: power at the meter, carbon, money, constraints and the figures an answer names."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import msgspec

from bedplate.core.units import show_days, show_number, show_seconds, show_watts
from bedplate.planner.asking.questions import Limits
from bedplate.planner.asking.sizing import Assumption, Breakdown, Part, Sensitivity, assumed
from bedplate.planner.facts.estimate import Estimate, exact, product, total
from bedplate.planner.facts.knowledge import Knowledge
from bedplate.planner.facts.systems import Systems
from bedplate.planner.money.rent import COMMITTED_MONTHS, HOURS_MONTH, whole_terms
from bedplate.planner.places.grid import assumed_carbon

from .offers import HOST_SHARE, Offer
from .pick import Constraint

JOULES_KWH = 3.6e6
START_S = 600.0
"""Seconds paid before a job's first step or request: allocation, image, loading weights and data, compiling or capturing graphs (5 to 15
minutes in published run logs)."""
SAVED_BYTES = 14.0
"""Of a weight in a checkpoint: the weight in 16 bits, its master copy and two moments in 32 (Rajbhandari et al., arXiv 1910.02054, 3.1)."""
NAMEPLATE = 1.8
"""A node's nameplate over its accelerators' limits together, where it prints none: DGX H100 10.2 kW for 5.6 (`money.ways.kilowatts`)."""


def metered(at_work: Estimate, offer: Offer, n_accel: int, systems: Systems, busy: float = 1.0) -> Estimate:
    """Mean watts at the meter of `n_accel` accelerators that draw `at_work` together for the share `busy` of the time.

        mean = busy x at_work x (1 + hosts) x PUE + (1 - busy) x idle share x nameplate x PUE

    The rest of the time whole nodes idle (`node-idle-share`). No board draws more than its limit, nor does the range go beyond it.
    """
    limit = (offer.chip.tdp_w or math.inf) * n_accel
    low, value, high = (min(watts, limit) for watts in (at_work.low, at_work.value, at_work.high))
    working = Estimate(value=value, low=low, high=high, basis=at_work.basis).times((1 + HOST_SHARE) * offer.pue)
    if busy >= 1:
        return working
    idle = systems.figure("node-idle-share")
    resting = Estimate(value=idle.value, low=idle.low, high=idle.high, basis=idle.name).times(_nameplate(offer)[0] * n_accel * offer.pue)
    return total([working.times(busy), resting.times(1 - busy)], at_work.basis)


def over_time(watts: Estimate, seconds: Estimate, offer: Offer) -> dict[str, Estimate]:
    """Energy (kWh at the meter) and location-based carbon (kg CO2e) of drawing `watts` for `seconds`."""
    energy = product(watts, seconds.times(1 / JOULES_KWH), watts.basis)
    return {"energy_kwh": energy, "carbon_kg": energy.times(offer.g_per_kwh / 1000)}


def money(offer: Offer, seconds: Estimate, n_accel: int) -> dict[str, Estimate]:
    """USD for the whole nodes that hold `n_accel` accelerators over `seconds`; nothing where no price is known.

    `cost_usd` of what is reserved or bought is the job's share of its time; `commitment_usd` is what a contract of whole terms binds to,
    `capex_usd` what is invested.
    """
    if offer.usd_hour is None:
        return {}
    nodes = math.ceil(n_accel / offer.per_node)
    hourly = offer.usd_hour.times(nodes * offer.per_node)
    bill = {"cost_usd": product(hourly, seconds.times(1 / 3600), offer.source)}
    if offer.term in COMMITTED_MONTHS:
        bill["commitment_usd"] = hourly.times(whole_terms(seconds.value / 3600, offer.term) * HOURS_MONTH)
    if offer.capex_usd:
        bill["capex_usd"] = exact(offer.capex_usd * nodes, offer.source)
    return bill


def provisioned(offer: Offer, n_accel: int) -> dict[str, Estimate]:
    """The most that the whole nodes of `n_accel` accelerators draw at the meter, their nameplates with what cooling adds."""
    nodes = math.ceil(n_accel / offer.per_node)
    watts, basis = _nameplate(offer)
    return {"power_max_w": exact(watts * offer.per_node * nodes * offer.pue, basis)} if watts else {}


def _nameplate(offer: Offer) -> tuple[float, str]:
    """Watts that a node may draw for each of its accelerators, and where that is from."""
    if offer.node is not None and offer.node.max_power_kw and offer.node.n_accel == offer.per_node:
        return offer.node.max_power_kw * 1000 / offer.per_node, f"nameplate of {offer.node.name}"
    return (offer.chip.tdp_w or 0.0) * NAMEPLATE, f"{NAMEPLATE:g} times the accelerators' limit"


def saved(checkpoint: float, every_s: float, data: float, systems: Systems) -> dict[str, Estimate]:
    """What a job keeps: bytes of a checkpoint, how often one is written and how quickly it should be, bytes of the data it reads."""
    burst = systems.figure("checkpoint-seconds").value
    return {
        "checkpoint_bytes": exact(checkpoint, f"{SAVED_BYTES:g} bytes of each weight that is trained"),
        "checkpoint_every_s": exact(every_s, "Young 1974: the interval that wastes least"),
        "storage_write_gbs": exact(checkpoint / burst / 1e9, f"a checkpoint within {burst:.0f} s"),
        "data_bytes": exact(data, "as stored, once"),
    }


def constraints(limits: Limits, *, time: bool = True) -> list[Constraint]:
    """The limits that are quantities of a design."""
    found = []
    if limits.by_s is not None and time:
        told = f"{limits.by_s / 86400:.3g} days" if limits.by_s >= 2 * 86400 else show_seconds(limits.by_s)
        found.append(Constraint(name="deadline", quantity="time_s", limit=limits.by_s, told=f"within {told}"))
    if limits.budget_usd is not None:
        found.append(
            Constraint(name="budget", quantity="cost_usd", limit=limits.budget_usd, told=f"at most {show_number(limits.budget_usd)} USD")
        )
    if limits.max_power_w is not None:
        found.append(
            Constraint(
                name="power", quantity="power_max_w", limit=limits.max_power_w, told=f"at most {show_watts(limits.max_power_w)} at any time"
            )
        )
    if limits.max_gpus is not None:
        found.append(Constraint(name="accelerators", quantity="accelerators", limit=limits.max_gpus, told=f"at most {limits.max_gpus}"))
    return found


def counted(n_accel: int) -> Estimate:
    """The number of accelerators as a quantity, so that a limit on it is a constraint like any other."""
    return exact(float(n_accel), "counted")


def parts(name: str, unit: str, values: dict[str, float]) -> Breakdown:
    """A breakdown of what is more than nothing, largest first."""
    kept = sorted(((k, v) for k, v in values.items() if v > 0), key=lambda kv: -kv[1])
    return Breakdown(name=name, unit=unit, parts=tuple(Part(name=k, value=v) for k, v in kept))


def rests_on(offer: Offer, knowledge: Knowledge, rows: Iterable[str], more: Iterable[Assumption] = ()) -> tuple[Assumption, ...]:
    """The figures behind an answer: the accelerator's row, the price, the grid, and rows of figures.csv."""
    chip = offer.chip
    said = [
        Assumption(name=chip.name, value=_sheet(offer), source=chip.source, as_of=chip.as_of, verified=chip.verified),
        assumed_carbon(offer.region, knowledge.systems),
        Assumption(name="PUE", value=f"{offer.pue:g}", source=offer.pue_source or "figures.csv", verified=False),
        Assumption(name="hosts", value=f"{HOST_SHARE:.0%} over the accelerators' power", source="DGX H100 data sheet", verified=False),
    ]
    if offer.usd_hour is not None:
        price = f"{offer.usd_hour.value:.3g} USD an accelerator and hour, {offer.term}{f' ({offer.assumed})' if offer.assumed else ''}"
        said.append(Assumption(name="price", value=price, source=offer.source, verified=offer.verified))
    return (*said, *(assumed(knowledge.systems.figure(row)) for row in rows), *more)


def _sheet(offer: Offer) -> str:
    chip = offer.chip
    peak = chip.peak("bf16")
    return f"{chip.mem_gb:g} GB at {chip.mem_gbs:g} GB/s, {(peak or 0) / 1e12:g} TFLOP/s bf16, {chip.tdp_w or 0:g} W"


def swings(best: dict[str, Estimate], objective: str, offer: Offer) -> tuple[Sensitivity, ...]:
    """How the objective moves with each estimate that it is a product of: speed, price, power, PUE; widest first."""
    target = best.get(objective)
    if target is None:
        return ()
    found = []
    time, needed = best.get("time_s"), best.get("accelerators")
    if time is not None and time.low < time.high:
        found.append(_known(time, target, show_days))
    elif needed is not None and needed.low < needed.high:
        found.append(_known(needed, target, lambda n: f"{n:,.0f} accelerators"))
    if offer.usd_hour is not None and objective == "cost_usd":
        spot = offer.usd_hour
        low, high = (spot.low, spot.high) if spot.low < spot.high else (spot.value * 0.8, spot.value * 1.2)
        found.append(_scaled("price", spot.value, low, high, target.value, "USD/h"))
    if objective == "energy_kwh":
        found.append(_scaled("PUE", offer.pue, max(1.0, offer.pue - 0.15), offer.pue + 0.15, target.value, ""))
    return tuple(sorted(found, key=lambda s: -abs(s.high - s.low)))


def _known(needed: Estimate, target: Estimate, show: Callable[[float], str]) -> Sensitivity:
    """How well the speed is known: the target in proportion to the time that the work takes, or to the accelerators that a load needs."""
    swing = _scaled("how well the speed is known", needed.value, needed.low, needed.high, target.value, "")
    return msgspec.structs.replace(swing, low_input=show(needed.low), high_input=show(needed.high))


def _scaled(name: str, value: float, low: float, high: float, target: float, unit: str) -> Sensitivity:
    """The target in proportion to an input."""
    return Sensitivity(
        name=name,
        low_input=f"{low:.3g} {unit}".strip(),
        high_input=f"{high:.3g} {unit}".strip(),
        low=target * low / value,
        high=target * high / value,
    )
