"""Products, attention and collectives against figures worked out by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.planner.facts.cases import Case, Unsupported
from bedplate.planner.facts.knowledge import Knowledge
from bedplate.planner.kernels.answer import collective, gemm
from bedplate.planner.kernels.collective import Fabric, exchange_seconds, gather_seconds, hand_over_seconds, piped, reduce_seconds
from bedplate.planner.kernels.roofline import attention_seconds, product_seconds
from bedplate.storage.systems import load_architectures, load_constants, load_systems

NODE = Fabric(domain=8, scaleup=300e9, fabric=25e9, scaleup_alpha=0.0, fabric_alpha=0.0)


@pytest.fixture(scope="module")
def knowledge() -> Knowledge:
    return Knowledge(systems=load_systems(), architectures=load_architectures(), constants={"kernels": load_constants("kernels")})


def test_a_product_takes_its_multiply_adds_stretched_by_short_dimensions() -> None:
    # 2 x 4096^3 = 137.4 GFLOP at 100 TFLOP/s = 1.374 ms; (1 + 64/4096)^2 x (1 + 256/4096) = 1.0960; no traffic shown
    seconds = product_seconds(4096, 4096, 4096, flops=1e14, bandwidth=1e12, element=2.0, ramp=256.0, unhidden=0.0)
    assert seconds == pytest.approx(1.3744e-3 * 1.015625**2 * 1.0625, rel=1e-4)


def test_a_product_shows_the_stated_share_of_its_traffic() -> None:
    # operands (64 x 64 + 64 x 64) x 2 B and the result 64 x 64 x 2 B = 24,576 B over 1 GB/s = 24.6 us, half of it shown
    shape = {"flops": 1e30, "bandwidth": 1e9, "element": 2.0, "ramp": 0.0}
    assert product_seconds(64, 64, 64, unhidden=0.5, **shape) == pytest.approx(12.288e-6, rel=1e-6)


def test_narrow_heads_slow_attention() -> None:
    wide = attention_seconds(1e12, 1e9, 128.0, flops=1e12, narrow=0.5)
    assert wide == pytest.approx(1.0)
    assert attention_seconds(1e12, 1e9, 64.0, flops=1e12, narrow=0.5) == pytest.approx(math.sqrt(2.0))


def test_a_ring_inside_a_node_moves_all_but_its_own_share() -> None:
    # 8 ranks, 1 GB in all: 7/8 GB over 300 GB/s
    assert gather_seconds(1e9, 8, 1, NODE) == pytest.approx(7 / 8 / 300)
    assert reduce_seconds(1e9, 8, 1, NODE) == pytest.approx(2 * 7 / 8 / 300)


def test_between_nodes_all_ports_of_the_group_carry_the_ring() -> None:
    # 16 ranks in two nodes: each node takes in half of 1 GB over 8 ports of 25 GB/s
    assert gather_seconds(1e9, 16, 1, NODE) == pytest.approx(max(0.5 / 200, 7 / 8 / 300))
    # the same with one rank a node (stride 8): one port a rank
    assert gather_seconds(1e9, 2, 8, NODE) == pytest.approx(0.5 / 25)


def test_an_exchange_sends_what_leaves_the_node_over_the_fabric_once_for_several_receivers() -> None:
    # 16 ranks, 1 GB each: 8/16 leave the node; with two receivers a node the fabric carries half of that
    assert exchange_seconds(1e9, 16, 1, NODE) == pytest.approx(0.5 / 25)
    assert exchange_seconds(1e9, 16, 1, NODE, copies=2.0) == pytest.approx(0.25 / 25)


def test_one_rank_needs_no_collective() -> None:
    for of in (gather_seconds, reduce_seconds, exchange_seconds):
        assert float(of(1e9, 1, 1, NODE)) == 0.0


def test_a_hand_over_goes_by_the_network_that_reaches_the_neighbour() -> None:
    assert hand_over_seconds(1e9, 4, NODE) == pytest.approx(1 / 300)
    assert hand_over_seconds(1e9, 8, NODE) == pytest.approx(1 / 25)


def test_pieces_follow_one_another_through_the_steps() -> None:
    # (sqrt(a) + sqrt(T))^2 for small fills; at most 5 a beside a + T
    assert piped(1e-6, 1e-6) == pytest.approx(2e-6 + 2e-6 / (1 + 2 / 5))
    assert piped(1.0, 1e-6) == pytest.approx(1.0 + 6e-6, rel=1e-5)


@given(st.floats(1e3, 1e11), st.sampled_from([2, 4, 8, 16, 64, 512]), st.sampled_from([1, 2, 8]), st.floats(1.0, 10.0))
def test_more_bandwidth_never_slows_a_collective(moved: float, ranks: int, stride: int, factor: float) -> None:
    slow = Fabric(domain=8, scaleup=100e9, fabric=10e9)
    for of in (gather_seconds, reduce_seconds, exchange_seconds):
        base = float(of(moved, ranks, stride, slow))
        assert float(of(moved, ranks, stride, slow._replace(scaleup=factor * slow.scaleup))) <= base
        assert float(of(moved, ranks, stride, slow._replace(fabric=factor * slow.fabric))) <= base


def test_a_swept_chip_answers_its_sweep_and_an_unknown_one_its_vendors_share(knowledge: Knowledge) -> None:
    swept = gemm(Case(id="a", kind="gemm", accelerator="H100-SXM5-80GB", precision="bf16"), knowledge).quantities["tflops"]
    assert swept.value == pytest.approx(794.5, rel=0.02)
    never = gemm(Case(id="b", kind="gemm", accelerator="L40S", precision="bf16"), knowledge)
    assert 0.6 < never.quantities["tflops"].value / 362 < 0.95
    assert "vendor" in never.basis


def test_an_all_reduce_over_two_nodes_is_near_the_published_one(knowledge: Knowledge) -> None:
    case = Case(id="a", kind="collective", collective="all_reduce", accelerator="A100-SXM4-80GB", n_accel=16, n_nodes=2,
                cluster="2x p4de.24xlarge", bytes=2.0**30)  # fmt: skip
    found = collective(case, knowledge).quantities
    assert found["time_us"].value == pytest.approx(26_217, rel=0.1)
    # nccl-tests: bus bandwidth = 2 (n-1)/n x bytes / time
    assert found["busbw_gb_s"].value == pytest.approx(1.875 * 2**30 / found["time_us"].value / 1e3)


def test_another_collective_is_unsupported(knowledge: Knowledge) -> None:
    with pytest.raises(Unsupported, match="broadcast"):
        collective(Case(id="a", kind="collective", collective="broadcast", accelerator="A100-SXM4-80GB"), knowledge)
