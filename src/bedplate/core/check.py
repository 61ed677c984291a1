"""Check: a gate's verdict, a value that a function returns.

Built with `Check.at_least`, `at_most`, `compare`, joined with `Check.all`. A value may be a mapping: each entry is a slice and
every slice must pass. Not-a-number never passes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec


class Finding(msgspec.Struct, frozen=True):
    """One comparison: `value` against `bound`, on the slice named (empty: all rows)."""

    name: str
    value: float
    rule: str
    bound: float | None
    passed: bool
    slice: str = ""

    def __str__(self) -> str:
        where = f"[{self.slice}]" if self.slice else ""
        bound = "no champion yet" if self.bound is None else f"{self.rule} {self.bound:.4g}"
        return f"{'pass' if self.passed else 'FAIL'} {self.name}{where} = {self.value:.4g} ({bound})"


Values = float | Mapping[str, float]


class Check(msgspec.Struct, frozen=True):
    """A verdict: passed when every finding passed; a check without findings does not pass."""

    findings: tuple[Finding, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every finding passed."""
        return bool(self.findings) and all(finding.passed for finding in self.findings)

    @classmethod
    def at_least(cls, name: str, value: Values, bound: float) -> Check:
        """Every value is `bound` or more."""
        return cls(tuple(Finding(name, v, ">=", bound, v >= bound, s) for s, v in _slices(value)))

    @classmethod
    def at_most(cls, name: str, value: Values, bound: float) -> Check:
        """Every value is `bound` or less."""
        return cls(tuple(Finding(name, v, "<=", bound, v <= bound, s) for s, v in _slices(value)))

    @classmethod
    def compare(cls, name: str, value: Values, champion: Values | None, *, margin: float = 0.0, lower_is_better: bool = False) -> Check:
        """No slice is worse than the champion's by more than `margin`; without a champion it passes."""
        if champion is None:
            return cls(tuple(Finding(name, v, "vs champion", None, not math.isnan(v), s) for s, v in _slices(value)))
        before = dict(_slices(champion))
        findings = []
        for slice_name, v in _slices(value):
            bound = before.get(slice_name)
            if bound is None:
                findings.append(Finding(name, v, "vs champion", None, not math.isnan(v), slice_name))
            elif lower_is_better:
                findings.append(Finding(name, v, "<=", bound + margin, v <= bound + margin, slice_name))
            else:
                findings.append(Finding(name, v, ">=", bound - margin, v >= bound - margin, slice_name))
        return cls(tuple(findings))

    @classmethod
    def all(cls, *checks: Check) -> Check:
        """One check of the findings of all."""
        return cls(tuple(finding for check in checks for finding in check.findings))


def _slices(value: Values) -> list[tuple[str, float]]:
    if isinstance(value, Mapping):
        return [(str(name), float(v)) for name, v in value.items()]
    return [("", float(value))]
