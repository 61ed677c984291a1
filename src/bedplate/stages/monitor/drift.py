r"""Drift: how far the distribution of what is served lies from the reference's. Pure arithmetic on sketches.

Symbols: a reference of n values and a window of m values fall into the same k bins (for numbers about `COARSE` quantile bins of the
reference, for categories one bin each and one for the rest); p_i and q_i are their shares, F and G their distribution functions.

* **Population stability index** PSI = sum_i (q_i - p_i) ln(q_i / p_i): 0 for equal shares, no upper bound. N. Siddiqi, *Credit Risk
  Scorecards* (2006); it is Jeffreys' divergence (1946). Shares are (c_i + 1/2) / (n + k/2), so that an empty bin has no infinite weight.
  Without drift it is not 0 but about (k - 1)(1/n + 1/m), and behaves as (1/n + 1/m) times a chi-square of k - 1 degrees: B. Yurdakul and
  J. Naranjo, "Statistical properties of the population stability index" (2020). That mean is `psi_expected`; a column counts as drifted
  only above both the threshold and the 99.9 % point of that law, `psi_alarm`. Below `ENOUGH` values in the window nothing is said of
  shares at all: 20 bins then hold fewer than ten values each, where the law no longer holds, and the index is mostly noise.
* **Kolmogorov-Smirnov** KS = sup_x |F(x) - G(x)|, 0 to 1, numbers only. Exact at the edges of the fine histogram, which makes it a lower
  bound; `ks_error` is how much more it can be between the edges (at most the reference's share of one fine bin, 0.002 to 0.004).
* **Jensen-Shannon distance** JS = sqrt((K(p, r) + K(q, r)) / 2), r = (p + q) / 2, K the Kullback-Leibler divergence in bits: 0 to 1, and a
  metric. J. Lin (1991), D. Endres and J. Schindelin (2003).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from bedplate.core.records import Record
from bedplate.storage.backends.profile import Floats
from bedplate.storage.sketch import CategorySketch, ColumnSketch, NumericSketch, Profile

Counts = npt.NDArray[np.int64]

COARSE: Final = 20
"""Bins of a numeric column for PSI and JS."""
THRESHOLD: Final = 0.2
ENOUGH: Final = 200
"""Values in a window from which the shares of a column are judged: ten for each coarse bin, and about where chance alone (once in a
thousand windows) stays below the default threshold."""
NULL_STEP: Final = 0.05
"""Change of the share of missing values that counts as drift, if it is no chance (three standard errors)."""
_SHAPE_BINS: Final = 24
_Z999: Final = 3.0902


class Bar(Record, frozen=True, kw_only=True):
    """One bin of a drawn distribution: its label and the shares of both sides."""

    label: str
    before: float
    now: float


class Drift(Record, frozen=True, kw_only=True):
    """One column beside its reference. Shares are 0 to 1; `ks` is None for categories, all figures None where nothing can be compared.

    `outside` is the share of values beyond the reference's range; `new` and `vanished` are categories; `reasons` say why it counts as
    drifted (none: it does not). `few` is how many values the window has where they are too few to judge shares by, else 0.
    """

    column: str
    kind: str
    rows_before: int
    rows_now: int
    psi: float | None = None
    psi_expected: float = 0.0
    psi_alarm: float = THRESHOLD
    ks: float | None = None
    ks_error: float | None = None
    js: float | None = None
    nulls_before: float = 0.0
    nulls_now: float = 0.0
    outside: float = 0.0
    new: tuple[str, ...] = ()
    vanished: tuple[str, ...] = ()
    mean_before: float | None = None
    mean_now: float | None = None
    shape: tuple[Bar, ...] = ()
    few: int = 0
    reasons: tuple[str, ...] = ()

    @property
    def too_few(self) -> str:
        """Why nothing is said of shares; empty where something is."""
        return f"too few rows to judge ({self.few})" if self.few else ""

    @property
    def drifted(self) -> bool:
        """Whether it counts as drifted."""
        return bool(self.reasons)


def compare(reference: Profile, current: Profile, *, threshold: float = THRESHOLD) -> tuple[Drift, ...]:
    """Each column that both have, worst first: drifted ones, then by PSI."""
    both = [name for name in reference.columns if name in current.columns]
    drifts = [column_drift(name, reference.columns[name], current.columns[name], threshold=threshold) for name in both]
    return tuple(sorted(drifts, key=lambda d: (not d.drifted, d.kind == "time", -(d.psi or 0.0), d.column)))


def column_drift(name: str, before: ColumnSketch, now: ColumnSketch, *, threshold: float = THRESHOLD) -> Drift:
    """One column. Raises ValueError where the window was not sketched with the reference's edges."""
    if isinstance(before, NumericSketch) and isinstance(now, NumericSketch) and before.edges == now.edges:
        return _numeric(name, before, now, threshold)
    if isinstance(before, CategorySketch) and isinstance(now, CategorySketch) and before.counts.keys() == now.counts.keys():
        return _category(name, before, now, threshold)
    raise ValueError(f"column '{name}' was not sketched with the reference's edges")


def psi(before: npt.ArrayLike, now: npt.ArrayLike) -> float:
    """The population stability index of two rows of k counts."""
    p, q = _smooth(before), _smooth(now)
    return float(np.sum((q - p) * np.log(q / p)))


def psi_expected(bins: int, n: int, m: int) -> float:
    """The mean PSI without drift."""
    return (bins - 1) * (1 / n + 1 / m) if n and m else math.inf


def psi_chance(bins: int, n: int, m: int) -> float:
    """The PSI that chance alone exceeds once in a thousand windows (chi-square by Wilson and Hilferty, 1931)."""
    if not (n and m) or bins < 2:
        return math.inf if bins >= 2 else 0.0
    freedom = bins - 1
    spread = 2 / (9 * freedom)
    return float((1 / n + 1 / m) * freedom * (1 - spread + _Z999 * math.sqrt(spread)) ** 3)


def js(before: npt.ArrayLike, now: npt.ArrayLike) -> float:
    """The Jensen-Shannon distance of two rows of k counts; 0 where a side is empty."""
    a, b = np.asarray(before, dtype=np.float64), np.asarray(now, dtype=np.float64)
    if not a.sum() or not b.sum():
        return 0.0
    p, q = a / a.sum(), b / b.sum()
    middle = (p + q) / 2
    return float(np.sqrt(min(max((_bits(p, middle) + _bits(q, middle)) / 2, 0.0), 1.0)))


def ks(before: NumericSketch, now: NumericSketch) -> tuple[float, float]:
    """The Kolmogorov-Smirnov statistic at the edges, and how much larger it can be between them."""
    if not before.count or not now.count:
        return 0.0, 0.0
    f = np.concatenate([[0.0], np.cumsum(before.counts) / before.count])
    g = np.concatenate([[0.0], np.cumsum(now.counts) / now.count])
    least = float(np.abs(f - g).max())
    inside = np.ones(len(f) - 1, dtype=bool)
    edges = np.asarray(before.edges)
    inside[1:-1] = np.nextafter(edges[1:], -np.inf) > edges[:-1]
    most = np.maximum(f[1:] - g[:-1], g[1:] - f[:-1])[inside].max(initial=0.0)
    return least, max(0.0, float(most) - least)


def coarse(counts: Sequence[int], bins: int = COARSE) -> Counts:
    """For each fine bin the number (from 0) of its coarse bin: about equal shares of `counts`, in order."""
    fine = np.asarray(counts, dtype=np.int64)
    total = int(fine.sum())
    if not total:
        return np.zeros(len(fine), dtype=np.int64)
    closed = np.concatenate([[0], np.floor(np.cumsum(fine)[:-1] * bins / total + 1e-9).astype(np.int64)])
    numbers = np.unique(closed, return_inverse=True)[1]
    last = int(numbers.max())
    if last and int(fine[numbers == last].sum()) * 2 * bins < total:
        numbers = np.minimum(numbers, last - 1)
    return np.asarray(numbers, dtype=np.int64)


def _numeric(name: str, before: NumericSketch, now: NumericSketch, threshold: float) -> Drift:
    groups = coarse(before.counts)
    p = np.bincount(groups, weights=np.asarray(before.counts, dtype=np.float64))
    q = np.bincount(groups, weights=np.asarray(now.counts, dtype=np.float64))
    some = bool(before.count and now.count)
    distance, error = ks(before, now)
    nulls = _missing(before), _missing(now)
    value, alarm = psi(p, q), max(threshold, psi_chance(len(p), before.count, now.count))
    reasons = _null_reason(nulls, before.rows, now.rows)
    if now.count >= ENOUGH and some and before.kind != "time" and value > alarm:
        reasons = (f"PSI {value:.2f} is above {alarm:.2g}", *reasons)
    return Drift(
        column=name, kind=before.kind, rows_before=before.rows, rows_now=now.rows, psi=value if some else None,
        psi_expected=psi_expected(len(p), before.count, now.count) if some else 0.0, psi_alarm=alarm if some else threshold,
        ks=distance if some else None, ks_error=error if some else None, js=js(p, q) if some else None,
        nulls_before=nulls[0], nulls_now=nulls[1], outside=(now.counts[0] + now.counts[-1]) / now.count if some else 0.0,
        mean_before=before.mean if before.count else None, mean_now=now.mean if now.count else None,
        shape=_numeric_shape(before, now) if some else (), reasons=reasons, few=_few(now.count if some else 0),
    )  # fmt: skip


def _category(name: str, before: CategorySketch, now: CategorySketch, threshold: float) -> Drift:
    names = list(before.counts)
    p = np.array([*before.counts.values(), before.other + sum(before.extra.values())], dtype=np.float64)
    q = np.array([*(now.counts[n] for n in names), now.other + sum(now.extra.values())], dtype=np.float64)
    used = (p > 0) | (q > 0)
    n, m = before.count, now.count
    some = bool(n and m)
    value, alarm = psi(p[used], q[used]), max(threshold, psi_chance(int(used.sum()), n, m))
    nulls = before.nulls / max(before.rows, 1), now.nulls / max(now.rows, 1)
    reasons = _null_reason(nulls, before.rows, now.rows)
    new = tuple(now.extra) if not before.other else ()
    vanished = tuple(c for c, count in before.counts.items() if count and not now.counts[c] and some and count / n * m >= 7)
    if some and m >= ENOUGH and value > alarm:
        reasons = (f"PSI {value:.2f} is above {alarm:.2g}", *reasons)
    if some and m >= ENOUGH and sum(now.extra[c] for c in new) > 0.01 * m:
        reasons = (*reasons, f"{sum(now.extra[c] for c in new) / m:.1%} of values are of new categories")
    return Drift(
        column=name, kind=before.kind, rows_before=before.rows, rows_now=now.rows, psi=value if some else None,
        psi_expected=psi_expected(int(used.sum()), n, m) if some else 0.0, psi_alarm=alarm if some else threshold,
        js=js(p, q) if some else None, nulls_before=nulls[0], nulls_now=nulls[1],
        outside=float(q[-1] / m) if some and not before.other else 0.0, new=new[:20], vanished=vanished[:20],
        shape=_category_shape(names, p, q) if some else (), reasons=reasons, few=_few(m if some else 0),
    )  # fmt: skip


def _few(values: int) -> int:
    return values if values < ENOUGH else 0


def _smooth(counts: npt.ArrayLike) -> Floats:
    values = np.asarray(counts, dtype=np.float64)
    return np.asarray((values + 0.5) / (values.sum() + 0.5 * len(values)), dtype=np.float64)


def _bits(p: Floats, r: Floats) -> float:
    held = p > 0
    return float(np.sum(p[held] * np.log2(p[held] / r[held])))


def _missing(one: NumericSketch) -> float:
    return (one.nulls + one.odd) / max(one.rows, 1)


def _null_reason(shares: tuple[float, float], n: int, m: int) -> tuple[str, ...]:
    before, now = shares
    if not n or not m:
        return ()
    pooled = (before * n + now * m) / (n + m)
    chance = 3 * math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    if abs(now - before) < max(NULL_STEP, chance):
        return ()
    return (f"missing values went from {before:.1%} to {now:.1%}",)


def _numeric_shape(before: NumericSketch, now: NumericSketch) -> tuple[Bar, ...]:
    """Shares in bins of equal width over the middle 99 % of both, read off the fine histograms.

    Whole numbers get bins of whole width, so that no bin is emptier than its neighbour for holding fewer of them.
    """
    curves = [_curve(one) for one in (before, now)]
    low = min(float(xs[min(int(np.searchsorted(share, 0.005)), len(xs) - 1)]) for xs, share in curves)
    high = max(float(xs[min(int(np.searchsorted(share, 0.995)), len(xs) - 1)]) for xs, share in curves)
    if high <= low:
        return (Bar(label=f"{low:.6g}", before=1.0, now=1.0),)
    cuts = np.linspace(low, high, _SHAPE_BINS + 1)
    edges = np.asarray(before.edges)
    if np.all(np.abs(edges - np.rint(edges)) <= 1e-9 * np.maximum(np.abs(edges), 1.0)) and before.kind == "number":
        width = max(1.0, float(np.ceil((high - low + 1) / _SHAPE_BINS)))
        cuts = np.arange(np.rint(low) - 0.5, high + width, width)
    shares = [np.diff(np.interp(cuts[1:], xs, share, right=1.0), prepend=0.0) for xs, share in curves]
    labels = cuts[:-1] + 0.5 if cuts[0] % 1 == 0.5 and cuts[1] % 1 == 0.5 else cuts[:-1]
    return tuple(Bar(label=f"{labels[i]:.10g}", before=float(shares[0][i]), now=float(shares[1][i])) for i in range(len(labels)))


def _curve(one: NumericSketch) -> tuple[Floats, Floats]:
    """The distribution function: rising values, and the share at or below each; it begins and ends at the extremes seen."""
    low, high = one.low or 0.0, one.high or 0.0
    xs = np.concatenate([one.edges, [np.nextafter(low, -np.inf), high]])
    share = np.concatenate([np.cumsum(one.counts)[:-1] / one.count, [0.0, 1.0]])
    order = np.lexsort((share, xs))
    return np.asarray(xs[order], dtype=np.float64), np.asarray(share[order], dtype=np.float64)


def _category_shape(names: Sequence[str], p: Floats, q: Floats) -> tuple[Bar, ...]:
    before, now = p / p.sum(), q / q.sum()
    ranked = sorted(range(len(names)), key=lambda i: -max(before[i], now[i]))[:11]
    bars = [Bar(label=names[i], before=float(before[i]), now=float(now[i])) for i in ranked]
    rest = Bar(label="other", before=1 - sum(b.before for b in bars), now=1 - sum(b.now for b in bars))
    return (*bars, rest) if max(rest.before, rest.now) > 1e-9 else tuple(bars)
