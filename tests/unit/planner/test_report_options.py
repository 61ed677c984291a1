"""Cloud, on premises and hybrid put together: months that add up, deadlines that bought machines miss, risks from the ranges."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.interfaces.cli.size_report import assessment
from bedplate.planner.asking.questions import Cost, Limits, Question, Serve, Site, Term, Train
from bedplate.planner.asking.sizing import Design, Milestone, Sizing
from bedplate.planner.facts.estimate import exact
from bedplate.planner.facts.systems import Figure, Systems
from bedplate.planner.search.report import MONTH_S, WEEKS_MONTH, assess, bought, rented


def figure(name: str, value: float) -> Figure:
    return Figure(name=name, value=value, low=value / 2, high=value * 2, unit="weeks", source="test")


NAMES = {"weeks-accelerators": 24.0, "weeks-acceptance": 4.0, "spot-interruptions-day": 0.5}
SYSTEMS = Systems(accelerators={}, nodes={}, figures={name: figure(name, value) for name, value in NAMES.items()})
TRAIN = Train(model="a", tokens=1e12, limits=Limits(by_s=30 * 86400))
SERVE = Serve(model="a", isl=1000, osl=100, rate=1, months=24)


def answer(question: Question, usd: float, seconds: float = 0.0, term: Term = "on-demand", capex: float = 0.0) -> Sizing:
    quantities = {"cost_usd": exact(usd), "time_s": exact(seconds)} | ({"capex_usd": exact(capex)} if capex else {})
    return Sizing(question=question, objective="cost_usd", best=Design(name=term, term=term, quantities=quantities))


def test_a_hybrid_rents_until_the_bought_machines_work() -> None:
    """By hand: 28 weeks are 6.44 months; 2,400 USD rented and 1,200 owned over 24 months are 100 and 50 a month.

    Six months at 100, the seventh 0.44 x 100 + 0.56 x 50 = 72.0, seventeen at 50: 600 + 72.0 + 850 = 1,522.
    """
    cloud, own = answer(SERVE, 2400), answer(SERVE, 1200, term="buy")
    _, owned, both = assess(cloud, cloud, own, SYSTEMS).options
    assert owned.start_month == pytest.approx(28 / WEEKS_MONTH)
    assert both.months[5:8] == pytest.approx((100, 71.99, 50), abs=0.02)
    assert both.usd == pytest.approx(1521.99, abs=0.02)
    assert len(both.months) == 24


@given(st.floats(1, 1e9), st.floats(1, 1e9), st.floats(1, 60))
def test_months_add_up_to_the_whole(rent: float, own: float, months: float) -> None:
    question = msgspec.structs.replace(SERVE, months=months)
    made = assess(answer(question, rent), answer(question, rent), answer(question, own, term="buy"), SYSTEMS)
    for option in made.options:
        assert sum(option.months) == pytest.approx(option.usd)
    by_way = {option.way: option.usd for option in made.options if option.months}
    assert by_way[made.choice] == min(by_way.values()) if made.choice else not by_way


def test_bought_machines_that_come_after_the_deadline_are_shown_but_not_chosen() -> None:
    cloud, own = answer(TRAIN, 1000, 20 * 86400), answer(TRAIN, 500, 20 * 86400, "buy")
    made = assess(cloud, cloud, own, SYSTEMS)
    assert made.choice == "cloud"
    assert made.options[1].reason == "bought machines work after 6.4 months, which is too late"
    assert made.options[2].months == ()
    assert any("on premises takes 50% less, but" in reason for reason in made.reasons)


def test_without_a_deadline_idle_machines_and_late_delivery_are_risks() -> None:
    question = msgspec.structs.replace(TRAIN, limits=Limits())
    cloud, own = answer(question, 1000, 2 * MONTH_S), answer(question, 500, 2 * MONTH_S, "buy")
    made = assess(cloud, cloud, own, SYSTEMS)
    assert made.choice == "on premises"
    assert {"bought machines stand idle after the job", "delivery is late"} <= {risk.what for risk in made.risks}
    assert [bar.name for bar in made.timeline] == ["order and delivery", "installation and acceptance", "work"]
    assert made.timeline[-1].start_week == 28


def test_a_job_is_not_put_on_machines_that_take_more_money_than_renting_for_it() -> None:
    """Its share of bought machines is 500, but 50,000 have to be spent for them; renting takes 1,000. A service of years uses them up."""
    question = msgspec.structs.replace(TRAIN, limits=Limits())
    cloud, own = answer(question, 1000, 3 * MONTH_S / 90), answer(question, 500, 3 * MONTH_S / 90, "buy", 50_000)
    made = assess(cloud, cloud, own, SYSTEMS)
    assert made.choice == "cloud"
    assert made.reasons[1] == (
        "on premises takes 50% less if other work fills the rest of its machines' life: $50k have to be spent or promised"
    )
    assert assess(answer(SERVE, 1000), answer(SERVE, 1000), answer(SERVE, 500, term="buy", capex=5000), SYSTEMS).choice == "on premises"
    bought_only = assess(own, "asked in vain", own, SYSTEMS)
    assert bought_only.choice == "on premises"
    assert "**$50k have to be spent or promised for it**" in assessment(own, bought_only)


def test_a_way_without_an_answer_says_why() -> None:
    cloud = answer(SERVE, 2400)
    made = assess(cloud, cloud, "no price is known", SYSTEMS)
    assert [option.reason for option in made.options] == ["", "no price is known", "on premises has no answer: no price is known"]
    assert made.choice == "cloud"


def test_a_hall_is_compared_with_machines_that_nobody_takes_away() -> None:
    asked = rented(Site(node="dgx-h100", nodes=16, months=24, utilisation=0.5))
    assert isinstance(asked, Cost)
    assert (asked.count, asked.months, asked.utilisation) == (16, 24, 0.5)
    assert "spot" not in asked.limits.terms
    assert bought(SERVE).limits.terms == ("buy",)
    assert rented(TRAIN).limits.terms == ("on-demand", "spot")


def test_the_report_chooses_what_the_answer_chose_over_the_same_months_and_with_its_time_line() -> None:
    """A hall of one's own takes 600 and comes after 100 weeks; renting takes 300: the question was the hall, and the report says both."""
    question = Site(node="dgx-h100", nodes=16, months=24)
    own = msgspec.structs.replace(
        answer(question, 600, term="buy"),
        timeline=(Milestone(name="building", start_week=0, weeks=90), Milestone(name="acceptance", start_week=90, weeks=10)),
    )
    made = assess(own, answer(question, 300), "asked in vain", SYSTEMS)
    assert made.choice == "on premises"
    assert {len(option.months) for option in made.options if option.months} == {24}
    assert [bar.name for bar in made.timeline] == ["building", "acceptance", "work"]
    assert made.timeline[-1].start_week == 100
    assert "cloud takes 50% less" in made.reasons
    assert made.options[1].start_month == pytest.approx(100 / WEEKS_MONTH)
