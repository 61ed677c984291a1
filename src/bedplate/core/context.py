"""Context: what a running function may ask of the house.

It says what it does by emitting events through `emit`, and never does I/O of its own. `Context.test()` keeps them in a list.
Metrics, params and tags are committed with the step; progress is only shown.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Iterator, Sized
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

from .errors import UserError

Item = TypeVar("Item")


class Noted(msgspec.Struct, frozen=True, kw_only=True):
    """One thing a step said: a metric (with its training step), param, tag, artifact file or progress."""

    what: str
    name: str
    value: Any = None
    at_step: int | None = None


class Checkpoints(Protocol):
    """Where a training step keeps states to resume from: atomic, asynchronous, kept by count."""

    def save(self, at_step: int, write: Callable[[Path], None]) -> None:
        """Have `write(folder)` fill a new checkpoint; it counts only once whole. Returns before it is on disk."""
        ...

    def latest(self) -> tuple[int, Path] | None:
        """The newest whole checkpoint of this step's key, from this or an earlier attempt."""
        ...

    def wait(self) -> None:
        """Until everything saved is on disk. Raises what a write raised."""
        ...


class OthersCheckpoints:
    """The checkpoints of a rank other than 0: it finds what rank 0 keeps, and keeps nothing itself."""

    def __init__(self, kept: Checkpoints) -> None:
        self._kept = kept

    def save(self, at_step: int, write: Callable[[Path], None]) -> None:
        return None

    def latest(self) -> tuple[int, Path] | None:
        return self._kept.latest()

    def wait(self) -> None:
        return None


class NoCheckpoints:
    """Keeps nothing: the checkpoints of `Context.test()`."""

    def save(self, at_step: int, write: Callable[[Path], None]) -> None:
        return None

    def latest(self) -> tuple[int, Path] | None:
        return None

    def wait(self) -> None:
        return None


class Context:
    """The running step: its identity, seed and deadline, and where it reports.

    `seed` derives from the cache key, so that equal work draws equal numbers; `stopping()` turns true on Ctrl-C or SIGTERM, when a
    long loop should checkpoint and return. Of a step with `workers=`, this is `rank` of `world` (0 of 1 of any other); only rank 0 keeps
    checkpoints, and every rank finds them.
    """

    def __init__(
        self,
        *,
        emit: Callable[[Noted], None],
        run: str = "",
        step: str = "",
        attempt: str = "",
        seed: int = 0,
        deadline: datetime | None = None,
        stopping: Callable[[], bool] = lambda: False,
        checkpoints: Checkpoints | None = None,
        rank: int = 0,
        world: int = 1,
        stops_at_nan: bool = False,
    ) -> None:
        self.rank = rank
        self.world = world
        self._stops_at_nan = stops_at_nan
        self.run = run
        self.step = step
        self.attempt = attempt
        self.seed = seed
        self.deadline = deadline
        self.stopping = stopping
        self.checkpoints: Checkpoints = checkpoints or NoCheckpoints()
        self.random = random.Random(seed)
        self.noted: list[Noted] = []
        self._emit = emit

    @classmethod
    def test(cls, seed: int = 0) -> Context:
        """A Context for a unit test; what it was told is in `noted`."""
        noted: list[Noted] = []
        context = cls(emit=noted.append, seed=seed)
        context.noted = noted
        return context

    def metric(self, name: str, value: float, at_step: int | None = None) -> None:
        """Record a number; with `at_step`, a point of a curve.

        Raises UserError for one that is not finite where the step is declared with `on_nan="stop"`.
        """
        self._emit(Noted(what="metric", name=name, value=float(value), at_step=at_step))
        if self._stops_at_nan and not math.isfinite(value):
            raise UserError(
                f"{name} is {float(value)}{'' if at_step is None else f' at step {at_step}'}: training is stopped",
                why='on_nan="stop" is declared; the checkpoints before it are kept',
                next="a smaller learning rate, or clip the gradients; then bedplate run goes on from the last checkpoint",
            )

    def param(self, name: str, value: Any) -> None:
        """Record a choice that the settings do not show."""
        self._emit(Noted(what="param", name=name, value=value))

    def tag(self, name: str, value: str) -> None:
        """Record a label to search by."""
        self._emit(Noted(what="tag", name=name, value=str(value)))

    def artifact(self, path: Path | str, name: str = "") -> None:
        """Keep a file (a plot, a table) beside the step's record; its bytes go to the store at commit."""
        self._emit(Noted(what="file", name=name or Path(path).name, value=str(path)))

    def progress(self, items: Iterable[Item], total: int | None = None, label: str = "") -> Iterator[Item]:
        """Iterate, showing how far it is; `total` is taken from `len(items)` where it has one."""
        total = total if total is not None else (len(items) if isinstance(items, Sized) else None)
        for done, item in enumerate(items):
            self.report(done, total, label)
            yield item
        self.report(total or 0, total, label)

    def report(self, done: float, total: float | None = None, label: str = "") -> None:
        """Show how far it is."""
        self._emit(Noted(what="progress", name=label, value=[done, total]))
