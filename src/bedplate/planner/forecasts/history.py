"""Forecasts of a step from its own history, and how well earlier forecasts did.

Choices: everything is done on logarithms, because times, memory and energy vary by factors. The middle is the median of the last
20 attempts in which recent ones weigh more. The range holds the next value with a chance of 80 %: from ten attempts on, it lies
between order statistics (split-conformal ranks 0.1 (n + 1) and 0.9 (n + 1), exact for exchangeable attempts); below ten, it is Student's
prediction interval with a spread drawn towards `PRIOR_SPREAD`, so that one attempt gives a factor of about 3.8 each way.
If sizes explain the history (a Theil-Sen slope that cuts the spread), attempts are first scaled to the size to be forecast.
With a `prior` (what the planner says of a declared workload), fewer than ten attempts are blended into it: n of them weigh
n / (n + `PRIOR_ATTEMPTS`) on the logarithm, and the range is that of a normal mean whose prior has that weight (the conjugate rule: Gelman
et al., Bayesian Data Analysis, 3.3). A prior that the attempts contradict is dropped, and the history alone speaks.

Limits: a jump in level (new code, new machine) widens the range for up to 20 attempts; a caller who knows of one passes only
the attempts since. Zero means 'not recorded' in a Usage, and is left out.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from bedplate.core.records import Basis, Forecast, Record, Usage

Quantity = Literal["wall_s", "cpu_s", "peak_bytes", "energy_joules"]

WINDOW: Final = 20
"""Attempts looked at, newest first."""
HALF_LIFE: Final = 8.0
"""After how many newer attempts an attempt counts half in the middle."""
PRIOR_SPREAD: Final = 0.5
"""Standard deviation of a logarithm that is assumed before any was seen: about 65 % more or 40 % less."""
PRIOR_WEIGHT: Final = 2
"""How many attempts `PRIOR_SPREAD` weighs as."""
CONFORMAL_FROM: Final = 10
"""Attempts from which the range is read off the history itself."""
PRIOR_ATTEMPTS: Final = 2
"""How many attempts a prior weighs as."""
PRIOR_FREEDOM: Final = 10
"""How many attempts the width of a prior's range weighs as: it comes from many measured rows."""
CONTRADICTED: Final = 3.0
"""A prior is dropped where the attempts lie further from it than so many halves of its range."""
LEAST_HALF: Final = 0.05
"""Half of a prior's range is taken to be no less than 5 %."""
_T90: Final = {
    2: 1.886, 3: 1.638, 4: 1.533, 5: 1.476, 6: 1.440, 7: 1.415, 8: 1.397, 9: 1.383, 10: 1.372, 11: 1.363, 12: 1.356, 13: 1.350, 14: 1.345,
    15: 1.341, 16: 1.337, 17: 1.333, 18: 1.330,
}  # fmt: skip
"""Student's t, 90 % one-sided, by degrees of freedom."""
_Z90: Final = 1.282
"""The same of the normal distribution."""


class TrackRecord(Record, frozen=True, kw_only=True):
    """How past forecasts did: `inside` of `n` actual values lay in their range.

    `share` is inside / n (0.8 is what the ranges promise); `median_error` the median of |actual - middle| / actual. None where n is 0.
    """

    n: int = 0
    inside: int = 0
    share: float | None = None
    median_error: float | None = None


def forecast(
    usages: Sequence[Usage], quantity: Quantity, sizes: Sequence[float] | None = None, size: float | None = None,
    prior: Forecast | None = None,
) -> Forecast:  # fmt: skip
    """What `quantity` the next attempt will take, from `usages` of the same step, oldest first.

    `sizes` are the input bytes or rows of each usage, `size` those of the attempt to come; `prior` is what was expected before any. Without
    either the basis is `unknown` and the figures are zero. Raises ValueError where sizes and usages differ in number.
    """
    if sizes is not None and len(sizes) != len(usages):
        raise ValueError(f"{len(sizes)} sizes for {len(usages)} usages")
    pairs = [(getattr(u, quantity), sizes[i] if sizes is not None else 0.0, u) for i, u in enumerate(usages)]
    pairs = [pair for pair in pairs if _recorded(pair[0], quantity, pair[2])][-WINDOW:]
    if not pairs:
        return prior or Forecast(quantity=quantity, middle=0.0, low=0.0, high=0.0, basis="unknown")
    logs, extra = _scaled([math.log(value) for value, _, _ in pairs], [s for _, s, _ in pairs], size)
    middle = _recent_median(logs)
    blended = _blended(prior, logs, middle) if prior is not None and len(logs) < CONFORMAL_FROM else None
    middle, low, high = blended or (middle, *_range(logs, middle))
    return Forecast(
        quantity=quantity,
        middle=math.exp(middle),
        low=math.exp(min(low, middle) - extra),
        high=math.exp(max(high, middle) + extra),
        basis="planner" if blended else _basis(quantity, [u for _, _, u in pairs]),
        samples=len(pairs),
    )


def cost(wall: Forecast, usd_per_hour: float, basis: Basis | None = None) -> Forecast:
    """The money that a forecast of wall time comes to, at a target's price."""
    scale = usd_per_hour / 3600.0
    return Forecast(
        quantity="cost_usd", middle=wall.middle * scale, low=wall.low * scale, high=wall.high * scale,
        basis=basis or wall.basis, samples=wall.samples,
    )  # fmt: skip


def coverage(pairs: Sequence[tuple[Forecast, float]]) -> TrackRecord:
    """The track record of forecasts beside what happened; forecasts of basis `unknown` promised nothing and are left out."""
    known = [(f, actual) for f, actual in pairs if f.basis != "unknown" and actual > 0]
    if not known:
        return TrackRecord()
    inside = sum(f.low <= actual <= f.high for f, actual in known)
    errors = [abs(actual - f.middle) / actual for f, actual in known]
    return TrackRecord(n=len(known), inside=inside, share=inside / len(known), median_error=statistics.median(errors))


def join(records: Sequence[TrackRecord]) -> TrackRecord:
    """Several track records as one; the median error is the average weighted by n."""
    known = [r for r in records if r.n]
    n = sum(r.n for r in known)
    if not n:
        return TrackRecord()
    inside = sum(r.inside for r in known)
    error = sum(r.n * (r.median_error or 0.0) for r in known) / n
    return TrackRecord(n=n, inside=inside, share=inside / n, median_error=error)


def _recorded(value: float, quantity: Quantity, usage: Usage) -> bool:
    if quantity == "energy_joules" and usage.energy_basis == "unknown":
        return False
    return value > 0 and math.isfinite(value)


def _basis(quantity: Quantity, usages: Sequence[Usage]) -> Basis:
    if quantity == "energy_joules" and any(u.energy_basis == "assumed" for u in usages):
        return "assumed"
    return "history"


def _recent_median(logs: Sequence[float]) -> float:
    """The weighted median; an even split takes the middle of its two neighbours."""
    weights = [0.5 ** ((len(logs) - 1 - i) / HALF_LIFE) for i in range(len(logs))]
    ranked = sorted(zip(logs, weights, strict=True))
    half, passed = sum(weights) / 2, 0.0
    for i, (value, weight) in enumerate(ranked):
        passed += weight
        if passed > half * (1 + 1e-12):
            return value
        if passed >= half * (1 - 1e-12):
            return (value + ranked[i + 1][0]) / 2
    return ranked[-1][0]


def _range(logs: Sequence[float], middle: float) -> tuple[float, float]:
    n = len(logs)
    if n >= CONFORMAL_FROM:
        ranked = sorted(logs)
        return _at_rank(ranked, 0.1 * (n + 1)), _at_rank(ranked, 0.9 * (n + 1))
    freedom = PRIOR_WEIGHT + n - 1
    squares = PRIOR_WEIGHT * PRIOR_SPREAD**2 + sum((v - middle) ** 2 for v in logs)
    half = _T90[freedom] * math.sqrt(squares / freedom) * math.sqrt(1 + 1 / n)
    return middle - half, middle + half


def _blended(prior: Forecast, logs: Sequence[float], middle: float) -> tuple[float, float, float] | None:
    """(middle, low, high) of the prior with fewer than ten attempts blended in; None where they contradict it."""
    expected = math.log(prior.middle)
    half = max(math.log(prior.high / prior.low) / 2, LEAST_HALF)
    if abs(middle - expected) > CONTRADICTED * half:
        return None
    n, weight = len(logs), PRIOR_ATTEMPTS + len(logs)
    one = (half / _Z90) ** 2 * PRIOR_ATTEMPTS / (PRIOR_ATTEMPTS + 1)  # one attempt's share of the prior's variance
    freedom = PRIOR_FREEDOM + n - 1
    squares = PRIOR_FREEDOM * one + sum((v - middle) ** 2 for v in logs) + PRIOR_ATTEMPTS * n / weight * (middle - expected) ** 2
    width = _T90[freedom] * math.sqrt(squares / freedom) * math.sqrt(1 + 1 / weight)
    blended = (n * middle + PRIOR_ATTEMPTS * expected) / weight
    return blended, blended - width, blended + width


def _at_rank(ranked: Sequence[float], rank: float) -> float:
    """The value at a fractional rank counted from 1."""
    below = min(max(int(rank), 1), len(ranked) - 1)
    return ranked[below - 1] + (rank - below) * (ranked[below] - ranked[below - 1])


class _Fit(msgspec.Struct, frozen=True):
    """A slope of log value on log size, and how far it carries."""

    slope: float
    low: float
    high: float


def _scaled(logs: list[float], sizes: Sequence[float], size: float | None) -> tuple[list[float], float]:
    """The history as if every attempt had had `size`, and how much to widen the range where that extrapolates."""
    if size is None or size <= 0 or any(s <= 0 for s in sizes):
        return logs, 0.0
    xs = [math.log(s) for s in sizes]
    fit = _slope(xs, logs)
    if fit is None:
        return logs, 0.0
    x = math.log(size)
    beyond = max(0.0, fit.low - x, x - fit.high)
    return [y + fit.slope * (x - xi) for y, xi in zip(logs, xs, strict=True)], 0.3 * beyond


def _slope(xs: Sequence[float], ys: Sequence[float]) -> _Fit | None:
    """The Theil-Sen slope (median over pairs), kept within 0 to 2; None where it does not cut the spread by a quarter."""
    if len(set(xs)) < 3 or len(xs) < 4 or max(xs) - min(xs) < math.log(1.5):
        return None
    slopes = [(ys[j] - ys[i]) / (xs[j] - xs[i]) for i in range(len(xs)) for j in range(i) if abs(xs[j] - xs[i]) > 0.05]
    slope = min(max(statistics.median(slopes), 0.0), 2.0)
    rest = [y - slope * x for x, y in zip(xs, ys, strict=True)]
    if _spread(rest) > 0.75 * _spread(ys):
        return None
    return _Fit(slope, min(xs), max(xs))


def _spread(values: Sequence[float]) -> float:
    middle = statistics.median(values)
    return statistics.fmean(abs(v - middle) for v in values)
