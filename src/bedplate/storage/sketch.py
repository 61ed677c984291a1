"""Sketches: what is kept of a column, small, mergeable and in JSON, instead of its values.

A numeric column is kept as moments and one fine histogram. Its edges come from the reference: `FINE` quantiles, and below every
heavy value one more edge, so that the value has a bin of its own. The first and last bin are what lies outside of the
reference's range. A category column is kept as counts of the reference's `TOP` categories, of up to `EXTRA` others by name,
and of the rest.

For given edges (or categories) counts, extremes and nulls of `merge(a, b)` are exactly those of the joined rows, and moments are
equal up to rounding: so a window is sketched once, and history never read again.

Nothing heavy is imported here: sketches are made by `backends/profile.py`.

Limits: times are sketched as seconds since 1970, whole numbers above 2^53 as the nearest float; `distinct` of merged sketches
with more categories than are kept is a lower bound; more than `EXTRA` unknown categories in one sketch lose their names.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from bedplate.core.records import Record

FINE: Final = 512
"""Quantiles of the reference that become edges: a bin holds at most 2 / 512 of its rows, 1 / 512 where values do not repeat."""
TOP: Final = 100
EXTRA: Final = 1000


class NumericSketch(Record, frozen=True, kw_only=True, tag="numeric"):
    """A numeric column: `count` finite values in bins `edges[i-1] < x <= edges[i]` (one bin more than edges).

    `nulls` are missing, `odd` are not-a-number, infinite or not readable as a number. `m2` is the sum of squared distances from the mean.
    `low` and `high` are the extremes, None without values.
    """

    kind: Literal["number", "time"] = "number"
    count: int
    nulls: int = 0
    odd: int = 0
    low: float | None = None
    high: float | None = None
    mean: float = 0.0
    m2: float = 0.0
    edges: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()

    @property
    def rows(self) -> int:
        """Rows seen, missing ones too."""
        return self.count + self.nulls + self.odd

    @property
    def deviation(self) -> float:
        """The standard deviation (of the sample; 0 for fewer than two values)."""
        return math.sqrt(self.m2 / (self.count - 1)) if self.count > 1 else 0.0


class CategorySketch(Record, frozen=True, kw_only=True, tag="category"):
    """A column of categories: `counts` of the known ones, `extra` of others by name, `other` of the rest."""

    kind: Literal["text", "bool"] = "text"
    counts: dict[str, int]
    extra: dict[str, int] = msgspec.field(default_factory=dict)
    other: int = 0
    nulls: int = 0
    distinct: int = 0

    @property
    def count(self) -> int:
        """Values seen, without missing ones."""
        return sum(self.counts.values()) + sum(self.extra.values()) + self.other

    @property
    def rows(self) -> int:
        """Rows seen, missing ones too."""
        return self.count + self.nulls


ColumnSketch = NumericSketch | CategorySketch


class Profile(Record, frozen=True, kw_only=True):
    """The sketches of a frame: by column name, and why a column has none."""

    rows: int
    columns: dict[str, ColumnSketch]
    skipped: dict[str, str] = msgspec.field(default_factory=dict)


class Reference(Record, frozen=True, kw_only=True):
    """What a model was trained on, to compare with what it is served: kept beside the model.

    `prediction` sketches what the model says of `predicted` of these rows, evenly spaced; None where that has no distribution in one
    dimension, or could not be had (`unpredicted` says why).
    """

    profile: Profile
    prediction: ColumnSketch | None = None
    predicted: int = 0
    unpredicted: str = ""


def category(
    seen: Mapping[str, int], *, nulls: int = 0, known: CategorySketch | None = None, kind: Literal["text", "bool"] = "text"
) -> CategorySketch:
    """The sketch of counted categories; without `known`, the `TOP` most frequent become the known ones."""
    ranked = sorted(seen.items(), key=lambda item: (-item[1], item[0]))
    if known is None:
        return CategorySketch(
            kind=kind, counts=dict(ranked[:TOP]), other=sum(n for _, n in ranked[TOP:]), nulls=nulls, distinct=len(ranked)
        )
    rest = [(name, n) for name, n in ranked if name not in known.counts]
    return CategorySketch(
        kind=kind, counts={name: seen.get(name, 0) for name in known.counts}, extra=dict(rest[:EXTRA]),
        other=sum(n for _, n in rest[EXTRA:]), nulls=nulls, distinct=len(ranked),
    )  # fmt: skip


def merge(a: ColumnSketch, b: ColumnSketch) -> ColumnSketch:
    """The sketch of both columns' rows. Raises ValueError where they were not taken with the same edges or categories."""
    if isinstance(a, NumericSketch) and isinstance(b, NumericSketch) and a.edges == b.edges:
        return _merge_numeric(a, b)
    if isinstance(a, CategorySketch) and isinstance(b, CategorySketch) and a.counts.keys() == b.counts.keys():
        return _merge_category(a, b)
    raise ValueError("sketches merge only where they were taken with the same edges")


def join(a: Profile, b: Profile) -> Profile:
    """The profile of both frames' rows; columns that only one has are left out. Raises ValueError for other edges."""
    columns = {name: merge(one, b.columns[name]) for name, one in a.columns.items() if name in b.columns}
    return Profile(rows=a.rows + b.rows, columns=columns, skipped={**a.skipped, **b.skipped})


def _merge_numeric(a: NumericSketch, b: NumericSketch) -> NumericSketch:
    """Moments by Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances" (1979)."""
    count = a.count + b.count
    gap = b.mean - a.mean
    lows = [s.low for s in (a, b) if s.low is not None]
    highs = [s.high for s in (a, b) if s.high is not None]
    return NumericSketch(
        kind=a.kind, count=count, nulls=a.nulls + b.nulls, odd=a.odd + b.odd,
        low=min(lows, default=None), high=max(highs, default=None),
        mean=a.mean + gap * b.count / count if count else 0.0,
        m2=a.m2 + b.m2 + (gap * gap * a.count * b.count / count if count else 0.0),
        edges=a.edges, counts=tuple(x + y for x, y in zip(a.counts, b.counts, strict=True)),
    )  # fmt: skip


def _merge_category(a: CategorySketch, b: CategorySketch) -> CategorySketch:
    counts = {name: n + b.counts[name] for name, n in a.counts.items()}
    both = {name: a.extra.get(name, 0) + b.extra.get(name, 0) for name in (*a.extra, *b.extra)}
    ranked = sorted(both.items(), key=lambda item: (-item[1], item[0]))
    other = a.other + b.other + sum(n for _, n in ranked[EXTRA:])
    named = sum(n > 0 for n in counts.values()) + len(ranked)
    return CategorySketch(
        kind=a.kind, counts=counts, extra=dict(ranked[:EXTRA]), other=other, nulls=a.nulls + b.nulls,
        distinct=max(named, a.distinct, b.distinct) if a.other or b.other else named,
    )  # fmt: skip
