"""The gate of a lighter model: the very check that promotes the model, asked about the lighter one, with the model itself as its champion.

The check's own findings must pass, and none of its figures may be worse than the model's by more than the loss that is allowed. The check
runs here, on the heads of the tables that it takes, and nothing of it is recorded but what the report says.
"""

from __future__ import annotations

import math
from typing import Any

from bedplate.core.check import Check, Finding
from bedplate.core.context import Context
from bedplate.core.errors import Refused, UserError
from bedplate.core.model import Model
from bedplate.core.records import Input, Record
from bedplate.pipeline.wiring.graph import Graph, Node, Wire
from bedplate.pipeline.workspace import Workspace


class Figure(Record, frozen=True, kw_only=True):
    """One figure of the check, of the model and of the lighter one; `worse` is by how much (below 0: it is better)."""

    name: str
    before: float | None
    after: float | None
    worse: float
    passed: bool


class Gate:
    """The check of one model, with what else it takes."""

    def __init__(self, workspace: Workspace, model: str) -> None:
        self.node = _promoting(workspace.graph, model)
        self.inputs: dict[str, Input] = {}
        self._given: dict[str, Any] = {}
        self._judged: list[str] = []
        self._champions: list[str] = []
        for wire in self.node.wires:
            self._take(workspace, model, wire)

    def figures(self, model: Model, lighter: Model) -> tuple[Figure, ...]:
        """Every figure of the check, of both. Raises UserError where the check returns none."""
        before = {one.label: one for one in self._asked(model, model).findings}
        return tuple(_figure(before.get(one.label), one) for one in self._asked(lighter, model).findings)

    def _asked(self, judged: Model, champion: Model) -> Check:
        models = dict.fromkeys(self._judged, judged) | dict.fromkeys(self._champions, champion)
        found = self.node.declaration.function(**self._given, **models)
        if not isinstance(found, Check) or not found.findings:
            raise UserError(f"{self.node.name} returned no Check with findings", why="nothing says how well the model does")
        return found

    def _take(self, workspace: Workspace, model: str, wire: Wire) -> None:
        if wire.role == "context":
            self._given[wire.name] = Context(emit=lambda noted: None, step=self.node.name)
        elif wire.role == "setting" and not wire.required:
            self._given[wire.name] = wire.default if wire.tune is None else wire.tune.default
        elif wire.role != "artifact":
            raise UserError(f"{self.node.name} cannot be asked here", why=f"its '{wire.name}' is a {wire.role}")
        elif wire.base == model and wire.view == "model":
            (self._champions if wire.is_use else self._judged).append(wire.name)
        else:
            self._load(workspace, wire)

    def _load(self, workspace: Workspace, wire: Wire) -> None:
        version = workspace.catalog.artifacts.find(wire.artifact)
        if version is None:
            if not wire.optional and not wire.is_use:
                raise UserError(f"{self.node.name} takes {wire.base}, which was not made yet", next=f"bedplate run {wire.base}")
            self._given[wire.name] = None
            return
        view = workspace.graph.default_view(wire)
        spec = workspace.graph.spec(wire.base) if view == "features" else {}
        self._given[wire.name] = workspace.store.load(version, view, spec or None)
        self.inputs[wire.name] = Input(artifact=version.artifact, view=view, version=version)


def refused(figures: tuple[Figure, ...], loss: float) -> str:
    """Why the lighter model may not be kept; empty where it may."""
    failed = [one for one in figures if not one.passed]
    if failed:
        return ", ".join(f"{one.name} = {_shown(one.after)} does not pass" for one in failed)
    worse = [one for one in figures if one.worse > loss]
    return ", ".join(f"{one.name} {_moved(one)} from {_shown(one.before)} to {_shown(one.after)}, and {loss:g} is allowed" for one in worse)


def lost(figures: tuple[Figure, ...]) -> float:
    """The least `--loss` that would take these figures, in steps of a thousandth; 0 where none would."""
    worst = max((one.worse for one in figures), default=0.0)
    return math.ceil(worst * 1000) / 1000 if all(one.passed for one in figures) and 0 < worst < math.inf else 0.0


def _moved(one: Figure) -> str:
    """The way that a figure got worse: an error rises where an AUC falls."""
    return "rises" if one.before is not None and one.after is not None and one.after > one.before else "falls"


def _figure(before: Finding | None, after: Finding) -> Figure:
    first, then = before.value if before else None, after.value
    gone = then is None or first is None
    worse = 0.0 if first is None else float("inf") if then is None else (then - first if after.rule == "<=" else first - then)
    return Figure(name=after.label, before=first, after=then, worse=worse, passed=after.passed and not (gone and first is not None))


def _promoting(graph: Graph, model: str) -> Node:
    for node in graph.nodes.values():
        if node.declaration.promotes and any(wire.base == model and not wire.is_use for wire in node.by_role("artifact")):
            return node
    raise Refused(
        f"no check says how well {model} does", why="a lighter model is kept only where a check has judged it",
        next=f'write one: @project.check(promotes="production") def good_enough({model}: Model, ...) -> Check',
    )  # fmt: skip


def _shown(value: float | None) -> str:
    return "not a number" if value is None else f"{value:.4g}"
