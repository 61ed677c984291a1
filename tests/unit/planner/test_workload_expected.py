"""Declared workloads on a target's machines: forecasts, whether it fits, and how attempts are blended into what was expected."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.assembly import knowledge
from bedplate.core.records import Forecast, Usage
from bedplate.core.workload import Workload, machines
from bedplate.planner.forecasts.expected import Expected, with_history
from bedplate.planner.forecasts.history import CONTRADICTED, forecast
from bedplate.planner.search.workload import expected

KNOWN = knowledge()
TRAIN = Workload(model="llama-3.1-8b", tokens="2B", seq_len=8192)
PRIOR = Forecast(quantity="wall_s", middle=100.0, low=80.0, high=125.0, basis="planner")


def by(expected: Expected) -> dict[str, Forecast]:
    return {one.quantity: one for one in expected.forecasts}


def test_a_training_job_gets_time_memory_energy_and_money_from_the_planner() -> None:
    """6 x 8.03e9 weights x 2e9 tokens are 9.6e19 FLOP: at 30 to 60 % of 8 x 989 TFLOP/s 5.6 to 11.3 hours, 10 minutes to start."""
    answer = expected(TRAIN, machines("8 x h100"), KNOWN)
    found = by(answer)
    assert (answer.fits, answer.warning) == (True, "")
    assert 5.6 <= found["wall_s"].middle / 3600 <= 11.5
    assert 20e9 < found["accelerator_bytes"].middle < 80 * 2**30
    assert 8 * 300 < found["energy_joules"].middle / found["wall_s"].middle < 8 * 1500
    assert found["cost_usd"].middle > 0
    assert all(one.low < one.middle < one.high and one.basis == "planner" for one in answer.forecasts)


def test_the_price_of_the_target_is_what_it_costs() -> None:
    found = by(expected(TRAIN, machines("8 x h100"), KNOWN, usd_per_hour=20.0))
    assert found["cost_usd"].middle == pytest.approx(found["wall_s"].middle / 3600 * 20)


def test_a_node_stands_for_its_accelerators() -> None:
    assert expected(TRAIN, machines("1 x dgx-h100"), KNOWN).forecasts[0] == expected(TRAIN, machines("8 x h100"), KNOWN).forecasts[0]


def test_a_model_that_does_not_fit_is_told_with_what_would_do() -> None:
    """70.6e9 weights x 18 bytes (bf16 weights and gradients, fp32 copy, two moments) are 1,270 GB; eight H100 have 687."""
    answer = expected(Workload(model="llama-3.1-70b", tokens="2B"), machines("8 x h100"), KNOWN)
    assert (answer.fits, answer.forecasts) == (False, ())
    assert answer.warning.startswith("it does not fit 8 x h100: ")
    assert "1,270 GB" in answer.warning
    assert answer.needs.endswith(" x h100")
    assert expected(Workload(model="llama-3.1-70b", tokens="2B"), machines(answer.needs), KNOWN).fits


def test_a_rate_that_the_machines_cannot_bear_does_not_fit() -> None:
    answer = expected(Workload(model="llama-3.1-70b", isl=2000, osl=300, rate="40/s"), machines("8 x h100"), KNOWN)
    assert answer.fits is False
    assert "at most 8" in answer.problem
    assert answer.needs


def test_a_service_is_forecast_for_a_month_and_has_no_time() -> None:
    found = by(expected(Workload(model="llama-3.1-8b", isl=2000, osl=300, rate="4/s"), machines("8 x h100"), KNOWN, usd_per_hour=10.0))
    assert set(found) == {"energy_joules", "cost_usd"}
    assert found["cost_usd"].middle == pytest.approx(7300, rel=0.01), "730 hours"


@pytest.mark.parametrize(
    ("workload", "on", "said"),
    [
        (Workload(model="lama-3.1-8b", tokens=1e9), "8 x h100", "there is no model 'lama-3.1-8b' (nearest: "),
        (TRAIN, "8 x h1000", "there is no accelerator 'h1000' (nearest: "),
        (Workload(model="llama-3.1-8b", tokens=1e9, precision="fp9"), "8 x h100", "there is no precision 'fp9'"),
    ],
)
def test_what_cannot_be_said_is_told_and_nothing_is_forecast(workload: Workload, on: str, said: str) -> None:
    answer = expected(workload, machines(on), KNOWN)
    assert (answer.fits, answer.forecasts) == (None, ())
    assert said in answer.warning


def test_machines_that_are_no_whole_nodes_do_not_do_and_twice_as_many_do() -> None:
    answer = expected(TRAIN, machines("12 x h100"), KNOWN)
    assert (answer.fits, answer.needs) == (False, "24 x h100")
    assert "not whole nodes of 8" in answer.problem


# Blending


def walls(*values: float) -> list[Usage]:
    return [Usage(wall_s=value) for value in values]


def width(one: Forecast) -> float:
    return math.log(one.high / one.low)


def test_without_attempts_the_prior_is_the_forecast() -> None:
    assert forecast([], "wall_s", prior=PRIOR) == PRIOR


def test_attempts_weigh_n_of_n_and_two_on_the_logarithm() -> None:
    """Two attempts of 120 s beside a prior of 100 s, weighing alike: the middle is sqrt(100 x 120)."""
    one = forecast(walls(120.0, 120.0), "wall_s", prior=PRIOR)
    assert one.middle == pytest.approx(math.sqrt(100 * 120))
    assert (one.basis, one.samples) == ("planner", 2)


def test_attempts_that_agree_narrow_the_range() -> None:
    widths = [width(forecast(walls(*[100.0] * n), "wall_s", prior=PRIOR)) for n in range(1, 10)]
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < 0.8 * width(PRIOR)


def test_attempts_that_differ_widen_it() -> None:
    assert width(forecast(walls(60.0, 160.0), "wall_s", prior=PRIOR)) > width(forecast(walls(100.0, 100.0), "wall_s", prior=PRIOR))


def test_a_prior_that_attempts_contradict_is_dropped() -> None:
    assert forecast(walls(0.2), "wall_s", prior=PRIOR) == forecast(walls(0.2), "wall_s")


def test_ten_attempts_speak_for_themselves() -> None:
    ten = walls(*(100.0 + i for i in range(10)))
    assert forecast(ten, "wall_s", prior=PRIOR) == forecast(ten, "wall_s")


@given(st.floats(-CONTRADICTED * 0.99, CONTRADICTED * 0.99), st.integers(1, 9))
def test_the_blended_middle_lies_between_the_prior_and_the_attempts(halves: float, n: int) -> None:
    own = 100.0 * math.exp(halves * math.log(125 / 80) / 2)
    one = forecast(walls(*[own] * n), "wall_s", prior=PRIOR)
    assert min(own, 100.0) * (1 - 1e-9) <= one.middle <= max(own, 100.0) * (1 + 1e-9)
    assert one.low < one.middle < one.high


@pytest.mark.parametrize("share", [1 / 3, 0.9])
@pytest.mark.parametrize("n", [1, 3, 6, 9])
def test_blended_ranges_hold_at_least_four_in_five(share: float, n: int) -> None:
    """Machines that differ from the prior as its range says, of which `share` of the variance is theirs and the rest from run to run."""
    dice = random.Random(n)
    sigma = math.log(125 / 80) / 2 / 1.282
    inside = 0
    for _ in range(2000):
        level = dice.gauss(math.log(100.0), sigma * math.sqrt(share))
        values = [math.exp(dice.gauss(level, sigma * math.sqrt(1 - share))) for _ in range(n + 1)]
        one = forecast(walls(*values[:n]), "wall_s", prior=PRIOR)
        inside += one.low <= values[n] <= one.high
    assert inside / 2000 >= 0.78, "0.01 is the standard error"


def test_money_and_energy_follow_the_time_that_attempts_took() -> None:
    """1,000 J and 2 USD for 100 s: an attempt of 0.2 s contradicts the time, and brings both down with it."""
    energy = Forecast(quantity="energy_joules", middle=1000.0, low=800.0, high=1250.0, basis="planner")
    money = Forecast(quantity="cost_usd", middle=2.0, low=1.6, high=2.5, basis="planner")
    before = Expected(machines="8 x h100", fits=True, forecasts=(PRIOR, energy, money))
    own = tuple(forecast(walls(0.2), quantity) for quantity in ("wall_s", "peak_bytes", "energy_joules"))
    after = {one.quantity: one for one in with_history(before, walls(0.2), own)}
    assert after["wall_s"].basis == "history"
    assert after["energy_joules"].middle == pytest.approx(2.0)
    assert after["cost_usd"].middle == pytest.approx(0.004)
    assert after["peak_bytes"].basis == "unknown", "memory of the machine is the history's alone"
    assert with_history(before, [], own)[0] == PRIOR


def test_a_workload_of_a_model_without_a_name_is_told() -> None:
    told = expected(Workload(model="", tokens="2B"), machines("8 x h100"), KNOWN)
    assert "there is no model ''" in told.problem
