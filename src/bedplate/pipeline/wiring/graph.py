"""The graph of a project: its functions wired by their parameters' names, in an order in which they can run.

Built from the declarations alone: pure, nothing is opened. The order is topological and stable: among functions that could run
next, the one declared first comes first. A `use` and a service's past predictions are no arrows: nothing waits for them, so a
step may learn from what a service predicted without closing a circle.
"""

from __future__ import annotations

import difflib
import heapq
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from bedplate.core.errors import NotFound, ProjectError
from bedplate.core.kinds import View
from bedplate.core.project import Project
from bedplate.core.records import Record

from .clock import clock_mistakes
from .nodes import NO_DEFAULT, Mistake, Node, Output, Role, Wire
from .syntax import line_of
from .wires import DEFAULT_VIEW, wire_all

__all__ = ["NO_DEFAULT", "Graph", "Mistake", "Node", "Output", "Role", "Wire", "build", "wired"]


class Graph(Record, frozen=True, kw_only=True):
    """A project without mistakes: `nodes` in the order to run, `makers` the function that makes each artifact."""

    project_name: str
    nodes: dict[str, Node]
    makers: dict[str, str]
    parents: dict[str, tuple[str, ...]]
    children: dict[str, tuple[str, ...]]
    levels: tuple[tuple[str, ...], ...]
    warnings: tuple[Mistake, ...] = ()

    def node(self, name: str) -> Node:
        """The node called `name`, or the one that makes the artifact `name`. Raises NotFound with the nearest name."""
        found = name if name in self.nodes else self.makers.get(name, "")
        if not found:
            near = difflib.get_close_matches(name, [*self.nodes, *self.makers], 1)
            raise NotFound(f"nothing is called '{name}'", next=f"did you mean '{near[0]}'?" if near else "bedplate lint lists every name")
        return self.nodes[found]

    def output(self, artifact: str) -> Output:
        """The output that makes `artifact`. Raises NotFound."""
        node = self.node(artifact)
        return next((output for output in node.outputs if output.artifact == artifact), node.outputs[0])

    def default_view(self, wire: Wire) -> View:
        """How an artifact is handed over where the parameter does not say."""
        return wire.view or DEFAULT_VIEW[wire.kind or "table"]

    def spec(self, artifact: str) -> dict[str, Any]:
        """How a features artifact is keyed, for its view; nothing of any other."""
        maker = self.nodes.get(self.makers.get(artifact, ""))
        features = maker.declaration.features if maker else None
        return dict(msgspec.to_builtins(features)) if features else {}

    def views(self, node: Node) -> dict[str, tuple[str, dict[str, Any]]]:
        """The views of features that a function receives, by parameter: of which artifact, and how it is keyed."""
        return {wire.name: (wire.base, self.spec(wire.base)) for wire in node.by_role("artifact") if wire.view == "features"}

    def upstream(self, name: str) -> list[str]:
        """Every node that must run before this one, in the order to run; without itself."""
        return self._reach(name, self.parents)

    def downstream(self, name: str) -> list[str]:
        """Every node that needs this one, in the order to run; without itself."""
        return self._reach(name, self.children)

    def _reach(self, name: str, edges: Mapping[str, tuple[str, ...]]) -> list[str]:
        start = self.node(name).name
        seen = {start}
        waiting = [start]
        while waiting:
            fresh = [near for near in edges[waiting.pop()] if near not in seen]
            seen.update(fresh)
            waiting.extend(fresh)
        seen.discard(start)
        return [node for node in self.nodes if node in seen]


def build(project: Project) -> Graph:
    """The graph of a project. Raises ProjectError that lists every mistake with file, line and suggestion."""
    graph, mistakes = wired(project)
    errors = [mistake for mistake in mistakes if mistake.severity == "error"]
    if graph is None or errors:
        what = "\n".join(mistake.said for mistake in errors)
        raise ProjectError(what, next=f"mend {'it' if len(errors) == 1 else f'these {len(errors)}'}, then `bedplate lint`")
    return graph


def wired(project: Project) -> tuple[Graph | None, tuple[Mistake, ...]]:
    """The graph, None where it could not be drawn, and everything found wrong on the way."""
    nodes, found = wire_all(project)
    mistakes = [*found, *clock_mistakes(nodes)]
    if any(mistake.severity == "error" for mistake in mistakes):
        # A circle among correct functions is still worth telling beside the other mistakes.
        return None, _sorted([*mistakes, *_circle(nodes)])
    circle = _circle(nodes)
    if circle:
        return None, _sorted([*mistakes, *circle])
    return _graph(project.name, nodes, _sorted(mistakes)), _sorted(mistakes)


def _graph(name: str, nodes: dict[str, Node], warnings: tuple[Mistake, ...]) -> Graph:
    parents = _parents(nodes)
    children: dict[str, list[str]] = {node: [] for node in nodes}
    for node, needed in parents.items():
        for near in needed:
            children[near].append(node)
    order = _order(parents, children)
    rank: dict[str, int] = {}
    levels: list[list[str]] = []
    for node in order:
        rank[node] = max((rank[near] + 1 for near in parents[node]), default=0)
        if rank[node] == len(levels):
            levels.append([])
        levels[rank[node]].append(node)
    return Graph(
        project_name=name,
        nodes={node: nodes[node] for node in order},
        makers=_makers(nodes),
        parents=parents,
        children={node: tuple(near) for node, near in children.items()},
        levels=tuple(tuple(level) for level in levels),
        warnings=warnings,
    )


def _makers(nodes: Mapping[str, Node]) -> dict[str, str]:
    return {output.artifact: node.name for node in nodes.values() for output in node.outputs}


def _parents(nodes: Mapping[str, Node]) -> dict[str, tuple[str, ...]]:
    makers = _makers(nodes)
    found = {}
    for node in nodes.values():
        needed = (makers[wire.artifact] for wire in node.wires if wire.waits and wire.artifact in makers)
        found[node.name] = tuple(dict.fromkeys(needed))
    return found


def _order(parents: Mapping[str, tuple[str, ...]], children: Mapping[str, Iterable[str]]) -> list[str]:
    """Kahn's order; ties by place in `parents`. Shorter than `parents` where there is a circle."""
    place = {node: at for at, node in enumerate(parents)}
    names = list(parents)
    missing = {node: len(needed) for node, needed in parents.items()}
    ready = [place[node] for node, count in missing.items() if count == 0]
    order = []
    while ready:
        node = names[heapq.heappop(ready)]
        order.append(node)
        for near in children[node]:
            missing[near] -= 1
            if missing[near] == 0:
                heapq.heappush(ready, place[near])
    return order


def _circle(nodes: Mapping[str, Node]) -> list[Mistake]:
    """The first circle, if any, as one mistake that names its path."""
    parents = _parents(nodes)
    children: dict[str, list[str]] = {node: [] for node in nodes}
    for node, needed in parents.items():
        for near in needed:
            children[near].append(node)
    left = set(parents) - set(_order(parents, children))
    if not left:
        return []
    path = [next(node for node in parents if node in left)]
    while path[-1] not in path[:-1]:
        path.append(next(near for near in parents[path[-1]] if near in left))
    path = path[path.index(path[-1]) :][::-1]
    declared = nodes[path[0]].declaration
    return [
        Mistake(
            severity="error",
            file=declared.file,
            line=line_of(declared.file, declared.name, declared.line),
            message=f"a circle: {' -> '.join(path)}",
            suggestion=f'break it: rename a parameter, or read an earlier version with `use("{path[0]}@...")`',
        )
    ]


def _sorted(mistakes: Iterable[Mistake]) -> tuple[Mistake, ...]:
    return tuple(sorted(mistakes, key=lambda mistake: (mistake.file, mistake.line, mistake.severity, mistake.message)))
