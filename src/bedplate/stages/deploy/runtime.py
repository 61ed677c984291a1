"""Which runtime a loaded model is asked by here: each that can be opened is held against the framework's own prediction, then timed.

Agreement (`agreement.py`): no prediction may lie further from the framework's than the tolerance times 1, or times its value where that is
larger; rows on which only odd values make it differ are asked of the framework.
Speed: the least of a few rounds at one row and at 32, other ones at every call, the two added up: a lone request and a full batch. What is
slow for one row is not called on the event loop, where it would hold up every other request.

Limit: agreement is measured on some rows; a runtime that computes in float32 may still take another branch of a tree on others.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import numpy as np

from bedplate.core.errors import BedplateError
from bedplate.core.model import Model, Remote, RowPredictor
from bedplate.core.records import Record
from bedplate.storage import runtimes
from bedplate.storage.runtimes import Call, Source

from .agreement import Rows, apart, probed, within

ON_LOOP_S: Final = 0.002
"""A model that takes longer for one row is asked in processes of its own, where nothing else is set."""
MANY: Final = 32
GATHERING_US: Final = 15.0
"""What it costs to make one batch of requests, for each."""
_ROUND_S: Final = 0.002
_ROUNDS: Final = 5
_LONGEST_S: Final = 0.05

REMOTE: Final = "remote"
"""What a model is asked by that another server has. Its predictions are what it means: nothing is measured, or asked, when it is loaded."""
Place = Literal["loop", "workers", "threads"]


class Tried(Record, frozen=True, kw_only=True):
    """One runtime: microseconds of a call with one row and with 32, how far it was off at most (relative to 1 or the value), or why not.

    `odd` are the rows that the framework itself is asked for, as this runtime does not agree on them.
    """

    runtime: str
    one_us: float | None = None
    many_us: float | None = None
    off: float | None = None
    odd: str = ""
    problem: str = ""


class Choice(Record, frozen=True, kw_only=True):
    """The runtime that a version is asked by here, where, and the figures behind that."""

    runtime: str
    place: Place
    tolerance: float
    tried: tuple[Tried, ...] = ()
    note: str = ""

    @property
    def gathers(self) -> bool:
        """Whether 32 requests together are so much quicker than one by one that gathering them pays."""
        best = self.best
        return (best.one_us or 0.0) - (best.many_us or 0.0) / MANY > GATHERING_US

    @property
    def best(self) -> Tried:
        """The figures of the runtime that was chosen."""
        return next(one for one in self.tried if one.runtime == self.runtime)

    def line(self) -> str:
        """For people: `compiled (3.0 us a row, 8.5 us for 32; native 15.5 and 480), on the loop`."""
        if self.runtime == REMOTE:
            return f"{REMOTE} ({self.note}), waited for in threads, requests together"
        best = self.best
        told = f"{self.runtime} ({best.one_us:.1f} us a row, {best.many_us:.1f} us for {MANY}"
        native = self.tried[0]
        beside = f"; native {native.one_us:.1f} and {native.many_us:.1f}" if native is not best else ""
        together = ", requests together" if self.gathers or self.place == "workers" else ""
        return f"{told}{beside}), {'on the loop' if self.place == 'loop' else 'in processes of its own'}{together}"


class Equipped:
    """A predictor that asks the runtime that was chosen; of the framework's own, its very methods. `crew`: the processes that predict."""

    def __init__(self, base: RowPredictor, call: Call, choice: Choice) -> None:
        self.signature = base.signature
        self.native = getattr(base, "native", None)
        self.is_remote = getattr(base, "is_remote", False)
        self.functions = getattr(base, "functions", ())
        self.choice = choice
        self.crew: Any = None
        self.matrix = base.matrix
        self.row, self.stacked = getattr(base, "row", None), getattr(base, "stacked", None)
        own = choice.runtime == runtimes.NATIVE
        self.one = _at_once(getattr(base, "numbers", None), getattr(base if own else call, "of_numbers", None))
        self.rows: Call = call
        self.wait_s: Callable[[], float] = getattr(base, "wait_s", float)
        self._own: Callable[[dict[str, Any]], Any] | None = base.predict if choice.runtime in (runtimes.NATIVE, REMOTE) else None

    def predict(self, columns: dict[str, Any]) -> Any:
        """As the framework would, in the runtime that was chosen."""
        return self._own(columns) if self._own is not None else self.rows(self.matrix(columns))


def _at_once(
    numbers: Callable[[Mapping[str, Any]], Sequence[Any] | None] | None, one: Callable[[Sequence[Any]], Any] | None
) -> Callable[[Mapping[str, Any]], Any] | None:
    """The answer for a mapping of plain numbers, None for any other; None where the framework or the runtime has no such way."""
    if numbers is None or one is None:
        return None

    def answer(values: Mapping[str, Any]) -> Any:
        given = numbers(values)
        try:
            return None if given is None else one(given)
        except OverflowError:  # a whole number that no float holds
            return None

    return answer


def equip(
    model: Model, source: Source | None, folder: Path, *, tolerance: float, timer: Callable[[], float], only: str = "",
    on_loop_s: float = ON_LOOP_S,
) -> Model:  # fmt: skip
    """The model, asked by the quickest runtime that agrees; as it is where it does not compute on rows. `only`: the one to take."""
    if source is None:
        return model
    if isinstance(model.native, Remote):
        asked = Choice(runtime=REMOTE, place="threads", tolerance=tolerance, tried=(Tried(runtime=REMOTE),), note=model.native.url)
        return model.asked_by(Equipped(source.predictor, source.predictor.rows, asked))
    choice, calls = measured(source, folder, tolerance=tolerance, timer=timer, only=only, on_loop_s=on_loop_s)
    return model.asked_by(Equipped(source.predictor, calls[choice.runtime], choice))


def measured(
    source: Source, folder: Path, *, tolerance: float, timer: Callable[[], float], only: str = "",
    on_loop_s: float = ON_LOOP_S,
) -> tuple[Choice, Mapping[str, Call]]:  # fmt: skip
    """Try every runtime that can be opened; the choice, and the calls of those that agree."""
    base, probes = source.predictor, probed(source)
    own = REMOTE if getattr(base, "is_remote", False) else runtimes.NATIVE
    calls: dict[str, Call] = {own: base.rows}
    tried = [_timed(Tried(runtime=own, off=0.0), base.rows, probes.rows, timer)]
    for name in runtimes.prepared(source, folder):
        if only and name != only:
            continue
        try:
            call = runtimes.opened(name, source, folder)
            found = apart(np.asarray(call(probes.rows)), probes.expected)
        except Exception as error:  # a framework may raise anything; the model is served by its own
            tried.append(
                Tried(runtime=name, problem=error.what if isinstance(error, BedplateError) else f"{type(error).__name__}: {error}")
            )
            continue
        if found > tolerance:
            tried.append(Tried(runtime=name, off=found, problem=f"it is off by {found:.2g}, and {tolerance:.2g} is allowed"))
            continue
        odd, calls[name] = within(call, base.rows, probes, tolerance)
        tried.append(_timed(Tried(runtime=name, off=found, odd=odd), calls[name], probes.rows, timer))
    best = min((one for one in tried if one.runtime in calls), key=lambda one: (one.one_us or 0.0) + (one.many_us or 0.0))
    if only and only in calls:
        best = next(one for one in tried if one.runtime == only)
    quick = (best.one_us or 0.0) <= on_loop_s * 1e6 or probes.expected.dtype.kind not in "fiub"
    place: Place = "threads" if own == REMOTE else "loop" if quick else "workers"
    note = source.native.url if isinstance(source.native, Remote) else ""
    return Choice(runtime=best.runtime, place=place, tolerance=tolerance, tried=tuple(tried), note=note), calls


def choice_of(model: Model) -> Choice | None:
    """The choice that a loaded model came with; None where it does not compute on rows."""
    found = getattr(model.predictor, "choice", None)
    return found if isinstance(found, Choice) else None


def _timed(tried: Tried, call: Call, probes: Rows, timer: Callable[[], float]) -> Tried:
    """A runtime with its figures: asked for one row of the probes after another, and for batches of other rows each time."""
    mixed = np.random.default_rng(1).permutation(probes)
    batches = [mixed[at : at + MANY].copy() for at in range(0, len(mixed) - MANY + 1, MANY)]
    one_us, many_us = _least_us(call, [row[None] for row in mixed], timer), _least_us(call, batches, timer)
    return msgspec.structs.replace(tried, one_us=one_us, many_us=many_us)


def _least_us(call: Call, given: Sequence[Rows], timer: Callable[[], float]) -> float:
    """Microseconds of a call: the least mean of a few rounds, of which each is long enough to be told from the clock's own step.

    What is asked differs from call to call, as it does in service: a processor learns the branches that one row takes through the trees,
    and a framework may keep what it was asked last; either makes a repeated row several times as quick as those that come.
    """
    asked = itertools.cycle(given)
    call(next(asked))
    begun = timer()
    call(next(asked))
    once = max(timer() - begun, 1e-7)
    if once > _LONGEST_S:
        return once * 1e6
    count = max(1, int(_ROUND_S / once))
    least = math.inf
    for _ in range(_ROUNDS):
        rows = list(itertools.islice(asked, count))
        begun = timer()
        for one in rows:
            call(one)
        least = min(least, (timer() - begun) / count)
    return least * 1e6


def told(choice: Choice) -> dict[str, Any]:
    """The choice for an event or a status."""
    made: dict[str, Any] = msgspec.to_builtins(choice)
    return made
