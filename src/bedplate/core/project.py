"""Project and its decorators: one file declares a workload.

Decorating records a Declaration and returns the function unchanged, so that it stays a plain function. Nothing is evaluated here:
wiring, kinds and mistakes are worked out by `pipeline.graph` when the project is loaded. Keywords state needs, never places.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol, TypedDict, TypeVar, Unpack, overload

import msgspec

from .errors import ProjectError
from .features import Aggregate, FeatureSpec
from .parameters import Keys
from .schedules import Schedule, schedule
from .units import Budget, budget, byte_count, seconds
from .workload import Workload

Function = TypeVar("Function", bound=Callable[..., Any])
Each = str | Keys | None
OnNan = Literal["", "stop"]
"""What is done at a metric that is no finite number: it is recorded, or training ends."""
OnDrift = Literal["", "retrain"]
"""What is done when drift was found: nothing, or training anew."""


class Decorator(Protocol):
    """What a decorator with keywords returns: it gives the function back as it was."""

    def __call__(self, function: Function, /) -> Function: ...


class GivenFeatures(TypedDict, total=False):
    """The needs that every decorator takes, as written: `cpu=2`, `memory="2 GB"`, `retries=1`."""

    cpu: float
    gpu: int
    memory: str | int
    retries: int


class Given(GivenFeatures, total=False):
    """Needs with a time limit: `time="10 min"` (a features decorator's `time` is its event time)."""

    time: str | float


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
    every: Schedule | None = None
    each: str | Keys | None = None
    features: FeatureSpec | None = None
    promotes: str = ""
    p95_s: float | None = None
    cache_s: float | None = None
    """For how long a service's answer may be given again to who asks the same."""
    budget: Budget | None = None
    expects: Any = None
    """A pandera model or schema that the table has to be as."""
    workload: Workload | None = None
    on_drift: str = ""
    label_delay_s: float | None = None
    workers: int = 1
    """On how many processes it trains, each with the `needs` that it declares."""
    on_nan: str = ""

    @property
    def stage(self) -> str:
        """Which of the six stages it belongs to."""
        return STAGE_OF[self.decorator]


class NoDecorator(ProjectError, AttributeError):
    """A Project has nothing of that name; an AttributeError too, so that `hasattr` answers."""

    def __init__(self, project: str, name: str) -> None:
        near = difflib.get_close_matches(name, STAGE_OF, 1)
        known = f"its decorators are {', '.join(STAGE_OF)}"
        super().__init__(f"a Project has no '{name}'", why=known, next=f"did you mean '{near[0]}'?" if near else f"mend it in {project}")


class Project:
    """The functions of one AI workload. Usable as `@project.step` and as `@project.step(cpu=2)`."""

    def __init__(self, name: str, *, budget: str = "", description: str = "") -> None:
        self.name = name
        self.description = description
        self.budget: Budget | None = _budget(budget)
        self.declarations: list[Declaration] = []

    def __repr__(self) -> str:
        return f"Project({self.name!r}, {len(self.declarations)} functions)"

    def __getattr__(self, name: str) -> Any:
        raise NoDecorator(self.name, name)

    @overload
    def ingest(self, function: Function, /) -> Function: ...
    @overload
    def ingest(
        self, function: None = None, /, *, every: str = "", each: Each = None, expects: Any = None, **needs: Unpack[Given]
    ) -> Decorator: ...
    def ingest(
        self, function: Function | None = None, /, *, every: str = "", each: Each = None, expects: Any = None, **needs: Unpack[Given]
    ) -> Any:
        """Raw data from typed sources into the store; `every` says when they are looked at again: a duration or a cron expression.

        `expects` is a pandera model or schema that the table has to be as before any of it is kept.
        """
        return self._declare("ingest", function, needs, every=_schedule(every), each=each, expects=expects)

    @overload
    def prepare(self, function: Function, /) -> Function: ...
    @overload
    def prepare(
        self, function: None = None, /, *, every: str = "", each: Each = None, expects: Any = None, **needs: Unpack[Given]
    ) -> Decorator: ...
    def prepare(
        self, function: Function | None = None, /, *, every: str = "", each: Each = None, expects: Any = None, **needs: Unpack[Given]
    ) -> Any:
        """Clean, join, normalise; with `every`, `bedplate run --due` makes it at those times only. `expects` is as of `ingest`."""
        return self._declare("prepare", function, needs, every=_schedule(every), each=each, expects=expects)

    def features(
        self, function: Any = None, /, *, entity: str | tuple[str, ...] = (), time: str = "", created: str = "", ttl: str = "",
        online: bool = False, window: str = "", gives: Mapping[str, str] | None = None, event: str | tuple[str, ...] = (),
        every: str = "", **needs: Any,
    ) -> Decorator:  # fmt: skip
        """Values by entity over time: `time` when a row holds, `created` when it became known, `ttl` how long.

        With `window="3 hours"` the function returns events, and `gives={"delay": "mean(minutes)", "landings": "count()"}` says what is
        given of those in the window up to the moment asked for; `event` names the columns that tell one event of an entity from another.
        Entity and time are needed; `lint` says so, with the line, where one is missing.
        """
        spec = FeatureSpec(
            _names(entity), time, created, _seconds(ttl) or 0.0, online, window_s=_seconds(window) or 0.0, event=_names(event),
            gives=tuple(Aggregate.read(name, text) for name, text in (gives or {}).items()),
        )  # fmt: skip
        declare: Decorator = self._declare("features", function, needs, features=spec, every=_schedule(every))
        return declare

    @overload
    def train(self, function: Function, /) -> Function: ...
    @overload
    def train(
        self, function: None = None, /, *, every: str = "", on_drift: OnDrift = "", workload: Workload | None = None, workers: int = 1,
        on_nan: OnNan = "", **needs: Unpack[Given],
    ) -> Decorator: ...  # fmt: skip
    def train(
        self, function: Function | None = None, /, *, every: str = "", on_drift: OnDrift = "", workload: Workload | None = None,
        workers: int = 1, on_nan: OnNan = "", **needs: Unpack[Given],
    ) -> Any:  # fmt: skip
        """Make a Model; `workload` says what is trained, so that `plan` knows what it takes before it first ran.

        `every` says when `bedplate run --due` trains it, `on_drift="retrain"` that it also does when drift was found. With `workers=2` the
        function runs on two processes at once (`context.rank` of `context.world`), each with the needs declared; `on_nan="stop"` ends it at
        the first metric that is no finite number.
        """
        return self._declare(
            "train", function, needs, every=_schedule(every), on_drift=_on_drift(on_drift), workload=workload, workers=_workers(workers),
            on_nan=_on_nan(on_nan),
        )  # fmt: skip

    @overload
    def check(self, function: Function, /) -> Function: ...
    @overload
    def check(
        self, function: None = None, /, *, promotes: str = "", every: str = "", on_drift: OnDrift = "", label_delay: str = "",
        **needs: Unpack[Given],
    ) -> Decorator: ...  # fmt: skip
    def check(
        self, function: Function | None = None, /, *, promotes: str = "", every: str = "", on_drift: OnDrift = "", label_delay: str = "",
        **needs: Unpack[Given],
    ) -> Any:  # fmt: skip
        """A gate: returns a Check; when it passes, the model it received gets the alias `promotes`.

        With `label_delay`, `bedplate run --due` judges each version of the model that long after it was made, when the labels are known.
        """
        return self._declare(
            "check", function, needs, promotes=promotes, every=_schedule(every), on_drift=_on_drift(on_drift),
            label_delay_s=_seconds(label_delay),
        )  # fmt: skip

    @overload
    def service(self, function: Function, /) -> Function: ...
    @overload
    def service(
        self, function: None = None, /, *, p95: str = "", cache: str = "", on_drift: OnDrift = "", workload: Workload | None = None,
        **needs: Unpack[Given],
    ) -> Decorator: ...  # fmt: skip
    def service(
        self, function: Function | None = None, /, *, p95: str = "", cache: str = "", on_drift: OnDrift = "",
        workload: Workload | None = None, **needs: Unpack[Given],
    ) -> Any:  # fmt: skip
        """What is deployed: artifacts by name, everything else is the request; `workload` says what load it has to bear.

        A generator (`-> Iterator[float]`) gives its values one by one to who asks for server-sent events, and else as a list. One whose
        request is arrays (`numpy.ndarray`), or a frame (`Annotated[polars.DataFrame, Row]`), is called once for all rows that are in hand.

        With `cache="60 s"` who asks the same within that time gets the same answer, unless a version changed. With `on_drift="retrain"` its
        models are trained again when what it is asked has drifted.
        """
        return self._declare(
            "service", function, needs, p95_s=_seconds(p95), cache_s=_seconds(cache), on_drift=_on_drift(on_drift), workload=workload
        )

    @overload
    def watch(self, function: Function, /) -> Function: ...
    @overload
    def watch(self, function: None = None, /, *, every: str = "", label_delay: str = "", **needs: Unpack[Given]) -> Decorator: ...
    def watch(self, function: Function | None = None, /, *, every: str = "", label_delay: str = "", **needs: Unpack[Given]) -> Any:
        """A check of what a service served: a parameter named like a service receives its predictions with their labels.

        With `label_delay` it is not due before the service has answered for that long.
        """
        return self._declare("watch", function, needs, every=_schedule(every), label_delay_s=_seconds(label_delay))

    @overload
    def step(self, function: Function, /) -> Function: ...
    @overload
    def step(
        self, function: None = None, /, *, each: Each = None, every: str = "", workload: Workload | None = None, **needs: Unpack[Given]
    ) -> Decorator: ...
    def step(
        self, function: Function | None = None, /, *, each: Each = None, every: str = "", workload: Workload | None = None,
        **needs: Unpack[Given],
    ) -> Any:  # fmt: skip
        """Any other function worth recording; `workload` as of `train`, or a batch of requests."""
        return self._declare("step", function, needs, each=each, every=_schedule(every), workload=workload)

    def _declare(self, decorator: str, function: Any, needs: Mapping[str, Any], **rest: Any) -> Any:
        def declare(function: Function) -> Function:
            where = inspect.unwrap(function).__code__
            declared = Declaration(
                name=function.__name__, decorator=decorator, function=function, file=where.co_filename,
                line=where.co_firstlineno, needs=_needs(function.__name__, needs, rest.get("workers", 1)), **rest,
            )  # fmt: skip
            self.declarations.append(declared)
            return function

        return declare if function is None else declare(function)


def _needs(name: str, given: Mapping[str, Any], workers: int = 1) -> Needs:
    known = {"cpu", "gpu", "memory", "time", "retries"}
    if unknown := sorted(set(given) - known):
        raise ProjectError(f"{name}: no keyword '{unknown[0]}'", why=f"a function's needs are {', '.join(sorted(known))}")
    memory, time = given.get("memory"), given.get("time")
    for need in ("cpu", "gpu", "retries"):
        if not isinstance(given.get(need, 0), int | float) or given.get(need, 0) < 0:
            raise ProjectError(f"{name}: {need}={given[need]!r} is not a number of them", next=f"write {need}=1")
    return Needs(
        cpu=float(given.get("cpu", 1.0)) * workers,
        gpu=int(given.get("gpu", 0)),
        memory_bytes=byte_count(memory) if isinstance(memory, str) else memory,
        time_s=seconds(time) if isinstance(time, str) else time,
        retries=int(given.get("retries", 0)),
    )


def _schedule(text: str) -> Schedule | None:
    return schedule(text) if text else None


def _on_drift(what: str) -> str:
    if what not in ("", "retrain"):
        raise ProjectError(f"on_drift='{what}' is not known", why="known: 'retrain'", next="write on_drift='retrain'")
    return what


def _on_nan(what: str) -> str:
    if what not in ("", "stop"):
        raise ProjectError(f"on_nan='{what}' is not known", why="known: 'stop'", next="write on_nan='stop'")
    return what


def _workers(count: int) -> int:
    if not isinstance(count, int) or count < 1:
        raise ProjectError(f"workers={count!r} is not a number of processes", next="write workers=2")
    return count


def _names(given: str | tuple[str, ...]) -> tuple[str, ...]:
    return ((given,) if given else ()) if isinstance(given, str) else tuple(given)


def _seconds(text: str) -> float | None:
    return seconds(text) if text else None


def _budget(text: str) -> Budget | None:
    return budget(text) if text else None
