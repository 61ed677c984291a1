"""Sparklines of the table of runs: the curve of a metric as a small line beside its value, a few points of it taken by the record.

Limits: of the first two columns that have curves, so that the page stays light and quick; the line says a shape, its numbers are on the
run's own page.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby
from typing import Final

from bedplate.catalog.tracking.grammar import spelt
from bedplate.catalog.tracking.overview import Key
from bedplate.catalog.tracking.tracked import Metric
from bedplate.interfaces.http.door.endpoint import Desk

POINTS: Final = 24
WIDTH: Final = 56
HEIGHT: Final = 16
"""Of the drawing, in its own units."""
_COLUMNS: Final = 2
_EDGE: Final = 1.5
_FEWEST: Final = 3
Sparks = dict[str, dict[str, str]]
"""Run -> column -> the line, as the `d` of a path."""


def sparks(desk: Desk, runs: Sequence[str], keys: Sequence[Key]) -> Sparks:
    """The lines of these runs, in the columns that are shown."""
    tracking = desk.catalog.tracking
    curved = set(tracking.compared.curved(runs))
    drawn = [key for key in keys if key.entity == "metric" and key.name in curved][:_COLUMNS]
    found: Sparks = {}
    for key in drawn:
        for run, points in tracking.samples.of(runs, key.name, POINTS).items():
            if path := line(points):
                found.setdefault(run, {})[spelt(key.entity, key.name)] = path
    return found


def line(points: Sequence[Metric]) -> str:
    """A curve as a path, the least value below and the greatest above; empty for fewer than three values, a gap where one is no number."""
    known = [(one.step, one.value) for one in points if isinstance(one.value, float | int) and math.isfinite(one.value)]
    if len(known) < _FEWEST:
        return ""
    values, half = dict(known), [value / 2 for _, value in known]  # halves: the distance between the largest numbers is one, too
    first, least, height = points[0].step, min(half), max(half) - min(half)
    across, up = (WIDTH - 2 * _EDGE) / max(points[-1].step - first, 1), HEIGHT - 2 * _EDGE

    def place(step: int) -> str:
        share = (values[step] / 2 - least) / height if height else 0.5
        return f"{_EDGE + (step - first) * across:.1f} {_EDGE + up * (1 - share):.1f}"

    pieces = groupby((one.step for one in points), key=values.__contains__)
    return "".join("M" + "L".join(map(place, some)) for is_known, some in pieces if is_known)
