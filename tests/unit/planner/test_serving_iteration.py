"""Work of a rank, time of an iteration, memory and room of an instance."""

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedplate.core.units import GIB
from bedplate.planner.facts.architecture import Architecture, Experts, LayerGroup
from bedplate.planner.facts.systems import Accelerator
from bedplate.planner.serving.iteration import experts_hit, iteration, largest_of, smoothmax
from bedplate.planner.serving.memory import memory, most_sequences
from bedplate.planner.serving.rates import APART, LEAN, REACHED, Rates, combine, labels, sheet
from bedplate.planner.serving.records import ServeLayout
from bedplate.planner.serving.work import per_rank, stack

DENSE = Architecture(
    name="small", source="test", d_model=1024, n_heads=8, n_kv_heads=2, head_dim=128, d_ff=4096, vocab_size=1000,
    groups=(LayerGroup(count=4),),
)  # fmt: skip
MIXTURE = msgspec.structs.replace(DENSE, groups=(LayerGroup(count=4, ffn="moe"),), experts=Experts(count=16, top_k=2, d_ff=512))
CHIP = Accelerator(
    name="X1", source="test", vendor="v", mem_gb=80, mem_gbs=3000, tdp_w=700, tflops={"bf16": 1000}, scaleup_gbs=400, scaleup_domain=8
)
RATES = Rates(
    memory=1e12, experts=1e12, kv=1e12, dense=1e14, moe=1e14, attention=1e14, link=1e11, alpha=1e-5, layer=1e-5, moe_layer=0.0, step=1e-3,
    sequence=0.0, prefill_layer=0.0, prefill_moe_layer=0.0, imbalance=0.0, padding=0.0, pace=1.0,
)  # fmt: skip


def test_work_of_one_rank_by_hand() -> None:
    """Layer: 1024x1024x2 + 1024x256x2 attention, 3x1024x4096 feed-forward, 2 norms: 15,206,400 weights; 4 of them and the head in bf16."""
    work = per_rank(DENSE, ServeLayout())
    layer = 2 * 1024 * 1024 + 2 * 1024 * 256 + 3 * 1024 * 4096 + 2 * 1024
    assert work.dense_bytes == pytest.approx(2 * (4 * layer + 1000 * 1024))
    assert work.kv_full == pytest.approx(4 * 2 * 256 * 2)
    assert work.dense_flops == pytest.approx(2 * (4 * layer + 1000 * 1024))
    assert work.attention_full == pytest.approx(4 * 4 * 1024)


def test_grouped_heads_are_not_cut_below_one() -> None:
    """Two key heads on four ranks: each rank holds one head, half of the cache and not a quarter."""
    one, four = per_rank(DENSE, ServeLayout()), per_rank(DENSE, ServeLayout(tp=4, moe_tp=4))
    assert four.kv_full == pytest.approx(one.kv_full / 2)
    assert four.dense_bytes == pytest.approx(one.dense_bytes / 4)


def test_experts_hit_by_hand() -> None:
    """Two tokens that draw 2 of 16: 1 - (14/16)^2 = 0.234375 of the experts."""
    assert float(experts_hit(per_rank(MIXTURE, ServeLayout()), 2.0)) == pytest.approx(0.234375)


def test_largest_of_normals_agrees_with_tables() -> None:
    """Expected maxima of 2, 4, 8, 16 and 32 normals: 0.564, 1.029, 1.424, 1.766, 2.070 (Harter 1961)."""
    found = largest_of(np.array([2.0, 4.0, 8.0, 16.0, 32.0]))
    assert found == pytest.approx([0.564, 1.029, 1.424, 1.766, 2.070], rel=0.04)
    assert float(largest_of(1.0)) == 0.0


def test_decode_iteration_by_hand() -> None:
    """One sequence without cache reads the weights (123,699,200 B at 1 TB/s), plus 4 launches of 10 us and 1 ms of the engine."""
    work = per_rank(DENSE, ServeLayout())
    parts = iteration(work, RATES, sequences=1.0, context=0.0)
    assert float(parts.weights) == pytest.approx(work.dense_bytes / 1e12)
    assert float(parts.overhead) == pytest.approx(1e-3 + 4e-5)
    assert float(parts.total) == pytest.approx(work.dense_bytes / 1e12 + 1.04e-3, rel=1e-3)


def test_all_reduce_by_hand() -> None:
    """tp 8, one token: 4 layers x 2 x (10 us x log2(8) / 3 + 2 x 7/8 x 2048 B / 100 GB/s) = 80.29 us."""
    parts = iteration(per_rank(DENSE, ServeLayout(tp=8, moe_tp=8)), RATES, sequences=1.0, context=0.0)
    assert float(parts.communication) * 1e6 == pytest.approx(80.29, rel=1e-3)


@given(st.floats(1e-6, 1.0), st.floats(1e-6, 1.0))
def test_smoothmax_lies_between_the_larger_and_the_sum(left: float, right: float) -> None:
    assert max(left, right) * (1 - 1e-9) <= smoothmax(left, right) <= (left + right) * (1 + 1e-9)


@settings(max_examples=60)
@given(
    st.floats(1, 512),
    st.floats(1, 32000),
    st.sampled_from(["memory", "experts", "kv", "dense", "moe", "attention", "link"]),
    st.floats(1, 10),
)
def test_a_quicker_part_never_slows_an_iteration(batch: float, context: float, part: str, factor: float) -> None:
    work = per_rank(MIXTURE, ServeLayout(tp=2, moe_ep=2))
    quicker = msgspec.structs.replace(RATES, **{part: getattr(RATES, part) * factor})
    slow = iteration(work, RATES, sequences=batch, context=context, prefill=100.0, prefill_context=50.0).total
    assert float(iteration(work, quicker, sequences=batch, context=context, prefill=100.0, prefill_context=50.0).total) <= float(slow) * (
        1 + 1e-9
    )


@settings(max_examples=60)
@given(st.floats(1, 500), st.floats(1, 30000), st.floats(1, 4))
def test_more_sequences_or_context_never_make_it_shorter(batch: float, context: float, more: float) -> None:
    work = per_rank(MIXTURE, ServeLayout(tp=2, moe_ep=2))
    here = float(iteration(work, RATES, sequences=batch, context=context).total)
    assert float(iteration(work, RATES, sequences=batch * more, context=context * more).total) >= here * (1 - 1e-9)


def test_arrays_of_layouts_give_what_each_gives_alone() -> None:
    layouts = [ServeLayout(), ServeLayout(tp=2, moe_tp=2), ServeLayout(attention_dp=4, moe_ep=4), ServeLayout(pp=2)]
    works = [per_rank(MIXTURE, layout) for layout in layouts]
    together = iteration(stack(works), RATES, sequences=16.0, context=1000.0).total
    assert together == pytest.approx([float(iteration(work, RATES, sequences=16.0, context=1000.0).total) for work in works])


def test_matrix_rates_follow_what_the_chip_was_measured_to_reach() -> None:
    """An MI300X reaches 668 of 1307 bf16 TFLOP/s (MAMF): 0.51 / 0.78 = 0.655 of the usual share, in every precision; one that nobody
    measured keeps its data sheet."""
    tflops = {"bf16": 1307.4, "fp8": 2614.9}
    plain = msgspec.structs.replace(CHIP, tflops=tflops)
    slow = msgspec.structs.replace(plain, measured_tflops={"bf16": 668.4})
    layout = ServeLayout(precision="fp8", moe_precision="fp8")
    assert sheet(layout, plain).dense == pytest.approx(2614.9e12)
    assert sheet(layout, slow).dense == pytest.approx(2614.9e12 * 668.4 / 1307.4 / REACHED)
    assert sheet(layout, slow).memory == sheet(layout, plain).memory


def test_workers_apart_share_a_label_whatever_their_release() -> None:
    together = ServeLayout(engine="sglang", engine_version="0.5.9")
    assert "apart:sglang" not in labels(together, CHIP)
    for release in ("0.5.9", ""):
        assert "apart:sglang" in labels(msgspec.structs.replace(together, engine_version=APART + release), CHIP)


def test_memory_by_hand() -> None:
    """80 GiB x 0.92 less weights and overhead; a token of cache takes 4 layers x 2 x 256 x 2 B = 4096 B."""
    work = per_rank(DENSE, ServeLayout())
    found = memory(work, ServeLayout(), CHIP)
    assert found.kv_per_token == 4096
    assert found.available == pytest.approx(80 * GIB * 0.92 - found.weights - found.overhead)
    assert found.tokens == pytest.approx(found.available / 4096)
    assert float(most_sequences(work, 4096 * 1000.0, 100.0)) == pytest.approx(10.0)


def test_weights_that_do_not_fit_leave_no_tokens() -> None:
    tiny = msgspec.structs.replace(CHIP, mem_gb=1)
    assert not memory(per_rank(DENSE, ServeLayout()), ServeLayout(), tiny).fits


def test_a_window_caps_what_a_sequence_holds() -> None:
    near = msgspec.structs.replace(DENSE, groups=(LayerGroup(count=4, window=128),))
    assert float(most_sequences(per_rank(near, ServeLayout()), 4096 * 1280.0, 10000.0)) == pytest.approx(10.0)


def test_ranks_beyond_a_bridge_meet_over_the_host_s_bus_and_beyond_a_host_over_the_network() -> None:
    """Two boards on a bridge of 300 GB/s: four of them share PCIe's 63, sixteen a port of 50."""
    bridged = msgspec.structs.replace(CHIP, scaleup_gbs=300, scaleup_domain=2)
    links = [sheet(ServeLayout(tp=n, moe_tp=n), bridged).link for n in (2, 4, 16)]
    assert links == [300e9, 63e9, 50e9]
    slow = msgspec.structs.replace(CHIP, scaleup_gbs=31, scaleup_domain=1)
    assert sheet(ServeLayout(tp=4, moe_tp=4), slow).link == 31e9


def test_a_board_of_less_power_loses_no_more_than_that_share_of_its_rate() -> None:
    """However steep the fitted exponent is: half the power a TFLOP keeps at least half the rate."""
    half = msgspec.structs.replace(CHIP, tdp_w=CHIP.tflops["bf16"] * LEAN / 2)
    data = sheet(ServeLayout(), half)
    assert combine(data, lambda name: 3.0 if name == "throttle" else 1.0).dense == pytest.approx(data.dense / 2)
