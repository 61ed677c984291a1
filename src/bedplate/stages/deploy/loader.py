"""Loader: committed versions in memory, each loaded and warmed once, however many services use it.

What fails to load is remembered with its reason and tried again after a growing pause; asking sooner gives the same failure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from bedplate.core.clock import Clock
from bedplate.core.errors import BedplateError
from bedplate.core.kinds import View
from bedplate.core.model import Model
from bedplate.core.records import Version

from .service import ColumnType, Wanted

_PAUSES_S: Final = (1.0, 2.0, 5.0, 15.0, 60.0)

Key = tuple[str, View]
Load = Callable[[Version, View, dict[str, Any] | None], Any]
"""Gives a committed version as a view: `store.load`."""
Describe = Callable[[Any], dict[str, ColumnType]]
"""Gives the columns of a view of features."""


class Held(msgspec.Struct, frozen=True, eq=False):
    """A version in memory: the view of it, the columns that a features view gives, and whether a model gives several values per row."""

    value: Any
    columns: dict[str, ColumnType]
    wide: bool


class Failure(msgspec.Struct, frozen=True):
    """A version that would not load: why, how often it was tried, and when (monotonic seconds) to try again."""

    ref: str
    reason: str
    tries: int
    again_at: float


class Loader:
    """Keeps what it loaded until `keep` says what is still used."""

    def __init__(self, load: Load, describe: Describe, clock: Clock) -> None:
        self.failures = 0
        self._load = load
        self._describe = describe
        self._clock = clock
        self._held: dict[Key, Held] = {}
        self._failed: dict[Key, Failure] = {}

    def get(self, version: Version, wanted: Wanted) -> Held | Failure:
        """The version as the parameter wants it, or why it cannot be had now."""
        key = (version.ref, wanted.view)
        if key in self._held:
            return self._held[key]
        failure = self._failed.get(key)
        if failure is not None and failure.again_at > self._clock.monotonic():
            return failure
        try:
            held = self._hold(version, wanted)
        except Exception as error:  # a framework may raise anything while it loads; the version that serves is kept
            return self._fail(key, error, failure.tries + 1 if failure else 1)
        self._failed.pop(key, None)
        self._held[key] = held
        return held

    def keep(self, used: set[Key]) -> None:
        """Forget everything else."""
        self._held = {key: value for key, value in self._held.items() if key in used}
        self._failed = {key: value for key, value in self._failed.items() if key in used}

    def due(self) -> bool:
        """Whether a failed version should be tried again now."""
        now = self._clock.monotonic()
        return any(failure.again_at <= now for failure in self._failed.values())

    def _hold(self, version: Version, wanted: Wanted) -> Held:
        """Load and warm: a first use that fails here is a failure to load, and the first request is not the slow one.

        A model that another server has is not asked to predict for that: it has said that it is there.
        """
        value = self._load(version, wanted.view, wanted.spec)
        if isinstance(value, Model) and value.is_remote:
            return Held(value, {}, len(value.signature.outputs) > 1)
        if isinstance(value, Model) and value.example is not None:
            return Held(value, {}, len(getattr(value.predict(value.example), "shape", ())) > 1)
        if wanted.view == "features":
            value.at(dict.fromkeys((*value.spec.entity, value.spec.time)))
            value["" if len(value.spec.entity) == 1 else ("",) * len(value.spec.entity)]
            return Held(value, self._describe(value), False)
        return Held(value, {}, False)

    def _fail(self, key: Key, error: Exception, tries: int) -> Failure:
        self.failures += 1
        pause = _PAUSES_S[min(tries, len(_PAUSES_S)) - 1]
        self._failed[key] = Failure(key[0], reason(error), tries, self._clock.monotonic() + pause)
        return self._failed[key]


def reason(error: Exception) -> str:
    """One line of what went wrong."""
    return error.what if isinstance(error, BedplateError) else f"{type(error).__name__}: {error}"
