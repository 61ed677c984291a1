"""Quality: how right the predictions were, once the truth is known. Pure arithmetic on arrays.

Symbols: y_i is the label of prediction i, p_i what was predicted, n how many have both.

* **binary** (labels are true/false or 0/1, predictions numbers from 0 to 1). AUC: the chance that a random positive is ranked
  above a random negative, ties counted half (Mann-Whitney U / (n1 n0)); log loss: -mean(y ln p + (1 - y) ln(1 - p)) with p kept
  within 1e-15 of 0 and 1; Brier score: mean((p - y)^2); accuracy at 0.5; calibration: in ten equal bins of p, the mean p beside
  the mean y, and its error, the mean |difference| weighted by n.
* **number**: MAE mean|p - y|, RMSE sqrt(mean (p - y)^2), bias mean(p - y).
* **class** (text, or true/false predicted as such): accuracy.

A figure that is not defined (AUC with one class) is left out.
"""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from bedplate.core.records import Record
from bedplate.storage.backends.profile import Floats

QualityKind = Literal["binary", "number", "class"]
HEADLINE: Final[dict[QualityKind, tuple[str, ...]]] = {
    "binary": ("auc", "log_loss"),
    "number": ("mae", "rmse"),
    "class": ("accuracy",),
}
"""Which figures to draw over time."""
_EPSILON: Final = 1e-15
_BINS: Final = 10


class CalibrationBin(Record, frozen=True, kw_only=True):
    """Predictions from `low` to `high`: how many, their mean, and the share that came true."""

    low: float
    high: float
    n: int
    predicted: float
    actual: float


class Quality(Record, frozen=True, kw_only=True):
    """The figures over `n` predictions with a label."""

    kind: QualityKind
    n: int
    metrics: dict[str, float]
    calibration: tuple[CalibrationBin, ...] = ()


def kind_of(predicted: pl.Series, actual: pl.Series) -> QualityKind | None:
    """How to judge these predictions by these labels (without missing values); None where they cannot be compared."""
    numbers = predicted.dtype.is_numeric()
    if numbers and _two_valued(actual) and predicted.is_between(0, 1).all():
        return "binary"
    if numbers and actual.dtype.is_numeric():
        return "number"
    textual = (pl.String, pl.Categorical, pl.Enum, pl.Boolean)
    if predicted.dtype in textual and actual.dtype in textual:
        return "class"
    return None


def quality(predicted: pl.Series, actual: pl.Series, kind: QualityKind) -> Quality:
    """The figures for predictions and labels of equal length n, without missing values."""
    if kind == "class":
        right = (predicted.cast(pl.String) == actual.cast(pl.String)).mean()
        return Quality(kind=kind, n=len(actual), metrics={"accuracy": float(right)} if isinstance(right, float) else {})
    p = predicted.cast(pl.Float64).to_numpy()
    y = actual.cast(pl.Float64).to_numpy()
    if not len(y):
        return Quality(kind=kind, n=0, metrics={})
    if kind == "number":
        error = p - y
        figures = {"mae": np.abs(error).mean(), "rmse": np.sqrt(np.square(error).mean()), "bias": error.mean()}
        return Quality(kind=kind, n=len(y), metrics={name: float(value) for name, value in figures.items()})
    return _binary(p, y)


def auc(predicted: npt.ArrayLike, actual: npt.ArrayLike) -> float | None:
    """The area under the ROC curve for scores and 0/1 labels; None with one class only."""
    p, y = np.asarray(predicted, dtype=np.float64), np.asarray(actual, dtype=np.float64)
    positives = int(y.sum())
    negatives = len(y) - positives
    if not positives or not negatives:
        return None
    _, place, many = np.unique(p, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(many) - (many - 1) / 2
    ranks = float(mean_rank[place][y == 1].sum())
    return (ranks - positives * (positives + 1) / 2) / (positives * negatives)


def _binary(p: Floats, y: Floats) -> Quality:
    kept = np.clip(p, _EPSILON, 1 - _EPSILON)
    bins = _calibration(p, y)
    area = auc(p, y)
    figures = {
        "log_loss": float(-(y * np.log(kept) + (1 - y) * np.log1p(-kept)).mean()),
        "brier": float(np.square(p - y).mean()),
        "accuracy": float(((p >= 0.5) == (y == 1)).mean()),
        "calibration_error": sum(b.n * abs(b.predicted - b.actual) for b in bins) / len(y),
        "predicted_rate": float(p.mean()),
        "actual_rate": float(y.mean()),
    }
    return Quality(kind="binary", n=len(y), metrics=({"auc": area} if area is not None else {}) | figures, calibration=bins)


def _calibration(p: Floats, y: Floats) -> tuple[CalibrationBin, ...]:
    place = np.minimum((p * _BINS).astype(np.int64), _BINS - 1)
    n = np.bincount(place, minlength=_BINS)
    predicted, actual = np.bincount(place, p, _BINS), np.bincount(place, y, _BINS)
    return tuple(
        CalibrationBin(
            low=i / _BINS, high=(i + 1) / _BINS, n=int(n[i]), predicted=float(predicted[i] / n[i]), actual=float(actual[i] / n[i])
        )
        for i in range(_BINS)
        if n[i]
    )


def _two_valued(labels: pl.Series) -> bool:
    if labels.dtype == pl.Boolean:
        return True
    return labels.dtype.is_numeric() and bool(((labels == 0) | (labels == 1)).all())
