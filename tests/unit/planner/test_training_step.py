"""The time of a training step: parts, schedules, conventions, arrays, and the eight rows of Korthikanti's table 5."""

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedplate.planner.facts.cases import Case, ModelName, Parallel, Unsupported
from bedplate.planner.facts.knowledge import Knowledge
from bedplate.planner.training.answer import train_step
from bedplate.planner.training.fit import prepared
from bedplate.planner.training.layout import FULL, Layout, misfits, scalar
from bedplate.planner.training.operators import model_flops
from bedplate.planner.training.rates import rates
from bedplate.planner.training.setup import Setup, setup
from bedplate.planner.training.step import StepBreakdown, step
from bedplate.storage.systems import load_architectures, load_constants, load_systems

KNOWLEDGE = Knowledge(
    systems=load_systems(),
    architectures=load_architectures(),
    constants={name: load_constants(name) for name in ("kernels", "memory", "training")},
)


def case(**changed: Any) -> Case:
    given: dict[str, Any] = {
        "id": "a", "kind": "train_step", "model": ModelName(name="Llama-3.1-70B"), "accelerator": "H100-SXM5-80GB", "n_accel": 64,
        "engine": "megatron", "engine_version": "26.02", "engine_detail": "megatron-bridge", "precision": "bf16", "seq_len": 8192,
        "gbs": 128, "mbs": 1, "parallel": Parallel(tp=4, pp=4, cp=1, vp=5),
    } | changed  # fmt: skip
    return Case(**given)


def spent(made: Setup, **layout: float) -> StepBreakdown:
    changed = msgspec.structs.replace(made.layout, **layout)
    return step(changed, made.work, made.ops, made.machine, rates(KNOWLEDGE.constants["training"], made.labels))


def seconds(made: Setup, **layout: float) -> float:
    return scalar(spent(made, **layout).total)


def test_model_flops_are_six_for_each_weight_and_attention() -> None:
    # GPT-3: 96 x 12 x 12288^2 weights in layers and 51200 x 12288 in the output layer, 6 FLOP each;
    # attention 12 x 96 x 12288 x 2048 FLOP a token, half of it where the causal mask is counted
    arch = KNOWLEDGE.architecture("GPT-3-175B")
    weights = 96 * 12 * 12288**2 + arch.vocab_size * 12288
    scores = 12 * 96 * 12288 * 2048
    assert model_flops(arch, 2048, causal=False) == pytest.approx(6 * weights + scores, rel=1e-3)
    assert model_flops(arch, 2048, causal=True) == pytest.approx(6 * weights + scores / 2, rel=1e-3)


def test_a_mixtures_flops_count_the_experts_that_a_token_meets() -> None:
    # DeepSeek-V3 with its prediction block: 2.60e11 FLOP a token at 4,096 tokens (Megatron-Bridge prints 1640 TFLOP/s at 6304 tokens/s)
    assert model_flops(KNOWLEDGE.architecture("DeepSeek-V3"), 4096, causal=True) == pytest.approx(1640e12 / 6304, rel=0.01)


def test_parts_sum_to_the_step() -> None:
    parts = spent(setup(case(), KNOWLEDGE))
    assert sum(scalar(getattr(parts, n)) for n in parts.__struct_fields__) == pytest.approx(scalar(parts.total))


def test_the_bubble_is_the_published_share() -> None:
    # Narayanan et al. 2021: (pp - 1) / (vp x micro-batches) of the time without it; here with the head's share taken out
    made = setup(case(model=ModelName(name="GPT-3-175B"), seq_len=2048, parallel=Parallel(tp=8, pp=8, vp=3), gbs=64), KNOWLEDGE)
    even = msgspec.structs.replace(made.work, balanced=1.0)
    own = rates(KNOWLEDGE.constants["training"], made.labels)
    one = step(made.layout, even, made.ops, made.machine, own)
    none = step(msgspec.structs.replace(made.layout, bubble=0.0), even, made.ops, made.machine, own)
    stages = one.products + one.attention + one.stream + one.recompute + one.loss + one.host + one.tensor + one.context + one.expert
    assert scalar(one.bubble - none.bubble) == pytest.approx(scalar(stages) * 7 / (3 * 64))


def test_full_recomputation_costs_one_more_forward_pass() -> None:
    made = setup(case(), KNOWLEDGE)
    plain, full = spent(made, recompute=0.0), spent(made, recompute=float(FULL))
    again = scalar(full.recompute) / scalar(plain.products + plain.attention + plain.stream)
    assert again == pytest.approx(1 / 3, abs=0.03)


def test_an_array_of_layouts_answers_as_each_alone() -> None:
    made = setup(case(), KNOWLEDGE)
    tps = np.array([1.0, 2.0, 4.0, 8.0])
    many = msgspec.structs.replace(made.layout, tp=tps, dp=64 / 4 / tps)
    together = np.asarray(step(many, made.work, made.ops, made.machine, rates(KNOWLEDGE.constants["training"], made.labels)).total)
    assert together == pytest.approx([seconds(made, tp=float(t), dp=16.0 / float(t)) for t in tps])


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["peak", "peak_low", "memory", "scaleup", "fabric"]),
    st.floats(1.0, 8.0),
    st.sampled_from(["Llama-3.1-8B", "Qwen3-30B-A3B", "Nemotron-3-Nano"]),
    st.sampled_from(["bf16", "fp8"]),
)
def test_a_better_machine_never_slows_a_step(rate: str, factor: float, model: str, precision: str) -> None:
    made = setup(case(model=ModelName(name=model), precision=precision, parallel=Parallel(tp=2, pp=2, ep=4)), KNOWLEDGE)
    better = msgspec.structs.replace(made, machine=msgspec.structs.replace(made.machine, **{rate: getattr(made.machine, rate) * factor}))
    assert seconds(better) <= seconds(made) * (1 + 1e-9)


def test_sft_lora_and_pretraining_rank_as_their_work_does() -> None:
    made = prepared(case(), KNOWLEDGE)
    lora = prepared(case(task="lora"), KNOWLEDGE)
    assert 0.55 < seconds(lora) / seconds(made) < 0.85  # no weight gradients: four of six FLOPs a weight


def test_calculons_eight_rows_within_three_and_a_half_per_cent() -> None:
    # Korthikanti et al. 2022, table 5: (model, accelerators, tp, pp, vp, batch, micro-batch, recomputation, seconds)
    rows: list[tuple[str, int, int, int, int, int, str, float]] = [
        ("Megatron-22B", 8, 1, 1, 4, 4, "full", 1.42), ("Megatron-22B", 8, 1, 1, 4, 4, "selective", 1.10),
        ("GPT-3-175B", 64, 8, 3, 64, 1, "full", 18.13), ("GPT-3-175B", 64, 8, 3, 64, 1, "selective", 13.75),
        ("MT-NLG-530B", 280, 35, 3, 280, 1, "full", 49.05), ("MT-NLG-530B", 280, 35, 3, 280, 1, "selective", 37.83),
        ("Megatron-1T", 512, 64, 1, 512, 1, "full", 94.42), ("Megatron-1T", 512, 64, 1, 512, 1, "selective", 71.49),
    ]  # fmt: skip
    misses = []
    for model, n, pp, vp, batch, micro, recompute, measured in rows:
        layout = Parallel(tp=8, pp=pp, vp=vp, cp=1, dp=1, sequence_parallel=recompute == "selective")
        asked = Case(id="a", kind="train_step", model=ModelName(name=model), accelerator="A100-SXM4-80GB", n_accel=n, engine="megatron",
                     seq_len=2048, gbs=batch, mbs=micro, recompute=recompute, parallel=layout)  # fmt: skip
        misses.append(abs(train_step(asked, KNOWLEDGE).quantities["step_time_s"].value / measured - 1))
    assert float(np.mean(misses)) < 0.035


def test_conventions_agree_with_one_another() -> None:
    found = train_step(case(), KNOWLEDGE).quantities
    tokens = 128 * 8192
    assert found["tokens_per_s_per_accel"].value == pytest.approx(tokens / found["step_time_s"].value / 64)
    assert found["mfu"].value == pytest.approx(found["model_tflops_per_accel"].value / 989)
    hardware = train_step(case(recompute="full", flops_convention="hardware"), KNOWLEDGE).quantities["model_tflops_per_accel"]
    model = train_step(case(recompute="full"), KNOWLEDGE).quantities["model_tflops_per_accel"]
    assert hardware.value == pytest.approx(model.value * 4 / 3)
    assert all(e.low < e.value < e.high for e in found.values())


def test_a_chip_and_engine_never_measured_get_a_wider_range() -> None:
    def width(**changed: Any) -> float:
        time = train_step(case(**changed), KNOWLEDGE).quantities["step_time_s"]
        return time.high / time.low

    assert width(accelerator="MI300X", engine="deepspeed") > width()


def test_a_layout_that_the_accelerators_do_not_hold_is_unsupported() -> None:
    with pytest.raises(Unsupported, match="do not hold"):
        train_step(case(n_accel=6), KNOWLEDGE)


def test_impossible_layouts_are_marked() -> None:
    tries = Layout(tp=np.array([8.0, 3.0, 8.0, 8.0]), pp=np.array([1.0, 1.0, 99.0, 1.0]), ep=np.array([1.0, 1.0, 1.0, 7.0]), dp=8.0)
    assert misfits(tries, heads=64, layers=80, experts=128).tolist() == [False, True, True, True]


def test_a_case_that_says_next_to_nothing_gets_stated_defaults() -> None:
    bare = Case(id="a", kind="train_step", model=ModelName(name="Mixtral-8x7B"), accelerator="B200-SXM-180GB", n_accel=8)
    found = train_step(bare, KNOWLEDGE)
    assert "assumed" in found.basis
    assert found.quantities["tokens_per_s_per_accel"].value > 0


def test_an_unknown_model_is_built_from_printed_dimensions() -> None:
    printed = ModelName(name="nobody's", n_layers=24, d_model=2048, n_heads=16, d_ff=8192, vocab_size=50368)
    same = train_step(case(model=printed, parallel=None, n_accel=8), KNOWLEDGE).quantities["step_time_s"].value
    known = train_step(case(model=ModelName(name="MPT-1B"), parallel=None, n_accel=8), KNOWLEDGE).quantities["step_time_s"].value
    assert same == pytest.approx(known, rel=0.02)
    with pytest.raises(Unsupported):
        train_step(case(model=ModelName(name="nobody's")), KNOWLEDGE)


def test_a_tensor_ring_on_a_torus_has_one_axis_of_its_links() -> None:
    # TPU v5e: two axes, so half of 200 GB/s; switched GPUs: all of them
    for chip, axes in (("TPU-v5e", 2.0), ("TPU-v5p", 3.0), ("H100-SXM5-80GB", 1.0)):
        case = Case(id="a", kind="train_step", model=ModelName(name="Llama-2-7B"), accelerator=chip, n_accel=64, seq_len=2048, gbs=64,
                    parallel=Parallel(tp=4))  # fmt: skip
        made = setup(case, KNOWLEDGE)
        assert made.machine.axes == axes
        one, all_links = (
            scalar(step(made.layout, made.work, made.ops, machine, rates(KNOWLEDGE.constants["training"], made.labels)).tensor)
            for machine in (made.machine, msgspec.structs.replace(made.machine, axes=1.0))
        )
        assert one >= all_links if axes > 1 else one == all_links
