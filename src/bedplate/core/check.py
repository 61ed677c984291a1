"""Check: a gate's verdict, a value that a function returns.

Built with `Check.at_least`, `at_most`, `compare`, joined with `Check.all`. A value may be a mapping: each entry is a slice and
every slice must pass. Not-a-number never passes, and is kept as None (JSON has no such number); nor does None, which is what the mean of
no rows is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec

from .units import show_number


class Finding(msgspec.Struct, frozen=True):
    """One comparison: `value` (None: not a finite number) against `bound`, on the slice named (empty: all rows)."""

    name: str
    value: float | None
    rule: str
    bound: float | None
    passed: bool
    slice: str = ""

    def __str__(self) -> str:
        bound = "no champion before it" if self.bound is None else f"{self.rule} {show_number(self.bound)}"
        value = "not a number" if self.value is None else show_number(self.value)
        return f"{'pass' if self.passed else 'FAIL'} {self.label} = {value} ({bound})"

    @property
    def label(self) -> str:
        """Name and slice, as a metric is named: `auc[EWR]`."""
        return f"{self.name}[{self.slice}]" if self.slice else self.name


Values = float | None | Mapping[str, float | None]


class Check(msgspec.Struct, frozen=True):
    """A verdict: passed when every finding passed; a check without findings does not pass."""

    findings: tuple[Finding, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every finding passed."""
        return bool(self.findings) and all(finding.passed for finding in self.findings)

    def figures(self) -> dict[str, float]:
        """What was measured, by label, for the record of metrics."""
        return {finding.label: finding.value for finding in self.findings if finding.value is not None}

    @classmethod
    def at_least(cls, name: str, value: Values, bound: float) -> Check:
        """Every value is `bound` or more."""
        return cls(tuple(Finding(name, _finite(v), ">=", bound, v >= bound, s) for s, v in _slices(value)))

    @classmethod
    def at_most(cls, name: str, value: Values, bound: float) -> Check:
        """Every value is `bound` or less."""
        return cls(tuple(Finding(name, _finite(v), "<=", bound, v <= bound, s) for s, v in _slices(value)))

    @classmethod
    def compare(cls, name: str, value: Values, champion: Values, *, margin: float = 0.0, lower_is_better: bool = False) -> Check:
        """No slice is worse than the champion's by more than `margin`; without a champion it passes."""
        before = dict(_slices(champion)) if champion is not None else {}
        findings = []
        for slice_name, v in _slices(value):
            bound = before.get(slice_name)
            if bound is None or math.isnan(bound):
                findings.append(Finding(name, _finite(v), "vs champion", None, not math.isnan(v), slice_name))
            elif lower_is_better:
                findings.append(Finding(name, _finite(v), "<=", _finite(bound + margin), v <= bound + margin, slice_name))
            else:
                findings.append(Finding(name, _finite(v), ">=", _finite(bound - margin), v >= bound - margin, slice_name))
        return cls(tuple(findings))

    @classmethod
    def all(cls, *checks: Check) -> Check:
        """One check of the findings of all."""
        return cls(tuple(finding for check in checks for finding in check.findings))


def _slices(value: Values) -> list[tuple[str, float]]:
    if isinstance(value, Mapping):
        return [(str(name), math.nan if v is None else float(v)) for name, v in value.items()]
    return [("", math.nan if value is None else float(value))]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
