"""What a sizing is called in words, and how wide it is drawn: units on every figure, no line that a terminal cannot hold."""

from __future__ import annotations

import msgspec
import pytest

from bedplate.assembly import size
from bedplate.core.units import show_usd
from bedplate.interfaces.cli.size_view import draw
from bedplate.planner.asking.questions import Cost, Limits, Site
from bedplate.planner.asking.sizing import Design, Simulated, Times
from bedplate.planner.showing.charts import machines
from bedplate.planner.showing.percentiles import unplayed
from bedplate.planner.showing.words import label, laid_out

FOUND = size(Site(node="dgx-h100", nodes=128, limits=Limits(region="us-east-1")))


def test_a_site_is_ready_after_its_time_and_a_job_takes_it() -> None:
    assert FOUND.best is not None
    assert label("time_s", FOUND.best) == "ready after"
    assert label("time_s", Design(name="job")) == label("time_s") == "time"


def test_power_is_named_apart_mean_and_most() -> None:
    assert FOUND.best is not None
    assert FOUND.best.quantities["power_w"].value < FOUND.best.quantities["power_max_w"].value
    assert (label("power_w"), label("power_max_w")) == ("power at the meter, mean", "power at the meter, most")


def test_a_layout_is_written_for_people() -> None:
    assert laid_out(Design(name="x", layout={"dp": 1024, "rails": True, "requests_each": 47.0})) == [
        ("dp", "1,024"), ("rails", "yes"), ("requests each", "47"),
    ]  # fmt: skip


def test_a_long_layout_does_not_widen_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    """A pipe folds nothing: without a row for each entry this table had lines of 1,000 columns."""
    draw(FOUND)
    assert max(len(line) for line in capsys.readouterr().out.splitlines()) < 200


@pytest.mark.parametrize("question", [FOUND.question, Cost(node="dgx-h100", limits=Limits(terms=("buy",)))])
def test_what_an_answer_hangs_on_has_units(question: Site | Cost) -> None:
    bars = {bar.name: bar for bar in size(question).sensitivities}
    assert bars["electricity"].low_input.endswith("USD/kWh")
    assert bars["staff-usd-year"].high_input == "280,000 USD per person and year"
    price = bars["price of the nodes" if isinstance(question, Site) else "purchase price"]
    assert price.low_input.startswith("$")


def test_money_beyond_belief_is_short() -> None:
    assert (show_usd(2.5e12), show_usd(1.23e24)) == ("$2.5T", "$1.23e+24")


def test_an_option_beside_a_simulated_choice_says_that_it_was_not_simulated() -> None:
    """Its instances are the closed form's, which is looser; beside a choice that was not simulated either nothing needs saying."""
    times = Times(mean=1.0, p50=1.0, p90=1.0, p99=1.0)
    played = Simulated(
        ttft_s=times, tpot_s=times, gap_s=times, queue=times, running=1.0, caches=0.1, busy=0.5, requests=1000, length_cv=1.0, instances=1,
        asked=1, broke="", closed_form={},
    )  # fmt: skip
    plain, best = Design(name="plain"), Design(name="best", simulated=played)
    found = msgspec.structs.replace(FOUND, best=best)
    assert unplayed(plain, found) == "by the closed form, not simulated"
    assert unplayed(best, found) == unplayed(plain, msgspec.structs.replace(found, best=plain)) == ""


@pytest.mark.parametrize(
    ("layout", "copies"),
    [
        ({"tp": 4, "dp": 66, "ep": 8, "zero": 1}, 33),
        ({"dp": 264, "ep": 8, "zero": 3}, 1),
        ({"tp": 4, "pp": 2, "dp": 33}, 33),
        ({"instances": 66, "tp": 4}, 66),
    ],
)
def test_experts_and_shares_of_every_rank_are_one_copy_of_the_model(layout: dict[str, int], copies: int) -> None:
    """264 accelerators: 8 hold the experts of a mixture that 4 multiply with; with ZeRO stage 3 all of them hold one copy."""
    drawn = machines(Design(name="a", n_accel=264, n_nodes=33, layout=layout))
    assert f"{264 // copies} accelerators" in drawn
    assert f"{copies} cop" in drawn
