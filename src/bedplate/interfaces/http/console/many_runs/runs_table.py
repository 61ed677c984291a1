"""The table of runs: what is always shown, and a column for each key that was asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal
from urllib.parse import urlencode

from bedplate.catalog.tracking.clauses import Order
from bedplate.catalog.tracking.grammar import spelt
from bedplate.catalog.tracking.overview import Key
from bedplate.catalog.tracking.tracked import TrackedRun, artifact_uri
from bedplate.interfaces.http.console.frame import path_of
from bedplate.interfaces.http.console.one_run.subject import state_of
from bedplate.interfaces.http.console.tables import Column, Link, Shape, State, Table, Value

_ALWAYS: Final[tuple[tuple[str, str, Shape, str], ...]] = (
    ("run", "Run", "text", "run_name"), ("status", "Status", "state", "status"), ("started", "Started (UTC)", "time", "start_time"),
    ("took", "Took", "seconds", ""),
)  # fmt: skip
_SHAPES: Final[dict[str, Shape]] = {"start_time": "time", "end_time": "time", "run_id": "code"}
_FALLS_FIRST: Final = frozenset({"metric"})
Query = Mapping[str, Sequence[str]]


def table(
    runs: Sequence[TrackedRun], keys: Sequence[Key], cells: Mapping[str, Mapping[Key, float | str]], *,
    query: Query, order: Order | None, token: str, now_ms: int, unsorted: frozenset[Key] = frozenset(),
) -> Table:  # fmt: skip
    """The table of a page of runs; `query` is the address that it stands at.

    What is `unsorted` was said by steps: no search sorts runs by it.
    """
    rows = [_row(run, keys, cells.get(run.id, {}), now_ms) for run in runs]
    numbers = [all(isinstance(row[len(_ALWAYS) + place], (int, float, type(None))) for row in rows) for place in range(len(keys))]
    columns = [_column(Key("attribute", sorts), key, label, shape, query, order) for key, label, shape, sorts in _ALWAYS]
    for key, is_number in zip(keys, numbers, strict=True):
        shape = _SHAPES.get(key.name, "text") if key.entity == "attribute" else "number" if is_number or key.entity == "metric" else "text"
        sorts = Key("attribute", "") if key in unsorted else key
        columns.append(_column(sorts, spelt(key.entity, key.name), key.name, shape, query, order))
    more = "?" + urlencode({**query, "token": token}, doseq=True) if token else ""
    return Table(name="runs", columns=tuple(columns), rows=rows, more=more)


def _column(sorts: Key, key: str, label: str, shape: Shape, query: Query, order: Order | None) -> Column:
    if not sorts.name:
        return Column(key, label, shape)
    is_sorted = order is not None and (order.entity, order.key) == (sorts.entity, sorts.name)
    falls = not order.descending if order is not None and is_sorted else sorts.entity in _FALLS_FIRST or sorts.name == "start_time"
    asked = {name: values for name, values in query.items() if name not in ("token", "order")}
    asked["order"] = [f"{spelt(sorts.entity, sorts.name)} {'DESC' if falls else 'ASC'}"]
    shown: Literal["", "up", "down"] = "" if order is None or not is_sorted else "down" if order.descending else "up"
    return Column(key, label, shape, href="?" + urlencode(asked, doseq=True), order=shown)


def _row(run: TrackedRun, keys: Sequence[Key], cells: Mapping[Key, float | str], now_ms: int) -> tuple[Value, ...]:
    ends = run.ended_ms if run.ended_ms is not None else now_ms if run.status == "RUNNING" else None
    took = None if ends is None else max(ends - run.started_ms, 0) / 1000
    shown = [_attribute(run, key.name) if key.entity == "attribute" else cells.get(key) for key in keys]
    return (Link(run.name or run.id, path_of("runs", run.id)), stands(run), run.started_ms, took, *shown)


def stands(run: TrackedRun) -> State:
    """How a run stands, in a word."""
    return State("deleted", "off") if run.stage == "deleted" else state_of(run.status)


def _attribute(run: TrackedRun, key: str) -> Value:
    known: dict[str, Value] = {
        "run_id": run.id, "run_name": run.name, "user_id": run.made_by, "status": stands(run), "start_time": run.started_ms,
        "end_time": run.ended_ms, "artifact_uri": artifact_uri(run.experiment, run.id),
    }  # fmt: skip
    return known[key]
