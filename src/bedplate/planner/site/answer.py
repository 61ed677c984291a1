"""The answer to `size site`: the machines housed, connected, fed, cooled and paid for, in every way there is.

Choices: the best is the cheapest over the question's months of use that keeps every limit (the least power where no price is known), but
of ways whose money differs by no more than `SAME` the one that is ready first: so many estimates tell no more apart. The runner-up is the
next of another way or cooling. Renting is shown beside and breaks even in the reasons: it houses nothing.
Raises NotFound for an unknown node or switch, UserError for what makes no sense or cannot be worked out.
"""

from __future__ import annotations

import math

import msgspec

from bedplate.core.errors import UserError
from bedplate.planner.asking.questions import Site
from bedplate.planner.asking.sizing import Assumption, Design, Sizing, assumed
from bedplate.planner.facts.knowledge import Knowledge
from bedplate.planner.money.own import monthly, payback_months
from bedplate.planner.money.ways import MOST_MONTHS, electricity, purchase
from bedplate.planner.places.grid import assumed_carbon, known

from . import energy, fabric, racks, storage
from .design import Given, Parts, design, parts
from .drawing import drawings
from .limits import IN_A_HALL, binding, broken, front, smallest
from .money import hall_figures, spent
from .racks import allowed, named, standing
from .rent import cheapest_rent
from .timeline import figures as timeline_figures
from .ways import coolings, ways

SAME = 0.10
"""A tenth of the money: less than half of what the 80 % range of a site's cost spans to either side."""
MOST_W = 100e6
"""Above 100 MW a site has substations and suppliers of its own: the figures here no longer hold."""


def site(question: Site, knowledge: Knowledge) -> Sizing:
    """Racks, cooling, network, storage, power, money and time for `nodes` of `node`, in every way that the question leaves open."""
    given = _given(question, knowledge)
    made = _worked_out(given)
    if not made:
        raise UserError(
            f"no rack that is allowed carries one {given.node.name}", why=f"it draws {given.node.max_power_kw:g} kW",
            next="--cooling liquid, or a hall with more kW a rack: --rack-kw",
        )  # fmt: skip
    objective = "cost_usd" if given.bought else "power_w"
    ranked = sorted(((design(given, one), one) for one in made), key=lambda pair: pair[0].quantities[objective].value)
    kept = [pair for pair in ranked if not broken(question, pair[0])]
    best = _first_ready(kept, objective)
    shown = best or ranked[0]
    rented = cheapest_rent(given.node, question, given.systems)
    return Sizing(
        question=question, objective=objective, best=best[0] if best else None, runner_up=_runner_up(question, objective, ranked, best),
        reasons=(_cooled(question, objective, ranked, shown), *_reasons(given, shown, rented)), binding=binding(given, shown[0], shown[1]),
        conflict=() if best else smallest(question, [one for one, _ in ranked]),
        front=front([one for one, _ in kept], objective),
        options=_options(question, objective, ranked, shown[0], rented), sensitivities=shown[1].bars,
        assumptions=_assumptions(given, shown[1]), timeline=shown[1].timing.milestones, warnings=_warnings(given, shown),
        drawings=drawings(given, shown[1]), searched=len(ranked),
    )  # fmt: skip


def _first_ready(kept: list[tuple[Design, Parts]], objective: str) -> tuple[Design, Parts] | None:
    """The cheapest, or of the cheapest of each way that takes about as much, the first to be ready."""
    if not kept:
        return None
    each: dict[str, tuple[Design, Parts]] = {}
    for pair in kept:
        each.setdefault(pair[1].way, pair)
    most = kept[0][0].quantities[objective].value * (1 + SAME)
    near = [pair for pair in each.values() if pair[0].quantities[objective].value <= most]
    return min(near, key=lambda pair: pair[0].quantities["time_s"].value)


def _given(question: Site, knowledge: Knowledge) -> Given:
    systems = knowledge.systems
    known(question.limits.region, systems)
    if question.nodes < 1:
        raise UserError(f"{question.nodes} nodes are no site", next="--nodes 128")
    if not 0 < question.utilisation <= 1:
        raise UserError(f"utilisation {question.utilisation:g} is no share of the time", next="give it as 60% or 0.6")
    if not 0 < question.months <= MOST_MONTHS:
        raise UserError(f"{question.months:g} months is no time", next="--months 36")
    for name in ("hall_kw", "rack_kw", "storage_tb", "storage_read_gbs", "checkpoint_tb"):
        if (value := getattr(question, name)) is not None and not 0 < value < math.inf:
            raise UserError(
                f"{name.replace('_', '-')} is {value:g}", why="it must be more than nothing", next=f"leave --{name.replace('_', '-')} out"
            )
    if not question.retrofit and (question.hall_kw is not None or question.rack_kw is not None):
        raise UserError(
            "the power of a hall and its racks is that of a hall that stands", why="no retrofit was asked for", next="add --retrofit"
        )
    node = standing(named(question.node, systems), systems)
    if systems.accelerator(node.accelerator).exceeds(question.limits.export):
        raise UserError(
            f"{node.accelerator} is {systems.accelerator(node.accelerator).export_class}", why=f"--export {question.limits.export}"
        )
    rate, _ = electricity(systems, question.limits.region)
    return Given(
        question=question, node=node, chip=systems.accelerator(node.accelerator), bought=purchase(node, systems), usd_per_kwh=rate,
        systems=systems,
    )  # fmt: skip


def _worked_out(given: Given) -> list[Parts]:
    question, node = given.question, given.node
    kw = question.nodes * (node.max_power_kw or 0.0)
    tried = [parts(given, way, kind) for way in ways(question, kw, given.systems) for kind in coolings(question, node, way)]
    return [one for one in tried if one is not None]


def _runner_up(question: Site, objective: str, ranked: list[tuple[Design, Parts]], best: tuple[Design, Parts] | None) -> Design | None:
    """The next that keeps the limits, else the next that does not, and why it lost."""
    others = [one for one, _ in ranked if best is None or one is not best[0]]
    if not others:
        return None
    second = next((one for one in others if not broken(question, one)), others[0])
    return _lost(question, objective, second, best[0] if best else ranked[0][0])


def _lost(question: Site, objective: str, one: Design, best: Design) -> Design:
    """A design with why it is not the best."""
    wrong = broken(question, one)
    if wrong:
        return msgspec.structs.replace(one, feasible=False, lost="; ".join(f"{limit}: needs {needed}" for limit, needed in wrong))
    if one.name == best.name:
        return one
    more = one.quantities[objective].value / best.quantities[objective].value - 1
    kind = ("dearer" if more >= 0 else "cheaper") if objective == "cost_usd" else ("more power" if more >= 0 else "less power")
    sooner = (best.quantities["time_s"].value - one.quantities["time_s"].value) / (7 * 86400)
    when = f", {sooner:.0f} weeks sooner" if sooner >= 1 else f", {-sooner:.0f} weeks later" if sooner <= -1 else ""
    return msgspec.structs.replace(one, lost=f"{abs(more):.1%} {kind} over {question.months:g} months{when}")


def _options(
    question: Site, objective: str, ranked: list[tuple[Design, Parts]], best: Design, rented: Design | None
) -> tuple[Design, ...]:  # fmt: skip
    """The best of each way, those that keep the limits before those that do not, and the cheapest to rent."""
    kept: dict[str, Design] = {}
    for one, made in sorted(ranked, key=lambda pair: bool(broken(question, pair[0]))):
        kept.setdefault(made.way, _lost(question, objective, one, best))
    return (*kept.values(), *((rented,) if rented else ()))


def _cooled(question: Site, objective: str, ranked: list[tuple[Design, Parts]], shown: tuple[Design, Parts]) -> str:
    """Why this cooling, against the others in the same kind of hall."""
    best, made = shown
    said = f"{made.cooling} cooling takes {made.packing.racks} racks at a PUE of {made.taken.pue.value:g}"
    others = [pair for pair in ranked if pair[1].way == made.way and pair[1].cooling != made.cooling]
    if not others:
        return said + ("; it was asked for" if question.cooling else "; the machines allow no other here")
    told = [
        f"{one.cooling} {one.packing.racks} racks at {one.taken.pue.value:g} and "
        f"{design.quantities[objective].value / best.quantities[objective].value - 1:+.1%} of {_WHAT[objective]}"
        for design, one in others
    ]
    return f"{said}; {', '.join(told)}"


_WHAT = {"cost_usd": "the money", "power_w": "the power"}


def _reasons(given: Given, shown: tuple[Design, Parts], rented: Design | None) -> tuple[str, ...]:
    made, question = shown[1], given.question
    packing, store = made.packing, made.store
    told = [
        f"nodes of {given.node.max_power_kw:g} kW in a rack: {packing.per_rack}; {packing.bound} ends it, and {made.cooling} carries "
        f"{packing.limit_kw:g} kW",
        f"{made.timing.critical}: what takes longest; ready after {made.timing.weeks.value:.0f} weeks",
        f"storage is sized by {store.bound}: {store.units} x {store.fast.name} give {store.read_gbs:.0f} GB/s to read and "
        f"{store.write_gbs:.0f} GB/s to write; {storage.halved(made.asked, store)}",
    ]
    if made.fabric:
        built = made.fabric.tree
        blocking = "nothing blocks" if built.bisection >= 1 else f"{built.bisection:.0%} of the rate crosses the middle"
        told.append(f"{built.switches} x {made.fabric.switch.name}, levels: {built.levels}; {blocking}")
    told.append(energy.shifting(question.limits.region, given.systems))
    if rented and made.money:
        told.append(_break_even(made, question, rented))
    return tuple(told)


def _break_even(made: Parts, question: Site, rented: Design) -> str:
    assert made.money is not None
    month = rented.quantities["usd_per_month"].value
    running = sum(part.value for part in monthly(made.money.terms).parts if part.name not in ("depreciation", "finance"))
    back = payback_months(made.money.capital_usd, month, running * question.nodes)
    ratio = rented.quantities["cost_usd"].value / spent(made.money, question.months)
    told = f"renting ({rented.name}, {month:,.0f} USD a month) costs {ratio:.2f} times as much over {question.months:g} months"
    return told + (f"; what is bought, hall and all, is paid back in {back:.0f} months" if back else "; owning never pays back")


def _assumptions(given: Given, made: Parts) -> tuple[Assumption, ...]:
    """Every figure that took part, and the rows of the catalogue."""
    systems, cooling = given.systems, made.cooling
    stands = "rack-kw-ordinary" if made.way == "as it stands" else f"rack-kw-{cooling}"
    names = (
        stands, f"pue-{cooling}", f"site-water-l-kwh-{cooling}", *racks.RACK_FIGURES, *racks.POWER_FIGURES, *fabric.FIGURES,
        *storage.FIGURES, *energy.FIGURES, *hall_figures(made.way, cooling),
        *timeline_figures(made.way, cooling, made.taken.site_kw.value, systems),
    )  # fmt: skip
    said = [assumed(systems.figure(name)) for name in dict.fromkeys(names)]
    rate, source = electricity(systems, given.question.limits.region)
    said.append(Assumption(name="electricity", value=f"{rate:g} USD/kWh", source=source, verified="recalled" not in source))
    said.append(assumed_carbon(given.question.limits.region, systems))
    if given.bought:
        said.append(
            Assumption(name="node", value=f"{given.bought.usd:,.0f} USD", source=given.bought.source, verified=given.bought.verified)
        )
    rows = [made.front.switch, made.store.fast, made.store.cold, *([made.fabric.switch] if made.fabric else [])]
    media = [link for one in (made.fabric, made.front) if one for link, _ in one.cables.values()]
    for row in dict.fromkeys((*(row.name for row in rows), *(link.name for link in media))):
        found = next(one for one in (*rows, *media) if one.name == row)
        said.append(Assumption(name=row, value="data sheet and price", source=found.source, as_of=found.as_of, verified=found.verified))
    return tuple(said)


def _warnings(given: Given, shown: tuple[Design, Parts]) -> tuple[str, ...]:
    asked = named(given.question.node, given.systems)
    told = []
    way = shown[1].way
    if given.question.retrofit and way not in IN_A_HALL:
        told.append(f"the hall does not take them, or not for less: the answer is a {way}; the options say what the hall lacks")
    if given.question.node not in given.systems.nodes and given.question.node.lower() in _chips(given):
        told.append(f"{given.question.node} is an accelerator: {asked.name} is taken")
    if not asked.max_power_kw:
        told.append(f"{asked.name} is not sold: sized as the nearest server with {asked.n_accel} x {asked.accelerator}")
    if not given.bought:
        told.append(f"no purchase price of {asked.name} is known: no money is worked out; bring a prices.csv of your own")
    if shown[0].quantities["power_max_w"].value > MOST_W:
        told.append("above 100 MW the lead times and prices here no longer hold")
    if shown[1].cooling not in allowed(given.node):
        told.append(f"{asked.name} is cooled by {given.node.cooling}: {shown[1].cooling} takes its maker's other version")
    if not asked.verified:
        told.append(f"the row of {asked.name} was not checked against a second source")
    return tuple(told)


def _chips(given: Given) -> set[str]:
    return {name.lower() for chip in given.systems.accelerators.values() for name in (chip.name, *chip.aliases)}
