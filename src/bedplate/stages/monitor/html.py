"""The report as one page: no script, no font, no image and no link outside, so that it can be mailed or kept as it is.

Its own rules stand in `page.css`; the frame, tiles and keys are those of every page (`core/drawing`).
"""

from __future__ import annotations

from html import escape
from pathlib import Path

from bedplate.core.drawing.page import key, tile
from bedplate.core.drawing.page import page as frame
from bedplate.core.drawing.page import tiles as side_by_side
from bedplate.core.units import show_seconds

from . import charts
from .drift import Drift
from .quality import HEADLINE
from .report import Report
from .sides import LOSS

_CSS = Path(__file__).with_name("page.css")
_BARS, _SHAPES = 25, 6
_PERIODS = {1: "second", 60: "minute", 3600: "hour", 86400: "day", 7 * 86400: "week", 28 * 86400: "four weeks"}
_NAMES = {"auc": "AUC", "log_loss": "Log loss", "mae": "MAE", "rmse": "RMSE", "accuracy": "Accuracy", "brier": "Brier score"}


def page(report: Report) -> str:
    """The whole HTML page."""
    sections = [_head(report), _tiles(report), _findings(report)]
    if report.predictions:
        sections += [_served(report), _drift(report), _shapes(report), _sides(report), _quality(report), _notes(report)]
    return frame(f"{report.service}: what was served", sections, _CSS)


def _head(report: Report) -> str:
    when = "nothing served yet"
    if report.start and report.end:
        when = f"{report.start:%Y-%m-%d %H:%M:%S} to {report.end:%Y-%m-%d %H:%M:%S} UTC"
    versions = ", ".join(f"{escape(name)} ({n:,})" for name, n in report.versions.items())
    served = f" \u00b7 models {versions}" if versions else ""
    return f'<header><h1>{escape(report.service)}</h1><p class="soft">What was served, {when}{served}</p></header>'


def _tiles(report: Report) -> str:
    rate = f"{report.per_hour / 3600:,.0f} a second" if report.per_hour >= 36_000 else f"{report.per_hour:,.0f} an hour"
    many = [rate] if report.per_hour else []
    if report.requests < report.predictions:
        many.append(f"in {report.requests:,} requests")
    tiles = [tile(f"{report.predictions:,}", "predictions", ", ".join(many))]
    failed = report.refused + report.failed
    tiles.append(tile(f"{report.error_share:.2%}", "errors", f"{report.failed:,} failed, {report.refused:,} refused", bad=failed > 0))
    if report.latency:
        goal = report.goal_p95_ms
        missed = goal is not None and report.latency.p95 > goal
        about = "" if goal is None else f"goal {goal:.3g} ms, {'missed' if missed else 'met'}"
        tiles.append(tile(f"{report.latency.p95:.3g} ms", "latency p95", about, bad=missed))
    if report.drift:
        drifted = sum(one.drifted for one in report.drift)
        about = next((one.too_few for one in report.drift if one.few), f"PSI threshold {report.threshold:g}")
        tiles.append(tile(f"{drifted} of {len(report.drift)}", "inputs drifted", about, bad=drifted > 0))
    if report.prediction and report.prediction.psi is not None:
        word = "drifted" if report.prediction.drifted else report.prediction.too_few or "no drift"
        tiles.append(
            tile("?" if report.prediction.few else f"{report.prediction.psi:.3f}", "prediction PSI", word, bad=report.prediction.drifted)
        )
    if report.quality:
        for name in HEADLINE[report.quality.kind][:1]:
            if name in report.quality.metrics:
                tiles.append(tile(f"{report.quality.metrics[name]:.4g}", _NAMES[name], f"from {report.quality.n:,} labels"))
    return side_by_side(*tiles)


def _findings(report: Report) -> str:
    calm = ("Nothing stands out", "Nothing failed")
    items = [f"<li{' class=calm' if line.startswith(calm) else ''}>{escape(line)}</li>" for line in report.findings]
    return f'<section><h2>What stands out</h2><ul class="findings">{"".join(items)}</ul></section>'


def _served(report: Report) -> str:
    legend = key(("now", "answered"), ("refused", "refused (middle)"), ("failed", "failed (top)"))
    width = _PERIODS.get(report.bucket_s) or show_seconds(report.bucket_s)
    traffic = charts.traffic(report.traffic, report.bucket_s)
    left = f'<section><h2>Traffic</h2><p class="soft">predictions per {width}</p>{traffic}{legend}</section>'
    if report.latency is None:
        return f'<div class="pair">{left}</div>'
    about = f"answered predictions by latency, longest {report.latency.most:.3g} ms"
    drawn = charts.latency(report.latency, report.goal_p95_ms)
    return f'<div class="pair">{left}<section><h2>Latency</h2><p class="soft">{about}</p>{drawn}</section></div>'


def _columns(report: Report) -> list[Drift]:
    return [*((report.prediction,) if report.prediction else ()), *report.drift]


def _drift(report: Report) -> str:
    columns = _columns(report)
    if not columns:
        return ""
    against = []
    if report.reference:
        against.append(f"inputs against {escape(report.reference)}")
    if report.prediction_reference:
        against.append(f"predictions against {escape(report.prediction_reference)}")
    more = f" The worst {_BARS} of {len(columns)} are drawn." if len(columns) > _BARS else ""
    drawn = charts.drift_bars(columns[:_BARS], report.threshold)
    about = f"Population stability index: {'; '.join(against)}. The dark tick is what chance alone gives.{more}"
    return f'<section><h2>Drift</h2><p class="soft">{about}</p><div class="scroll bars">{drawn}</div>{_drift_table(columns)}</section>'


def _drift_table(columns: list[Drift]) -> str:
    heads = ("column", "PSI", "by chance", "KS", "JS", "missing before", "now", "outside range", "what")
    rows = []
    for one in columns:
        ks = "" if one.ks is None else f"{one.ks:.3f}"
        figures = (
            "" if one.psi is None or one.few else f"{one.psi:.3f}",
            f"{one.psi_expected:.4f}",
            ks,
            "" if one.js is None else f"{one.js:.3f}",
        )
        shares = (f"{one.nulls_before:.1%}", f"{one.nulls_now:.1%}", f"{one.outside:.1%}")
        cells = "".join(f"<td>{cell}</td>" for cell in (escape(one.column), *figures, *shares))
        rows.append(f"<tr>{cells}<td>{_what(one)}</td></tr>")
    head = "".join(f"<th>{name}</th>" for name in heads)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def _sides(report: Report) -> str:
    """Each version's answers beside the others'; nothing where one version gave all."""
    if not report.sides:
        return ""
    name = LOSS[report.quality.kind] if report.quality else "loss"
    heads = ("versions", "predictions", "failed", "p50 ms", "p95 ms", "mean", "labels", name, "beside the first", "at 95 %", "")
    rows = []
    for one in report.sides:
        figures = [f"{value:.4g}" if value is not None else "" for value in (one.p50_ms, one.p95_ms, one.mean)]
        range_ = "" if one.low is None or one.high is None else f"{one.low:+.3g} to {one.high:+.3g}"
        more = "" if one.more is None else f"{one.more:+.3g}"
        loss = "" if one.loss is None else f"{one.loss:.4g}"
        cells = (f"{one.predictions:,}", f"{one.failed:,}", *figures, f"{one.labelled:,}", loss, more, range_, one.verdict)
        rows.append(f"<tr><td>{escape(', '.join(one.versions))}</td>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    head = "".join(f"<th>{name}</th>" for name in heads)
    table = f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
    return f'<section><h2>Versions</h2><p class="soft">who answered most comes first; a lower loss is better</p>{table}</section>'


def _what(one: Drift) -> str:
    tag = '<span class="tag bad">drifted</span> ' if one.drifted else ""
    said = [one.too_few] if one.few else []
    said += [escape(reason) for reason in one.reasons if not reason.startswith("PSI")]
    if one.new:
        said.append(f"new: {escape(', '.join(one.new[:5]))}")
    if one.vanished:
        said.append(f"gone: {escape(', '.join(one.vanished[:5]))}")
    return tag + "; ".join(said)


def _shapes(report: Report) -> str:
    columns = [one for one in _columns(report) if one.shape][:_SHAPES]
    if not columns:
        return ""
    figures = []
    for one in columns:
        word = ' <span class="tag bad">drifted</span>' if one.drifted else ""
        rows = f"{one.rows_before:,} rows before, {one.rows_now:,} now"
        caption = f"<figcaption><h3>{escape(one.column)}{word}</h3>{rows}</figcaption>"
        figures.append(f"<figure>{caption}{charts.distribution(one)}</figure>")
    legend = key(("now", "now (filled)"), ("before", "reference (dashed outline, or upper bar)"))
    about = "The prediction and the columns that moved most."
    return f'<section><h2>Distributions</h2><p class="soft">{about}</p>{legend}<div class="shapes">{"".join(figures)}</div></section>'


def _quality(report: Report) -> str:
    counts = report.labels
    if not counts.given:
        text = "No labels yet: bring the truth with <code>bedplate labels FILE</code>."
        return f'<section><h2>Quality</h2><p class="soft">{text}</p></section>'
    share = f"{counts.predictions:,} of {report.answered:,} predictions have a label ({report.labelled_share:.1%})"
    odd = [f"{n:,} {what}" for n, what in ((counts.duplicates, "replaced by a later one"), (counts.unmatched, "without a prediction")) if n]
    about = f"{share}{'; labels: ' + ', '.join(odd) if odd else ''}."
    if report.quality is None:
        return f'<section><h2>Quality</h2><p class="soft">{about}</p></section>'
    figures = "".join(f"<tr><td>{_NAMES.get(n, n.replace('_', ' '))}</td><td>{v:.4g}</td></tr>" for n, v in report.quality.metrics.items())
    figures = f'<div class="scroll"><table><tbody>{figures}</tbody></table></div>'
    parts = [f'<section><h2>Quality</h2><p class="soft">{about}</p>{figures}</section>']
    if report.quality.calibration:
        drawn = charts.calibration(report.quality.calibration)
        parts.append(f'<section><h2>Calibration</h2><p class="soft">does what is predicted at 30 % happen in 30 %?</p>{drawn}</section>')
    for name in HEADLINE[report.quality.kind]:
        if sum(name in one.metrics for one in report.slices) > 1:
            when = "time served" if report.sliced_by == "at" else escape(report.sliced_by)
            said = f"by {when}, {'higher' if name in ('auc', 'accuracy') else 'lower'} is better"
            drawn = charts.over_time(report.slices, name, report.slice_s)
            parts.append(f'<section><h2>{_NAMES[name]} over time</h2><p class="soft">{said}</p>{drawn}</section>')
    return f'<div class="pair">{"".join(parts)}</div>'


def _notes(report: Report) -> str:
    lines = [escape(note) for note in report.notes]
    lines += [f"error, {n:,} times: {escape(text)}" for text, n in report.messages.items()]
    return f'<footer class="soft">{"".join(f"<p>{line}</p>" for line in lines)}</footer>' if lines else ""
