"""The whole of a project in one record: its graph, what would run and why, when, what that takes, and what it may cost.

`bedplate plan --whole --json` prints it, and the console asks for it so: a server never imports a project. Parts of a step are counted by
what is to be done about them, with a short row for each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import msgspec

from bedplate.core.parameters import Keys
from bedplate.core.records import Forecast, Record
from bedplate.core.units import dollars_per_hour
from bedplate.planner.forecasts.critical import Placed, WallTime, placed
from bedplate.planner.forecasts.history import TrackRecord, cost

from .due.rules import Ruling
from .plan import Planned, loads, total
from .wiring.graph import Graph, Node
from .workspace import Workspace


class Unit(Record, frozen=True, kw_only=True, array_like=True):
    """One part of a step, what is to be done about it, and why."""

    part: str
    action: str
    why: str


class Placing(Record, frozen=True, kw_only=True):
    """A step of the graph and what is to be done about it.

    `after` are the steps that it waits for, `watches` the services whose answers it reads, `makes` its artifacts; `actions` counts its
    parts (or itself) by what is to be done. `starts_s` and `ends_s` are seconds from the start of the plan; None where it would not run.
    `forecasts` are of one part.
    """

    name: str
    stage: str
    decorator: str
    after: tuple[str, ...] = ()
    watches: tuple[str, ...] = ()
    makes: tuple[str, ...] = ()
    every: str = ""
    each: str = ""
    needs: dict[str, Any] = msgspec.field(default_factory=dict)
    file: str = ""
    line: int = 0
    actions: dict[str, int] = msgspec.field(default_factory=dict)
    why: str = ""
    units: tuple[Unit, ...] = ()
    forecasts: tuple[Forecast, ...] = ()
    record: TrackRecord = TrackRecord()
    starts_s: float | None = None
    ends_s: float | None = None
    warning: str = ""
    design: str = ""


class Whole(Record, frozen=True, kw_only=True):
    """A project as it stands. `files` maps the project's own files to time (ns) and size as they were read; `slots` are processors,
    `usd_per_hour` the target's price; `chain_s` is what the plan would take with processors without end, `budget` where the budget stands.
    """

    project: str
    target: str
    description: str = ""
    files: dict[str, tuple[int, int]]
    steps: tuple[Placing, ...]
    wall: WallTime
    chain_s: float = 0.0
    slots: float = 1.0
    usd_per_hour: float = 0.0
    due: tuple[Ruling, ...] = ()
    budget: dict[str, Any] = msgspec.field(default_factory=dict)


def whole(workspace: Workspace, slots: float, due: tuple[Ruling, ...], budget: dict[str, Any]) -> Whole:
    """The project as it stands now, on `slots` processors, with what is due and where its budget stands."""
    graph, planned = workspace.graph, workspace.plan()
    price = dollars_per_hour(workspace.config["price"])
    at = placed(*loads(planned, graph), slots)
    by = {name: list(group) for name, group in groupby(planned, key=lambda one: one.name)}
    loaded = workspace.parts.loaded
    return Whole(
        project=graph.project_name, target=workspace.config.target, description=loaded.project.description, files=loaded.read,
        steps=tuple(_placing(node, graph, by.get(node.name, []), at, price) for node in graph.nodes.values()),
        wall=total(planned, graph, slots), chain_s=at.chain_s, slots=slots, usd_per_hour=price, due=due, budget=budget,
    )  # fmt: skip


def _placing(node: Node, graph: Graph, planned: Sequence[Planned], at: Placed, price: float) -> Placing:
    declared = node.declaration
    runs = [one for one in planned if one.action in ("run", "maybe")]
    chief = next((one for one in planned if one.action == "blocked"), runs[0] if runs else planned[0] if planned else None)
    spans = [at.spans[one.unit] for one in runs if one.unit in at.spans]
    expected = chief.expected if chief is not None else None
    is_parted = any(one.part for one in planned)
    return Placing(
        name=node.name, stage=node.stage, decorator=declared.decorator, after=graph.parents[node.name],
        watches=tuple(wire.artifact for wire in node.by_role("artifact") if wire.kind == "service"),
        makes=tuple(output.artifact for output in node.outputs), every=declared.every.text if declared.every else "",
        each="calendar" if isinstance(node.each, Keys) else node.each or "", needs=_needs(node), file=declared.file, line=declared.line,
        actions=dict(Counter(one.action for one in planned)), why=chief.why if chief is not None else "",
        units=tuple(Unit(part=one.part, action=one.action, why=one.why) for one in planned) if is_parted else (),
        forecasts=_priced(chief.forecasts, price) if chief is not None else (),
        record=chief.record if chief is not None else TrackRecord(),
        starts_s=min((start for start, _ in spans), default=None), ends_s=max((end for _, end in spans), default=None),
        warning=expected.warning if expected is not None else "", design=expected.design if expected is not None else "",
    )  # fmt: skip


def _needs(node: Node) -> dict[str, Any]:
    """What is asked for beyond one processor."""
    told = msgspec.structs.asdict(node.declaration.needs)
    return {name: value for name, value in told.items() if value and (name, value) != ("cpu", 1.0)}


def _priced(forecasts: tuple[Forecast, ...], price: float) -> tuple[Forecast, ...]:
    """With the money that the time comes to, where the target has a price and the planner has not said it."""
    wall = next((one for one in forecasts if one.quantity == "wall_s" and one.basis != "unknown"), None)
    if wall is None or not price or any(one.quantity == "cost_usd" for one in forecasts):
        return forecasts
    return (*forecasts, cost(wall, price))
