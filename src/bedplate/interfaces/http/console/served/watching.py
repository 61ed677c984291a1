"""The report on what was served, as tables and charts: drift of each feature, quality when labels came, parity."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

from bedplate.interfaces.http.console.charts import Axis, Chart, Series
from bedplate.interfaces.http.console.tables import Column, State, Table, Value

_DRAWN: Final = 8
_SOME: Final = 0.0005
"""A share of missing values that is told."""
_OVER_TIME: Final = {
    "auc": "AUC", "log_loss": "Log loss", "mae": "Mean absolute error", "rmse": "Root mean squared error", "accuracy": "Accuracy",
}  # fmt: skip
_DRIFT: Final = (
    Column("column", "Feature"), Column("state", "Status", "state"), Column("psi", "PSI", "number"),
    Column("alarm", "Alarm above", "number"),
    Column("ks", "KS", "number"), Column("js", "JS", "number"), Column("before", "Mean in training", "number"),
    Column("now", "Mean served", "number"), Column("missing", "Missing", "text"), Column("why", "Why", "words"),
)  # fmt: skip
_PARITY: Final = (
    Column("view", "Features"), Column("reference", "Compared with"), Column("compared", "Rows", "number"),
    Column("equal", "Equal", "number"), Column("state", "Status", "state"),
    Column("late", "Came late", "number"), Column("rewritten", "Rewritten", "number"),
    Column("other", "Not what was served", "number"), Column("example", "Example"),
)  # fmt: skip
Report = Any
"""A `stages.monitor.report.Report`; that module needs Polars."""


def drift_table(report: Report) -> Table:
    """Each feature, and the prediction, beside training."""
    every = [*([report.prediction] if report.prediction is not None else []), *report.drift]
    rows = [_drift_row(one) for one in every]
    return Table(
        name="drift", columns=_DRIFT, rows=rows,
        empty="There is nothing to compare with: give the model its training table, Model(..., example=table).",
    )  # fmt: skip


def drift_charts(report: Report) -> list[Chart]:
    """The distributions of the prediction and of the features that moved most, served over training."""
    every = [*([report.prediction] if report.prediction is not None else []), *report.drift]
    return [_overlaid(place, one) for place, one in enumerate([one for one in every if one.shape][:_DRAWN])]


def quality_charts(report: Report) -> list[Chart]:
    """How right the predictions were, over time, and whether what is predicted at 30 % happens in 30 %."""
    charts = []
    for name, words in _OVER_TIME.items():
        slices = [one for one in report.slices if math.isfinite(one.metrics.get(name, math.nan))]
        if len(slices) > 1:
            line = Series(label=words, x=[one.at.timestamp() for one in slices], y=[one.metrics[name] for one in slices])
            when = "time served" if report.sliced_by == "at" else report.sliced_by
            x, y = Axis(label="time", shape="time"), Axis(label=words)
            charts.append(Chart(name=f"quality-{name}", title=f"{words} over {when}", x=x, y=y, series=[line]))
    bins = report.quality.calibration if report.quality is not None else ()
    if bins:
        said = [one.predicted for one in bins]
        lines = [Series(label="what happened", x=said, y=[one.actual for one in bins]), Series(label="as predicted", x=said, y=said)]
        charts.append(
            Chart(name="calibration", title="Calibration: what happened over what was predicted", x=Axis(label="predicted"),
                  y=Axis(label="happened"), series=lines)
        )  # fmt: skip
    return charts


def quality_table(report: Report) -> Table:
    """The figures of quality."""
    figures = report.quality.metrics if report.quality is not None else {}
    rows = [(_OVER_TIME.get(name, name.replace("_", " ")), value) for name, value in figures.items()]
    columns = Column("figure", "Figure"), Column("value", "Value", "number")
    return Table(
        name="quality", columns=columns, rows=rows, empty="Nobody said yet what really happened.",
        command=f"bedplate labels FILE {report.service}",
    )  # fmt: skip


def parity_table(compared: Sequence[Any]) -> Table:
    """Whether features were served as they were known then; each is a `stages.monitor.parity.Parity`."""
    rows = [_parity_row(one) for one in compared]
    return Table(name="parity", columns=_PARITY, rows=rows, empty="This service looked no features up in this time.")


def _drift_row(one: Any) -> tuple[Value, ...]:
    calm = State("as before", "good") if one.psi is not None else State("not known", "off")
    state = State("drifted", "bad") if one.drifted else State("too few rows", "off") if one.few else calm
    missing = f"{one.nulls_before:.1%} to {one.nulls_now:.1%}" if max(one.nulls_before, one.nulls_now) >= _SOME else ""
    why = "; ".join(one.reasons) or one.too_few
    return (
        one.column, state, one.psi, one.psi_alarm if one.psi is not None else None, one.ks, one.js, one.mean_before, one.mean_now,
        missing, why,
    )  # fmt: skip


def _overlaid(place: int, one: Any) -> Chart:
    words: Sequence[str] = [bin_name(bar.label) for bar in one.shape]
    x = [float(at) for at in range(len(words))]
    said = f", PSI {one.psi:.2f} (alarm above {one.psi_alarm:.2f})" if one.psi is not None else ""
    state = "drifted" if one.drifted else "too few rows to judge" if one.few else "as in training"
    return Chart(
        name=f"shape-{place}", title=f"{one.column}: {state}{said}", x=Axis(label=one.column), y=Axis(label="share"), draws="overlaid",
        series=[
            Series(label="training", x=x, y=[bar.before for bar in one.shape], words=words),
            Series(label="served", x=x, y=[bar.now for bar in one.shape], words=words),
        ],
    )  # fmt: skip


def bin_name(label: str) -> str:
    """The name of a bin: a number with the digits that people read."""
    try:
        return f"{float(label):.4g}"
    except ValueError:
        return label


def _parity_row(one: Any) -> tuple[Value, ...]:
    state = State("equal", "good") if one.equal == one.compared else State("differs", "bad" if one.other else "warn")
    return one.view, one.reference, one.compared, one.equal, state, one.late, one.rewritten, one.other, one.example or None
