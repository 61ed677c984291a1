"""The memory of training and tuning: published figures to the byte, and what must never go down."""

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedplate.core.units import GIB
from bedplate.planner.facts.cases import Case, ModelName, Parallel
from bedplate.planner.facts.knowledge import Knowledge
from bedplate.planner.training.answer import memory_of
from bedplate.planner.training.fit import footprint, prepared, settled
from bedplate.planner.training.layout import FULL, NONE, SELECTIVE, Layout, scalar
from bedplate.planner.training.memory import Held, activations, in_flight, memory, state
from bedplate.planner.training.operators import operations
from bedplate.planner.training.rates import Workload
from bedplate.planner.training.setup import setup
from bedplate.storage.systems import load_architectures, load_constants, load_systems

KNOWLEDGE = Knowledge(
    systems=load_systems(),
    architectures=load_architectures(),
    constants={name: load_constants(name) for name in ("kernels", "memory", "training")},
)
CONSTANTS = KNOWLEDGE.constants["memory"]


def korthikanti(model: str, n: int, pp: int, vp: int, mbs: int, recompute: str, sequence: bool) -> dict[str, float]:
    layout = Parallel(tp=8, pp=pp, vp=vp, dp=1, sequence_parallel=sequence)
    asked = Case(id="a", kind="memory", model=ModelName(name=model), accelerator="A100-SXM4-80GB", n_accel=n, engine="megatron",
                 technique="full", mbs=mbs, seq_len=2048, recompute=recompute, parallel=layout)  # fmt: skip
    return {name: found.value for name, found in memory_of(asked, KNOWLEDGE).quantities.items()}


def test_activations_are_those_of_the_formula() -> None:
    # s b h (10 + 24/t + 5 a s / (h t)) = 2048 x 4 x 6144 x (10 + 3 + 40/3) = 1.325e9 B a layer, x 48 layers = 59.25 GiB
    assert korthikanti("Megatron-22B", 8, 1, 1, 4, "none", False)["activations_gib"] == pytest.approx(59.25, rel=1e-4)
    # interleaved: x (1 + (8 - 1) / (8 x 3)) of all 96 layers on the first stage
    assert korthikanti("GPT-3-175B", 64, 8, 3, 1, "none", False)["activations_gib"] == pytest.approx(66.84375, rel=1e-4)
    # with sequence parallelism and selective recomputation 34 s b h / t
    assert korthikanti("Megatron-22B", 8, 1, 1, 4, "selective", True)["activations_gib"] == pytest.approx(9.5625, rel=1e-4)


def test_shares_of_the_baseline() -> None:
    assert korthikanti("MT-NLG-530B", 280, 35, 3, 1, "selective", True)["activation_pct_of_baseline"] == pytest.approx(20.27, abs=0.1)
    assert korthikanti("Megatron-22B", 8, 1, 1, 4, "full", False)["activation_pct_of_baseline"] == pytest.approx(7.64, abs=0.1)


def test_mixed_precision_adam_takes_eighteen_bytes_a_weight() -> None:
    # 105 layers x 12 x 20480^2 / 280 ranks x (2 + 4 + 12) B = 31.64 GiB, and a 280th of the embedding
    assert korthikanti("MT-NLG-530B", 280, 35, 3, 1, "none", False)["params_optimizer_gib"] == pytest.approx(31.64, rel=0.01)


def test_zero_shares_what_its_stage_says() -> None:
    # ZeRO (arXiv 1910.02054, figure 1): 7.5e9 weights on 64 ranks: 120, 31.4, 16.6 and 1.9 GB with 2 + 2 + 12 bytes a weight
    ops = msgspec.structs.replace(operations(KNOWLEDGE.architecture("GPT-7.5B")), dense_params=7.5e9, embed_params=0.0, head_params=0.0)
    work = Workload(seq=1024.0, gradient_bytes=2.0)
    found = [sum(state(Layout(dp=64.0, shard=64.0, zero=float(z)), work, ops)) for z in range(4)]
    assert [float(v) / 1e9 for v in found] == pytest.approx([120.0, 31.4, 16.6, 1.875], rel=0.01)


def test_a_pipeline_holds_as_many_micro_batches_as_it_is_deep() -> None:
    assert float(in_flight(Layout(pp=8.0, accum=64.0))) == 8.0
    assert float(in_flight(Layout(pp=8.0, vp=4.0, accum=64.0))) == 8.0 + 7 / 4
    assert float(in_flight(Layout(pp=8.0, accum=3.0))) == 3.0
    assert float(in_flight(Layout(pp=1.0, accum=64.0))) == 1.0


@settings(max_examples=50, deadline=None)
@given(
    st.sampled_from(["Llama-3.1-8B", "Qwen3-30B-A3B", "Nemotron-3-Nano", "GPT-3-175B"]),
    st.sampled_from([1.0, 2.0, 4.0]),
    st.sampled_from([NONE, SELECTIVE, FULL]),
    st.sampled_from(["mbs", "seq"]),
)
def test_memory_never_falls_with_the_batch(model: str, pp: float, recompute: int, what: str) -> None:
    ops, held = operations(KNOWLEDGE.architecture(model)), Held()
    totals = []
    for size in (1.0, 2.0, 4.0, 8.0):
        layout = Layout(tp=2.0, pp=pp, dp=4.0, accum=8.0, mbs=size if what == "mbs" else 1.0, recompute=float(recompute))
        totals.append(scalar(memory(layout, Workload(seq=2048.0 * (size if what == "seq" else 1.0)), ops, held).total))
    assert totals == sorted(totals)


def test_parts_sum_to_the_whole() -> None:
    parts = memory(Layout(tp=2.0, pp=2.0, accum=4.0), Workload(seq=4096.0), operations(KNOWLEDGE.architecture("Llama-3.1-8B")), Held())
    assert sum(scalar(getattr(parts, n)) for n in parts.__struct_fields__) == pytest.approx(scalar(parts.total))


def test_recomputation_is_as_much_as_it_takes_to_fit() -> None:
    asked: dict[str, Any] = {
        "id": "a", "kind": "train_step", "model": ModelName(name="Llama-3.1-8B"), "accelerator": "H100-SXM5-80GB", "n_accel": 64,
        "engine": "megatron", "engine_version": "26.02", "seq_len": 8192, "parallel": Parallel(tp=1, pp=1),
    }  # fmt: skip
    shares = []
    for mbs in (1, 2, 16):
        made = prepared(Case(gbs=64.0 * mbs, mbs=mbs, **asked), KNOWLEDGE)
        shares.append((scalar(made.layout.recompute), scalar(made.layout.share)))
        if mbs < 16:
            assert scalar(footprint(made, CONSTANTS).total) <= float(made.machine.capacity)
    assert shares[0][0] <= shares[1][0] <= shares[2][0] == FULL


def test_settling_many_layouts_is_settling_each() -> None:
    asked = Case(
        id="a", kind="train_step", model=ModelName(name="Llama-3.1-8B"), accelerator="H100-SXM5-80GB", n_accel=8, mbs=1, gbs=8
    )  # fmt: skip
    made = setup(asked, KNOWLEDGE)
    sizes = [1.0, 3.0, 6.0, 24.0]
    many = settled(msgspec.structs.replace(made.layout, mbs=np.array(sizes)), made.work, made.ops, made.machine, Held())
    for i, size in enumerate(sizes):
        one = settled(msgspec.structs.replace(made.layout, mbs=size), made.work, made.ops, made.machine, Held())
        assert float(np.asarray(many.recompute)[i]) == scalar(one.recompute)
        assert float(np.asarray(many.share)[i]) == pytest.approx(scalar(one.share))


def test_lora_of_a_7b_model_is_near_its_published_peak_and_mixed_precision_does_not_fit_40_gb() -> None:
    def tuned(**changed: Any) -> Any:
        given: dict[str, Any] = {
            "id": "a", "kind": "memory", "model": ModelName(name="Llama-2-7B"), "accelerator": "A100-SXM4-40GB", "n_accel": 1,
            "engine": "litgpt", "technique": "lora", "precision": "bf16", "mbs": 1, "trainable_params": 4194304,
        } | changed  # fmt: skip
        return memory_of(Case(**given), KNOWLEDGE)

    assert tuned().quantities["peak_mem_gib"].value == pytest.approx(19.84, rel=0.06)
    assert tuned(precision="nf4").quantities["peak_mem_gib"].value == pytest.approx(13.17, rel=0.06)
    assert tuned(technique="inference").quantities["peak_mem_gib"].value == pytest.approx(12.59, rel=0.06)
    assert tuned().fits
    assert not tuned(precision_detail="bf16-mixed").fits


def test_offloading_keeps_a_tenth() -> None:
    ops, work = operations(KNOWLEDGE.architecture("Llama-3.1-8B")), Workload(seq=8192.0)
    here = activations(Layout(), work, ops, Held())
    assert scalar(activations(Layout(offload=1.0), work, ops, Held())) == pytest.approx(0.1 * scalar(here))


def test_inference_over_several_accelerators_holds_a_part_of_the_weights() -> None:
    def peak(n: int, style: str | None) -> float:
        asked = Case(id="a", kind="memory", model=ModelName(name="Llama-2-70B"), accelerator="A100-SXM4-80GB", n_accel=n, engine="litgpt",
                     technique="inference", precision="bf16", parallel=Parallel(style=style))  # fmt: skip
        return memory_of(asked, KNOWLEDGE).quantities["peak_mem_gib"].value

    whole = 2 * 68.98e9 / GIB
    assert peak(4, "tp") == pytest.approx(whole / 4, rel=0.1)
    assert peak(4, "sequential") == pytest.approx(whole / 4, rel=0.1)


def test_without_an_accelerator_the_bytes_are_counted_and_nothing_is_said_of_fitting() -> None:
    found = memory_of(Case(id="a", kind="memory", model=ModelName(name="GPT-7.5B"), technique="full", seq_len=1024), KNOWLEDGE)
    assert found.fits is None
    assert found.quantities["params_optimizer_gib"].value > 7.5e9 * 16 / GIB
