"""From all designs to one: what is allowed, what is best, who comes second and why, what binds, what contradicts.

Choices: every constraint is 'quantity <= limit', so that relaxing one is arithmetic on designs that are there already. The runner-up is
the best of another accelerator, or of another term or size where one was asked for. The front holds what no other design beats in time,
money and energy at once. Where nothing is allowed, the smallest set of constraints that no design meets together is named.
Times within ALIKE of the least are the same time, as none is known closer: the cheapest of them is taken.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import combinations

import msgspec

from bedplate.core.records import Record
from bedplate.planner.asking.sizing import Binding, Design

RELAX = 1.1
"""A constraint is relaxed by a tenth."""
ALIKE = 1.05


class Constraint(Record, frozen=True, kw_only=True):
    """`quantity` of a design must not exceed `limit`; `told` says it for people. A design without the quantity does not meet it."""

    name: str
    quantity: str
    limit: float
    told: str

    def met(self, design: Design, slack: float = 1.0) -> bool:
        found = design.quantities.get(self.quantity)
        return found is not None and found.value <= self.limit * slack


class Picked(Record, frozen=True, kw_only=True):
    """What `pick` found."""

    best: Design | None
    runner_up: Design | None
    binding: Binding | None
    conflict: tuple[str, ...]
    front: tuple[Design, ...]


Score = Callable[[Design], tuple[float, float]]
"""Less is better: the objective, then money."""


def pick(designs: Sequence[Design], constraints: Sequence[Constraint], objective: str, beyond: Sequence[Design] = ()) -> Picked:
    """The design with the least `objective` (a quantity, or 'knee') that meets every constraint; `beyond` holds designs
    made for looser constraints: what relaxing one would buy, where a design is made to fit its limits."""
    score = scorer(objective)
    allowed = ranked([d for d in designs if all(c.met(d) for c in constraints)], objective)
    if not allowed:
        nearest = tuple(marked(design, constraints) for design in front(designs))
        return Picked(best=None, runner_up=None, binding=None, conflict=conflict(designs, constraints), front=nearest)
    best = allowed[0]
    second = _second(allowed, best)
    return Picked(
        best=best, runner_up=msgspec.structs.replace(second, lost=lost(second, best)) if second else None,
        binding=binding([*designs, *beyond], constraints, best, score), conflict=(), front=front(allowed),
    )  # fmt: skip


def ranked(designs: Sequence[Design], objective: str) -> list[Design]:
    """The designs, best first; where time is what counts, the cheapest of the quickest before all others."""
    score = scorer(objective)
    found = sorted(designs, key=score)
    if objective != "time_s" or not found:
        return found
    most = score(found[0])[0] * ALIKE
    return sorted(found, key=lambda design: (0.0, score(design)[1]) if score(design)[0] <= most else score(design))


def marked(design: Design, constraints: Sequence[Constraint]) -> Design:
    """The design as it is, or, where it breaks constraints, not feasible and with what it breaks and by how much."""
    broken = [c for c in constraints if not c.met(design)]
    if not broken:
        return design
    told = []
    for constraint in broken:
        found = design.quantities.get(constraint.quantity)
        told.append(f"{constraint.name}: {constraint.told}" + (f", {found.value / constraint.limit:.3g} times that" if found else ""))
    return msgspec.structs.replace(design, feasible=False, lost="; ".join(told))


def scorer(objective: str) -> Score:
    """A design without the quantity comes last.

    'knee' is time x money^2: another machine must shorten the time by two parts in a hundred for each one that it adds to the bill.
    """

    def of(design: Design, name: str) -> float:
        found = design.quantities.get(name)
        return found.value if found else float("inf")

    if objective == "knee":
        return lambda design: (of(design, "time_s") * of(design, "cost_usd") ** 2, of(design, "cost_usd"))
    return lambda design: (of(design, objective), of(design, "cost_usd"))


def _second(allowed: Sequence[Design], best: Design) -> Design | None:
    """Of the same machine on the same term, more or fewer of it are an alternative only where something about them is better."""
    for differs in ("accelerator", "n_accel", "term"):
        for design in allowed[1:]:
            if getattr(design, differs) != getattr(best, differs) and (differs != "n_accel" or len(front([best, design])) > 1):
                return design
    return None


AXES = {"time_s": ("slower", "quicker"), "cost_usd": ("dearer", "cheaper"), "energy_kwh": ("more energy", "less energy")}


def lost(second: Design, best: Design) -> str:
    """In what the second is worse, and in what it is better."""
    told = []
    for name, (worse, better) in AXES.items():
        if name in second.quantities and name in best.quantities and best.quantities[name].value > 0:
            ratio = second.quantities[name].value / best.quantities[name].value
            if abs(ratio - 1) >= 0.01:
                told.append(f"{abs(ratio - 1):.0%} {worse if ratio > 1 else better}")
    return ", ".join(told) or "equal in time, money and energy"


def front(designs: Sequence[Design]) -> tuple[Design, ...]:
    """Designs that no other beats in every one of time, money and energy."""
    axes = [name for name in AXES if all(name in d.quantities for d in designs)]
    points = sorted(((tuple(d.quantities[a].value for a in axes), i) for i, d in enumerate(designs)), key=lambda p: p[0])
    kept: list[tuple[tuple[float, ...], int]] = []
    for point, i in points:
        if not any(all(a <= b for a, b in zip(other, point, strict=True)) for other, _ in kept):
            kept.append((point, i))
    return tuple(designs[i] for _, i in kept)


def binding(designs: Sequence[Design], constraints: Sequence[Constraint], best: Design, score: Score) -> Binding | None:
    """The constraint whose relaxation by a tenth buys most; None where none buys anything."""
    now, found = min(score(best)[0], *(score(d)[0] for d in designs if all(c.met(d) for c in constraints)), math.inf), None
    for constraint in constraints:
        slack = {c.name: RELAX if c is constraint else 1.0 for c in constraints}
        then = min((score(d)[0] for d in designs if all(c.met(d, slack[c.name]) for c in constraints)), default=now)
        gain = 1 - then / now if now > 0 else 0.0
        if gain > 0.001 and (found is None or gain > (found.gain or 0)):
            found = Binding(constraint=constraint.name, limit=constraint.told, relaxed=f"10 % more of it saves {gain:.1%}", gain=gain)
    return found


def conflict(designs: Sequence[Design], constraints: Sequence[Constraint]) -> tuple[str, ...]:
    """The smallest set of constraints that no design meets together, with the nearest that any that keeps to the others comes to each."""
    for size in range(1, len(constraints) + 1):
        for chosen in combinations(constraints, size):
            if not any(all(c.met(d) for c in chosen) for d in designs):
                return tuple(f"{c.name}: {c.told}{_nearest(designs, c, [o for o in chosen if o is not c])}" for c in chosen)
    return ()


def _nearest(designs: Sequence[Design], constraint: Constraint, others: Sequence[Constraint]) -> str:
    """How far the limit is from what can be reached; a limit on money that no design has a price for says that."""
    kept = [design for design in designs if all(other.met(design) for other in others)]
    least = min((d.quantities[constraint.quantity].value for d in kept if constraint.quantity in d.quantities), default=None)
    if least is None:
        return f" (no price of {', '.join(sorted({d.accelerator for d in kept}))} is known)" if constraint.quantity == "cost_usd" else ""
    who = f"with {' and '.join(other.name for other in others)} kept, the least" if others else "the least that any design reaches"
    return f" ({who} is {math.ceil(100 * least / constraint.limit) / 100:.2f} times that)"
