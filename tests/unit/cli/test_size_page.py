"""The page of a sizing: whole and inert whatever is in it, every figure in words beside its picture."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.interfaces.cli.size_page import sizing_page
from bedplate.planner.asking.questions import Cost, Limits, Serve, Train
from bedplate.planner.asking.sizing import Assumption, Binding, Breakdown, Design, Milestone, Part, Sensitivity, Sizing
from bedplate.planner.facts.estimate import Estimate, exact
from bedplate.planner.showing import charts
from bedplate.planner.showing.words import goals, plain, shown, title, workload

EVIL = '<script>alert("x")</script>'
QUESTION = Train(model="llama", tokens=2e12, limits=Limits(by_s=30 * 86400, on=("h100",)))


def design(name: str, days: float, usd: float, **more: object) -> Design:
    numbers = {
        "time_s": Estimate(value=days * 86400, low=days * 80000, high=days * 90000, basis="a model"),
        "cost_usd": exact(usd, "a list"),
    }
    steps = Breakdown(name="step", unit="s", parts=(Part(name="products", value=3.0), Part(name=EVIL, value=1.0)))
    return msgspec.structs.replace(
        Design(
            name=name, accelerator="H100", n_accel=64, n_nodes=8, provider="me", term="on-demand", quantities=numbers, breakdowns=(steps,)
        ),
        **more,
    )


BEST = design("64 x H100", 20, 1e6, layout={"tp": 4, "pp": 2, "dp": 8})
FOUND = Sizing(
    question=QUESTION, objective="cost_usd", best=BEST, runner_up=design(EVIL, 30, 2e6, lost="100% dearer"), reasons=("the cheapest", EVIL),
    binding=Binding(constraint="deadline", limit="within 30 days", relaxed="10 % more of it saves 5.0%"),
    front=(BEST, design("128 x H100", 11, 1.5e6)), options=(BEST, design("8 x T4", 300, 9e6, feasible=False)),
    sensitivities=(Sensitivity(name="price", low_input="1", high_input="3", low=5e5, high=1.5e6),),
    assumptions=(Assumption(name="pue", value="1.4", source=EVIL, verified=False),),
    timeline=(Milestone(name="order", start_week=0, weeks=4),),
    warnings=(EVIL,), searched=1234,
)  # fmt: skip


def drawn(markup: str) -> ElementTree.Element:
    return ElementTree.fromstring(markup)


def test_nothing_from_outside_becomes_markup() -> None:
    page = sizing_page(FOUND)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert not re.search(r"(src|href)=", page)


def test_a_page_says_the_choice_what_binds_why_the_other_lost_and_what_is_unverified() -> None:
    page = sizing_page(FOUND)
    for words in ("The choice: 64 x H100", "What binds: deadline", "10 % more of it saves 5.0%", "The runner-up lost: 100% dearer"):
        assert words in page
    assert page.count("unverified</span>") == 1
    assert "breaks a limit" in page
    assert all(markup.startswith("<svg") and drawn(markup) is not None for markup in re.findall(r"<svg.*?</svg>", page))


def test_a_page_without_a_design_names_what_contradicts() -> None:
    page = sizing_page(Sizing(question=QUESTION, objective="cost_usd", best=None, conflict=("budget: at most 1 USD",), searched=7))
    assert "No design keeps to every limit" in page
    assert "budget: at most 1 USD" in page


@given(st.lists(st.floats(1e-9, 1e12), min_size=1, max_size=30))
def test_the_shares_of_a_bar_fill_it(values: list[float]) -> None:
    """Their widths add up to the drawing's, but for the gaps between them."""
    parts = tuple(Part(name=f"part {at}", value=value) for at, value in enumerate(values))
    bars = drawn(charts.stacked(Breakdown(name="memory", unit="bytes", parts=parts))).iter("rect")
    assert sum(float(bar.attrib["width"]) for bar in bars) == pytest.approx(charts.WIDE, abs=1.2 * len(values))


def test_a_dot_for_each_design_and_a_word_for_the_chosen_one() -> None:
    axes = charts.plane(FOUND.front)
    assert axes == ("time_s", "cost_usd", "")
    words = [text.text for text in drawn(charts.front(FOUND.front, BEST, axes)).iter("text")]
    assert words.count("the choice") == 1
    assert {"1", "2"} <= set(words)


def test_designs_that_do_not_differ_span_no_plane() -> None:
    assert charts.plane([BEST, BEST]) is None
    assert charts.plane([BEST]) is None


def test_a_copy_of_the_model_is_drawn_by_stage() -> None:
    """64 accelerators in 8 copies of 2 stages: 2 x 4 squares for a copy, and 8 for the copies."""
    picture = drawn(charts.machines(BEST))
    styles = [bar.attrib["class"] for bar in picture.iter("rect")]
    assert (styles.count("bar-now"), styles.count("fill-copy")) == (8, 8)
    assert charts.machines(msgspec.structs.replace(BEST, layout={})) == ""


def test_a_number_shows_its_range_where_it_has_one() -> None:
    assert shown("cost_usd", exact(1500.0)) == "$1.5k"
    assert shown("time_s", Estimate(value=10 * 86400, low=9 * 86400, high=12 * 86400)) == "10.0 days (9.0 days - 12.0 days)"
    assert shown("odd_thing", exact(12345.6)) == "12,346"
    assert (plain(0.123456), plain(999.4), plain(1e6)) == ("0.123", "999", "1,000,000")


def test_a_question_is_told_in_words() -> None:
    assert title(QUESTION) == "Train llama on 2T tokens"
    assert goals(QUESTION) == [("machines", "h100"), ("done within", "30.0 days")]
    serve = Serve(model="a", isl=10, osl=5, rate=40, ttft_s=0.5)
    assert ("first token within", "500 ms") in goals(serve)
    assert ("load", "2 values, 4 to 8") in workload(Cost(node="a", load=(4.0, 8.0)))
    assert "first token within" not in dict(workload(serve))
