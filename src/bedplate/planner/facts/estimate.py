"""A predicted number with its 80 % range and what it rests on, and what can be done with such numbers.

Choices: a range is kept as two ratios' worth of bounds around the value (log-normal thinking: times, memory and energy vary by factors);
products add the spreads of independent factors in quadrature; sums of one design's parts add them linearly: they share causes.
"""

from __future__ import annotations

import math

from bedplate.core.records import Record


class Estimate(Record, frozen=True, kw_only=True):
    """`value` is meant to lie in [`low`, `high`] 8 times in 10. `basis` names what the number rests on, in words for people."""

    value: float
    low: float
    high: float
    basis: str = ""

    def times(self, factor: float) -> Estimate:
        """The same number in another unit, or of `factor` such things."""
        return Estimate(value=self.value * factor, low=self.low * factor, high=self.high * factor, basis=self.basis)

    def inverse(self, numerator: float = 1.0) -> Estimate:
        """numerator / self: the bounds change sides."""
        return Estimate(value=numerator / self.value, low=numerator / self.high, high=numerator / self.low, basis=self.basis)


def spread(value: float, down: float, up: float, basis: str = "") -> Estimate:
    """An estimate whose bounds are the value times exp(-down) and exp(up); `down` and `up` are natural logarithms >= 0."""
    return Estimate(value=value, low=value * math.exp(-down), high=value * math.exp(up), basis=basis)


def exact(value: float, basis: str = "") -> Estimate:
    """A number that follows from what was given: its range has no width."""
    return Estimate(value=value, low=value, high=value, basis=basis)


def product(left: Estimate, right: Estimate, basis: str = "") -> Estimate:
    """left x right for independent errors: their log widths add in quadrature. Both must be positive."""
    down = math.hypot(math.log(left.value / left.low), math.log(right.value / right.low))
    up = math.hypot(math.log(left.high / left.value), math.log(right.high / right.value))
    return spread(left.value * right.value, down, up, basis or f"{left.basis}; {right.basis}".strip("; "))


def total(parts: list[Estimate], basis: str = "") -> Estimate:
    """The sum of parts that share their causes: bounds add."""
    return Estimate(value=sum(p.value for p in parts), low=sum(p.low for p in parts), high=sum(p.high for p in parts), basis=basis)
