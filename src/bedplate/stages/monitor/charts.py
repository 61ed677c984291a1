"""Inline SVG charts of a report. Pure: records in, markup out; every text from outside is escaped.

Each chart is a fixed drawing in user units that scales with its width; colours come from the page's style sheet, and nothing is said
by colour alone: bars carry their figure, alarms a word, series a dash or an outline.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from html import escape

from bedplate.core.drawing.svg import decades, drawing, line, rect, scale, text, ticks

from .drift import Bar, Drift
from .quality import CalibrationBin
from .window import Bucket, Latency, Slice

_WIDE, _LEFT, _RIGHT = 520.0, 46.0, 10.0


def traffic(buckets: Sequence[Bucket], width_s: int) -> str:
    """Predictions over time: answered, refused and failed on top of each other."""
    top, bottom = 10.0, 150.0
    first = buckets[0].at
    slots = max(int((buckets[-1].at - first).total_seconds() // width_s) + 1, 1)
    most = max(bucket.predictions for bucket in buckets)
    marks = ticks(most, 1)
    y = scale(0, marks[-1], bottom, top)
    step = (_WIDE - _LEFT - _RIGHT) / slots
    parts = _level_lines(marks, y, lambda v: f"{v:,.0f}")
    for bucket in buckets:
        x = _LEFT + step * ((bucket.at - first).total_seconds() // width_s)
        base = 0
        answered = bucket.predictions - bucket.refused - bucket.failed
        told = f"{_when(bucket.at, width_s)}: {bucket.predictions:,} predictions, {bucket.refused:,} refused, {bucket.failed:,} failed"
        parts.append(f"<g><title>{told}</title>")
        for n, style in ((answered, "bar-now"), (bucket.refused, "bar-refused"), (bucket.failed, "bar-failed")):
            if n:
                parts.append(rect(x + step * 0.08, y(base + n), step * 0.84, y(base) - y(base + n), style))
                base += n
        parts.append("</g>")
    parts += _time_axis([first, buckets[len(buckets) // 2].at, buckets[-1].at], bottom, width_s)
    return drawing(_WIDE, 172, parts, f"Predictions over time, at most {most:,} in one bucket")


def latency(one: Latency, goal_ms: float | None) -> str:
    """The histogram of latency on a logarithmic axis, with percentiles and the goal."""
    top, bottom = 40.0, 150.0
    low, high = one.edges[0], one.edges[-1]
    if goal_ms is not None:
        low, high = min(low, goal_ms * 0.9), max(high, goal_ms * 1.1)
    x = scale(math.log(low), math.log(high), _LEFT, _WIDE - _RIGHT)
    marks = ticks(max(one.counts), 1)
    y = scale(0, marks[-1], bottom, top)
    parts = _level_lines(marks, y, lambda v: f"{v:,.0f}")
    for i, n in enumerate(one.counts):
        a, b = x(math.log(one.edges[i])), x(math.log(one.edges[i + 1]))
        title = f"{_ms(one.edges[i])} to {_ms(one.edges[i + 1])}: {n:,}"
        parts.append(f"<g><title>{title}</title>{rect(a + 0.5, y(n), max(b - a - 1, 0.5), bottom - y(n), 'bar-now')}</g>")
    for row, (name, value) in enumerate((("p50", one.p50), ("p95", one.p95), ("p99", one.p99))):
        at = x(math.log(max(value, low)))
        height = 10 + 11 * row
        parts.append(line(at, height + 2, at, bottom, "mark") + text(at + 3, height + 6, f"{name} {_ms(value)}", "strong"))
    if goal_ms is not None:
        at = x(math.log(goal_ms))
        parts.append(line(at, top - 2, at, bottom, "limit") + text(at - 3, top + 8, f"goal p95 {_ms(goal_ms)}", "bad", "end"))
    for value in decades(low, high):
        parts.append(text(x(math.log(value)), bottom + 14, _ms(value), "", "middle"))
    return drawing(_WIDE, 172, parts, f"Latency: p50 {_ms(one.p50)}, p95 {_ms(one.p95)}, p99 {_ms(one.p99)}")


def drift_bars(drifts: Sequence[Drift], threshold: float) -> str:
    """PSI per column as bars, with the threshold as a line and what chance alone gives as a tick."""
    wide, left, row, top = 1060.0, 190.0, 24.0, 26.0
    most = max([threshold * 1.6, *(min(d.psi or 0.0, threshold * 8) for d in drifts if not d.few)])
    x = scale(0, most, left, wide - 150)
    bottom = top + row * len(drifts)
    parts = []
    for i, one in enumerate(drifts):
        value, y = 0.0 if one.few else one.psi or 0.0, top + row * i
        label = one.column if len(one.column) <= 27 else f"{one.column[:26]}\u2026"
        end = x(min(value, most))
        figure = "not comparable" if one.psi is None else "" if one.few else f"{value:.3f}"
        word = (
            "drifted"
            if one.drifted
            else "time, no alarm"
            if one.kind == "time"
            else one.too_few or ("within chance" if value > threshold else "")
        )
        beyond = " \u2192" if value > most else ""
        parts.append(f"<g><title>{escape(one.column)}: PSI {figure or one.too_few}, by chance about {one.psi_expected:.4f}</title>")
        parts.append(text(left - 10, y + 15, label, "strong", "end"))
        parts.append(rect(left, y + 4, max(end - left, 1), row - 9, "bar-now" if one.drifted else "bar-now fair"))
        chance = x(min(one.psi_expected, most))
        parts.append(line(chance, y + 2, chance, y + row - 3, "chance"))
        parts.append(text(max(end, chance) + 7, y + 15, f"{figure}{beyond} {word}".strip(), "bad" if one.drifted else ""))
        parts.append("</g>")
    at = x(threshold)
    parts.append(line(at, top - 8, at, bottom, "limit") + text(at, top - 13, f"threshold {threshold:g}", "bad", "middle"))
    parts.append(line(left, top - 4, left, bottom, "axis"))
    return drawing(wide, bottom + 6, parts, "Population stability index per column")


def distribution(one: Drift) -> str:
    """The reference as a dashed outline, the window as filled bars."""
    wide, tall, bottom = 310.0, 118.0, 98.0
    if one.kind in ("text", "bool"):
        return _category_bars(one.shape[:8], wide)
    most = max(max(bar.before, bar.now) for bar in one.shape) or 1.0
    y = scale(0, most, bottom, 6)
    step = wide / len(one.shape)
    parts, outline = [], []
    for i, bar in enumerate(one.shape):
        title = f"from {bar.label}: reference {bar.before:.1%}, now {bar.now:.1%}"
        parts.append(f"<g><title>{escape(title)}</title>{rect(i * step + 0.5, y(bar.now), step - 1, bottom - y(bar.now), 'bar-now')}</g>")
        outline += [f"{i * step:.1f},{y(bar.before):.1f}", f"{(i + 1) * step:.1f},{y(bar.before):.1f}"]
    points = " ".join([f"0,{bottom:.1f}", *outline, f"{wide:.1f},{bottom:.1f}"])
    parts.append(f'<polygon class="area-before" points="{points}"/><polyline class="line-before" points="{points}"/>')
    parts.append(line(0, bottom, wide, bottom, "axis"))
    for i, anchor in ((0, "start"), (len(one.shape) // 2, "middle"), (len(one.shape) - 1, "end")):
        if anchor == "start" or len(one.shape) > 2:
            parts.append(text({"start": 0, "middle": wide / 2, "end": wide}[anchor], bottom + 14, _axis_value(one, i), "", anchor))
    return drawing(wide, tall, parts, f"Distribution of {one.column}: reference and now")


def over_time(slices: Sequence[Slice], name: str, width_s: int) -> str:
    """One figure of quality over time, a point per slice with labels."""
    known = [one for one in slices if name in one.metrics]
    top, bottom = 16.0, 140.0
    values = [one.metrics[name] for one in known]
    low, high = min(values), max(values)
    room = max((high - low) * 0.35, abs(high) * 0.05, 1e-6)
    y = scale(low - room, high + room, bottom, top)
    first, last = slices[0].at, slices[-1].at
    span = max((last - first).total_seconds(), 1.0)
    x = scale(0, span, _LEFT + 12, _WIDE - _RIGHT - 24)
    parts = _level_lines([low - room, (low + high) / 2, high + room], y, lambda v: f"{v:.3g}")
    places = [(x((one.at - first).total_seconds()), y(one.metrics[name])) for one in known]
    parts.append(f'<polyline class="line-now" points="{" ".join(f"{a:.1f},{b:.1f}" for a, b in places)}"/>')
    for one, (a, b) in zip(known, places, strict=True):
        told = f"{_when(one.at, width_s)}: {name} {one.metrics[name]:.4g} from {one.labelled:,} labels"
        parts.append(f'<g><title>{told}</title><circle class="dot" cx="{a:.1f}" cy="{b:.1f}" r="4.5"/></g>')
        parts.append(text(a, b - 9, f"{one.metrics[name]:.3g}", "strong", "middle"))
    parts += _time_axis([first, first + (last - first) / 2, last], bottom, width_s)
    return drawing(_WIDE, 162, parts, f"{name} over time")


def calibration(bins: Sequence[CalibrationBin]) -> str:
    """Predicted against actual share; on the dashed diagonal the model is right in level."""
    left, top, size = 46.0, 8.0, 190.0
    x, y = scale(0, 1, left, left + size), scale(0, 1, top + size, top)
    total = sum(one.n for one in bins)
    parts = []
    for value in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(line(left, y(value), left + size, y(value), "grid") + text(left - 6, y(value) + 4, f"{value:.0%}", "", "end"))
        parts.append(text(x(value), top + size + 16, f"{value:.0%}", "", "middle"))
    parts.append(line(x(0), y(0), x(1), y(1), "line-before"))
    parts.append(f'<polyline class="line-now" points="{" ".join(f"{x(b.predicted):.1f},{y(b.actual):.1f}" for b in bins)}"/>')
    for one in bins:
        told = f"predicted {one.predicted:.1%}, came true {one.actual:.1%}, {one.n:,} predictions"
        radius = 3 + 6 * math.sqrt(one.n / total)
        centre = f'cx="{x(one.predicted):.1f}" cy="{y(one.actual):.1f}"'
        parts.append(f'<g><title>{told}</title><circle class="dot" {centre} r="{radius:.1f}"/></g>')
    parts.append(text(left + size / 2, top + size + 34, "predicted", "", "middle"))
    parts.append(text(left + size + 14, y(1) + 4, "came true (upwards)", ""))
    parts.append(text(left + size + 14, y(1) + 22, "dashed: right in level", ""))
    parts.append(text(left + size + 14, y(1) + 40, "larger dot: more predictions", ""))
    return drawing(_WIDE, top + size + 40, parts, "Calibration: predicted against actual share")


def _category_bars(bars: Sequence[Bar], wide: float) -> str:
    row, left = 22.0, 92.0
    most = max(max(bar.before, bar.now) for bar in bars) or 1.0
    x = scale(0, most, left, wide - 96)
    parts = []
    for i, bar in enumerate(bars):
        y = row * i + 2
        label = bar.label if len(bar.label) <= 13 else f"{bar.label[:12]}\u2026"
        parts.append(f"<g><title>{escape(bar.label)}: reference {bar.before:.1%}, now {bar.now:.1%}</title>")
        parts.append(text(left - 6, y + 13, label or "(empty)", "", "end"))
        parts.append(rect(left, y + 1, max(x(bar.before) - left, 0.5), 7, "bar-before"))
        parts.append(rect(left, y + 9, max(x(bar.now) - left, 0.5), 7, "bar-now"))
        parts.append(text(max(x(bar.before), x(bar.now)) + 6, y + 13, f"{bar.before:.1%} \u2192 {bar.now:.1%}", "") + "</g>")
    return drawing(wide, row * len(bars) + 4, parts, "Shares of categories: reference and now")


def _axis_value(one: Drift, at: int) -> str:
    value = float(one.shape[at].label)
    if one.kind == "time" and value > 86400 * 365:
        return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%d")
    return f"{value:,.4g}" if abs(value) < 10_000 else f"{value:,.0f}"


def _level_lines(marks: Sequence[float], y: Callable[[float], float], show: Callable[[float], str]) -> list[str]:
    return [line(_LEFT, y(v), _WIDE - _RIGHT, y(v), "grid") + text(_LEFT - 7, y(v) + 4, show(v), "", "end") for v in marks]


def _time_axis(times: Sequence[datetime], bottom: float, width_s: int) -> list[str]:
    if times[0] == times[-1]:
        times = times[:1]
    places = ((_LEFT, "start"), (_LEFT + (_WIDE - _LEFT - _RIGHT) / 2, "middle"), (_WIDE - _RIGHT, "end"))
    return [text(place, bottom + 16, _when(at, width_s), "", anchor) for at, (place, anchor) in zip(times, places, strict=False)]


def _when(at: datetime, width_s: int) -> str:
    return at.strftime("%Y-%m-%d" if width_s >= 86400 else "%m-%d %H:%M" if width_s >= 60 else "%H:%M:%S")


def _ms(value: float) -> str:
    if value >= 1000:
        return f"{value / 1000:.3g} s"
    return f"{value:.3g} ms" if value >= 0.1 else f"{value * 1000:.3g} \u00b5s"
