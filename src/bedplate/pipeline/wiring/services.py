"""Which services a verb is about: those named, or the project's own."""

from __future__ import annotations

from bedplate.core.errors import UserError

from .graph import Graph, Node


def services(graph: Graph, names: tuple[str, ...]) -> list[Node]:
    """The services named, or all. Raises NotFound, and UserError for what is no service or where there is none."""
    known = {node.name: node for node in graph.nodes.values() if node.declaration.decorator == "service"}
    if not known:
        raise UserError(f"{graph.project_name} has no service", why="nothing is served", next="declare one with @project.service")
    for name in names:
        if graph.node(name).name not in known:
            raise UserError(f"{name} is no service", why=f"services: {', '.join(known)}", next=f"name one: {next(iter(known))}")
    return [known[name] for name in names] if names else list(known.values())


def only_service(graph: Graph, names: tuple[str, ...]) -> Node:
    """The service named, or the project's only one. Raises UserError where there are several."""
    found = services(graph, names)
    if len(found) > 1:
        raise UserError(f"{graph.project_name} has {len(found)} services", why=", ".join(n.name for n in found), next="say which one")
    return found[0]
