"""A plan: for each step run, skip or maybe, why, and what it should take from this project's own history.

Of a step that declares a workload on a target with machines, the planner says what it should take before it first ran; its attempts are
blended in. A service with a workload is listed with what a month of it should cost.

A step behind one that will run is *maybe*, unless it would run anyway (it never has, or its own code changed): if what runs makes an
equal version, the wave stops there (early cut-off).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Literal

from bedplate.catalog.catalog import Catalog
from bedplate.core.errors import BedplateError
from bedplate.core.records import Forecast, Record, Usage, Version
from bedplate.core.workload import Workload
from bedplate.planner.forecasts.critical import WallTime, wall_time
from bedplate.planner.forecasts.expected import Expected, with_history
from bedplate.planner.forecasts.history import TrackRecord, coverage, forecast

from .decide import Decider, Decision
from .why import FIRST, Reason, sentence
from .wiring.graph import Graph, Node

Quantity = Literal["wall_s", "peak_bytes", "energy_joules"]
QUANTITIES: tuple[Quantity, ...] = ("wall_s", "peak_bytes", "energy_joules")
"""What is predicted of each step from its history."""
Expect = Callable[[Workload], Expected]
"""What the planner says of a workload on the target's machines."""


class Planned(Record, frozen=True, kw_only=True):
    """What is to be done about a step, why, the forecasts, and how past forecasts of its wall time did.

    `expected` is what the planner alone says of its workload, where it declares one. The action of a service is `serve`.
    """

    name: str
    stage: str
    part: str = ""
    action: Literal["run", "skip", "maybe", "blocked", "serve"]
    why: str
    forecasts: tuple[Forecast, ...] = ()
    record: TrackRecord = TrackRecord()
    expected: Expected | None = None

    def __repr__(self) -> str:
        return f"<{self.action} {self.unit}: {self.why}>"

    @property
    def unit(self) -> str:
        """The step, or the part of it: `raw[2026-01-31]`."""
        return f"{self.name}[{self.part}]" if self.part else self.name


def plan(
    catalog: Catalog, graph: Graph, decider: Decider, chosen: Iterable[str], expect: Expect | None = None
) -> tuple[Planned, ...]:  # fmt: skip
    """The chosen steps in order, each decided as far as it can be before anything runs."""
    made: dict[str, Version] = {}
    decided: dict[str, list[Decision]] = {}
    for name in chosen:
        node = graph.nodes[name]
        behind = [up for up in graph.parents[name] if any(one.action != "skip" for one in decided.get(up, ()))]
        stuck = [up for up in behind if any(one.action == "blocked" for one in decided[up])]
        if stuck:
            decided[name] = [_blocked(name, f"it needs {stuck[0]}, which is blocked")]
        else:
            decided[name] = [decider.ahead(node, behind)] if behind else _now(decider, node, made)
        for decision in decided[name]:
            made.update({version.artifact: version for version in decision.versions})
    failed = catalog.runs.failed_steps()
    units = ((graph.nodes[name], decisions) for name, decisions in decided.items())
    return tuple(planned for node, decisions in units for planned in _planned(catalog, node, decisions, node.name in failed, expect))


def services(graph: Graph, expect: Expect | None) -> tuple[Planned, ...]:
    """The services that declare a workload, each with what a month of it should take."""
    found = [(node, expected) for node in graph.nodes.values() if node.stage == "deploy" and (expected := expected_of(node, expect))]
    return tuple(
        Planned(
            name=node.name, stage=node.stage, action="serve", why=f"a month of its load on {expected.machines}",
            forecasts=expected.forecasts, expected=expected,
        )
        for node, expected in found
    )  # fmt: skip


def _now(decider: Decider, node: Node, made: Mapping[str, Version]) -> list[Decision]:
    """The decisions of a step whose inputs are known: one, or one for each part and, where all are there, one for putting them together."""
    try:
        parts = decider.parts(node, made)
    except BedplateError as error:
        return [_blocked(node.name, error.line)]
    decisions = [decider.decide(node, part, made) for part in parts]
    if node.each is None or any(one.action != "skip" for one in decisions) or not decider.is_whole(node):
        return decisions
    together = {version.artifact: version for one in decisions for version in one.versions}
    return [*decisions, decider.combine(node, parts, together)]


def _blocked(name: str, why: str) -> Decision:
    return Decision(name=name, action="blocked", reasons=(Reason(what="input", text=why),))


def _planned(
    catalog: Catalog, node: Node, decisions: Sequence[Decision], failed: bool, expect: Expect | None
) -> Iterator[Planned]:  # fmt: skip
    runs = any(one.action != "skip" for one in decisions)
    expected = expected_of(node, expect) if runs else None
    history = forecasts(catalog, node.name, expected) if runs else ()
    record = track_record(catalog, node.name)
    for one in decisions:
        yield Planned(
            name=node.name,
            stage=node.stage,
            part=one.part,
            action=one.action,
            why=_why(one, failed),
            forecasts=history if one.action != "skip" else (),
            record=record,
            expected=expected if one.action != "skip" else None,
        )


def _why(decision: Decision, failed: bool) -> str:
    """The reasons, and that the last attempt failed: what has only failed has not never run."""
    said = sentence(decision.reasons)
    if not failed or decision.action not in ("run", "maybe"):
        return said
    return f"{said.replace(FIRST.text, 'it has not got through yet')}; its last attempt failed"


def total(planned: Sequence[Planned], graph: Graph, slots: float) -> WallTime:
    """The wall time of what would run, as the graph and the processors allow; `maybe` steps count as if they ran."""
    walls, after, cpu = loads(planned, graph)
    return wall_time(walls, after, cpu=cpu, slots=slots)


def loads(planned: Sequence[Planned], graph: Graph) -> tuple[dict[str, Forecast | None], dict[str, list[str]], dict[str, float]]:
    """Of each unit of a plan the time that it should take (of what would run), the units that it waits for, and its processors."""
    walls: dict[str, Forecast | None] = {
        one.unit: one.forecasts[0] for one in planned if one.action in ("run", "maybe") and one.forecasts
    }  # fmt: skip
    units: dict[str, list[str]] = {}
    for one in planned:
        units.setdefault(one.name, []).append(one.unit)
    after = {one.unit: [unit for up in graph.parents[one.name] for unit in units.get(up, ())] for one in planned}
    return walls, after, {one.unit: graph.nodes[one.name].declaration.needs.cpu for one in planned}


def forecasts(catalog: Catalog, name: str, expected: Expected | None = None) -> tuple[Forecast, ...]:
    """What the next attempt of a step should take: time (first), memory and energy from its own attempts and what was expected of it."""
    usages = catalog.runs.usages(name)[::-1]
    own = predict(usages)
    return own if expected is None else with_history(expected, usages, own)


def expected_of(node: Node, expect: Expect | None) -> Expected | None:
    """What the planner says of the workload that a step declares; None where it declares none, or the target no machines."""
    workload = node.declaration.workload
    return expect(workload) if expect is not None and workload is not None else None


def predict(usages: Sequence[Usage]) -> tuple[Forecast, ...]:
    """A forecast of each quantity from usages, oldest first."""
    return tuple(forecast(usages, quantity) for quantity in QUANTITIES)


def track_record(catalog: Catalog, name: str) -> TrackRecord:
    """How often the wall time of a step lay in the range that was predicted."""
    return coverage([(f, usage.wall_s) for f, usage in catalog.runs.forecasts(name) if f.quantity == "wall_s"])
