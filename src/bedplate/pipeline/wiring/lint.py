"""`bedplate lint`: every mistake of a project, and the class of every parameter."""

from __future__ import annotations

from collections.abc import Callable, Collection

from bedplate.core.errors import BedplateError
from bedplate.core.project import Project
from bedplate.core.records import Record

from .graph import Graph, wired
from .nodes import NO_DEFAULT, Mistake, Node, Wire
from .syntax import line_of

__all__ = ["Mistake", "Row", "classes", "lint", "unheard", "unnamed"]


_PLACES = ("name", "pattern", "query", "url", "match")
"""What a source says of where it reads, by field."""


class Row(Record, frozen=True, kw_only=True):
    """One parameter for the table: whose it is, where its value comes from, as what, and its default as text."""

    node: str
    stage: str
    parameter: str
    role: str
    source: str
    type: str
    default: str = ""


def lint(project: Project) -> tuple[Mistake, ...]:
    """Everything found, errors and warnings, by file and line."""
    return wired(project)[1]


def unnamed(graph: Graph, given: Callable[[str], Collection[str]]) -> tuple[Mistake, ...]:
    """Uses of an alias that no check promotes to and that nobody has given (`given` tells a model's aliases): nothing is ever received."""
    checks = [node for node in graph.nodes.values() if node.declaration.promotes]
    promoted: dict[str, list[str]] = {}
    for node in checks:
        for wire in node.by_role("artifact"):
            if wire.kind == "model" and not wire.is_use:
                promoted.setdefault(wire.base, []).append(node.declaration.promotes)
    uses = [(node, wire) for node in graph.nodes.values() for wire in node.wires if wire.is_use and not wire.ref.isdigit()]
    loose = [(node, wire, promoted.get(wire.base, [])) for node, wire in uses if wire.ref not in promoted.get(wire.base, [])]
    return tuple(_loose(node, wire, aliases) for node, wire, aliases in loose if wire.ref not in given(wire.base))


def _loose(node: Node, wire: Wire, aliases: list[str]) -> Mistake:
    declared, by_hand = node.declaration, f"bedplate promote {wire.base}@VERSION --alias {wire.ref}"
    return Mistake(
        severity="warning", file=declared.file, line=line_of(declared.file, declared.name, declared.line, wire.name),
        message=f'use("{wire.artifact}"): no {wire.base} is {wire.ref} and no check promotes one, so \'{wire.name}\' is always absent',
        suggestion=f'did you mean use("{wire.base}@{aliases[0]}")?' if aliases else f'promotes="{wire.ref}" on a check, or {by_hand}',
    )  # fmt: skip


def unheard(graph: Graph, complaint: Callable[[str], BedplateError | None]) -> tuple[Mistake, ...]:
    """Declared workloads whose model the planner does not know (`complaint`: what is wrong with its name): nothing is forecast."""
    declared = [(node.declaration, node.declaration.workload) for node in graph.nodes.values()]
    found = [(one, error) for one, workload in declared if workload is not None and (error := complaint(workload.model)) is not None]
    return tuple(
        Mistake(
            severity="warning", file=one.file, line=line_of(one.file, one.name, one.line), message=f"workload of {one.name}: {error.what}",
            suggestion=error.why or error.next,
        )
        for one, error in found
    )  # fmt: skip


def classes(graph: Graph) -> tuple[Row, ...]:
    """The class of each parameter, in the order of the graph."""
    return tuple(_row(node.name, node.stage, wire) for node in graph.nodes.values() for wire in node.wires)


def _row(node: str, stage: str, wire: Wire) -> Row:
    kind = f"{wire.kind} as {wire.view}" if wire.view and wire.view != wire.kind else wire.view or wire.annotation
    role = "predictions" if wire.kind == "service" else wire.role
    return Row(node=node, stage=stage, parameter=wire.name, role=role, source=_from(wire), type=kind, default=_default(wire))


def _from(wire: Wire) -> str:
    if wire.source is not None:
        return ", ".join(str(getattr(wire.source, name)) for name in _PLACES if getattr(wire.source, name, ""))
    return wire.artifact


def _default(wire: Wire) -> str:
    if wire.default is NO_DEFAULT:
        return "required" if wire.required else ""
    if wire.tune is None:
        return repr(wire.default)
    span = f"{wire.tune.low:g} to {wire.tune.high:g}" if wire.tune.low is not None and wire.tune.high is not None else None
    return f"{wire.default!r} (tune: {span or ', '.join(map(repr, wire.tune.choices))})"
