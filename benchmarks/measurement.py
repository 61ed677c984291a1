"""What a measurement is: cases that take turns, and goals that are ratios between them (or a figure of one)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from measuring import Case, Measured


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """How much to measure: `quick` for a smoke test, `all` with the slow peers; `scratch` is a folder for the work."""

    quick: bool
    all: bool
    scratch: Path
    python: str


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A figure beside its goal (None: no goal, only told). `unit` says what both are."""

    what: str
    value: float
    unit: str
    goal: float | None = None
    at_least: bool = False
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None without one."""
        if self.goal is None:
            return None
        return self.value >= self.goal if self.at_least else self.value <= self.goal


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the table in run.py: its cases for what is asked, and what follows from their samples."""

    name: str
    title: str
    cases: Callable[[Asked], Sequence[Case]]
    judge: Callable[[Sequence[Measured]], Sequence[Finding]]


class Table:
    """Samples by system and work."""

    def __init__(self, measured: Sequence[Measured]) -> None:
        self._by = {(one.system, one.work): one for one in measured}

    def __contains__(self, key: tuple[str, str]) -> bool:
        return key in self._by

    def __getitem__(self, key: tuple[str, str]) -> Measured:
        return self._by[key]

    def cpu(self, system: str, work: str) -> float:
        """Median CPU seconds."""
        return self._by[system, work].cpu

    def marginal_ms(self, system: str, small: str, big: str) -> float:
        """CPU milliseconds that each further piece costs."""
        one, other = self._by[system, small], self._by[system, big]
        return (other.cpu - one.cpu) / (other.pieces - one.pieces) * 1e3
