"""Products, attention and collectives against figures worked out by hand."""

import math

import msgspec
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
    # 16 ranks in two nodes: 15/16 GB pass the border over 8 ports of 25 GB/s
    assert gather_seconds(1e9, 16, 1, NODE) == pytest.approx(15 / 16 / 200)
    # the same with one rank a node (stride 8): one port a rank
    assert gather_seconds(1e9, 2, 8, NODE) == pytest.approx(0.5 / 25)


def test_an_all_reduce_over_two_nodes_goes_by_a_tree_and_over_more_by_a_ring() -> None:
    # two nodes: 1 GB once each way over 200 GB/s of ports = 5 ms, the NVLink part 2 x 7/8 / 300 = 5.83 ms is longer; four: 2 x 31/32 / 200
    assert reduce_seconds(1e9, 16, 1, NODE) == pytest.approx(2 * 7 / 8 / 300)
    assert reduce_seconds(1e9, 16, 1, NODE._replace(fabric=10e9)) == pytest.approx(2 * 0.5 / 80)
    assert reduce_seconds(1e9, 32, 1, NODE) == pytest.approx(2 * 31 / 32 / 200)


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


def test_a_chip_at_half_rate_reaches_its_printed_peak(knowledge: Knowledge) -> None:
    # 165 to 168 TFLOP/s in public runs, of 165.2
    found = gemm(Case(id="a", kind="gemm", accelerator="RTX-4090", precision="bf16"), knowledge).quantities["tflops"]
    assert found.value == pytest.approx(166, rel=0.08)


def test_an_all_reduce_over_two_nodes_is_near_the_published_one(knowledge: Knowledge) -> None:
    case = Case(id="a", kind="collective", collective="all_reduce", accelerator="A100-SXM4-80GB", n_accel=16, n_nodes=2,
                cluster="2x p4de.24xlarge", bytes=2.0**30)  # fmt: skip
    found = collective(case, knowledge).quantities
    assert found["time_us"].value == pytest.approx(26_217, rel=0.1)
    # nccl-tests: bus bandwidth = 2 (n-1)/n x bytes / time
    assert found["busbw_gb_s"].value == pytest.approx(1.875 * 2**30 / found["time_us"].value / 1e3)


@pytest.mark.parametrize(("chip", "ranks", "kind", "published"), [
    ("H100-SXM5-80GB", 8, "all_reduce", 480), ("H100-SXM5-80GB", 8, "all_gather", 370), ("H800-SXM5-80GB", 8, "all_reduce", 215),
    ("A100-SXM4-80GB", 8, "all_reduce", 230), ("A100-SXM4-80GB", 8, "reduce_scatter", 230), ("A100-SXM4-80GB", 64, "all_reduce", 192),
    ("GB200-186GB", 72, "all_reduce", 839), ("MI300X", 8, "all_reduce", 320), ("RTX-5090", 8, "all_reduce", 28),
])  # fmt: skip
def test_large_messages_reach_the_published_bus_bandwidth(knowledge: Knowledge, chip: str, ranks: int, kind: str, published: float) -> None:
    case = Case(id="a", kind="collective", collective=kind, accelerator=chip, n_accel=ranks, message_size="large-message peak")
    assert collective(case, knowledge).quantities["busbw_gb_s"].value == pytest.approx(published, rel=0.15)


def test_bus_bandwidth_counts_what_a_flat_ring_sends(knowledge: Knowledge) -> None:
    # nccl-tests: all-to-all (n-1)/n x bytes / time, broadcast and send-receive bytes / time
    for kind, factor in (("alltoall", 7 / 8), ("broadcast", 1.0), ("sendrecv", 1.0)):
        found = collective(Case(id="a", kind="collective", collective=kind, accelerator="A100-SXM4-80GB", n_accel=8, bytes=1e9), knowledge)
        assert found.quantities["busbw_gb_s"].value == pytest.approx(factor * 1e6 / found.quantities["time_us"].value)


def test_a_collective_that_nccl_tests_do_not_measure_is_unsupported(knowledge: Knowledge) -> None:
    with pytest.raises(Unsupported, match="barrier"):
        collective(Case(id="a", kind="collective", collective="barrier", accelerator="A100-SXM4-80GB"), knowledge)


def test_a_port_is_read_from_the_cases_words(knowledge: Knowledge) -> None:
    said = {"8 x 400 Gb/s InfiniBand": 1.0, "3200 Gbps node-node": 1.0, "NDR InfiniBand": 1.0, "1600 Gbps node-node": 2.0}
    case = Case(id="a", kind="collective", accelerator="H100-SXM5-80GB", n_accel=64, n_nodes=8, bytes=2.0**33)
    usual = collective(case, knowledge).quantities["time_us"].value
    for words, factor in said.items():
        case = msgspec.structs.replace(case, interconnect=words)
        assert collective(case, knowledge).quantities["time_us"].value == pytest.approx(factor * usual, rel=0.05)
