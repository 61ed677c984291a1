"""The services and models of a project, from its wired graph.

A model is gated where a check with `promotes=` receives it: then only a promoted version may serve.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from bedplate.core.context import Context
from bedplate.core.errors import ProjectError
from bedplate.pipeline.wiring.graph import Graph, Node, Wire

from .service import Asked, Service, Wanted, service

_TAKEN: Final = {"model": "what models were asked directly", "shadow": "what versions said that were tried as shadows"}


def services(graph: Graph) -> tuple[Service, ...]:
    """Every service of the project, in its order. Raises ProjectError for a parameter that a service cannot have."""
    gates = _gates(graph)
    return tuple(_service(graph, node, gates) for node in graph.nodes.values() if node.declaration.decorator == "service")


def models(graph: Graph) -> tuple[Wanted, ...]:
    """Every model of the project, as it is wanted by itself."""
    gates = _gates(graph)
    outputs = [output for node in graph.nodes.values() for output in node.outputs if output.kind == "model"]
    return tuple(Wanted(parameter=out.artifact, artifact=out.artifact, view="model", gate=gates.get(out.artifact, "")) for out in outputs)


def _gates(graph: Graph) -> dict[str, str]:
    checks = [node for node in graph.nodes.values() if node.declaration.promotes]
    return {wire.base: node.name for node in reversed(checks) for wire in node.wires if wire.kind == "model" and not wire.is_use}


def _service(graph: Graph, node: Node, gates: dict[str, str]) -> Service:
    if node.name in _TAKEN:
        raise ProjectError(f"a service cannot be called '{node.name}'", why=f"predictions/{node.name}/ holds {_TAKEN[node.name]}")
    wanted = [_wanted(graph, wire, gates) for wire in node.by_role("artifact")]
    asked = [Asked(name=wire.name, annotation=wire.hint, default=wire.default) for wire in node.by_role("request")]
    fixed: dict[str, Any] = {wire.name: Context(emit=lambda noted: None, step=node.name) for wire in node.by_role("context")}
    for wire in node.by_role("source", "key", "secret", "setting"):
        raise ProjectError(
            f"{node.name}: '{wire.name}' cannot be a parameter of a service",
            why=f"it is a {wire.role}; a service takes artifacts and what the caller sends",
            next=f"read it in a step, and let {node.name} take what that makes",
        )
    returns = node.outputs[0].hint if node.outputs else Any
    declared = node.declaration
    return service(node.name, declared.function, wanted, asked, returns, fixed=fixed, p95_s=declared.p95_s, cache_s=declared.cache_s)


def _wanted(graph: Graph, wire: Wire, gates: dict[str, str]) -> Wanted:
    spec = None
    if wire.view == "features":
        made = graph.node(wire.base).declaration.features
        spec = None if made is None else msgspec.to_builtins(made)
    return Wanted(
        parameter=wire.name,
        artifact=wire.base,
        view=wire.view or "scalar",
        selector=wire.ref,
        gate=gates.get(wire.base, ""),
        optional=wire.optional,
        spec=spec,
    )
