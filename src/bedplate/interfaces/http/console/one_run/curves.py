"""Curves of a run: at most a thousand points of each, sampled by the record; a stretch that is zoomed into has every point in the end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlencode

from bedplate.catalog.tracking.tracked import Metric
from bedplate.core.records import Record
from bedplate.interfaces.http.console.charts import Axis, Chart, Series
from bedplate.interfaces.http.console.frame import path_of, short
from bedplate.interfaces.http.console.tables import Column, State, Table, Value
from bedplate.interfaces.http.door.endpoint import Desk, Fault, invalid

from .subject import Subject

SYSTEM: Final = "system/"
"""What the names of the curves of a machine begin with, as MLflow's client logs them."""
POINTS: Final = 1000
_MOST_CSV: Final = 25_000
_PAGE: Final = 24
_LEAST, _GREATEST = -(2**63), 2**63 - 1
_COLUMNS: Final = (
    Column("key", "Key"),
    Column("latest", "Latest value", "number"),
    Column("step", "At step", "number"),
    Column("at", "When (UTC)", "time"),
)


class Stretch(Record, frozen=True, kw_only=True):
    """What of a curve is asked for: between two steps (None: from the beginning, to the end), on which scale."""

    key: str
    first: float | None = None
    last: float | None = None
    is_log: bool = False


class Keys(Record, frozen=True, kw_only=True):
    """A page of a run's keys: those with a curve, and all in a table; how many fit, where the pages before and after begin (-1: none)."""

    table: Table
    curves: tuple[tuple[str, str], ...]
    whole: int
    first: int
    before: int
    after: int


def drawn(desk: Desk, run: str, stretch: Stretch, *, live: bool) -> Chart:
    """A stretch of one curve. Raises Fault for a stretch that no curve has."""
    return chart_of(_points(desk, run, stretch, POINTS), run, stretch, live=live)


def whole(desk: Desk, run: str, stretch: Stretch) -> Chart:
    """The same with up to 25,000 points, to be taken away."""
    return chart_of(_points(desk, run, stretch, _MOST_CSV), run, stretch, live=False)


def chart_of(points: Sequence[Metric], run: str, stretch: Stretch, *, live: bool) -> Chart:
    """Points as a chart: what has no place on it is left out, and told."""
    xs, ys, odd, low = [], [], 0, 0
    for one in points:
        value = float(one.value)
        odd += not math.isfinite(value)
        is_low = stretch.is_log and value <= 0
        low += is_low
        xs.append(float(one.step))
        ys.append(None if is_low or not math.isfinite(value) else value)
    notes = []
    if odd:
        notes.append(f"{odd:,} of these {len(xs):,} points are no numbers ({', '.join(_odd_words(points))}): they leave gaps")
    if low:
        notes.append(f"{low:,} are not above 0 and have no place on this scale")
    if len(xs) > POINTS // 2:
        notes.append(f"drawn by {len(xs):,} points: what is zoomed into has more, if there are")
    series = Series(label=short(stretch.key, 60), x=xs, y=ys)
    return Chart(
        name="curve", title=short(stretch.key), x=Axis(label="step"), y=Axis(label="", shape="log" if stretch.is_log else "number"),
        series=(series,) if xs else (), source=address(run, stretch.key, is_log=stretch.is_log), live=live, note="; ".join(notes),
    )  # fmt: skip


def address(run: str, key: str, *, is_log: bool = False) -> str:
    """Where the chart of a curve is asked for."""
    asked = {"key": key, **({"scale": "log"} if is_log else {})}
    return f"{path_of('runs', run, 'curve')}?{urlencode(asked)}"


def keys(desk: Desk, found: Subject, *, system: bool, wanted: str = "", first: int = 0, is_log: bool = False) -> Keys:
    """A page of the keys that have `wanted` in them; those of the machine, or the others."""
    seek = wanted.strip().lower()
    fit = [one for one in found.detail.metrics if one.key.startswith(SYSTEM) == system and seek in one.key.lower()]
    first = min(max(first, 0), max(len(fit) - 1, 0)) // _PAGE * _PAGE
    listed = fit[first : first + _PAGE]
    history = desk.catalog.tracking.curves.history
    curved = [one.key for one in listed if len(history(found.id, one.key, 2)[0]) > 1]
    table = Table(
        name="metrics", columns=_COLUMNS, rows=[_row(one) for one in listed],
        empty=f"No key has '{short(wanted, 40)}' in it." if wanted else "No metrics yet.",
        command="" if wanted else "mlflow.log_metric(\"loss\", 0.5, step=1)",
    )  # fmt: skip
    after = first + _PAGE if first + _PAGE < len(fit) else -1
    curves = tuple((key, address(found.id, key, is_log=is_log)) for key in curved)
    return Keys(table=table, curves=curves, whole=len(fit), first=first, before=first - _PAGE if first else -1, after=after)


def told(value: float | str) -> Value:
    """A value of a metric as a cell: what is no number is a state with its word."""
    return State(value, "warn") if isinstance(value, str) else value


def _row(one: Metric) -> tuple[Value, ...]:
    return one.key, told(one.value), one.step, one.timestamp


def _points(desk: Desk, run: str, stretch: Stretch, most: int) -> list[Metric]:
    ends = [_step(stretch.first, math.ceil), _step(stretch.last, math.floor)]
    return desk.catalog.tracking.curves.sampled(run, stretch.key, most, *ends)


def _step(given: float | None, rounded: Any) -> int | None:
    if given is None:
        return None
    if not math.isfinite(given):
        raise invalid("Invalid value for parameter 'first' or 'last': a step is needed")
    return min(max(int(rounded(given)), _LEAST), _GREATEST)


def _odd_words(points: Sequence[Metric]) -> list[str]:
    return sorted({one.value for one in points if isinstance(one.value, str)})


def need_scale(scale: str) -> bool:
    """Whether a scale is the logarithmic one. Raises Fault for one that there is not."""
    if scale not in ("", "log"):
        raise Fault("INVALID_PARAMETER_VALUE", "Invalid value for parameter 'scale': log, or nothing")
    return scale == "log"
