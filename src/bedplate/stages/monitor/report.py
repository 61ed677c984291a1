"""The report on what a service served: one record, from which the terminal, JSON and the page are drawn. Pure.

`report` puts a window beside its references and says in plain sentences what stands out; it decides nothing that the record does not
show. `watch_report` is the whole way from a prediction log.
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import Final

import msgspec
import polars as pl

from bedplate.core.records import Record
from bedplate.storage.sketch import ColumnSketch, Profile

from .drift import ENOUGH, THRESHOLD, Drift, column_drift, compare
from .labels import LabelCounts
from .parity import Parity
from .quality import HEADLINE, Quality
from .sides import LOSS, Side
from .window import Bucket, Latency, Slice, Window, summarise

_LOWER_IS_BETTER: Final = {"log_loss", "mae", "rmse", "brier", "calibration_error"}
_MANY: Final = 3
_FEW_LABELS: Final = 30


class Report(Record, frozen=True, kw_only=True):
    """What was served in a window, beside its references. Times UTC, latency ms, shares 0 to 1.

    `reference` and `prediction_reference` say in words what the inputs and the predictions are compared with (empty: nothing). `findings`
    are the sentences on what stands out, worst first; `notes` what could not be done. One request may ask for many `predictions`: all
    counts but `requests` are of predictions. `lost` answers were given but could not be recorded. `parity` says whether features were
    served as they were known.
    """

    service: str
    start: datetime | None = None
    end: datetime | None = None
    predictions: int = 0
    requests: int = 0
    answered: int = 0
    refused: int = 0
    failed: int = 0
    error_share: float = 0.0
    per_hour: float = 0.0
    bucket_s: int = 1
    traffic: tuple[Bucket, ...] = ()
    latency: Latency | None = None
    goal_p95_ms: float | None = None
    lost: int = 0
    statuses: dict[str, int] = msgspec.field(default_factory=dict)
    messages: dict[str, int] = msgspec.field(default_factory=dict)
    versions: dict[str, int] = msgspec.field(default_factory=dict)
    threshold: float = THRESHOLD
    reference: str = ""
    drift: tuple[Drift, ...] = ()
    prediction_reference: str = ""
    prediction: Drift | None = None
    labels: LabelCounts = LabelCounts()
    labelled_share: float = 0.0
    quality: Quality | None = None
    slices: tuple[Slice, ...] = ()
    slice_s: int = 1
    sliced_by: str = "at"
    sides: tuple[Side, ...] = ()
    parity: tuple[Parity, ...] = ()
    findings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def drifted(self) -> tuple[str, ...]:
        """Names of the columns that count as drifted, `prediction` among them; for the event that due work reads."""
        columns = (*self.drift, self.prediction) if self.prediction else self.drift
        return tuple(one.column for one in columns if one.drifted)


def watch_report(
    predictions: pl.DataFrame | pl.LazyFrame,
    labels: pl.DataFrame | None = None,
    *,
    service: str,
    reference: Profile | None = None,
    reference_name: str = "the training table",
    prediction_reference: ColumnSketch | None = None,
    prediction_reference_name: str = "the model's predictions for its training table",
    threshold: float = THRESHOLD,
    goal_p95_s: float | None = None,
    by: str = "at",
) -> Report:
    """The report on a prediction log and its labels. Raises UserError where `by` is not a time column or labels lack their columns."""
    window = summarise(predictions, labels, reference=reference, prediction_reference=prediction_reference, by=by)
    return report(
        window, service=service, reference=reference, reference_name=reference_name,
        prediction_reference_name=prediction_reference_name, threshold=threshold, goal_p95_s=goal_p95_s,
    )  # fmt: skip


def report(
    window: Window,
    *,
    service: str,
    reference: Profile | None = None,
    reference_name: str = "",
    prediction_reference_name: str = "",
    threshold: float = THRESHOLD,
    goal_p95_s: float | None = None,
) -> Report:
    """The report on a window, beside the reference whose edges it was taken with."""
    prediction = None
    if window.prediction is not None and window.prediction_before is not None:
        prediction = column_drift("prediction", window.prediction_before, window.prediction, threshold=threshold)
    hours = (window.end - window.start).total_seconds() / 3600 if window.start and window.end else 0.0
    first = "the first fifth of this window"
    drawn = Report(
        service=service, start=window.start, end=window.end,
        predictions=window.predictions, requests=window.requests, answered=window.answered,
        refused=window.refused, failed=window.failed,
        error_share=(window.refused + window.failed) / window.predictions if window.predictions else 0.0,
        per_hour=window.predictions / hours if hours else 0.0, bucket_s=window.bucket_s, traffic=window.traffic, latency=window.latency,
        goal_p95_ms=goal_p95_s * 1000 if goal_p95_s is not None else None, statuses=window.statuses, messages=window.messages,
        versions=window.versions, threshold=threshold, reference=reference_name if reference else "",
        drift=compare(reference, window.inputs, threshold=threshold) if reference else (),
        prediction_reference=(first if window.prediction_first else prediction_reference_name) if prediction else "",
        prediction=prediction, labels=window.labels,
        labelled_share=window.labels.predictions / window.answered if window.answered else 0.0, quality=window.quality,
        slices=window.slices, slice_s=window.slice_s, sliced_by=window.sliced_by, sides=window.sides,
        notes=(*window.notes, *_notes(window, reference)),
    )  # fmt: skip
    return msgspec.structs.replace(drawn, findings=tuple(_findings(drawn)))


def _notes(window: Window, reference: Profile | None) -> list[str]:
    notes = [f"{name}: {why}" for name, why in window.inputs.skipped.items()]
    if reference is None and window.predictions:
        notes.append("no reference was kept with the model, so its inputs have nothing to be compared with")
    elif reference is not None and window.answered and not window.inputs.columns:
        notes.append("no request field or feature has the name of a column of the reference")
    return notes


def _findings(drawn: Report) -> list[str]:
    """The sentences on what stands out, worst first; one that all is well where nothing does."""
    if not drawn.predictions:
        return ["Nothing was served in this window."]
    found = [*_about_errors(drawn), *_about_latency(drawn), *_about_drift(drawn), *_about_quality(drawn)]
    if not found and (drawn.drift or drawn.quality):
        found.append("Nothing stands out: no failure, no drift beyond chance, no loss of quality.")
    if not found:
        found.append("Nothing failed; there is no reference and no label to judge the predictions by.")
    found += [line for side in drawn.sides[1:] if (line := _about_side(side, drawn))]
    if len(drawn.versions) > 1:
        found.append(f"{len(drawn.versions)} model versions served: {_listed([f'{v} ({n:,})' for v, n in drawn.versions.items()])}.")
    return found


def _about_errors(drawn: Report) -> list[str]:
    found = []
    if drawn.failed:
        message = next(iter(drawn.messages), "")
        most = f", most often: {message}" if message else ""
        found.append(
            f"{_count(drawn.failed, 'prediction')} of {drawn.predictions:,} failed ({_share(drawn.failed / drawn.predictions)}){most}."
        )
    if drawn.refused:
        share = _share(drawn.refused / drawn.predictions)
        were = "was" if drawn.refused == 1 else "were"
        found.append(f"{_count(drawn.refused, 'prediction')} of {drawn.predictions:,} {were} refused as wrong ({share}).")
    return found


def _about_latency(drawn: Report) -> list[str]:
    goal = drawn.goal_p95_ms
    if drawn.latency is None or goal is None or drawn.latency.p95 <= goal:
        return []
    return [f"Latency misses its goal: p95 is {drawn.latency.p95:.1f} ms, the goal {goal:.1f} ms."]


def _about_drift(drawn: Report) -> list[str]:
    found = []
    prediction = drawn.prediction
    if prediction is not None and prediction.drifted:
        found.append(f"The predictions have moved: {_listed(list(prediction.reasons))}{_means(prediction)}.")
    columns = [one for one in drawn.drift if one.drifted]
    for one in columns[:_MANY]:
        found.append(f"'{one.column}' has drifted: {_listed(list(one.reasons))}{_means(one)}{_categories(one)}.")
    if len(columns) > _MANY:
        found.append(f"{_count(len(columns) - _MANY, 'more column')} have drifted: {_listed([c.column for c in columns[_MANY:]], 8)}.")
    seen = [one for one in drawn.drift if one.new and not one.drifted]
    found += [f"'{one.column}' has categories that training never saw: {_listed(list(one.new), 5)}." for one in seen[:_MANY]]
    judged = [one for one in drawn.drift if not one.few and one.kind != "time"]
    if few := max((one.few for one in (*drawn.drift, *([prediction] if prediction else [])) if not judged), default=0):
        found.append(f"Too few rows to judge drift by: {_count(few, 'value')} of {ENOUGH} that are needed.")
    careful = [one for one in judged if one.psi is not None and one.psi > drawn.threshold and not one.drifted]
    if careful:
        names = _listed([one.column for one in careful], 5)
        found.append(f"Too few rows to call drift, though PSI is above {drawn.threshold:g}: {names}.")
    return found


def _about_quality(drawn: Report) -> list[str]:
    known = drawn.quality
    if known is None:
        return []
    found = []
    if known.n < _FEW_LABELS:
        found.append(f"Only {_count(known.n, 'label')} so far: read the quality with care.")
    error = known.metrics.get("calibration_error", 0.0)
    if known.n >= _FEW_LABELS and error > max(0.05, 2 / known.n**0.5):
        predicted, actual = known.metrics["predicted_rate"], known.metrics["actual_rate"]
        found.append(f"The model is off in level: it predicted {_share(predicted)} on average, and {_share(actual)} came true.")
    name = HEADLINE[known.kind][0]
    judged = [one for one in drawn.slices if one.labelled >= _FEW_LABELS and name in one.metrics]
    if len(judged) >= 3:
        worst = (max if name in _LOWER_IS_BETTER else min)(judged, key=lambda one: one.metrics[name])
        whole, there = known.metrics.get(name, 0.0), worst.metrics[name]
        if abs(there - whole) > max(0.05 if name in ("auc", "accuracy") else 0.25 * abs(whole), _chance(name, whole, worst)):
            when = worst.at.strftime("%Y-%m-%d" if drawn.slice_s >= 86400 else "%Y-%m-%d %H:%M:%S")
            found.append(f"{name.upper()} was worst from {when}: {there:.3g}, against {whole:.3g} overall.")
    return found


def _about_side(side: Side, drawn: Report) -> str:
    """Whether a version's answers were better than those of the one that answered most, as far as labels tell; empty without labels."""
    if drawn.quality is None or side.more is None or side.low is None or side.high is None:
        return ""
    name, first = LOSS[drawn.quality.kind], _listed(list(drawn.sides[0].versions))
    verdict = f"is {side.verdict} than {first}" if side.verdict else f"is neither better nor worse than {first}, as far as labels tell"
    by = f"{side.more:+.3g}, from {side.low:+.3g} to {side.high:+.3g} at 95 %"
    return f"{_listed(list(side.versions))} {verdict}: its {name} differs by {by}, over {_count(side.labelled, 'label')}."


def _chance(name: str, whole: float, one: Slice) -> float:
    """What chance alone may move a share in a slice: three standard errors (an upper bound for AUC, by the rarer class)."""
    if name not in ("auc", "accuracy"):
        return 0.0
    rate = one.metrics.get("actual_rate", 0.5) if name == "auc" else 0.5
    rows = one.labelled * min(rate, 1 - rate) if name == "auc" else one.labelled
    return 3 * math.sqrt(max(whole * (1 - whole), 0.0) / max(rows, 1.0))


def _means(one: Drift) -> str:
    if one.mean_before is None or one.mean_now is None:
        return ""
    return f"; its mean went from {one.mean_before:.4g} to {one.mean_now:.4g}"


def _categories(one: Drift) -> str:
    new = f"; new: {_listed(list(one.new), 5)}" if one.new else ""
    gone = f"; gone: {_listed(list(one.vanished), 5)}" if one.vanished else ""
    return new + gone


def _listed(words: list[str], most: int = 6) -> str:
    if len(words) > most:
        words = [*words[: most - 1], f"{len(words) - most + 1} more"]
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def _share(value: float) -> str:
    return f"{value:.1%}" if value >= 0.001 or value == 0 else f"{value:.2g}"
