"""Answers of the serving room to cases, with the rows and constants that ship."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedplate.planner.answering import answer
from bedplate.planner.facts.cases import Case
from bedplate.planner.facts.knowledge import Knowledge
from bedplate.planner.facts.systems import Accelerator
from bedplate.planner.serving.datasets import lengths_of
from bedplate.planner.serving.layout import layout_of, with_caches
from bedplate.planner.serving.model import serve
from bedplate.planner.serving.records import ServeLayout, ServeLoad
from bedplate.storage.systems import load_architectures, load_constants, load_systems

KNOWN = Knowledge(systems=load_systems(), architectures=load_architectures(), constants={"serving": load_constants("serving")})
POINT = {
    "id": "a", "kind": "serve_point", "model": {"name": "Llama-3.1-8B"}, "accelerator": "H100-SXM5-80GB", "n_accel": 2, "engine": "vllm",
    "engine_version": "0.19.0", "precision": "fp8", "kv_precision": "bf16", "isl": 1024, "osl": 512, "concurrency": 32, "batch_size": 32,
    "parallel": {"tp": 2, "pp": 1, "dp": 1},
}  # fmt: skip
LAYOUT = ServeLayout(tp=2, moe_tp=2, precision="fp8", moe_precision="fp8", engine="vllm")


def case(**changes: object) -> Case:
    return msgspec.convert({k: v for k, v in (POINT | changes).items() if v is not None}, Case)


def test_a_point_answers_times_throughput_and_energy_with_ranges() -> None:
    """Energy per token is power over throughput, per request that times the answer's length."""
    found = answer(case(), KNOWN).quantities
    value = {name: estimate.value for name, estimate in found.items()}
    assert {"ttft_ms", "tpot_ms", "output_tokens_per_s", "itl_p99_ms", "avg_power_w"} <= set(value)
    assert value["energy_per_token_j"] == pytest.approx(value["avg_power_w"] / value["output_tokens_per_s"])
    assert value["energy_per_request_j"] == pytest.approx(value["energy_per_token_j"] * 512)
    assert all(estimate.low < estimate.value < estimate.high and estimate.basis for estimate in found.values())


@settings(max_examples=40, deadline=None)
@given(st.sets(st.sampled_from(sorted(set(POINT) - {"id", "kind"}))))
def test_a_field_that_a_source_leaves_out_never_breaks_an_answer(left_out: set[str]) -> None:
    found = answer(case(**dict.fromkeys(left_out)), KNOWN)
    assert bool(found.unsupported) == bool(left_out & {"model", "accelerator"})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"model": {"name": "Lama-3.1-8B"}}, "Llama-3.1-8B"),
        ({"model": {"name": "SDXL"}}, "not served token by token"),
        ({"accelerator": "H101"}, "H100"),
        ({"kind": "serve_disagg"}, "workers"),
    ],
)
def test_what_cannot_be_answered_says_why(changes: dict[str, object], reason: str) -> None:
    assert reason in answer(case(**changes), KNOWN).unsupported


def test_an_engine_and_a_chip_never_measured_are_answered_from_the_data_sheet() -> None:
    chip = Accelerator(name="Q9", source="test", vendor="v", mem_gb=96, mem_gbs=4000, tflops={"bf16": 800, "fp8": 1600})
    result = serve(
        LAYOUT, ServeLoad(isl=1000, osl=200, concurrency=16), KNOWN.architecture("Llama-3.1-8B"), chip, KNOWN.constants["serving"]
    )
    assert 0 < result.tpot_s < 0.1
    assert result.power_w is None


def test_a_chip_known_from_its_data_sheet_alone_gets_a_wider_range_and_a_warning() -> None:
    known, new = answer(case(), KNOWN), answer(case(accelerator="MI325X"), KNOWN)
    assert not any("never measured" in warning for warning in known.warnings)
    assert any("never measured on MI325X" in warning for warning in new.warnings)
    width = [a.quantities["tpot_ms"].high / a.quantities["tpot_ms"].value for a in (known, new)]
    assert width[1] > width[0]


def test_a_release_never_measured_gets_a_wider_range_and_the_value_of_its_engine() -> None:
    known, new, unsaid = (
        answer(case(engine="vllm", engine_version=version), KNOWN).quantities["tpot_ms"] for version in ("0.19.0", "0.99.1", None)
    )
    assert new.high / new.low > known.high / known.low
    assert new.value == pytest.approx(unsaid.value)


def test_caches_go_to_eight_bits_beside_quantised_weights_where_the_chip_multiplies_in_four() -> None:
    """MiniMax-M2.5 in fp8: on a B200 caches of 8 bits, on an H100 of 16; weights of 16 bits keep caches of 16."""
    arch = KNOWN.architecture("MiniMax-M2.5")
    layout, _ = layout_of(case(model={"name": "MiniMax-M2.5"}, kv_precision=None), arch)
    blackwell, hopper = KNOWN.systems.accelerator("B200-SXM-180GB"), KNOWN.systems.accelerator("H100-SXM5-80GB")
    assert with_caches(layout, blackwell).kv_precision == "fp8"
    assert with_caches(layout, hopper).kv_precision == "bf16"
    wide = msgspec.structs.replace(layout, precision="bf16", moe_precision="bf16")
    assert with_caches(wide, blackwell).kv_precision == "bf16"


def test_offline_of_a_benchmark_needs_no_lengths_and_beats_its_server() -> None:
    given = {
        "kind": "serve_max",
        "model": {"name": "Llama-2-70B"},
        "n_accel": 8,
        "benchmark": "mlperf-llama2-70b-99.9",
        "isl": None,
        "osl": None,
    }
    offline, server = (
        answer(case(**given, scenario=s, parallel=None, precision=None, concurrency=None), KNOWN) for s in ("offline", "server")
    )
    assert offline.quantities["output_tokens_per_s"].value > server.quantities["output_tokens_per_s"].value > 1000
    assert "copies of tp" in offline.basis


def test_benchmarks_are_known_by_any_spelling() -> None:
    assert lengths_of("mlperf-llama3_1-405b-99") == lengths_of("mlperf-llama3.1-405b") is not None
    assert lengths_of("mlperf-resnet50") is None


def test_split_workers_answer_both_times() -> None:
    side = {"tp": 8, "pp": 1, "attention_dp": 1, "moe_tp": 1, "moe_ep": 8, "workers": 1, "batch_size": 8, "n_accel": 8}
    found = answer(
        case(kind="serve_disagg", model={"name": "DeepSeek-V3"}, accelerator="B200-SXM-180GB", n_accel=16, prefill=side, decode=side), KNOWN
    )
    assert found.fits
    assert {"ttft_ms", "tpot_ms"} <= set(found.quantities)


def test_split_workers_with_a_stated_batch_decode_so_many_at_a_time() -> None:
    """Not one at a time: 32 on the decode worker write tokens about as quickly as 32 in flight, and far more of them than one."""
    side = {"tp": 8, "pp": 1, "attention_dp": 1, "moe_tp": 1, "moe_ep": 8, "workers": 1, "n_accel": 8}
    given = {
        "kind": "serve_disagg",
        "model": {"name": "DeepSeek-V3"},
        "accelerator": "B200-SXM-180GB",
        "n_accel": 16,
        "concurrency": None,
        "batch_size": None,
    }
    stated = answer(case(**given, prefill=side, decode=side | {"batch_size": 32}), KNOWN)
    alone = answer(case(**given, prefill=side, decode=side), KNOWN)
    assert "32 requests decode on each worker, as stated" in stated.basis
    assert "one request at a time" not in stated.basis
    assert stated.quantities["output_tokens_per_s"].value > 8 * alone.quantities["output_tokens_per_s"].value


def test_no_power_is_above_what_the_boards_may_draw() -> None:
    """8 A100 of 400 W: the range of a full batch ends at 3,200 W."""
    found = answer(case(model={"name": "Llama-3.1-70B"}, accelerator="A100-SXM4-80GB", n_accel=8, concurrency=256), KNOWN)
    watts = found.quantities["avg_power_w"]
    assert watts.low <= watts.value <= watts.high <= 3200


def test_speculation_shortens_tokens_at_small_batches() -> None:
    arch, chip, constants = KNOWN.architecture("Llama-3.1-8B"), KNOWN.systems.accelerator("H100-SXM5-80GB"), KNOWN.constants["serving"]
    load = ServeLoad(isl=500, osl=200, concurrency=4)
    drafted = serve(msgspec.structs.replace(LAYOUT, drafted=3, acceptance=0.8), load, arch, chip, constants)
    assert drafted.tpot_s < serve(LAYOUT, load, arch, chip, constants).tpot_s / 1.5


def test_a_cached_prefix_shortens_the_first_token() -> None:
    arch, chip, constants = KNOWN.architecture("Llama-3.1-8B"), KNOWN.systems.accelerator("H100-SXM5-80GB"), KNOWN.constants["serving"]
    load = ServeLoad(isl=8000, osl=200, concurrency=16)
    cached = serve(msgspec.structs.replace(LAYOUT, prefix_hit=0.9), load, arch, chip, constants)
    assert cached.ttft_s < serve(LAYOUT, load, arch, chip, constants).ttft_s
