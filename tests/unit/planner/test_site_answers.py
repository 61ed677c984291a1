"""The answer to `size site`: check figures, parts that add up, limits that bind, and bad input."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedplate.assembly import knowledge
from bedplate.core.errors import NotFound, UserError
from bedplate.planner.asking.questions import Limits, Site
from bedplate.planner.site.answer import site

KNOWN = knowledge()
DGX = Site(node="dgx-h100", nodes=128, limits=Limits(region="us-east-1"))


def test_128_dgx_h100_are_a_superpod_of_38_racks() -> None:
    """NVIDIA DGX SuperPOD H100 reference architecture, table 7: 127 nodes in 38 racks, four a rack; 32 leaves and 16 spines."""
    answer = site(DGX, KNOWN)
    best = answer.best
    assert best is not None
    assert best.layout["cooling"] == "rear-door"
    assert (best.layout["nodes a rack"], best.quantities["racks"].value) == (4, 38)
    assert (best.layout["leaves"], best.layout["spines"], best.quantities["switches"].value) == (32, 16, 48)
    assert best.quantities["power_max_w"].value == pytest.approx(best.quantities["it_w"].value * best.quantities["pue"].value)
    assert 1.3e6 < best.quantities["it_w"].value < 1.6e6


def test_the_cooling_is_chosen_with_its_reason() -> None:
    assert "rear-door cooling takes 38 racks at a PUE of 1.25; air 70 racks at 1.4" in site(DGX, KNOWN).reasons[0]
    assert site(msgspec.structs.replace(DGX, cooling="air"), KNOWN).reasons[0].endswith("it was asked for")


def test_every_breakdown_adds_up_to_the_quantity_it_splits() -> None:
    best = site(DGX, KNOWN).best
    assert best is not None
    totals = {one.name: one.total for one in best.breakdowns}
    for name, quantity in {
        "power": "power_max_w", "mean power": "power_w", "water": "water_m3_year", "switches": "switches", "cables": "cables",
        "capital": "capex_usd", "money": "cost_usd",
    }.items():  # fmt: skip
        assert totals[name] == pytest.approx(best.quantities[quantity].value), name


def test_every_number_lies_in_its_range_and_every_figure_has_a_source() -> None:
    answer = site(DGX, KNOWN)
    for one in answer.options:
        for name, estimate in one.quantities.items():
            assert estimate.low <= estimate.value <= estimate.high, name
    assert all(one.source for one in answer.assumptions)
    names = [one.name for one in answer.assumptions]
    assert len(names) == len(set(names))
    assert {"pue-rear-door", "space-usd-kw-month", "weeks-colocation", "electricity", "QM9790"} <= set(names)


def test_of_ways_that_cost_about_the_same_the_one_that_is_ready_first_is_taken() -> None:
    """A new hall saves 7 % and comes 87 weeks later; it is taken where the money for colocation is not there."""
    answer = site(DGX, KNOWN)
    assert answer.best is not None
    assert answer.best.layout["way"] == "colocation"
    assert [one.layout.get("way", "rent") for one in answer.options] == ["new hall", "colocation", "rent"]
    assert "cheaper" in answer.options[0].lost
    assert "87 weeks later" in answer.options[0].lost
    tight = site(msgspec.structs.replace(DGX, limits=Limits(region="us-east-1", budget_usd=58e6)), KNOWN).best
    assert tight is not None
    assert tight.layout["way"] == "new hall"


def test_two_ports_share_a_module() -> None:
    """128 nodes x 8 ports of 400G over two levels: 2,048 cables, 4,096 ends, 2,048 modules of two ports."""
    best = site(DGX, KNOWN).best
    assert best is not None
    assert (best.quantities["cables"].value, best.quantities["optics"].value) == (2048, 2048)


def test_rent_stands_beside_and_the_runner_up_says_why_it_lost() -> None:
    answer = site(DGX, KNOWN)
    assert answer.runner_up is not None
    assert answer.runner_up.lost
    assert any("times as much" in reason for reason in answer.reasons)
    bars = [abs(bar.high - bar.low) for bar in answer.sensitivities]
    assert bars == sorted(bars, reverse=True)


def test_a_hall_that_is_too_small_loses_to_a_new_one_and_says_how_many_would_fit() -> None:
    asked = msgspec.structs.replace(DGX, retrofit=True, hall_kw=1000, rack_kw=12)
    answer = site(asked, KNOWN)
    assert answer.best is not None
    assert answer.best.layout["way"] == "new hall"
    assert any("the hall does not take them" in warning for warning in answer.warnings)
    retrofit = next(one for one in answer.options if one.layout.get("way") == "retrofit")
    assert not retrofit.feasible
    assert "1,000 kW" in retrofit.lost
    assert "would fit" in retrofit.lost


def test_a_hall_that_is_large_enough_is_kept() -> None:
    """16 nodes of 10.2 kW in 12 kW racks: one a rack, no works; cheaper and sooner than building."""
    answer = site(Site(node="dgx-h100", nodes=16, retrofit=True, hall_kw=500, rack_kw=12), KNOWN)
    assert answer.best is not None
    assert answer.best.layout["way"] in ("as it stands", "retrofit")
    assert answer.best.quantities["time_s"].value < 60 * 7 * 86400


def test_liquid_machines_of_nearly_100_mw_wait_for_the_grid() -> None:
    answer = site(Site(node="gb200-nvl72", nodes=600), KNOWN)
    assert answer.best is not None
    assert answer.best.layout["cooling"] == "liquid"
    assert answer.best.layout["levels"] == 3
    assert 85e6 < answer.best.quantities["power_max_w"].value < 100e6
    assert any("grid connection: what takes longest" in reason for reason in answer.reasons)


def test_limits_that_nothing_keeps_are_named_with_the_closest() -> None:
    answer = site(msgspec.structs.replace(DGX, limits=Limits(max_power_w=500e3)), KNOWN)
    assert answer.best is None
    assert answer.conflict[0] == "128 nodes of dgx-h100"
    assert "site power 500 kW" in answer.conflict[1]
    assert answer.binding is not None
    assert answer.binding.constraint == "site power"
    assert "nodes instead of" in answer.binding.relaxed


def test_no_design_of_the_front_is_beaten_in_time_money_and_energy() -> None:
    """Colocation is dearer and sooner than building behind the same doors: both stay; air loses to doors in money and energy."""
    answer = site(DGX, KNOWN)
    assert {one.name for one in answer.front} >= {"new hall, rear-door", "colocation, rear-door"}
    axes = [tuple(one.quantities[name].value for name in ("time_s", "cost_usd", "energy_mwh_year")) for one in answer.front]
    assert not [a for a in axes for b in axes if a != b and all(x <= y for x, y in zip(b, a, strict=True))]


def test_a_deadline_rules_out_building() -> None:
    answer = site(msgspec.structs.replace(DGX, limits=Limits(by_s=52 * 7 * 86400)), KNOWN)
    assert answer.best is not None
    assert answer.best.layout["way"] == "colocation"


def test_a_rack_that_power_ends_says_what_a_tenth_more_would_hold() -> None:
    binding = site(DGX, KNOWN).binding
    assert binding is not None
    assert (binding.constraint, binding.limit) == ("rack power", "50 kW")
    assert binding.relaxed.startswith("5 nodes a rack instead of 4")


def test_a_node_without_a_price_is_sized_without_money() -> None:
    answer = site(Site(node="HLS-Gaudi3", nodes=16), KNOWN)
    assert answer.objective == "power_w"
    assert answer.best is not None
    assert "cost_usd" not in answer.best.quantities
    assert any("price" in warning for warning in answer.warnings)


def test_the_time_line_starts_at_the_decision_and_ends_with_acceptance() -> None:
    answer = site(DGX, KNOWN)
    assert answer.best is not None
    starts = [bar.start_week for bar in answer.timeline]
    assert starts == sorted(starts)
    assert starts[0] == 0
    last = max(answer.timeline, key=lambda bar: bar.start_week + bar.weeks)
    assert last.name == "acceptance"
    assert last.start_week + last.weeks == pytest.approx(answer.best.quantities["time_s"].value / 7 / 86400)


def test_the_drawings_show_the_rack_and_the_tiers_within_their_sheets() -> None:
    rack, fabric = site(DGX, KNOWN).drawings
    assert [box.kind for box in rack.boxes] == ["node"] * 4 + ["free"]
    assert {box.kind for box in fabric.boxes} == {"spine", "leaf", "node"}
    assert sum(box.count for box in fabric.boxes if box.kind == "leaf") == 32
    assert sum(box.count for box in fabric.boxes if box.kind == "node") == 128
    assert "1,024 x 400G" in {line.label for line in fabric.lines}
    for sheet in (rack, fabric):
        assert all(box.x >= 0 and box.x + box.w <= sheet.width + 1e-9 and box.y + box.h <= sheet.height + 1e-9 for box in sheet.boxes)


@settings(max_examples=30, deadline=None)
@given(nodes=st.integers(1, 400), node=st.sampled_from(["DGX-H100", "DGX-B200", "DGX-GB200-NVL72", "HLS-Gaudi3", "p5.48xlarge"]))
def test_one_node_more_never_takes_less_power_racks_switches_or_money(nodes: int, node: str) -> None:
    asked = Site(node=node, nodes=nodes, cooling="liquid" if "GB200" in node else "rear-door")
    few, more = (site(msgspec.structs.replace(asked, nodes=n), KNOWN).best for n in (nodes, nodes + 1))
    assert few is not None
    assert more is not None
    for name in ("power_max_w", "power_w", "racks", "switches", "capex_usd"):
        if name in few.quantities and name in more.quantities:
            assert more.quantities[name].value >= few.quantities[name].value * (1 - 1e-9), name


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"nodes": 0}, "0 nodes"),
        ({"utilisation": 1.5}, "utilisation"),
        ({"months": 0.0}, "months"),
        ({"hall_kw": -5.0}, "hall-kw"),
        ({"hall_kw": 500.0}, "no retrofit|hall that stands"),
        ({"rack_kw": 5.0}, "hall that stands"),
        ({"months": float("nan")}, "months"),
        ({"storage_tb": float("inf")}, "storage-tb"),
        ({"limits": Limits(region="mars")}, "no region"),
        ({"checkpoint_tb": 0.0}, "checkpoint-tb"),
        ({"oversubscription": 0.5}, "oversubscription"),
        ({"fabric": "token ring"}, "token ring"),
        ({"limits": Limits(export="4A994")}, "3A090"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(changed: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        site(msgspec.structs.replace(DGX, **changed), KNOWN)


def test_an_accelerator_stands_for_its_makers_server_and_says_so() -> None:
    answer = site(msgspec.structs.replace(DGX, node="h100"), KNOWN)
    assert answer.best is not None
    assert answer.best.node == "DGX-H100"
    assert "h100 is an accelerator: DGX-H100 is taken" in answer.warnings


def test_an_unknown_node_is_refused_with_the_nearest() -> None:
    with pytest.raises(NotFound) as caught:
        site(msgspec.structs.replace(DGX, node="dgx-h1000"), KNOWN)
    assert "DGX-H100" in caught.value.why


def test_machines_that_no_allowed_rack_carries_are_refused_with_a_way_out() -> None:
    with pytest.raises(UserError, match="carries one") as caught:
        site(Site(node="CloudMatrix-384", nodes=2), KNOWN)
    assert "560" in caught.value.why
