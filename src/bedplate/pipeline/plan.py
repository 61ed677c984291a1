"""A plan: for each step run, skip or maybe, why, and what it should take from this project's own history.

A step behind one that will run is *maybe*: if what runs makes an equal version, the wave stops there (early cut-off).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from bedplate.catalog.catalog import Catalog
from bedplate.core.records import Forecast, Record, Usage, Version
from bedplate.planner.critical import WallTime, wall_time
from bedplate.planner.history import TrackRecord, coverage, forecast

from .decide import Decider, Decision
from .graph import Graph
from .why import sentence

Quantity = Literal["wall_s", "peak_bytes", "energy_joules"]
QUANTITIES: tuple[Quantity, ...] = ("wall_s", "peak_bytes", "energy_joules")
"""What is predicted of each step."""


class Planned(Record, frozen=True, kw_only=True):
    """What is to be done about a step, why, the forecasts, and how past forecasts of its wall time did."""

    name: str
    stage: str
    part: str = ""
    action: Literal["run", "skip", "maybe", "blocked"]
    why: str
    forecasts: tuple[Forecast, ...] = ()
    record: TrackRecord = TrackRecord()


def plan(catalog: Catalog, graph: Graph, decider: Decider, chosen: Iterable[str]) -> tuple[Planned, ...]:
    """The chosen steps in order, each decided as far as it can be before anything runs."""
    made: dict[str, Version] = {}
    unsure: dict[str, str] = {}
    planned = []
    for name in chosen:
        node = graph.nodes[name]
        open_inputs = [up for up in graph.parents[name] if up in unsure]
        if open_inputs:
            unsure[name] = "maybe"
            decisions = [Decision(name=name, action="maybe")]
            why = f"runs if {' or '.join(open_inputs)} changes"
        else:
            decisions = [decider.decide(node, part, made) for part in decider.parts(node, made)]
            why = ""
            if any(decision.action != "skip" for decision in decisions):
                unsure[name] = "run"
            for decision in decisions:
                made.update({version.artifact: version for version in decision.versions})
        history = forecasts(catalog, name) if name in unsure else ()
        record = track_record(catalog, name)
        planned += [
            Planned(
                name=name, stage=node.stage, part=d.part, action=d.action, why=why or sentence(d.reasons), forecasts=history, record=record
            )
            for d in decisions
        ]
    return tuple(planned)


def total(planned: Sequence[Planned], graph: Graph, slots: float) -> WallTime:
    """The wall time of what would run, as the graph and the processors allow; `maybe` steps count as if they ran."""
    walls = {_unit(one): one.forecasts[0] for one in planned if one.action in ("run", "maybe") and one.forecasts}
    units: dict[str, list[str]] = {}
    for one in planned:
        units.setdefault(one.name, []).append(_unit(one))
    after = {_unit(one): [unit for up in graph.parents[one.name] for unit in units.get(up, ())] for one in planned}
    cpu = {_unit(one): graph.nodes[one.name].declaration.needs.cpu for one in planned}
    return wall_time(walls, after, cpu=cpu, slots=slots)


def _unit(planned: Planned) -> str:
    return f"{planned.name}[{planned.part}]" if planned.part else planned.name


def forecasts(catalog: Catalog, name: str) -> tuple[Forecast, ...]:
    """What the next attempt of a step should take: time, memory and energy from its own attempts."""
    return predict(catalog.runs.usages(name)[::-1])


def predict(usages: Sequence[Usage]) -> tuple[Forecast, ...]:
    """A forecast of each quantity from usages, oldest first."""
    return tuple(forecast(usages, quantity) for quantity in QUANTITIES)


def track_record(catalog: Catalog, name: str) -> TrackRecord:
    """How often the wall time of a step lay in the range that was predicted."""
    return coverage([(f, usage.wall_s) for f, usage in catalog.runs.forecasts(name) if f.quantity == "wall_s"])
