"""From a case to a set-up: what is taken where a case is silent, and that no silence is a crash."""

import math
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedplate.planner.facts.cases import Answer, Case, ModelName, Overrides, Parallel, Unsupported
from bedplate.planner.facts.estimate import Estimate
from bedplate.planner.facts.knowledge import Knowledge
from bedplate.planner.training.answer import fits, memory_of, peak_of, train_step
from bedplate.planner.training.engines import engine
from bedplate.planner.training.fit import footprint, prepared
from bedplate.planner.training.layout import FULL, SELECTIVE, scalar
from bedplate.planner.training.setup import Setup, family, setup
from bedplate.storage.systems import load_architectures, load_constants, load_systems

KNOWLEDGE = Knowledge(
    systems=load_systems(),
    architectures=load_architectures(),
    constants={name: load_constants(name) for name in ("kernels", "memory", "training")},
)

FULLY_SAID: dict[str, dict[str, Any]] = {
    "moe": {
        "kind": "train_step", "model": ModelName(name="DeepSeek-V3", moe=True), "accelerator": "GB200-186GB", "n_accel": 256,
        "engine": "megatron", "engine_version": "26.02", "engine_detail": "megatron-bridge", "precision": "mxfp8", "seq_len": 4096,
        "gbs": 4096.0, "mbs": 1.0, "grad_accum": 64.0, "token_drop": False, "variant": "w/o MTP", "recompute": "none",
        "parallel": Parallel(tp=1, pp=4, vp=4, cp=1, ep=64, dp=64), "flops_convention": "model", "attention_flops": "causal",
    },
    "tpu": {
        "kind": "train_step", "model": ModelName(name="Gemma-3-12B"), "accelerator": "TPU-v6e", "n_accel": 512, "engine": "maxtext",
        "tokens_per_step": 16777216.0, "parallel": Parallel(slices=2), "flops_convention": "maxtext_full_attention", "slice": "v6e-256",
    },
    "fsdp": {
        "kind": "train_step", "model": ModelName(name="Llama-3.1-405B"), "accelerator": "H100-SXM5-80GB", "n_accel": 512,
        "accelerator_overrides": Overrides(mem_gb=96, mem_gbps=2400, tdp_w=500), "engine": "torchtitan", "precision": "fp8",
        "local_batch": 32.0, "gbs": 256.0, "seq_len": 8192, "recompute": "full", "compile": True,
        "parallel": Parallel(tp=8, pp=8, fsdp="full", dp=8, async_tp=True, pp_schedule="Interleaved1F1B"),
    },
    "qlora": {
        "kind": "memory", "model": ModelName(name="Llama-2-13B"), "accelerator": "A100-SXM4-40GB", "n_accel": 1, "engine": "litgpt",
        "technique": "lora", "precision": "nf4-dq", "compute_precision": "bf16", "mbs": 1.0, "trainable_params": 6553600.0,
    },
}  # fmt: skip


def answered(asked: Case) -> Answer | str:
    """The answer, or why there is none."""
    try:
        return (memory_of if asked.kind == "memory" else train_step)(asked, KNOWLEDGE)
    except Unsupported as reason:
        return str(reason)


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(sorted(FULLY_SAID)), st.data())
def test_a_case_may_leave_out_anything(name: str, data: st.DataObject) -> None:
    said = FULLY_SAID[name]
    left = data.draw(st.sets(st.sampled_from(sorted(set(said) - {"kind"}))))
    asked = Case(id="a", **{field: value for field, value in said.items() if field not in left})
    found = answered(asked)
    if isinstance(found, str):
        assert {"model", "accelerator", "n_accel"} & left, found
        return
    for quantity in found.quantities.values():
        assert 0 < quantity.low <= quantity.value <= quantity.high < math.inf


@pytest.mark.parametrize("accelerator", sorted(KNOWLEDGE.systems.accelerators))
def test_every_accelerator_with_a_peak_trains_or_says_why_not(accelerator: str) -> None:
    asked = Case(id="a", kind="train_step", model=ModelName(name="Llama-3.1-8B"), accelerator=accelerator, n_accel=8, seq_len=4096, gbs=64)
    found = answered(asked)
    assert accelerator in found if isinstance(found, str) else found.quantities["tokens_per_s_per_accel"].value > 0


def test_a_pipeline_of_torchtitan_gets_as_many_micro_batches_as_stages() -> None:
    layout = setup(Case(id="a", **FULLY_SAID["fsdp"]), KNOWLEDGE).layout
    assert (layout.accum, layout.mbs, layout.vp) == (8.0, 4.0, 2.0)


def test_maxtext_takes_its_batch_at_once_and_offloads() -> None:
    made = setup(Case(id="a", **FULLY_SAID["tpu"]), KNOWLEDGE)
    assert (made.layout.accum, made.layout.mbs, made.layout.zero, made.layout.recompute, made.layout.offload) == (1, 4, 3, SELECTIVE, 1)
    assert made.machine.domain == 256  # two slices
    assert any("assumed" in note for note in made.notes)


def test_a_rack_of_72_runs_jobs_of_64() -> None:
    assert setup(Case(id="a", **FULLY_SAID["moe"]), KNOWLEDGE).machine.domain == 64


def test_the_network_is_the_one_printed_and_else_the_vendors_nodes() -> None:
    said = FULLY_SAID["fsdp"]
    assert setup(Case(id="a", **said), KNOWLEDGE).machine.fabric == pytest.approx(400 / 8 * 1e9)
    printed = setup(Case(id="a", interconnect="1600 Gbps node-node RoCE", **said), KNOWLEDGE)
    assert printed.machine.fabric == pytest.approx(200 / 8 * 1e9)


def test_overrides_of_the_machine_are_used() -> None:
    machine = setup(Case(id="a", **FULLY_SAID["fsdp"]), KNOWLEDGE).machine
    assert (machine.capacity, machine.memory, machine.power) == (96 * 2**30, 2.4e12, pytest.approx(5 / 7))


def test_an_engine_without_an_entry_is_like_the_common_one_of_its_chips() -> None:
    assert engine("never-heard-of").stack == "megatron"
    assert engine(None, "tpu").stack == engine("pax", "tpu").stack == "maxtext"
    assert [family(chip) for chip in ("GB200-186GB", "H100-SXM5-80GB", "TPU-v5e", "MI300X")] == ["B200", "H100", "TPU-v5e", "MI300X"]


def test_scores_go_through_memory_only_in_short_sequences_on_chips_of_the_time() -> None:
    old = {"kind": "train_step", "model": ModelName(name="GPT-3-175B"), "engine": "megatron", "n_accel": 64, "gbs": 64,
           "recompute": "full", "parallel": Parallel(tp=8, pp=8)}  # fmt: skip
    for changed, flash in (
        ({"accelerator": "A100-SXM4-80GB", "seq_len": 2048}, 0.0),
        ({"accelerator": "A100-SXM4-80GB", "seq_len": 2048, "recompute": None}, 1.0),
        ({"accelerator": "A100-SXM4-80GB", "seq_len": 2048, "recompute": None, "flops_convention": "hardware"}, 0.0),
        ({"accelerator": "A100-SXM4-80GB", "seq_len": 2048, "model": ModelName(name="LLaMA-65B")}, 1.0),
        ({"accelerator": "A100-SXM4-80GB", "seq_len": 8192}, 1.0),
        ({"accelerator": "A100-SXM4-80GB", "seq_len": 2048, "engine_version": "0.9"}, 1.0),
        ({"accelerator": "H100-SXM5-80GB", "seq_len": 2048}, 1.0),
    ):
        assert setup(Case(id="a", **(old | changed)), KNOWLEDGE).work.flash == flash


def test_hardware_flops_mean_that_something_was_recomputed() -> None:
    said = {k: v for k, v in FULLY_SAID["moe"].items() if k not in ("recompute", "flops_convention")}
    assert scalar(prepared(Case(id="a", flops_convention="hardware", **said), KNOWLEDGE).layout.recompute) == FULL


def test_adapters_leave_the_weights_frozen_and_quantised() -> None:
    work = setup(Case(id="a", **FULLY_SAID["qlora"]), KNOWLEDGE).work
    assert work.frozen == 1.0
    assert work.trained == 6553600.0
    assert work.weight_bytes == pytest.approx(0.5 + 1 / 64 + 4 / (64 * 256))


def test_the_prediction_block_counts_unless_the_variant_says_not() -> None:
    said = FULLY_SAID["moe"]
    without = setup(Case(id="a", **said), KNOWLEDGE)
    assert not without.mtp
    assert setup(msgspec.structs.replace(Case(id="a", **said), variant=None), KNOWLEDGE).ops.layers == float(without.ops.layers) + 1


def _layout(model: str, **given: Any) -> Setup:
    usual = {"kind": "train_step", "accelerator": "A100-SXM4-80GB", "seq_len": 4096, "precision": "bf16"}
    return prepared(Case(id="a", model=ModelName(name=model), **(usual | given)), KNOWLEDGE)


def test_a_model_that_does_not_fit_a_rank_is_cut_no_finer_than_needed() -> None:
    # 13 GB x 2 + 4 + 12/1024 bytes = 78 GB of weights and gradients: two tensor ranks hold them; 70 GB need eight
    small, large = _layout("Llama-2-13B", n_accel=1024, gbs=1024), _layout("Llama-2-70B", n_accel=2048, gbs=1024)
    assert (scalar(small.layout.tp), scalar(small.layout.pp)) == (2, 1)
    assert scalar(large.layout.tp) == 8
    assert any("2 x 1 assumed" in note for note in small.notes)


def test_fewer_sequences_than_chips_share_a_sequence() -> None:
    # 6,144 chips and 2,048 sequences: four chips a sequence
    made = _layout("PaLM-540B", accelerator="TPU-v4", n_accel=6144, gbs=2048, seq_len=2048)
    assert (scalar(made.layout.tp), scalar(made.layout.dp)) == (4, 1536)


def _fits(made: Setup) -> bool:
    return fits(made, peak_of(made, footprint(made, KNOWLEDGE.constants["memory"]), KNOWLEDGE))


def test_a_peak_fits_where_the_middle_of_its_range_does() -> None:
    """80 GiB x 0.95 = 76: a range of 70 to 82 has its middle at sqrt(70 x 82) = 75.8, one of 70 to 83 at 76.2."""
    made = _layout("Llama-2-7B", accelerator="H100-SXM5-80GB", n_accel=8, gbs=64)
    assert fits(made, Estimate(value=78.0, low=70.0, high=82.0))
    assert not fits(made, Estimate(value=78.0, low=70.0, high=83.0))


def test_a_recipe_that_leaves_memory_open_fits_where_the_least_of_it_does() -> None:
    """24,576 tokens a chip of 32 GB: a sequence at a time and caches of layers on the host; a told micro-batch is taken at its word."""
    given: dict[str, Any] = {"kind": "train_step", "accelerator": "TPU-v6e", "n_accel": 8, "seq_len": 8192, "engine": "maxtext"}
    model = ModelName(name="Llama-3.1-8B")
    open_one = train_step(Case(id="a", model=model, tokens_per_step=196_608, **given), KNOWLEDGE)
    assert open_one.fits
    assert open_one.basis.endswith("otherwise it does not fit")
    assert not train_step(Case(id="a", model=model, mbs=3, gbs=24, recompute="full", **given), KNOWLEDGE).fits


def test_a_sharding_engine_takes_the_largest_micro_batch_that_fits() -> None:
    made = _layout("TinyLlama-1.1B", accelerator="A100-SXM4-40GB", n_accel=16, gbs=1024, seq_len=2048, engine="litgpt")
    assert scalar(made.layout.batch) == 1024
    assert 1 < scalar(made.layout.mbs) < 64
    assert _fits(made)
    twice = msgspec.structs.replace(made, layout=msgspec.structs.replace(made.layout, mbs=2 * made.layout.mbs, recompute=0.0))
    assert not _fits(twice)


def test_a_case_without_a_batch_fills_the_memory() -> None:
    made = _layout("Llama-3.1-8B", accelerator="TPU-v5p", n_accel=64, engine="maxtext", seq_len=8192)
    twice = msgspec.structs.replace(made, layout=msgspec.structs.replace(made.layout, mbs=2 * made.layout.mbs))
    assert _fits(made)
    assert scalar(made.layout.mbs) == 16 or not _fits(twice)


def test_a_short_pipeline_is_interleaved_where_the_source_does_not_say() -> None:
    # 126 layers, embedding and head are 128 blocks: 16 stages x 8 chunks of one; 16 micro-batches leave (16-1) / (8 x 16) = 12 % idle
    short = _layout("Llama-3.1-405B", accelerator="H100-SXM5-80GB", n_accel=16384, gbs=2048, parallel=Parallel(tp=8, pp=16, dp=128))
    assert scalar(short.layout.vp) == 8
    long = _layout("Llama-3.1-405B", accelerator="H100-SXM5-80GB", n_accel=16384, gbs=8192, parallel=Parallel(tp=8, pp=16, dp=128))
    assert scalar(long.layout.vp) == 1


@pytest.mark.parametrize(("said", "gib"), [("DP baseline", 111.76), ("ZeRO-1 (Pos)", 29.24), ("ZeRO-2 (Pos+g)", 15.46), (3, 1.77)])
def test_what_zero_shards_is_as_in_its_paper(said: str | int, gib: float) -> None:
    # Rajbhandari et al., SC 2020, figure 1: 7.5e9 weights on 64 ranks, 2 + 2 + 12 bytes: 120, 31.4, 16.6 and 1.9 GB
    case = Case(id="a", kind="memory", model=ModelName(name="ZeRO-7.5B"), technique="full", parallel=Parallel(dp=64, zero=said))
    assert memory_of(case, KNOWLEDGE).quantities["params_optimizer_gib"].value == pytest.approx(gib, rel=0.03)


def test_a_case_that_names_no_engine_gets_the_wider_range() -> None:
    case = Case(id="a", kind="train_step", model=ModelName(name="GPT-3-175B"), accelerator="A100-SXM4-80GB", n_accel=1024, gbs=1536,
                seq_len=2048, parallel=Parallel(tp=8, pp=8))  # fmt: skip
    named = msgspec.structs.replace(case, engine="megatron")
    wide, narrow = (train_step(c, KNOWLEDGE).quantities["step_time_s"] for c in (case, named))
    assert wide.high / wide.low > narrow.high / narrow.low
