"""Tasks: what of a project can become due, and what is made when it does. Pure.

A step is on the clock where it has `every=` or `label_delay=`: due work makes it at its own times only, and whoever needs it in between
takes the version that there is. Everything else is made with what it depends on: when a step is due, what it needs is brought up to
date first, and what follows from it comes after, up to the next step on the clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from bedplate.core.parameters import Keys
from bedplate.core.project import Declaration
from bedplate.core.records import Record
from bedplate.core.schedules import Schedule
from bedplate.pipeline.request import RUNS
from bedplate.pipeline.wiring.graph import Graph, Node


class Task(Record, frozen=True, kw_only=True):
    """A step and what can make it due: its schedule, new entries of its sources, drift of these services, labels, missing parts.

    `judges` is the model whose versions a check with a label delay waits for, `watches` the services whose answers a watch waits for.
    `closed`: it reads nothing that could change, so that only running it anew can make anything new.
    """

    step: str
    schedule: Schedule | None = None
    polls: bool = False
    drifts: tuple[str, ...] = ()
    judges: str = ""
    watches: tuple[str, ...] = ()
    label_delay_s: float | None = None
    keys: Keys | None = None
    closed: bool = False


def on_the_clock(declared: Declaration) -> bool:
    """Whether due work makes it at its own times only."""
    return declared.every is not None or declared.label_delay_s is not None


def tasks(graph: Graph) -> tuple[Task, ...]:
    """Every step that something can make due, in the order to run."""
    drifts = retrained(graph)
    found = (_task(node, drifts.get(node.name, ())) for node in graph.nodes.values())
    return tuple(task for task in found if task is not None)


def _task(node: Node, drifts: tuple[str, ...]) -> Task | None:
    declared = node.declaration
    if declared.decorator == "service":
        return None
    models = [wire.base for wire in node.by_role("artifact") if wire.kind == "model" and not wire.is_use]
    delay = declared.label_delay_s
    task = Task(
        step=node.name,
        schedule=declared.every,
        polls=declared.every is None and bool(node.by_role("source")),
        drifts=drifts,
        judges=models[0] if delay is not None and declared.decorator == "check" and models else "",
        watches=tuple(wire.artifact for wire in node.by_role("artifact") if wire.kind == "service"),
        label_delay_s=delay,
        keys=node.each if isinstance(node.each, Keys) and declared.every is None else None,
        closed=not node.by_role("source") and not node.by_role("artifact") and node.each is None,
    )
    return task if task.schedule or task.polls or task.drifts or task.judges or task.keys else None


def retrained(graph: Graph) -> dict[str, tuple[str, ...]]:
    """Train step -> the services whose drift makes it due, by `on_drift="retrain"` of it, of a check of its model or of the service."""
    users: dict[str, set[str]] = {}
    asked: dict[str, set[str]] = {}
    for node in graph.nodes.values():
        trains = {
            maker for wire in node.by_role("artifact") if wire.kind == "model" and (maker := graph.makers.get(wire.base)) is not None
        }  # fmt: skip
        declared = node.declaration
        if declared.decorator == "service":
            for train in trains:
                users.setdefault(train, set()).add(node.name)
        if declared.on_drift:
            for train in {node.name} if declared.decorator == "train" else trains:
                asked.setdefault(train, set()).update({node.name} if declared.decorator == "service" else ())
    found = {train: services or users.get(train, set()) for train, services in asked.items()}
    return {train: tuple(sorted(services)) for train, services in found.items() if services}


def scope(graph: Graph, steps: Iterable[str], made: Callable[[Node], bool]) -> tuple[str, ...]:
    """What is made when these steps are due, in order; `made` says whether a step on the clock was ever made."""
    wanted = set(steps)
    waiting = list(wanted)
    while waiting:
        for child in graph.children[waiting.pop()]:
            declared = graph.nodes[child].declaration
            if child not in wanted and declared.decorator in RUNS and not on_the_clock(declared):
                wanted.add(child)
                waiting.append(child)
    waiting = list(wanted)
    while waiting:
        for parent in graph.parents[waiting.pop()]:
            node = graph.nodes[parent]
            if parent not in wanted and not (on_the_clock(node.declaration) and made(node)):
                wanted.add(parent)
                waiting.append(parent)
    return tuple(name for name in graph.nodes if name in wanted)
