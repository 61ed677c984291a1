"""Electricity and carbon of a training run, against published arithmetic."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.planner.facts.architecture import Architectures
from bedplate.planner.facts.cases import Case, Unsupported
from bedplate.planner.facts.knowledge import Knowledge
from bedplate.planner.training.energy import answer
from bedplate.storage.systems import load_systems

KNOWLEDGE = Knowledge(systems=load_systems(), architectures=Architectures(rows={}), constants={})


def case(**more: object) -> Case:
    return msgspec.convert({"id": "x", "kind": "training_energy", "accelerator": "A100-SXM4-80GB", **more}, Case)


def test_starcoder_worked_by_hand() -> None:
    """StarCoder (arXiv 2305.06161): 320,256 hours x 280 W x PUE 1.2 is 107.6 MWh; at 155 g/kWh that is 16.68 t, as its card prints."""
    found = answer(case(gpu_hours=320256, power_w=280, pue=1.2, g_per_kwh=155), KNOWLEDGE).quantities
    assert found["energy_mwh"].value == pytest.approx(107.606, rel=1e-4)
    assert found["tco2e"].value == pytest.approx(16.68, rel=1e-3)


def test_a_grid_named_without_pue_counts_at_the_accelerators() -> None:
    """BLOOM (Luccioni et al. 2022): 1,082,990 hours at 400 W are 433.2 MWh, at 57 g/kWh 24.69 t."""
    found = answer(case(gpu_hours=1082990, g_per_kwh=57), KNOWLEDGE).quantities
    assert (found["energy_mwh"].value, found["tco2e"].value) == pytest.approx((433.196, 24.69), rel=1e-3)


def test_what_is_put_in_is_said_and_widens_the_range() -> None:
    """Llama 2 70B prints hours and watts alone: the answer names its grid and PUE, holds the card's 291.42 t, and is wider."""
    told = answer(case(gpu_hours=1720320, power_w=400, pue=1.1, g_per_kwh=385), KNOWLEDGE).quantities["tco2e"]
    silent = answer(case(gpu_hours=1720320, power_w=400), KNOWLEDGE).quantities["tco2e"]
    assert silent.low <= 291.42 <= silent.high
    assert silent.high / silent.low > told.high / told.low
    assert "assumed" in silent.basis
    assert "assumed" not in told.basis


def test_hours_from_tokens() -> None:
    """6 x 1e9 weights x 1e12 tokens at 38 % of 312 TFLOP/s are 14,057 hours, so 5.62 MWh at 400 W without PUE."""
    found = answer(case(tokens=1e12, model={"name": "m", "params": 1e9}, g_per_kwh=100), KNOWLEDGE).quantities
    assert found["energy_mwh"].value == pytest.approx(6e21 / (312e12 * 0.38) / 3600 * 400 / 1e6, rel=1e-6)


@given(st.floats(1, 1e7), st.floats(50, 1500), st.floats(1, 2), st.floats(1, 1000))
def test_energy_and_carbon_add_up(hours: float, watts: float, pue: float, grams: float) -> None:
    """Carbon is energy times the grid, and two halves of a run make the whole."""
    given_all = {"power_w": watts, "pue": pue, "g_per_kwh": grams}
    whole = answer(case(gpu_hours=hours, **given_all), KNOWLEDGE).quantities
    half = answer(case(gpu_hours=hours / 2, **given_all), KNOWLEDGE).quantities
    assert whole["tco2e"].value == pytest.approx(whole["energy_mwh"].value * grams / 1000)
    assert whole["energy_mwh"].value == pytest.approx(2 * half["energy_mwh"].value)


def test_without_hours_or_tokens_there_is_no_answer() -> None:
    """The reason names what is missing."""
    with pytest.raises(Unsupported, match="hours"):
        answer(case(), KNOWLEDGE)
