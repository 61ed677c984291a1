"""What a gate says of a lighter model: which way a figure got worse, and what loss would take it."""

from __future__ import annotations

from bedplate.stages.deploy.gate import Figure, lost, refused


def figure(before: float | None, after: float | None, worse: float, *, passed: bool = True) -> Figure:
    return Figure(name="figure", before=before, after=after, worse=worse, passed=passed)


def test_an_error_rises_where_an_auc_falls() -> None:
    assert refused((figure(0.195, 0.209, 0.014),), 0.005) == "figure rises from 0.195 to 0.209, and 0.005 is allowed"
    assert refused((figure(0.9, 0.8, 0.1),), 0.005) == "figure falls from 0.9 to 0.8, and 0.005 is allowed"


def test_the_loss_that_would_take_it_really_takes_it() -> None:
    found = (figure(0.195, 0.2093, 0.0143), figure(0.9, 0.91, -0.01))
    assert lost(found) == 0.015
    assert refused(found, lost(found)) == ""


def test_no_loss_takes_what_the_check_refuses_or_what_is_no_number() -> None:
    assert lost((figure(0.9, 0.1, 0.8, passed=False),)) == 0.0
    assert lost((figure(0.9, None, float("inf")),)) == 0.0
