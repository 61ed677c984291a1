"""The answer to `size cost`: every way of paying for a node over some months, the break-even, and what it hangs on.

Choices: the best is the cheapest in USD over the whole time that the limits allow, of machines that nobody takes away: spot alone is shown
and chosen only where it is asked for. The runner-up is the cheapest of another term, because another region teaches nothing. Data
kept and sent out costs the same whoever owns the machines, but for what leaves one's own hall, at the low end of its price.
"""

from __future__ import annotations

import msgspec

from bedplate.core.errors import UserError
from bedplate.planner.asking.questions import Cost, Term
from bedplate.planner.asking.sizing import Assumption, Binding, Breakdown, Design, Part, Sizing, assumed
from bedplate.planner.facts.estimate import Estimate, exact, total
from bedplate.planner.facts.knowledge import Knowledge
from bedplate.planner.facts.systems import Node, Price, Systems

from .loads import LOST_HOURS, RENTED, mixed, under_load
from .mix import Solve
from .own import FIGURES, monthly, owned, payback_months
from .rent import HOURS_MONTH, hourly, lost_share, rented, worked_out
from .tornado import tornado
from .ways import checked, data_usd, electricity, housed, offers, purchase, terms_of_owning


def cost(question: Cost, knowledge: Knowledge, solve: Solve | None = None) -> Sizing:
    """Every way of paying, cheapest first; under a load curve also the cheapest mix of them, which `solve` finds.

    Raises NotFound for an unknown node, UserError where no price is known or a share makes no sense.
    """
    systems, question = knowledge.systems, under_load(question)
    node = systems.node(question.node)
    checked(question, node)
    ways = _rents(question, node, systems) + _buys(question, node, systems)
    ways += mixed(question, node, systems, solve) if question.load and solve else []
    designs = sorted(ways, key=lambda d: d.quantities["cost_usd"].value)
    if not designs:
        raise UserError(f"no price of {node.name} is known within these limits", next="bring a prices.csv of your own: --systems FOLDER")
    budget = question.limits.budget_usd
    allowed = [d for d in designs if budget is None or d.quantities["cost_usd"].value <= budget]
    best = next((d for d in allowed if d.term != "spot"), None) or next(iter(allowed), None)
    if best and allowed[0].term == "spot" and "spot" in question.limits.terms:
        best = allowed[0]
    runner_up = _runner_up(question, allowed, best) if best else None
    return Sizing(
        question=question, objective="cost_usd", best=best, runner_up=runner_up, options=_cheapest_each(designs), searched=len(designs),
        reasons=_reasons(question, node, systems, designs),
        binding=_binding(question, designs), sensitivities=tornado(question, node, best, systems) if best else (),
        conflict=() if allowed else (f"budget {budget:,.0f} USD", f"cheapest {designs[0].quantities['cost_usd'].value:,.0f} USD"),
        assumptions=_assumptions(question, node, systems), warnings=_doubts(question, node, ways),
    )  # fmt: skip


def _doubts(question: Cost, node: Node, ways: list[Design]) -> tuple[str, ...]:
    """Which node was meant, where only the beginning of its name was given; and that a load has no mix, where it has none."""
    told = []
    if question.node.lower() not in {name.lower() for name in (node.name, *node.aliases)}:
        told.append(f"'{question.node}' is taken as {node.name}")
    if guessed := sorted({way.term for way in ways if "price" in way.layout}):
        told.append(
            f"no row states a price of {node.name} for {', '.join(guessed)} everywhere: some are worked out from on-demand (assumed)"
        )
    if question.load and not any(way.term == "mix" for way in ways):
        told.append("the load has no mix: one needs a price on demand and one reserved, and both terms allowed")
    return tuple(told)


def _runner_up(question: Cost, allowed: list[Design], best: Design) -> Design | None:
    """The cheapest of another term, and why it lost."""
    second = next((d for d in allowed if d.term != best.term), None)
    if second is None:
        return None
    more = second.quantities["cost_usd"].value / best.quantities["cost_usd"].value - 1
    lost = f"{abs(more):.0%} {'dearer' if more >= 0 else 'cheaper'} over {question.months:g} months"
    if more < 0:
        lost += ", on machines that may be taken away at any time: --term spot where the work bears it"
    return msgspec.structs.replace(second, lost=lost)


def _rents(question: Cost, node: Node, systems: Systems) -> list[Design]:
    found = []
    for offer in offers(node, systems, question.limits):
        for term in question.limits.terms or RENTED:
            if term in RENTED and (rate := hourly(offer, term, systems)) is not None:
                found.append(_rent(question, node, systems, offer, term, rate))
    return found


def _rent(question: Cost, node: Node, systems: Systems, offer: Price, term: Term, rate: Estimate) -> Design:
    """One offer on one term, brought to the node's number of accelerators."""
    interruptions = systems.figure("spot-interruptions-day").value / 24
    compute = rented(
        rate, term, months=question.months, utilisation=question.utilisation, lost=lost_share(interruptions, LOST_HOURS)
    ).times(node.n_accel / offer.n_accel * question.count)  # fmt: skip
    data = data_usd(question, systems)
    idle = compute.value * (1 - question.utilisation) if term.startswith("reserved") else 0.0
    parts = {"compute": compute.value - idle, "idle": idle} | data
    usd = total([compute, exact(sum(data.values()))], rate.basis)
    return Design(
        name=f"{offer.provider} {offer.name} {term}", accelerator=node.accelerator, node=offer.name, n_nodes=question.count,
        n_accel=node.n_accel * question.count, provider=offer.provider, region=offer.region, term=term,
        layout={"price": told} if (told := worked_out(offer, term, systems)) else {},
        quantities=_quantities(usd, question, node), breakdowns=(_parts("money", parts),),
    )  # fmt: skip


def _buys(question: Cost, node: Node, systems: Systems) -> list[Design]:
    """Buying it, where a price and its power are known."""
    bought = purchase(node, systems)
    if bought is None or (question.limits.terms and "buy" not in question.limits.terms):
        return []
    rate, _ = electricity(systems, question.limits.region)
    terms = terms_of_owning(bought, systems, utilisation=question.utilisation, cooling=housed(node), usd_per_kwh=rate)
    usd = owned(terms, question.months) * question.count
    by_part = {part.name: part.value * question.months * question.count for part in monthly(terms).parts}
    by_part["early sale"] = usd - sum(by_part.values())
    data = data_usd(question, systems, own=True)
    by_part |= data
    usd += sum(data.values())
    return [
        Design(
            name=f"buy {bought.name}", accelerator=node.accelerator, node=bought.name,
            n_nodes=question.count, n_accel=node.n_accel * question.count,
            provider="own", region=question.limits.region, term="buy", breakdowns=(_parts("money", by_part),),
            quantities=_quantities(Estimate(value=usd, low=usd * 0.8, high=usd * 1.3, basis=bought.source), question, node)
            | {"capex_usd": exact(bought.usd * (1 + terms.installation) * question.count, bought.source)},
        )
    ]  # fmt: skip


def _quantities(usd: Estimate, question: Cost, node: Node) -> dict[str, Estimate]:
    useful = question.months * HOURS_MONTH * question.utilisation * node.n_accel * question.count
    return {"cost_usd": usd, "usd_per_month": usd.times(1 / question.months), "usd_per_useful_accel_hour": usd.times(1 / useful)}


def _parts(name: str, parts: dict[str, float]) -> Breakdown:
    return Breakdown(name=name, unit="USD", parts=tuple(Part(name=k, value=v) for k, v in parts.items() if v))


def _cheapest_each(designs: list[Design]) -> tuple[Design, ...]:
    """The cheapest offer of each provider and term, cheapest first."""
    kept: dict[tuple[str, str], Design] = {}
    for design in designs:
        kept.setdefault((design.provider, design.term), design)
    return tuple(kept.values())


def _reasons(question: Cost, node: Node, systems: Systems, designs: list[Design]) -> tuple[str, ...]:
    """Break-even of buying against the cheapest offer of each way of renting."""
    bought = purchase(node, systems)
    own = next((d for d in designs if d.term == "buy"), None)
    if bought is not None and own is None:
        return ("buying is not compared: --term leaves it out",)
    if bought is None:
        return (f"no purchase price of {node.name} is known: only renting is compared",)
    rate, _ = electricity(systems, question.limits.region)
    terms = terms_of_owning(bought, systems, utilisation=question.utilisation, cooling=housed(node), usd_per_kwh=rate)
    running = sum(part.value for part in monthly(terms).parts if part.name not in ("depreciation", "finance"))
    told = []
    for term in RENTED:
        design = next((d for d in designs if d.term == term), None)
        if design is None:
            continue
        month = design.quantities["usd_per_month"].value / question.count
        back = payback_months(terms.purchase_usd * (1 + terms.installation), month, running)
        pays = back is not None and back <= terms.life_years * 12
        told.append(
            f"against {design.name}: " + (f"buying pays back in {back:.1f} months" if pays else "buying does not pay back in its life")
        )
    return tuple(told)


def _binding(question: Cost, designs: list[Design]) -> Binding | None:
    budget = question.limits.budget_usd
    if budget is None or designs[0].quantities["cost_usd"].value <= budget:
        return None
    short = designs[0].quantities["cost_usd"].value / budget - 1
    return Binding(constraint="budget", limit=f"{budget:,.0f} USD", relaxed=f"it lacks {short:.0%} for the cheapest way")


def _assumptions(question: Cost, node: Node, systems: Systems) -> tuple[Assumption, ...]:
    rows = [systems.figure(name) for name in (*FIGURES.values(), f"pue-{housed(node)}", "spot-interruptions-day", "egress-usd-gb")]
    said = [assumed(row) for row in rows]
    rate, source = electricity(systems, question.limits.region)
    return (*said, Assumption(name="electricity", value=f"{rate:g} USD/kWh", source=source, verified="recalled" not in source))
