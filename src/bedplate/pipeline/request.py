"""Requests: what a run is asked to make, read against the graph. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

import msgspec

from bedplate.core.errors import UserError
from bedplate.core.parameters import Keys, Tune
from bedplate.core.records import Record, Version

from .wiring.graph import Graph, Node

RUNS = ("ingest", "prepare", "features", "train", "check", "step")
"""Decorators whose functions `run` makes; services are served, watches are watched."""


class Request(Record, frozen=True, kw_only=True):
    """What to run: `names` (empty: everything), `settings` by step, `fresh` to ignore the cache, `only` to leave out what they need.

    `due` are steps whose sources are looked at anew though `every=` holds, `anew` steps that run whatever the cache says: it is their time.

    `side`: heads do not move. `again`: an attempt is run again as it was: `pinned` maps references to the version to use for them (None:
    absent), `parts` a step with `each=` to the parts to run of it.
    """

    names: tuple[str, ...] = ()
    settings: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)
    fresh: bool = False
    only: bool = False
    side: bool = False
    again: bool = False
    command: str = ""
    pinned: dict[str, Version | None] = msgspec.field(default_factory=dict)
    parts: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    due: tuple[str, ...] = ()
    anew: tuple[str, ...] = ()


def chosen(graph: Graph, request: Request) -> tuple[str, ...]:
    """The steps that a request is about, in order. Raises NotFound, or UserError for a service."""
    if not request.names:
        return tuple(name for name, node in graph.nodes.items() if node.declaration.decorator in RUNS)
    wanted: set[str] = set()
    for name in request.names:
        node = graph.node(name)
        if node.declaration.decorator == "service":
            raise UserError(f"{node.name} is a service", why="a service is served, not run", next=f"bedplate serve {node.name}")
        wanted.add(node.name)
        if not request.only:
            wanted.update(graph.upstream(node.name))
    return tuple(name for name in graph.nodes if name in wanted)


def part_of(graph: Graph, name: str) -> tuple[Node, str]:
    """`orders[2025-01-31]` as the step and the part of it; the part is empty where none is named. Raises NotFound, UserError."""
    step, bracket, part = name.removesuffix("]").partition("[")
    node = graph.node(step if bracket else name)
    if bracket and node.each is None:
        raise UserError(f"{node.name} has no parts", why="it runs once, not for each of something", next=f"name it whole: {node.name}")
    return node, part if bracket else ""


def parted(graph: Graph, request: Request) -> Request:
    """The request with the parts that its names say (`orders[2025-01-31]`) as parts to run. Raises NotFound, UserError."""
    parts: dict[str, tuple[str, ...]] = {}
    whole: set[str] = set()
    for name in request.names:
        node, part = part_of(graph, name)
        if part:
            parts[node.name] = (*parts.get(node.name, ()), part)
        else:
            whole.add(node.name)
    named = tuple(name.partition("[")[0] for name in request.names)
    some = {name: tuple(dict.fromkeys(keys)) for name, keys in parts.items() if name not in whole}
    return msgspec.structs.replace(request, names=tuple(dict.fromkeys(named)), parts={**some, **request.parts})


def back_filled(graph: Graph, request: Request, since: str, until: str, now: datetime) -> Request:
    """The request for just the parts from `since` on and before `until` (days or hours, either may be empty) of steps with a calendar.

    Raises UserError where no step named has one, for what is no day or hour, and where no part lies between.
    """
    first, end = _key("--since", since), _key("--until", until)
    named = {graph.node(name).name for name in request.names} or set(graph.nodes)
    parts = {
        name: tuple(key for key in node.each.until(now) if first <= key and (not end or key < end))
        for name, node in graph.nodes.items() if name in named and isinstance(node.each, Keys)
    }  # fmt: skip
    found = {name: keys for name, keys in parts.items() if keys}
    if not found:
        why = "no part lies between" if parts else "none of these steps has a calendar (each=daily(...))"
        raise UserError(f"there is nothing to fill from {first or 'the start'} to {end or 'now'}", why=why, next="bedplate plan")
    return msgspec.structs.replace(request, names=tuple(found), parts=found)


def _key(option: str, text: str) -> str:
    """A day or an hour as parts are called: `2026-01-31`, `2026-01-31T07`; empty stays empty. Raises UserError."""
    try:
        at = datetime.fromisoformat(text) if text else None
    except ValueError as error:
        raise UserError(f"{option} {text} is no day or hour", why=str(error), next=f"write {option} 2026-01-31") from error
    return "" if at is None else text if len(text) == len("2026-01-31") else at.strftime("%Y-%m-%dT%H")


def forced(graph: Graph, request: Request, names: tuple[str, ...]) -> frozenset[str]:
    """The steps that run whatever the cache says: with `fresh` those named, or all of `names`; else those that are due anew."""
    return frozenset(graph.node(name).name for name in request.names or names) if request.fresh else frozenset(request.anew)


def complete(graph: Graph, request: Request, names: tuple[str, ...]) -> None:
    """See that every setting of these steps has a value. Raises UserError for the first that has none."""
    for name in names:
        for wire in graph.nodes[name].by_role("setting"):
            if wire.required and wire.name not in request.settings.get(name, {}):
                raise UserError(
                    f"the setting '{wire.name}' has no default, so a plain `bedplate run` cannot make {name}",
                    why="nothing else says what it is",
                    next=f"give it one, or: --set {name}.{wire.name}=...",
                )


def read_settings(graph: Graph, given: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """`{"late.num_leaves": 63}` by step, each value converted to the setting's type. Raises NotFound, UserError."""
    found: dict[str, dict[str, Any]] = {}
    for name, value in given.items():
        step, _, setting = name.partition(".")
        node = graph.node(step)
        wire = node.wire(setting)
        if wire is None or wire.role != "setting":
            known = ", ".join(f"{node.name}.{w.name}" for w in node.by_role("setting")) or "it has none"
            raise UserError(f"{node.name} has no setting '{setting}'", why=f"its settings: {known}", next="bedplate lint")
        found.setdefault(node.name, {})[setting] = _within(name, _convert(name, value, wire.hint), wire.tune)
    return found


def _within(name: str, value: Any, tune: Tune | None) -> Any:
    """The value, if the range or the choices of its `tune(...)` allow it."""
    if tune is None:
        return value
    allowed, said = True, ""
    if tune.choices:
        allowed, said = value in tune.choices, f"tune(...) gives it the choices {', '.join(map(repr, tune.choices))}"
    elif tune.low is not None and tune.high is not None:
        allowed, said = isinstance(value, int | float) and tune.low <= value <= tune.high, f"tune({tune.low}, {tune.high}) is its range"
    if not allowed:
        raise UserError(f"{name}={value!r} is out of range", why=said, next=f"--set another value, or change the tune(...) of {name}")
    return value


def _convert(name: str, value: Any, hint: Any) -> Any:
    """The value as the setting's type; text from the command line may be its JSON (`{"a": 1}`, `[1, 2]`)."""
    try:
        return msgspec.convert(value, hint, strict=False) if hint is not None else value
    except msgspec.ValidationError as error:
        with suppress(msgspec.DecodeError):
            if isinstance(value, str):
                return msgspec.json.decode(value, type=hint)
        raise UserError(f"{name}={value!r} is not right", why=str(error), next="bedplate lint shows each setting and its type") from error
