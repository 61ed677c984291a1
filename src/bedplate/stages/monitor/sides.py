"""Sides: what each set of model versions answered in a window, side by side: an A/B test, a canary, or before and after a promotion.

How well a version does is its mean loss over labelled predictions: log loss where labels are true or false and predictions from 0 to 1,
|p - y| of numbers, the share of wrong classes. A difference is told with its 95 % interval (Welch: the variances of both sides may differ)
where both have at least 30 labels; one whose interval holds zero tells nobody which is better.

Limit: looked at again and again, one of twenty such intervals misses the truth by chance alone: decide how long to wait before looking.
"""

from __future__ import annotations

import math
from typing import Final

import msgspec
import polars as pl

from bedplate.core.records import Record

from .quality import QualityKind, quality

LEAST: Final = 30
"""Labels of each side under which no difference is told."""
_Z: Final = 1.96
_EPSILON: Final = 1e-15
LOSS: Final[dict[QualityKind, str]] = {"binary": "log loss", "number": "MAE", "class": "share of wrong answers"}


class Side(Record, frozen=True, kw_only=True):
    """What the models `versions` (`late@7`) answered: how many, how it went, latency in ms, the mean of numeric results.

    `metrics` are the figures of quality over `labelled` predictions, `loss` their mean loss. `more` is by how much that is above the loss
    of the side that answered most, from `low` to `high` (95 %); None of that side itself, and where there are too few labels.
    """

    versions: tuple[str, ...]
    predictions: int
    failed: int
    p50_ms: float | None = None
    p95_ms: float | None = None
    mean: float | None = None
    labelled: int = 0
    metrics: dict[str, float] = msgspec.field(default_factory=dict)
    loss: float | None = None
    more: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def verdict(self) -> str:
        """Which is better: `better`, `worse`, or nothing where the labels do not tell."""
        if self.low is None or self.high is None:
            return ""
        return "better" if self.high < 0 else "worse" if self.low > 0 else ""


def sides(rows: pl.DataFrame, judged: pl.DataFrame, kind: QualityKind | None) -> tuple[Side, ...]:
    """The sides of a window, who answered most first; none where only one set of versions answered.

    `rows` are its predictions (models, latency_ms, failed), `judged` those answered (models, predicted, actual).
    """
    answered = rows.filter(pl.col("models").is_not_null() & (pl.col("models") != "{}"))
    groups = answered.group_by("models").agg(pl.len().alias("n"), pl.col("failed").sum()).sort(["n", "models"], descending=[True, False])
    if groups.height < 2:
        return ()
    made = [_side(text, answered.filter(models=text), judged.filter(models=text), kind) for text in groups.get_column("models")]
    first = made[0]
    return (first[0], *(_against(side, losses, first) for side, losses in made[1:]))


def _side(text: str, rows: pl.DataFrame, judged: pl.DataFrame, kind: QualityKind | None) -> tuple[Side, pl.Series]:
    good = rows.filter(~pl.col("failed")).get_column("latency_ms").drop_nulls()
    both = judged.drop_nulls(["predicted", "actual"])
    floats = [name for name in ("predicted", "actual") if both.schema[name].is_float()]
    both = both.filter(pl.all_horizontal(pl.col(floats).is_finite())) if floats else both
    predicted = judged.get_column("predicted")
    mean = predicted.mean() if predicted.dtype.is_numeric() else None
    losses = _losses(both, kind) if kind is not None else pl.Series("loss", [], pl.Float64)
    loss = losses.mean()
    side = Side(
        versions=tuple(f"{name}@{number}" for name, number in sorted(msgspec.json.decode(text).items())),
        predictions=rows.height,
        failed=int(rows.get_column("failed").sum()),
        p50_ms=good.quantile(0.5, "linear"),
        p95_ms=good.quantile(0.95, "linear"),
        mean=float(mean) if isinstance(mean, int | float) else None,
        labelled=both.height if kind is not None else 0,
        metrics=quality(both.get_column("predicted"), both.get_column("actual"), kind).metrics if kind is not None and both.height else {},
        loss=float(loss) if isinstance(loss, int | float) else None,
    )
    return side, losses


def _losses(both: pl.DataFrame, kind: QualityKind) -> pl.Series:
    p, y = pl.col("predicted"), pl.col("actual")
    if kind == "class":
        made = (p.cast(pl.String) != y.cast(pl.String)).cast(pl.Float64)
    elif kind == "number":
        made = (p.cast(pl.Float64) - y.cast(pl.Float64)).abs()
    else:
        kept, true = p.cast(pl.Float64).clip(_EPSILON, 1 - _EPSILON), y.cast(pl.Float64)
        made = -(true * kept.log() + (1 - true) * (1 - kept).log())
    return both.select(loss=made).get_column("loss")


def _against(one: Side, mine: pl.Series, first: tuple[Side, pl.Series]) -> Side:
    """The side with its difference from the first, where both have labels enough."""
    base, losses = first
    if base.loss is None or one.loss is None or min(len(losses), len(mine)) < LEAST:
        return one
    spread = _Z * math.sqrt(_variance(losses) / len(losses) + _variance(mine) / len(mine))
    more = one.loss - base.loss
    return msgspec.structs.replace(one, more=more, low=more - spread, high=more + spread)


def _variance(losses: pl.Series) -> float:
    found = losses.var()
    return float(found) if isinstance(found, int | float) else 0.0
