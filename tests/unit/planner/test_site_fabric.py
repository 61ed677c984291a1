"""Fat trees and their bills of materials: published counts, and what must always hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.core.errors import NotFound, UserError
from bedplate.planner.site.fabric import cable_for, compute_fabric, front_fabric, switch_for, usable_ports
from bedplate.planner.site.tree import Tree, rails_of, tree
from bedplate.storage.systems import load_systems

SYSTEMS = load_systems()
OVERSUBSCRIBED = st.sampled_from([1.0, 1.5, 2.0, 3.0, 4.0, 8.0])


@pytest.mark.parametrize(
    ("nodes", "leaves", "spines", "cores", "cables"),
    [
        (64, 16, 8, 0, (512, 512, 0)),
        (128, 32, 16, 0, (1024, 1024, 0)),
        (256, 64, 32, 0, (2048, 2048, 0)),
        (512, 128, 128, 64, (4096, 4096, 4096)),
        (1024, 256, 256, 128, (8192, 8192, 8192)),
        (2048, 512, 512, 256, (16384, 16384, 16384)),
    ],
)
def test_the_counts_are_those_of_the_dgx_superpod(nodes: int, leaves: int, spines: int, cores: int, cables: tuple[int, int, int]) -> None:
    """NVIDIA DGX SuperPOD B200 reference architecture, component counts by scalable units of 32 nodes, 8 x 400G, 64-port switches."""
    built = tree(nodes, 8, 64)
    assert (built.leaves, built.spines, built.cores, tuple(built.cables.values())) == (leaves, spines, cores, cables)
    assert built.bisection == 1


def test_one_scalable_unit_has_8_leaves_and_4_spines_and_127_nodes_need_what_128_do() -> None:
    """One leaf a rail for 32 nodes; 8 x 32 uplinks / 64 = 4 (vitextech.com H100 SuperPOD case). DGX H100: 127 nodes, 32 and 16."""
    assert (tree(32, 8, 64).leaves, tree(32, 8, 64).spines) == (8, 4)
    assert (tree(127, 8, 64).leaves, tree(127, 8, 64).spines) == (32, 16)


def test_three_to_one_by_hand() -> None:
    """64 ports at 3:1 are 48 down and 16 up. 128 nodes put 128 ports on each of 8 rails: 3 leaves each, 24; 1024 / 3 = 342 uplinks
    over 64 ports: 6 spines. A third of the rate crosses the middle."""
    built = tree(128, 8, 64, oversubscription=3)
    assert (built.down, built.leaves, built.uplinks, built.spines) == (48, 24, 342, 6)
    assert built.bisection == pytest.approx(1 / 3, abs=0.001)


def test_few_ports_share_one_switch_and_rails_share_a_leaf_where_all_of_theirs_fit() -> None:
    """8 x 8 = 64 ports are one switch. 16 nodes put 16 ports on a rail: two rails to a leaf of 32, so 4 leaves instead of 8."""
    assert tree(8, 8, 64).switches == 1
    assert tree(16, 8, 64).leaves == 4
    assert tree(16, 8, 64, rails=False).leaves == 4


@pytest.mark.parametrize(("ports", "rails"), [(1, 1), (4, 4), (8, 8), (32, 8), (72, 8), (12, 4)])
def test_nodes_with_many_ports_have_several_on_a_rail(ports: int, rails: int) -> None:
    assert rails_of(ports) == rails


def test_more_ports_than_three_levels_carry_are_refused_with_the_most() -> None:
    """64-port switches end at 64 x 64 / 2 leaves of 32: 65,536 ports."""
    assert tree(65_536, 1, 64).levels == 3
    with pytest.raises(UserError, match="three levels") as caught:
        tree(65_537, 1, 64)
    assert "65,536" in caught.value.why


def test_less_than_non_blocking_makes_no_sense() -> None:
    with pytest.raises(UserError, match="oversubscription"):
        tree(4, 8, 64, oversubscription=0.5)


@given(
    nodes=st.integers(1, 3000), ports_per_node=st.sampled_from([1, 2, 4, 8, 16, 72]), ports=st.sampled_from([32, 64, 128, 144]),
    oversubscription=OVERSUBSCRIBED, rails=st.booleans(),
)  # fmt: skip
def test_one_node_more_never_takes_fewer_switches_or_cables(
    nodes: int, ports_per_node: int, ports: int, oversubscription: float, rails: bool
) -> None:
    few = _tree(nodes, ports_per_node, ports, oversubscription, rails)
    more = _tree(nodes + 1, ports_per_node, ports, oversubscription, rails)
    if few is None or more is None:
        return
    assert more.switches >= few.switches
    assert sum(more.cables.values()) >= sum(few.cables.values())


@given(
    nodes=st.integers(1, 3000), ports_per_node=st.sampled_from([1, 2, 4, 8, 16]), ports=st.sampled_from([32, 64, 128, 144]),
    one=OVERSUBSCRIBED, other=OVERSUBSCRIBED, rails=st.booleans(),
)  # fmt: skip
def test_oversubscription_never_adds_switches(nodes: int, ports_per_node: int, ports: int, one: float, other: float, rails: bool) -> None:
    little = _tree(nodes, ports_per_node, ports, min(one, other), rails)
    much = _tree(nodes, ports_per_node, ports, max(one, other), rails)
    if little is None or much is None:
        return
    assert much.switches <= little.switches


@given(nodes=st.integers(2, 2000), ports_per_node=st.sampled_from([1, 4, 8]), oversubscription=OVERSUBSCRIBED, rails=st.booleans())
def test_no_tier_has_more_cables_than_ports(nodes: int, ports_per_node: int, oversubscription: float, rails: bool) -> None:
    built = tree(nodes, ports_per_node, 64, oversubscription=oversubscription, rails=rails)
    assert built.hosts == nodes * ports_per_node <= built.leaves * built.down
    if built.levels == 2:
        assert built.uplinks <= built.spines * 64
    if built.levels == 3:
        assert built.uplinks <= built.spines * 32
        assert built.uplinks <= built.cores * 64


def _tree(nodes: int, ports_per_node: int, ports: int, oversubscription: float, rails: bool) -> Tree | None:
    try:
        return tree(nodes, ports_per_node, ports, oversubscription=oversubscription, rails=rails)
    except UserError:
        return None


def test_the_bill_of_128_dgx_h100_by_hand() -> None:
    """48 QM9790 at 640 W and 2,048 connections at half of a twin-port SR8 pair (30 W, 1,400 USD): 30.72 + 30.72 kW, 1.43 million USD
    of optics, within the 1.2 to 1.6 million that yobitel.com states for 1,024 NDR ports."""
    node = SYSTEMS.node("DGX-H100")
    bill = compute_fabric(node, 128, 32, SYSTEMS, fabric="", oversubscription=1, rails=True)
    assert bill is not None
    assert bill.switch.name == "QM9790"
    assert bill.tree.switches == 48
    assert bill.optics == 2048, "a module has two ports"
    assert bill.kw.value == pytest.approx(48 * 0.640 + 2048 * 0.015)
    assert bill.cable_usd == pytest.approx(2048 * 700)
    assert 1.2e6 <= bill.cable_usd <= 1.6e6
    assert bill.kw.low <= bill.kw.value <= bill.kw.high


def test_a_faster_port_is_split_and_a_slower_one_bundled() -> None:
    """64 x 800G carry 128 of 400G; 40 x 200G carry 20 of 400G."""
    assert usable_ports(SYSTEMS.switches["SN5600"], 400) == 128
    assert usable_ports(SYSTEMS.switches["QM8790"], 400) == 20


def test_switches_are_found_by_name_alias_and_fabric() -> None:
    assert switch_for(SYSTEMS, "qm9700", 400).name == "QM9700"
    assert switch_for(SYSTEMS, "spectrum-x", 400).name == "SN5600"
    assert switch_for(SYSTEMS, "RoCE", 400).fabric == "Ethernet"
    assert switch_for(SYSTEMS, "infiniband", 800).gbps_per_port == 800
    with pytest.raises(NotFound, match="token ring"):
        switch_for(SYSTEMS, "token ring", 400)


def test_cables_reach_as_far_as_they_must_and_cost_no_more_than_they_must() -> None:
    """Copper within the rack, multimode in the row, single mode across the hall; 10 km nobody sells here."""
    near, row, hall = (cable_for(SYSTEMS, 400, reach, 400) for reach in (2, 40, 90))
    assert (near.name, row.name, hall.name) == ("DAC-800G", "OSFP-800G-SR8", "OSFP-800G-DR8")
    assert near.reach_m is not None
    assert near.reach_m >= 2
    with pytest.raises(UserError, match="reaches"):
        cable_for(SYSTEMS, 400, 10_000, 400)


def test_a_lone_node_or_one_without_ports_has_no_compute_fabric() -> None:
    assert compute_fabric(SYSTEMS.node("DGX-H100"), 1, 1, SYSTEMS, fabric="", oversubscription=1, rails=True) is None


def test_the_front_network_is_ethernet_two_to_one() -> None:
    """132 machines with two 200G ports: 264 on SN5600 split to 256 ports, so two leaves of 170 down and one spine for 132 uplinks."""
    front = front_fabric(128, 4, 32, SYSTEMS)
    assert front.switch.fabric == "Ethernet"
    assert (front.tree.leaves, front.tree.spines, front.tree.uplinks) == (2, 1, 132)
