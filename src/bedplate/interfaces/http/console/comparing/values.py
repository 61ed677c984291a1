"""Params and metrics of many runs, one row for each key: those that differ first."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from bedplate.catalog.tracking.compared import KeyedStep
from bedplate.catalog.tracking.grammar import spelt
from bedplate.catalog.tracking.overview import Key
from bedplate.catalog.tracking.tracked import Named, RunDetail
from bedplate.core.records import Record
from bedplate.interfaces.http.console.frame import path_of
from bedplate.interfaces.http.console.many_runs.runs_table import stands
from bedplate.interfaces.http.console.one_run.curves import SYSTEM
from bedplate.interfaces.http.console.tables import Column, Table, Value

MOST_KEYS: Final = 400
"""Rows of the table: of runs that said more, those that differ come first."""
COLUMNS: Final = 20
"""Runs beside each other in a page of the table."""
_LONGEST: Final = 1_000


class Fact(Record, frozen=True, kw_only=False):
    """A key, and what each run says of it (None: nothing)."""

    key: Key
    values: tuple[float | str | None, ...]

    @property
    def differs(self) -> bool:
        """Whether two runs say different things of it."""
        return len(set(self.values)) > 1

    @property
    def numbers(self) -> tuple[float | None, ...] | None:
        """The values as finite numbers, where all that are said are some or no number at all; None: they are words."""
        read = [_number(value) for value in self.values]
        if any(number is None and value is not None for number, value in zip(read, self.values, strict=True)):
            return None
        return tuple(number if number is not None and math.isfinite(number) else None for number in read)


def with_steps(details: Sequence[RunDetail], steps: Mapping[str, Sequence[KeyedStep]], made: Mapping[str, RunDetail]) -> list[RunDetail]:
    """Runs of the project with what their steps said, as `step.key`; `made` are the attempts that stand for the steps, by their id."""
    found = []
    for detail in details:
        metrics, params = list(detail.metrics), list(detail.params)
        for step in steps.get(detail.run.id, ()):
            said = made.get(step.result) if step.result != detail.run.id else None
            if said is not None:
                metrics += [msgspec.structs.replace(one, key=f"{step.name}.{one.key}") for one in said.metrics]
                params += [Named(f"{step.name}.{one.key}", one.value) for one in said.params]
        found.append(msgspec.structs.replace(detail, metrics=metrics, params=params))
    return found


def facts(details: Sequence[RunDetail]) -> list[Fact]:
    """What these runs say: differing params, differing metrics, then what is the same, each by name; what machines did comes after."""
    said: dict[Key, list[float | str | None]] = {}
    for place, detail in enumerate(details):
        listed: list[tuple[Key, float | str]] = [(Key("param", one.key), one.value) for one in detail.params]
        listed += [(Key("metric", metric.key), metric.value) for metric in detail.metrics]
        for key, value in listed:
            said.setdefault(key, [None] * len(details))[place] = value
    found = [Fact(key, tuple(values)) for key, values in said.items()]
    return sorted(found, key=lambda fact: (not fact.differs, fact.key.entity != "param", fact.key.name.startswith(SYSTEM), fact.key.name))


def table(details: Sequence[RunDetail], listed: Sequence[Fact], first: int, count: int) -> Table:
    """So many of the runs from the first on, beside each other."""
    shown = details[first : first + count]
    columns = [Column("key", "")]
    columns += [Column(one.run.id, one.run.name or one.run.id, "number", href=path_of("runs", one.run.id)) for one in shown]
    rows: list[tuple[Value, ...]] = [("status", *(stands(one.run) for one in shown))]
    rows += [(spelt(fact.key.entity, fact.key.name), *map(_cell, fact.values[first : first + count])) for fact in listed]
    return Table(name="values", columns=tuple(columns), rows=rows)


def names(details: Sequence[RunDetail]) -> list[str]:
    """What each run is called on this page: its name, with the end of its id where two have the same."""
    plain = [detail.run.name or detail.run.id for detail in details]
    return [
        f"{name[:60]} ({detail.run.id[-6:]})" if plain.count(name) > 1 else name[:80] for name, detail in zip(plain, details, strict=True)
    ]


def _cell(value: float | str | None) -> Value:
    return value[:_LONGEST] if isinstance(value, str) else value


def _number(value: float | str | None) -> float | None:
    """A value as a number (not-a-number among them); None for a word or nothing."""
    if value is None or isinstance(value, float | int):
        return value
    try:
        return float(value) if len(value) <= 40 and "_" not in value else None
    except ValueError:
        return None
