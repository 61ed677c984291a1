"""A report on a terminal: traffic, latency beside its goal, what stands out, drift by column, quality by time.

Marks carry the meaning, colour only helps: x drifted or missed, + met, ! stands out, = all is well.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from rich.console import Console
from rich.markup import escape

from bedplate.core.units import show_seconds
from bedplate.stages.monitor.drift import Drift
from bedplate.stages.monitor.quality import HEADLINE
from bedplate.stages.monitor.report import Report
from bedplate.stages.monitor.sides import LOSS
from bedplate.stages.monitor.window import Bucket

from .blocks import bar, sparkline
from .common import table

_BAR, _SHORT_BAR, _SPARK, _COLUMNS, _SLICES = 24, 12, 60, 16, 12
_WIDE = 108
"""Columns of a terminal from which everything has room; a narrower one gets short bars and fewer figures (the page has all)."""


def draw(out: Console, report: Report) -> None:
    """Print the report."""
    out.print(f"\n[bold]{escape(report.service)}[/bold]  {_when(report)}")
    if not report.predictions:
        _findings(out, report)
        return
    _head(out, report)
    _findings(out, report)
    _parity(out, report)
    _drift(out, report)
    _sides(out, report)
    _quality(out, report)
    for note in report.notes:
        out.print(f"[dim]note: {escape(note)}[/dim]")


def _when(report: Report) -> str:
    if report.start is None or report.end is None:
        return "[dim]nothing served[/dim]"
    end = f"{report.end:%H:%M:%S}" if report.start.date() == report.end.date() else f"{report.end:%Y-%m-%d %H:%M:%S}"
    versions = ", ".join(f"{name} ({n:,})" for name, n in report.versions.items())
    return f"{report.start:%Y-%m-%d %H:%M:%S} to {end} UTC{f'   models {versions}' if versions else ''}"


def _head(out: Console, report: Report) -> None:
    rate = f"{report.per_hour / 3600:,.0f} a second" if report.per_hour >= 36_000 else f"{report.per_hour:,.0f} an hour"
    counts = [slot.predictions for slot in _slots(report.traffic, report.bucket_s)]
    facts = table("", "", "")
    many = f"in {report.requests:,} requests" if report.requests < report.predictions else rate if report.per_hour else ""
    facts.add_row("predictions", f"[bold]{report.predictions:,}[/bold]", many)
    style = "bold red" if report.failed else ""
    errors = f"{report.failed:,} failed, {report.refused:,} refused"
    facts.add_row("errors", f"[{style or 'bold'}]{report.error_share:.2%}[/]", errors)
    if report.latency is not None:
        facts.add_row("latency p95", f"[bold]{report.latency.p95:.3g} ms[/bold]", _latency(report, out.width >= _WIDE))
    if report.labels.given:
        facts.add_row("labels", f"[bold]{report.labels.predictions:,}[/bold]", f"{report.labelled_share:.1%} of what was answered")
    facts.show_header = False
    out.print(facts)
    per = f"a column per {show_seconds(report.bucket_s)}, at most {max(counts):,}"
    out.print(f"traffic  [cyan]{sparkline(counts, _SPARK)}[/cyan]  [dim]{per}[/dim]")


def _latency(report: Report, wide: bool) -> str:
    found, goal = report.latency, report.goal_p95_ms
    assert found is not None
    rest = f"p50 {found.p50:.3g}, p99 {found.p99:.3g}{f', most {found.most:.3g}' if wide else ''} ms"
    if goal is None:
        return rest
    met = found.p95 <= goal
    colour = "green" if met else "red"
    drawn = bar(found.p95, goal * 1.25, _BAR if wide else _SHORT_BAR, goal)
    return f"[{colour}]{drawn}[/] goal {goal:.3g} ms [{colour}]{'+ met' if met else 'x missed'}[/]; {rest}"


def _findings(out: Console, report: Report) -> None:
    out.print("\n[bold]What stands out[/bold]")
    for line in report.findings:
        calm = line.startswith(("Nothing", "1 model", "2 model"))
        out.print(f" [{'green' if calm else 'bold yellow'}]{'=' if calm else '!'}[/] {escape(line)}")


def _parity(out: Console, report: Report) -> None:
    """One line for each view whose rows were served."""
    compared = [one for one in report.parity if one.compared]
    if not compared:
        return
    out.print("\n[bold]Parity[/bold] [dim]features as they were served, and as they were known then[/dim]")
    for one in compared:
        mark = "[green]=[/]" if one.equal == one.compared else "[bold red]x[/]"
        untold = f"; {one.untold:,} more are in the log without what they were asked for" if one.untold else ""
        share = f"{one.share:.1%}" if one.equal == one.compared else f"{min(one.share, 0.999):.1%}"
        figures = f"{one.equal:,} of {one.compared:,} equal ({share})"
        out.print(f" {mark} [bold]{escape(one.view)}[/bold]  {figures}, by {escape(one.reference)}{untold}", soft_wrap=True)


def _drift(out: Console, report: Report) -> None:
    every = [*([report.prediction] if report.prediction else []), *report.drift]
    if not every:
        return
    out.print("\n[bold]Drift[/bold]")
    if report.reference:
        out.print(f"[dim]inputs against {escape(report.reference)}[/dim]")
    if report.prediction_reference:
        out.print(f"[dim]predictions against {escape(report.prediction_reference)}[/dim]")
    wide = out.width >= _WIDE
    more = ("#chance", "#KS", "#missing") if wide else ()
    drawn = table("", "column", "#PSI", f"│ is {report.threshold:g}", *more, "then and now")
    for one in every[:_COLUMNS]:
        drawn.add_row(*_row(one, report.threshold, wide))
    out.print(drawn)
    if len(every) > _COLUMNS:
        left = len(every) - _COLUMNS
        out.print(f"[dim]and {left} column{'s' if left > 1 else ''} that moved less: see the page[/dim]")


def _sides(out: Console, report: Report) -> None:
    """Each version's answers beside the others'."""
    if not report.sides:
        return
    name = LOSS[report.quality.kind] if report.quality else "loss"
    out.print("\n[bold]Versions[/bold] [dim]who answered most comes first; a lower loss is better[/dim]")
    drawn = table("versions", "#predictions", "#failed", "#p95 ms", "#labels", f"#{name}", "beside the first, at 95 %")
    for one in report.sides:
        figures = [f"{value:.4g}" if value is not None else "" for value in (one.p95_ms, one.loss)]
        beside = "" if one.low is None else f"{one.low:+.3g} to {one.high:+.3g} {one.verdict}"
        drawn.add_row(
            escape(", ".join(one.versions)), f"{one.predictions:,}", f"{one.failed:,}", figures[0], f"{one.labelled:,}", figures[1], beside
        )
    out.print(drawn)


def _row(one: Drift, threshold: float, wide: bool) -> tuple[str, ...]:
    mark = "[bold red]x[/bold red]" if one.drifted else ""
    colour = "red" if one.drifted else "cyan"
    psi = "" if one.psi is None or one.few else f"{one.psi:.3f}"
    drawn = f"[{colour}]{bar(one.psi or 0.0, threshold * 2.5, _BAR if wide else _SHORT_BAR, threshold)}[/]"
    if one.few:
        drawn = f"[dim]{one.too_few}[/dim]"
    missing = f"{one.nulls_before:.1%} -> {one.nulls_now:.1%}" if max(one.nulls_before, one.nulls_now) >= 0.0005 else ""
    ks = "" if one.ks is None else f"{one.ks:.3f}"
    name = f"[bold]{escape(one.column)}[/bold]" if one.drifted or one.column == "prediction" else escape(one.column)
    more = (f"{one.psi_expected:.3f}" if one.psi is not None else "", ks, missing) if wide else ()
    return mark, name, psi, drawn, *more, _change(one)


def _change(one: Drift) -> str:
    if one.kind == "time":
        return "time: no alarm"
    if one.mean_before is not None and one.mean_now is not None:
        return f"mean {one.mean_before:.4g} -> {one.mean_now:.4g}"
    said = [f"new: {', '.join(one.new[:3])}"] if one.new else []
    said += [f"gone: {', '.join(one.vanished[:3])}"] if one.vanished else []
    if not said and one.shape:
        widest = max(one.shape, key=lambda bar: abs(bar.now - bar.before))
        said = [f"{widest.label} {widest.before:.1%} -> {widest.now:.1%}"]
    return escape("; ".join(said))


def _quality(out: Console, report: Report) -> None:
    out.print("\n[bold]Quality[/bold]")
    if report.quality is None:
        given = report.labels.given
        out.print(
            f"{given:,} labels, of which none can be compared with a prediction"
            if given
            else "no labels yet: bedplate labels FILE brings them"
        )
        return
    out.print("  ".join(f"{name.replace('_', ' ')} [bold]{value:.4g}[/bold]" for name, value in report.quality.metrics.items()))
    names = [name for name in HEADLINE[report.quality.kind] if any(name in one.metrics for one in report.slices)]
    if len(report.slices) < 2 or not names:
        return
    first = names[0]
    most = max(one.metrics.get(first, 0.0) for one in report.slices)
    by = "served" if report.sliced_by == "at" else report.sliced_by
    drawn = table(f"{by} from", "#predictions", "#labels", "#mean", *(f"#{name.replace('_', ' ')}" for name in names), "")
    for one in report.slices[-_SLICES:]:
        figures = [f"{one.metrics[name]:.4g}" if name in one.metrics else "" for name in names]
        mean = "" if one.predicted is None else f"{one.predicted:.4g}"
        lines = f"[cyan]{bar(one.metrics.get(first, 0.0), most, _BAR if out.width >= _WIDE else _SHORT_BAR)}[/]"
        drawn.add_row(_moment(one.at, report.slice_s), f"{one.n:,}", f"{one.labelled:,}", mean, *figures, lines)
    out.print(drawn)


def _moment(at: datetime, width_s: int) -> str:
    return at.strftime("%Y-%m-%d" if width_s >= 86400 else "%Y-%m-%d %H:%M" if width_s >= 60 else "%H:%M:%S")


def _slots(traffic: tuple[Bucket, ...], width_s: int) -> list[Bucket]:
    """The buckets with empty ones between them, where nothing was served."""
    if not traffic:
        return []
    found = {bucket.at: bucket for bucket in traffic}
    at, slots = traffic[0].at, list[Bucket]()
    while at <= traffic[-1].at and len(slots) < 1000:
        slots.append(found.get(at) or Bucket(at=at, predictions=0, refused=0, failed=0, p95_ms=None))
        at += timedelta(seconds=width_s)
    return slots
