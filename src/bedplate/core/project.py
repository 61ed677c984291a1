"""Project and its decorators: one file declares a workload.

Decorating records a Declaration and returns the function unchanged, so that it stays a plain function. Nothing is evaluated here:
wiring, kinds and mistakes are worked out by `pipeline.graph` when the project is loaded. Keywords state needs, never places.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from .errors import ProjectError
from .features import FeatureSpec
from .parameters import Keys
from .units import Budget, budget, byte_count, seconds

Function = TypeVar("Function", bound=Callable[..., Any])

STAGE_OF = {
    "ingest": "ingest", "prepare": "prepare", "features": "prepare", "train": "train", "check": "validate",
    "service": "deploy", "watch": "monitor", "step": "prepare",
}  # fmt: skip
"""Which of the six stages each decorator belongs to."""


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """What a step needs: processors, accelerators, bytes of memory, seconds, tries after a failure.

    `memory_bytes` and `time_s` are limits that are enforced; None is no limit.
    """

    cpu: float = 1.0
    gpu: int = 0
    memory_bytes: int | None = None
    time_s: float | None = None
    retries: int = 0


class Declaration(msgspec.Struct, frozen=True, kw_only=True):
    """One decorated function: its name, decorator, needs and place in the file."""

    name: str
    decorator: str
    function: Callable[..., Any]
    file: str
    line: int
    needs: Needs = Needs()
    every_s: float | None = None
    each: str | Keys | None = None
    features: FeatureSpec | None = None
    promotes: str = ""
    p95_s: float | None = None
    budget: Budget | None = None

    @property
    def stage(self) -> str:
        """Which of the six stages it belongs to."""
        return STAGE_OF[self.decorator]


class Project:
    """The functions of one AI workload. Usable as `@project.step` and as `@project.step(cpu=2)`."""

    def __init__(self, name: str, *, budget: str = "", description: str = "") -> None:
        self.name = name
        self.description = description
        self.budget: Budget | None = _budget(budget)
        self.declarations: list[Declaration] = []

    def __repr__(self) -> str:
        return f"Project({self.name!r}, {len(self.declarations)} functions)"

    def ingest(self, function: Any = None, /, *, every: str = "", each: str | Keys | None = None, **needs: Any) -> Any:
        """Raw data from typed sources into the store; `every` says how long a fingerprint of a source holds."""
        return self._declare("ingest", function, needs, every_s=_seconds(every), each=each)

    def prepare(self, function: Any = None, /, *, each: str | Keys | None = None, **needs: Any) -> Any:
        """Clean, join, normalise."""
        return self._declare("prepare", function, needs, each=each)

    def features(
        self, function: Any = None, /, *, entity: str | tuple[str, ...], time: str, created: str = "", ttl: str = "",
        online: bool = False, **needs: Any,
    ) -> Any:  # fmt: skip
        """Values by entity over time: `time` when a row holds, `created` when it became known, `ttl` how long."""
        names = (entity,) if isinstance(entity, str) else tuple(entity)
        spec = FeatureSpec(names, time, created, _seconds(ttl) or 0.0, online)
        return self._declare("features", function, needs, features=spec)

    def train(self, function: Any = None, /, **needs: Any) -> Any:
        """Make a Model."""
        return self._declare("train", function, needs)

    def check(self, function: Any = None, /, *, promotes: str = "", **needs: Any) -> Any:
        """A gate: returns a Check; when it passes, the model it received gets the alias `promotes`."""
        return self._declare("check", function, needs, promotes=promotes)

    def service(self, function: Any = None, /, *, p95: str = "", **needs: Any) -> Any:
        """What is deployed: artifacts by name, everything else is the request."""
        return self._declare("service", function, needs, p95_s=_seconds(p95))

    def watch(self, function: Any = None, /, *, every: str = "", **needs: Any) -> Any:
        """A check of what a service served: a parameter named like a service receives its predictions with their labels."""
        return self._declare("watch", function, needs, every_s=_seconds(every))

    def step(self, function: Any = None, /, *, each: str | Keys | None = None, every: str = "", **needs: Any) -> Any:
        """Any other function worth recording."""
        return self._declare("step", function, needs, each=each, every_s=_seconds(every))

    def _declare(self, decorator: str, function: Any, needs: dict[str, Any], **rest: Any) -> Any:
        def declare(function: Function) -> Function:
            where = inspect.unwrap(function).__code__
            declared = Declaration(
                name=function.__name__, decorator=decorator, function=function, file=where.co_filename,
                line=where.co_firstlineno, needs=_needs(function.__name__, needs), **rest,
            )  # fmt: skip
            self.declarations.append(declared)
            return function

        return declare if function is None else declare(function)


def _needs(name: str, given: dict[str, Any]) -> Needs:
    known = {"cpu", "gpu", "memory", "time", "retries"}
    if unknown := sorted(set(given) - known):
        raise ProjectError(f"{name}: no keyword '{unknown[0]}'", why=f"a function's needs are {', '.join(sorted(known))}")
    memory, time = given.get("memory"), given.get("time")
    return Needs(
        cpu=float(given.get("cpu", 1.0)),
        gpu=int(given.get("gpu", 0)),
        memory_bytes=byte_count(memory) if isinstance(memory, str) else memory,
        time_s=seconds(time) if isinstance(time, str) else time,
        retries=int(given.get("retries", 0)),
    )


def _seconds(text: str) -> float | None:
    return seconds(text) if text else None


def _budget(text: str) -> Budget | None:
    return budget(text) if text else None
