"""A curve becomes a small line: within its box, whatever its numbers, with gaps for what is none."""

from __future__ import annotations

import math
import re

import pytest

from bedplate.catalog.tracking.tracked import Metric
from bedplate.interfaces.http.console.many_runs.sparks import HEIGHT, WIDTH, line


def curve(*values: float | str) -> list[Metric]:
    return [Metric("loss", value, step, step * 10) for step, value in enumerate(values)]


def test_a_line_goes_from_edge_to_edge_and_up_for_more() -> None:
    """The first step is left, the last right; the greatest value above, the least below."""
    assert line(curve(0.0, 0.5, 1.0)) == "M1.5 14.5L28.0 8.0L54.5 1.5"


@pytest.mark.parametrize("values", [(1e308, -1e308, 0.0), (5.0, 5.0, 5.0), (1e-320, 0.0, 2e-320), (1.0, 1.0000000000000002, 1.0)])
def test_a_line_stays_in_its_box(values: tuple[float, ...]) -> None:
    """Numbers at the ends of what a float holds, equal ones, and ones that differ by a hair."""
    found = [float(one) for one in re.findall(r"[-\d.]+", line(curve(*values)))]
    assert all(0 <= x <= WIDTH for x in found[::2])
    assert all(0 <= y <= HEIGHT for y in found[1::2])


def test_what_is_no_number_is_a_gap() -> None:
    """Two strokes around it; too few numbers are no line."""
    assert line(curve(0.0, 1.0, math.nan, "Infinity", 1.0)).count("M") == 2
    assert line(curve(1.0, math.inf, "NaN", 2.0)) == ""
