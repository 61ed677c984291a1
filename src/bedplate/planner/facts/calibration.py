"""Fitted constants: what the planner learned from measurements, apart from what data sheets say.

Choices: every constant is a factor with a physical meaning, written as an effect on a logarithm: a family's (`engine`), a chip's
(`accelerator`, `precision`). An effect is drawn towards zero by the fit, so that a name never seen has the effect 0: the general value
stands, and the range is that of an unknown. `Effects.of` gives the sum; `Spread` the 80 % half-widths by group, from residuals of
cross-validation by whole source.
Limits: constants come from calibration/fit.py and are written by nobody else.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec

from bedplate.core.records import Record


class Effects(Record, frozen=True, kw_only=True):
    """One quantity's constant: exp(base + the effects of the labels that apply).

    Labels look like `engine:vllm` or `accelerator:A100-SXM4-80GB/bf16`.
    """

    base: float
    effects: dict[str, float] = msgspec.field(default_factory=dict)

    def of(self, labels: Iterable[str]) -> float:
        return math.exp(self.base + sum(self.effects.get(label, 0.0) for label in labels))


class Spread(Record, frozen=True, kw_only=True):
    """80 % half-widths (natural logarithms, down and up) of a quantity by group; the first group that is known stands, `""` for all."""

    down: dict[str, float]
    up: dict[str, float]

    def of(self, groups: Iterable[str]) -> tuple[float, float]:
        for group in groups:
            if group in self.down:
                return self.down[group], self.up[group]
        return self.down[""], self.up[""]


class Constants(Record, frozen=True, kw_only=True):
    """The constants of one model of the planner (training, serving, ...): by name, with spreads by quantity, and where they come from."""

    effects: dict[str, Effects] = msgspec.field(default_factory=dict)
    numbers: dict[str, float] = msgspec.field(default_factory=dict)
    spreads: dict[str, Spread] = msgspec.field(default_factory=dict)
    fitted_on: str = ""
    cases: int = 0
