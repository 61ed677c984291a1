"""Reserved, spot and on-demand nodes together under a load curve: the cheapest mix, as a linear programme.

    minimise    reserved x R + sum over hours of (on_demand[h] x D + spot[h] x S')
    such that   reserved + on_demand[h] + spot[h] / overhead >= load[h],  spot[h] <= spot_share x load[h],  all >= 0

S' is the spot rate; `overhead` >= 1 is what interruptions make it hold less work. The programme is built here and solved by whoever is
given as `solve` (HiGHS through scipy, `planner/backends/highs.py`).
Choices: the programme knows fractions of nodes; the cost is convex in the reserved ones, so that the best whole number is the one below or
above, and in each hour whole nodes fill what is missing. Hours of equal load are one hour with a weight.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence

from bedplate.core.records import Record


class Program(Record, frozen=True, kw_only=True):
    """minimise costs . x such that rows[i] . x <= limits[i] and x >= 0."""

    costs: list[float]
    rows: list[list[float]]
    limits: list[float]


Solve = Callable[[Program], list[float]]
"""The x of a programme's minimum. Raises ValueError where there is none."""


class Rates(Record, frozen=True, kw_only=True):
    """USD per node-hour of each term.

    `spot_overhead`: node-hours paid per useful one; `spot_share`: the most of the load that may run on spot.
    """

    reserved: float
    on_demand: float
    spot: float | None = None
    spot_overhead: float = 1.0
    spot_share: float = 1.0


class Mix(Record, frozen=True, kw_only=True):
    """Nodes reserved all the time; node-hours of on-demand and (overhead and all) of spot over the curve; USD in all."""

    reserved: int
    on_demand_hours: float
    spot_hours: float
    usd: float


def program(load: Sequence[float], rates: Rates) -> tuple[Program, list[tuple[float, int]]]:
    """The programme for nodes needed hour by hour, and its (load, hours) steps.

    Variables: reserved, then on-demand and spot of each step.
    """
    steps = sorted(Counter(load).items())
    width = 1 + 2 * len(steps)
    costs = [rates.reserved * len(load)]
    rows: list[list[float]] = []
    limits: list[float] = []
    spot_rate = rates.spot if rates.spot is not None else 0.0
    for i, (need, hours) in enumerate(steps):
        costs += [rates.on_demand * hours, spot_rate * hours]
        cover = [0.0] * width
        cover[0], cover[1 + 2 * i], cover[2 + 2 * i] = -1.0, -1.0, -1.0 / rates.spot_overhead
        rows.append(cover)
        limits.append(-need)
        most = [0.0] * width
        most[2 + 2 * i] = 1.0 / rates.spot_overhead
        rows.append(most)
        limits.append(rates.spot_share * need if rates.spot is not None else 0.0)
    return Program(costs=costs, rows=rows, limits=limits), steps


def cheapest(load: Sequence[float], rates: Rates, solve: Solve) -> Mix:
    """The cheapest mix of whole nodes that carries `load` (nodes needed in each hour)."""
    step = max(load) / STEPS if len(set(load)) > STEPS else 0.0
    best = solve(program([math.ceil(need / step) * step for need in load] if step else load, rates)[0])[0]
    around = range(max(0, math.floor(best - step + NEARLY)), max(0, math.ceil(best + step - NEARLY)) + 1)
    return min((filled(load, reserved, rates) for reserved in around), key=lambda mix: mix.usd)


def filled(load: Sequence[float], reserved: int, rates: Rates) -> Mix:
    """So many nodes reserved, the rest of each hour on whole nodes of spot, where that is cheaper and allowed, and on demand."""
    on_demand = spot = 0.0
    cheaper = rates.spot is not None and rates.spot * rates.spot_overhead < rates.on_demand
    for need, hours in Counter(load).items():
        missing = max(0, math.ceil(need - reserved - NEARLY))
        reclaimable = min(missing, math.floor(rates.spot_share * need + NEARLY)) if cheaper else 0
        spot += reclaimable * rates.spot_overhead * hours
        on_demand += (missing - reclaimable) * hours
    usd = reserved * rates.reserved * len(load) + on_demand * rates.on_demand + spot * (rates.spot or 0.0)
    return Mix(reserved=reserved, on_demand_hours=on_demand, spot_hours=spot, usd=usd)


STEPS = 200
"""The programme is asked of so many different hours at most; what it says of the reserved nodes is then tried with the curve itself."""
NEARLY = 1e-6
"""What a solver's number may lie beside a whole one."""
