"""Priors of fitted factors and of their effects, and the flat list of numbers that a fit moves."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from bedplate.planner.facts.calibration import Effects


class Prior(NamedTuple):
    """A factor's prior: middle and deviation of its logarithm; of effects, by the labels' beginnings, a deviation or (mean, deviation).

    The first beginning that a label has stands.
    """

    middle: float
    deviation: float
    effects: Mapping[str, float | tuple[float, float]] = {}


class Place(NamedTuple):
    """One fitted number: of which factor, for which label ("" the base), with the prior of its logarithm."""

    factor: str
    label: str
    middle: float
    deviation: float


def places(priors: Mapping[str, Prior], labels: Iterable[str], told: Iterable[str] = ()) -> list[Place]:
    """The numbers to fit where these labels occur; those of the labels `told` are kept as their priors say where nothing was measured."""
    known, out = sorted({*labels, *told}), []
    for factor, prior in priors.items():
        out.append(Place(factor, "", math.log(prior.middle), prior.deviation))
        for label in known:
            start = next((start for start in prior.effects if label.startswith(start)), None)
            if start is not None:
                found = prior.effects[start]
                mean, deviation = found if isinstance(found, tuple) else (0.0, found)
                out.append(Place(factor, label, mean, deviation))
    return out


def effects(values: Sequence[float], at: Sequence[Place], *, exact: bool = False) -> dict[str, Effects]:
    """The values as constants, rounded, effects too small to matter left out; `exact` for a fit that moves them by less."""
    out: dict[str, Effects] = {}
    for factor in dict.fromkeys(place.factor for place in at):
        own = {p.label: float(v) for v, p in zip(values, at, strict=True) if p.factor == factor}
        base = own.pop("")
        if exact:
            out[factor] = Effects(base=base, effects=own)
            continue
        out[factor] = Effects(base=round(base, 5), effects={k: round(v, 5) for k, v in own.items() if abs(v) > 5e-4})
    return out
