"""Useful share of a run: the formulas by hand, and that more failures never help."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.planner.training.goodput import MTBF_ACCEL_H, goodput, young_daly


def test_the_interval_is_that_of_young() -> None:
    """A save of 60 s and a failure every 4 h (14,400 s): sqrt(2 x 60 x 14,400) = 1,314.5 s."""
    assert young_daly(60.0, 14_400.0) == pytest.approx(1_314.53, abs=0.01)


def test_the_usual_time_between_failures_is_llama_3s() -> None:
    """16,384 accelerators for 54 days over 419 unexpected interruptions; so that cluster stops about every three hours."""
    assert pytest.approx(16_384 * 54 * 24 / 419, rel=0.001) == MTBF_ACCEL_H
    assert goodput(16_384, 2_048, 1e9).between_s == pytest.approx(3.09 * 3600, rel=0.01)


def test_a_useful_share_by_hand() -> None:
    """1,000 accelerators of 50,700 h: one failure in 50.7 h = 182,520 s. 25 GB at 25 GB/s save in 1 s, every sqrt(2 x 182,520) = 604 s.

    Waste 1/604 + (302 + 900) / 182,520 = 0.00166 + 0.00659 = 0.00824: a share of 0.9918.
    """
    found = goodput(1_000, 125, 25e9)
    assert found.interval_s == pytest.approx(604.2, abs=0.1)
    assert found.useful == pytest.approx(0.9918, abs=0.0001)


@given(st.integers(1, 4_000), st.floats(1e8, 1e11), st.floats(0, 0.1))
def test_more_nodes_and_more_reclaims_never_make_a_run_more_useful(nodes: int, size: float, reclaims: float) -> None:
    one = goodput(8 * nodes, nodes, size, reclaims_per_node_hour=reclaims)
    assert 0 < goodput(16 * nodes, 2 * nodes, size, reclaims_per_node_hour=reclaims).useful <= one.useful < 1
    assert goodput(8 * nodes, nodes, size, reclaims_per_node_hour=reclaims + 0.1).useful < one.useful
