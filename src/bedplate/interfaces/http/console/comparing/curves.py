"""One metric of many runs as a chart: curves laid over each other, sampled by the record, finer where one looks closer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, Literal
from urllib.parse import urlencode

from bedplate.catalog.tracking.samples import ALL, Steps
from bedplate.catalog.tracking.tracked import Metric, RunDetail
from bedplate.core.records import Record
from bedplate.interfaces.http.console.charts import Axis, Chart, Series
from bedplate.interfaces.http.console.frame import path_of, short
from bedplate.interfaces.http.door.endpoint import Desk, invalid

POINTS: Final = 3_000
"""Of all curves of a chart together; each has 30 to 500: a comparison of a hundred runs stays below 300 kB with its curves."""
_DIGITS: Final = 6
Along = Literal["step", "time", "relative"]
_AXES: Final[dict[Along, Axis]] = {
    "step": Axis("step"),
    "time": Axis("time (UTC)", "time"),
    "relative": Axis("seconds since the run began"),
}


class Stretch(Record, frozen=True, kw_only=True):
    """What is drawn: which metric, along what, on which scale, from where to where on the axis (None: all of it)."""

    key: str
    along: Along = "step"
    is_log: bool = False
    first: float | None = None
    last: float | None = None


def chart(desk: Desk, details: Sequence[RunDetail], called: Sequence[str], stretch: Stretch) -> Chart:
    """The chart; values to six digits. Raises Fault for ends of the axis that are no numbers."""
    runs = [detail.run.id for detail in details]
    limit = min(max(POINTS // max(len(runs), 1), 30), 500)
    found = _found(desk, details, stretch, limit)
    drawn = [_series(detail, name, found.get(detail.run.id, []), stretch) for detail, name in zip(details, called, strict=True)]
    odd = sum(value is None for one in drawn for value in one.y)
    note = f"{odd:,} points are no numbers, or not above 0 on this scale: they leave gaps" if odd else ""
    return Chart(
        name="curve", title=short(stretch.key), x=_AXES[stretch.along], y=Axis("", "log" if stretch.is_log else "number"),
        series=drawn if found else (), source=address(runs, stretch), note=note, live=any(one.run.status == "RUNNING" for one in details),
    )  # fmt: skip


def address(runs: Sequence[str], stretch: Stretch) -> str:
    """Where the chart is asked for."""
    asked = {"runs": ",".join(runs), "key": stretch.key, "x": stretch.along, **({"log": "1"} if stretch.is_log else {})}
    return f"/compare/curve?{urlencode(asked)}"


def _found(desk: Desk, details: Sequence[RunDetail], stretch: Stretch, limit: int) -> dict[str, list[Metric]]:
    samples = desk.catalog.tracking.samples
    runs = [detail.run.id for detail in details]
    if stretch.first is None and stretch.last is None:
        return samples.of(runs, stretch.key, limit)
    low, high = (-math.inf if stretch.first is None else stretch.first), (math.inf if stretch.last is None else stretch.last)
    if math.isnan(low) or math.isnan(high):
        raise invalid("Invalid value for parameter 'first' or 'last': a place on the axis is needed")
    if stretch.along == "step":
        steps = max(math.ceil(max(low, float(ALL[0]))), ALL[0]), min(math.floor(min(high, float(ALL[1]))), ALL[1])
        return samples.of(runs, stretch.key, limit, dict.fromkeys(runs, steps)) if steps[0] <= steps[1] else {}
    rough = samples.of(runs, stretch.key, limit)
    between: dict[str, Steps] = {}
    for detail in details:
        inside = _within([(place(one, detail, stretch.along), one.step) for one in rough.get(detail.run.id, [])], low, high)
        if inside is not None:
            between[detail.run.id] = inside
    return samples.of(runs, stretch.key, limit, between)


def _within(points: Sequence[tuple[float, int]], low: float, high: float) -> Steps | None:
    """The steps of the points that lie between two places, and of one more on each side."""
    inside = [number for number, (at, _) in enumerate(points) if low <= at <= high]
    if not inside:
        return None
    steps = [step for _, step in points[max(inside[0] - 1, 0) : inside[-1] + 2]]
    return min(steps), max(steps)


def place(point: Metric, detail: RunDetail, along: Along) -> float:
    """Where a point lies along the axis: a step, or seconds."""
    if along == "step":
        return point.step
    return point.timestamp / 1000 if along == "time" else round((point.timestamp - detail.run.started_ms) / 1000, 3)


def _series(detail: RunDetail, name: str, points: Sequence[Metric], stretch: Stretch) -> Series:
    told = sorted((place(one, detail, stretch.along), float(one.value)) for one in points)
    drawn = [_told(value, is_log=stretch.is_log) for _, value in told]
    return Series(label=name, x=[at for at, _ in told], y=drawn, href=path_of("runs", detail.run.id))


def _told(value: float, *, is_log: bool) -> float | None:
    if not math.isfinite(value) or (is_log and value <= 0):
        return None
    return float(f"{value:.{_DIGITS}g}")
