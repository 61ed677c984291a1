"""Power of an accelerator from its activity."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.planner.facts.calibration import Constants
from bedplate.planner.facts.cases import Unsupported
from bedplate.planner.facts.systems import Accelerator
from bedplate.planner.kernels.power import idle_watts, power

CHIP = Accelerator(name="X", source="test", vendor="v", mem_gb=80, mem_gbs=3000, tdp_w=700, idle_w=100, tflops={"bf16": 900})
LAW = Constants(numbers={"power_active": 0.1, "power_compute": 0.6, "power_memory": 0.5})


def test_power_by_hand() -> None:
    """100 + 600 x (0.1 + 0.6 x 0.5 + 0.5 x 0.2) = 100 + 600 x 0.5 = 400 W."""
    assert power(CHIP, 0.5, 0.2, LAW) == pytest.approx(400.0)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 0.5))
def test_more_work_never_draws_less_and_never_passes_the_limit(compute: float, memory: float, more: float) -> None:
    here, there = power(CHIP, compute, memory, LAW), power(CHIP, compute + more, memory + more, LAW)
    assert 100 <= here <= there <= 700


def test_arrays_give_arrays() -> None:
    assert power(CHIP, np.array([0.0, 1.0]), 0.0, LAW).tolist() == pytest.approx([160.0, 520.0])


def test_a_chip_without_board_power_is_refused_by_name() -> None:
    with pytest.raises(Unsupported, match="Y"):
        idle_watts(Accelerator(name="Y", source="test", vendor="v", mem_gb=80, mem_gbs=3000, tflops={}))
