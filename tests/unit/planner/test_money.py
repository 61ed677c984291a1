"""Renting, owning and mixing: check figures with their arithmetic written out, and what must always hold."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.assembly import knowledge
from bedplate.core.errors import NotFound, UserError
from bedplate.planner.asking.questions import Cost, Limits
from bedplate.planner.facts.estimate import exact
from bedplate.planner.facts.systems import Price
from bedplate.planner.money.cost import cost
from bedplate.planner.money.loads import under_load
from bedplate.planner.money.mix import Program, Rates, cheapest, filled, program
from bedplate.planner.money.own import Ownership, interest, monthly, owned, payback_months
from bedplate.planner.money.rent import HOURS_YEAR, hourly, lost_share, newest, rented

KNOWN = knowledge()


def test_an_8_gpu_instance_at_84_usd_costs_about_735k_a_year() -> None:
    """84 USD x 8,760 h = 735,840 USD: the domain's check figure."""
    assert rented(exact(84.0), "on-demand", months=12, utilisation=1.0).value == pytest.approx(84 * HOURS_YEAR) == 735_840


@pytest.mark.parametrize("price", [400_000, 500_000])
def test_a_bought_8_gpu_node_is_paid_back_within_a_year_of_that_rent(price: float) -> None:
    """400-500k USD over 61,320 USD a month of rent are 6.5 to 8.2 months; with 5k a month to run it, 7.1 to 8.9."""
    rent = 84 * HOURS_YEAR / 12
    assert payback_months(price, rent, 5_000) == pytest.approx(price / (rent - 5_000))
    assert (payback_months(price, rent, 5_000) or 99) < 12


def test_buying_that_costs_more_to_run_than_the_rent_never_pays_back() -> None:
    assert payback_months(100.0, 10.0, 10.0) is None


def test_a_reservation_is_paid_in_whole_terms_and_whether_busy_or_not() -> None:
    """13 months of a 1-year term at 1 USD are 24 x 730 hours, at any utilisation."""
    assert rented(exact(1.0), "reserved-1y", months=13, utilisation=0.1).value == 24 * 730


def test_spot_pays_again_for_what_interruptions_lose() -> None:
    """One interruption in 10 hours that loses half an hour is 5 % more: 0.1 x 0.5."""
    assert rented(exact(1.0), "spot", months=1, utilisation=1.0, lost=lost_share(0.1, 0.5)).value == pytest.approx(730 * 1.05)


def test_interest_is_that_of_a_level_payment() -> None:
    """1,000 at 12 % over 12 months: payment 88.85 (annuity), principal 83.33 a month, so 5.52 of interest."""
    assert interest(1_000, 0.12, 12) == pytest.approx(88.849 - 83.333, abs=0.001)
    assert interest(1_000, 0.0, 12) == 0


def _terms(**changed: float) -> Ownership:
    usual = {
        "purchase_usd": 450_000, "nameplate_kw": 10, "mean_kw": 7, "life_years": 5, "residual": 0.1, "finance_rate": 0.08,
        "maintenance": 0.04, "installation": 0.12, "pue": 1.4, "usd_per_kwh": 0.09, "space_usd_kw_month": 180,
        "staff_usd_year": 200_000, "nodes_per_person": 64,
    } | changed  # fmt: skip
    return Ownership(**usual)


def test_a_month_of_owning_by_hand() -> None:
    """450k x 1.12 less 45k over 60 months is 7,650; power 7 kW x 1.4 x 730 h x 0.09 is 643.86; space 10 x 180; 4 % / 12 is 1,500."""
    parts = {part.name: part.value for part in monthly(_terms()).parts}
    assert parts["depreciation"] == pytest.approx(7_650)
    assert parts["power"] == pytest.approx(643.86)
    assert parts["space"] == 1_800
    assert parts["maintenance"] == 1_500
    assert parts["staff"] == pytest.approx(200_000 / 12 / 64)


@given(st.floats(1, 60), st.floats(1, 59))
def test_keeping_a_node_longer_never_costs_less(months: float, more: float) -> None:
    assert owned(_terms(), months + more) >= owned(_terms(), months)


def test_the_parts_of_every_option_add_up_to_its_cost() -> None:
    for node in ("p5.48xlarge", "DGX-H200"):
        for design in cost(Cost(node=node, utilisation=0.6, egress_tb_month=5, storage_tb=100), KNOWN).options:
            assert design.breakdowns[0].total == pytest.approx(design.quantities["cost_usd"].value)


def test_more_use_never_makes_an_option_cheaper() -> None:
    low = {d.name: d for d in cost(Cost(node="p5.48xlarge", utilisation=0.3), KNOWN).options}
    high = {d.name: d for d in cost(Cost(node="p5.48xlarge", utilisation=0.9), KNOWN).options}
    shared = low.keys() & high.keys()
    assert shared
    assert all(low[name].quantities["cost_usd"].value <= high[name].quantities["cost_usd"].value for name in shared)


def test_a_budget_below_every_way_names_the_conflict() -> None:
    answer = cost(Cost(node="p5.48xlarge", limits=Limits(budget_usd=1000)), KNOWN)
    assert answer.best is None
    assert len(answer.conflict) == 2
    assert answer.binding is not None


def test_limits_on_provider_and_term_are_kept() -> None:
    answer = cost(Cost(node="DGX-H200", limits=Limits(providers=("nebius",), terms=("on-demand",))), KNOWN)
    assert {(d.provider, d.term) for d in answer.options} == {("nebius", "on-demand")}


def test_a_mistake_is_told_with_what_to_do() -> None:
    with pytest.raises(NotFound, match="no node"):
        cost(Cost(node="p99"), KNOWN)
    with pytest.raises(UserError, match="no share"):
        cost(Cost(node="p5.48xlarge", utilisation=60), KNOWN)


@pytest.mark.parametrize(
    "wrong", [{"count": 0}, {"months": 0.0}, {"months": float("nan")}, {"months": float("inf")}, {"egress_tb_month": -500.0},
              {"storage_tb": -200.0}, {"limits": Limits(region="mars")}],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UserError):
        cost(msgspec.structs.replace(Cost(node="p5.48xlarge"), **wrong), KNOWN)


def test_offers_of_a_country_are_those_of_its_regions() -> None:
    options = cost(Cost(node="p5.48xlarge", limits=Limits(region="GB")), KNOWN).options
    assert {one.region for one in options if one.term != "buy"} == {"eu-west-2"}


def test_a_price_that_no_row_gives_is_worked_out_with_a_range() -> None:
    price = Price(name="x", provider="p", accelerator="H100-SXM5-80GB", on_demand=10.0, source="test")
    worked_out = hourly(price, "reserved-3y", KNOWN.systems)
    assert worked_out is not None
    assert worked_out.low < worked_out.value < worked_out.high < 10
    assert hourly(price, "buy", KNOWN.systems) is None


def test_the_newest_row_of_an_offer_stands() -> None:
    old = Price(name="x", provider="p", accelerator="a", on_demand=84.8, source="s", as_of="2024", notes="before June 2025")
    new = Price(name="x", provider="p", accelerator="a", on_demand=44.0, source="s", as_of="2025")
    assert newest([old, new]) == newest([new, old]) == [new]


def test_a_newer_row_without_a_spot_price_leaves_the_older_rows_spot_price() -> None:
    """us-east-1: the row of 2026 states on demand only; the older one's spot price stands, and the source says so."""
    old = Price(name="x", provider="p", accelerator="a", on_demand=60.0, spot=10.0, source="old list", as_of="2025")
    new = Price(name="x", provider="p", accelerator="a", on_demand=55.0, source="new list", as_of="2026", verified=True)
    (row,) = newest([old, new])
    assert (row.on_demand, row.spot, row.as_of) == (55.0, 10.0, "2026")
    assert "old list" in row.source
    listed = {(one.name, one.region): one for one in newest(KNOWN.systems.prices)}
    assert listed["p5.48xlarge", "us-east-1"].spot == pytest.approx(10.2397)


def test_a_quotation_offers_only_the_terms_that_it_states() -> None:
    quoted = Price(name="x", provider="aws", accelerator="H100-SXM5-80GB", on_demand=10.0, source="mine", quoted=True)
    assert [hourly(quoted, term, KNOWN.systems) is not None for term in ("on-demand", "spot", "reserved-1y")] == [True, False, False]


def test_no_spot_price_is_worked_out_for_a_provider_without_any() -> None:
    lambda_row = Price(name="x", provider="lambda", accelerator="H100-SXM5-80GB", on_demand=10.0, source="test")
    assert hourly(lambda_row, "spot", KNOWN.systems) is None
    assert hourly(msgspec.structs.replace(lambda_row, provider="gcp"), "spot", KNOWN.systems) is not None


def test_the_mix_programme_covers_every_hour_of_the_load() -> None:
    """2 hours of 10 nodes and 1 of 40: four rows, reserved is paid for all three hours."""
    built, steps = program([10, 40, 10], Rates(reserved=2, on_demand=4, spot=1, spot_overhead=1.25, spot_share=0.5))
    assert steps == [(10, 2), (40, 1)]
    assert built.costs == [6, 8, 2, 4, 1]
    assert built.limits == [-10, 5, -40, 20]


def _all_on_demand(built: Program) -> list[float]:
    """A solver that reserves nothing: every hour's need is met on demand."""
    needs = [-limit for limit in built.limits[::2]]
    return [0.0, *(part for need in needs for part in (need, 0.0))]


def test_a_load_curve_takes_the_place_of_count_and_use() -> None:
    """12 hours of 1 node and 12 of 3: 3 nodes, busy for 2 of 3."""
    asked = under_load(Cost(node="DGX-H100", load=(1.0,) * 12 + (3.0,) * 12))
    assert asked.count == 3
    assert asked.utilisation == pytest.approx(2 / 3)


def test_a_mix_pays_for_the_hours_of_the_curve_only() -> None:
    """All on demand, a mix costs what on-demand at the curve's mean use does: 2 nodes x 730 h a month."""
    limits = Limits(providers=("nebius",), terms=("on-demand", "reserved-1y"))
    options = cost(Cost(node="DGX-H100", months=2, load=(1.0,) * 12 + (3.0,) * 12, limits=limits), KNOWN, _all_on_demand).options
    by_term = {design.term: design.quantities["cost_usd"].value for design in options}
    assert by_term["mix"] == pytest.approx(by_term["on-demand"])


def test_a_mix_is_of_whole_nodes_and_the_cheapest_of_them() -> None:
    """By hand, a reserved node 2 and on demand 4 an hour, 1.5 nodes for 12 hours and 4 for 12.

    2 reserved: 24 x 2 x 2 + 12 x 2 x 4 = 192. 1 reserved: 48 + 12 x 1 x 4 + 12 x 3 x 4 = 240. 3: 144 + 48 = 192; the solver says 2.4.
    """
    rates = Rates(reserved=2, on_demand=4)
    curve = (1.5,) * 12 + (4.0,) * 12
    assert [filled(curve, nodes, rates).usd for nodes in (1, 2, 3)] == [240, 192, 192]
    mix = cheapest(curve, rates, lambda built: [2.4])
    assert (mix.reserved, mix.on_demand_hours, mix.usd) == (2, 24, 192)


def test_a_year_of_different_hours_is_asked_of_the_solver_in_few_steps() -> None:
    """8,760 hours from 10 to 20 nodes: at most 201 steps, and the whole nodes around what the solver says are tried with the real hours."""
    curve = tuple(10 + 10 * hour / 8760 for hour in range(8760))
    asked: list[Program] = []

    def solved(built: Program) -> list[float]:
        asked.append(built)
        return [15.0]

    rates = Rates(reserved=2, on_demand=4)
    assert cheapest(curve, rates, solved).usd == min(filled(curve, nodes, rates).usd for nodes in range(10, 21))
    assert len(asked[0].rows) <= 2 * 201


def test_spot_carries_its_share_of_an_hour_where_it_is_cheaper() -> None:
    """Half of 4 nodes may be reclaimed: 2 at 1 x 1.25, 2 on demand at 4; never where spot with its overhead is dearer."""
    rates = Rates(reserved=9, on_demand=4, spot=1, spot_overhead=1.25, spot_share=0.5)
    assert filled((4.0,), 0, rates).usd == 2 * 1.25 + 2 * 4
    assert filled((4.0,), 0, msgspec.structs.replace(rates, spot=3.9)).spot_hours == 0


def test_a_mix_takes_the_real_spot_price_three_years_where_they_pay_and_only_the_terms_allowed() -> None:
    """p5.48xlarge in us-east-1: spot is 10.24 an hour; over 36 months three years of reservation cost less than three single ones."""
    curve = (2.0,) * 16 + (6.0,) * 8
    limits = Limits(providers=("aws",), region="us-east-1")
    every = msgspec.structs.replace(limits, terms=("on-demand", "spot", "reserved-1y", "reserved-3y"))
    asked = Cost(node="p5.48xlarge", months=36, load=curve, limits=every)

    def two_reserved(built: Program) -> list[float]:
        return [2.0, *(0.0 for _ in built.costs[1:])]

    mix = next(one for one in cost(asked, KNOWN, two_reserved).options if one.term == "mix")
    assert mix.layout["nodes reserved-3y"] == 2
    spot_hours = mix.layout["spot node-hours a period"]
    parts = {part.name: part.value for part in mix.breakdowns[0].parts}
    assert parts["spot"] == pytest.approx(spot_hours * 10.2397 * 36 * 730 / 24, rel=0.01)
    one_year = msgspec.structs.replace(asked, limits=msgspec.structs.replace(limits, terms=("on-demand", "reserved-1y")))
    layout = next(one for one in cost(one_year, KNOWN, two_reserved).options if one.term == "mix").layout
    assert layout["nodes reserved-1y"] == 2
    assert layout["spot node-hours a period"] == 0
    unasked = next(one for one in cost(msgspec.structs.replace(asked, limits=limits), KNOWN, two_reserved).options if one.term == "mix")
    assert unasked.layout["spot node-hours a period"] == 0
    spot_alone = msgspec.structs.replace(asked, limits=msgspec.structs.replace(limits, terms=("spot",)))
    alone = cost(spot_alone, KNOWN, two_reserved)
    assert {one.term for one in alone.options} == {"spot"}
    assert any("no mix" in warning for warning in alone.warnings)


def test_a_node_named_by_its_beginning_is_taken_and_said() -> None:
    assert cost(Cost(node="p5.48xlarg"), KNOWN).warnings[0] == "'p5.48xlarg' is taken as p5.48xlarge"
    assert not any("is taken as" in told for told in cost(Cost(node="p5.48xlarge"), KNOWN).warnings)


def test_what_is_bought_is_called_by_what_is_sold() -> None:
    bought = next(one for one in cost(Cost(node="p5.48xlarge"), KNOWN).options if one.term == "buy")
    assert (bought.name, bought.node) == ("buy DGX-H100", "DGX-H100")


def test_spot_is_shown_with_its_range_and_chosen_only_where_it_is_asked_for() -> None:
    free = cost(Cost(node="p5.48xlarge"), KNOWN)
    spot = next(one for one in free.options if one.term == "spot").quantities["cost_usd"]
    assert spot.low < spot.value < spot.high
    assert free.best is not None
    assert free.best.term != "spot"
    asked = cost(Cost(node="p5.48xlarge", limits=Limits(terms=("spot", "on-demand"))), KNOWN).best
    assert asked is not None
    assert asked.term == "spot"


def test_a_curve_of_nothing_is_refused() -> None:
    with pytest.raises(UserError, match="load"):
        under_load(Cost(node="DGX-H100", load=(0.0, 0.0)))
    with pytest.raises(UserError, match="load"):
        under_load(Cost(node="DGX-H100", load=(1.0, float("nan"))))


def test_what_a_cost_hangs_on_is_of_the_way_that_was_chosen() -> None:
    """Each bar stands about the choice's own money, also where renting won; data kept and sent out is in every way's."""
    for terms in (("on-demand",), ("reserved-3y",), ("buy",)):
        found = cost(Cost(node="dgx-h200", count=4, egress_tb_month=50, storage_tb=200, limits=Limits(terms=terms)), knowledge())
        assert found.best is not None
        usd = found.best.quantities["cost_usd"].value
        assert {part.name for part in found.best.breakdowns[0].parts} >= {"storage", "egress"}
        assert found.sensitivities
        for bar in found.sensitivities:
            assert min(bar.low, bar.high) <= usd * 1.000001
            assert max(bar.low, bar.high) >= usd * 0.999999
        assert ("purchase price" in {bar.name for bar in found.sensitivities}) == (terms == ("buy",))
