"""A curve as a chart: what is no number leaves a gap and is told, and a name of any length stays a label."""

from __future__ import annotations

from bedplate.catalog.tracking.tracked import Metric
from bedplate.interfaces.http.console.one_run.curves import Stretch, chart_of


def points(*values: float | str) -> list[Metric]:
    return [Metric("m", value, 1000 + step, step) for step, value in enumerate(values)]


def test_what_is_no_number_leaves_a_gap_and_is_told() -> None:
    """Proves that NaN and both infinities are null to the browser, with their words and their count below."""
    chart = chart_of(points(1.0, "NaN", "-Infinity", 2.0, "NaN"), "r", Stretch(key="m"), live=True)
    assert list(chart.series[0].y) == [1.0, None, None, 2.0, None]
    assert "3 of these 5 points are no numbers (-Infinity, NaN)" in chart.note
    assert "NaN" not in chart.json().replace(chart.note, "")
    assert chart.live


def test_what_has_no_place_on_a_logarithmic_scale_is_told() -> None:
    """Proves that zero and less are left out there, and only there."""
    drawn = chart_of(points(0.0, -1.0, 10.0), "r", Stretch(key="m", is_log=True), live=False)
    assert list(drawn.series[0].y) == [None, None, 10.0]
    assert "2 are not above 0" in drawn.note
    assert list(chart_of(points(0.0, -1.0), "r", Stretch(key="m"), live=False).series[0].y) == [0.0, -1.0]


def test_any_key_makes_an_address_and_a_label() -> None:
    """Proves that a key of 10,000 letters, signs of addresses and markup among them, neither breaks the address nor fills the page."""
    key = "a&b=c#<script>\N{RIGHT-TO-LEFT OVERRIDE}" + "x" * 10_000
    chart = chart_of(points(1.0), "r/../x", Stretch(key=key), live=False)
    assert len(chart.series[0].label) <= 60
    assert chart.source.startswith("/runs/r%2F..%2Fx/curve?key=a%26b%3Dc%23%3Cscript%3E")
    assert "<" not in chart.json()


def test_a_curve_without_points_is_none() -> None:
    """Proves that nothing is drawn of a key that was never logged."""
    assert chart_of([], "r", Stretch(key="m"), live=False).series == ()
