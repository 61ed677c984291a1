"""Images and videos: work by hand, properties of the time and of power, answers for every model of the catalogue."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.planner.facts.cases import Case, Unsupported
from bedplate.planner.facts.knowledge import Knowledge
from bedplate.planner.generation.answering import answer, rates_of
from bedplate.planner.generation.sdxl import answer_sdxl
from bedplate.planner.generation.timing import Rates, seconds
from bedplate.planner.generation.work import Request, Work, count, tokens
from bedplate.storage.systems import load_architectures, load_constants, load_systems

KNOWLEDGE = Knowledge(systems=load_systems(), architectures=load_architectures(), constants={"generation": load_constants("generation")})
DIFFUSION = sorted(name for name, row in KNOWLEDGE.architectures.rows.items() if row.diffusion)


def case(model: str = "FLUX.1-dev", **more: object) -> Case:
    fields = {"kind": "generate_image", "accelerator": "H100-SXM5-80GB", "n_accel": 1, "steps": 28, "resolution": [1024, 1024]}
    return msgspec.convert({"id": "x", "model": {"name": model}, **fields, **more}, Case)


def latency(model: str = "FLUX.1-dev", **more: object) -> float:
    return answer(case(model, **more), KNOWLEDGE).quantities["latency_s"].value


def test_tokens_of_published_models() -> None:
    """FLUX: (1024 / 16)^2 = 4,096. Wan 2.1 at 81 frames of 480 x 832: 21 x 30 x 52 = 32,760. CogVideoX 1.5: 11 x 48 x 85 = 44,880."""
    expected = {
        "FLUX.1-dev": (Request(height=1024, width=1024, steps=1), 4096),
        "Wan2.1-T2V-1.3B": (Request(height=480, width=832, frames=81, steps=1), 32760),
        "CogVideoX-1.5-5B": (Request(height=768, width=1360, frames=81, steps=1), 44880),
    }
    for name, (request, wanted) in expected.items():
        diffusion = KNOWLEDGE.architecture(name).diffusion
        assert diffusion
        assert tokens(diffusion, request) == wanted


def test_every_transformer_of_the_catalogue_says_how_it_makes_pictures() -> None:
    """Text encoders have their prompt's length, and of the rows only PixArt leaves queries and keys as they are."""
    rows = [KNOWLEDGE.architectures.rows[name] for name in DIFFUSION]
    assert all(any(encoder.tokens for encoder in row.encoders) for row in rows)
    assert {row.name for row in rows if row.groups and row.diffusion and not row.diffusion.qk_norm} == {"PixArt-Sigma-XL-2"}


def test_flops_of_one_flux_pass_worked_by_hand() -> None:
    """57 layers of 12 x 3072^2 weights over 4,096 + 512 tokens are 59.5 TFLOP, attention 57 x 4 x 4,608^2 x 3,072 is 14.9 TFLOP."""
    work = count(KNOWLEDGE.architecture("FLUX.1-dev"), Request(height=1024, width=1024, steps=1))
    assert work.dense == pytest.approx(2 * 57 * 12 * 3072**2 * 4608, rel=0.001)
    assert work.attention == pytest.approx(57 * 4 * 4608**2 * 3072)


def test_guidance_and_steps_multiply_the_denoiser_and_nothing_else() -> None:
    """SD 3.5 passes twice a step; the text encoders and the decoder run once."""
    arch = KNOWLEDGE.architecture("SD-3.5-Large")
    one, ten = (count(arch, Request(height=1024, width=1024, steps=steps)) for steps in (1, 10))
    assert ten.dense == pytest.approx(10 * one.dense)
    assert (ten.decode, ten.text) == (one.decode, one.text)
    assert one.decode == pytest.approx(9.5e6 * 1024**2)


def test_exchange_of_ulysses_and_ring_worked_by_hand() -> None:
    """Four accelerators, each with a quarter of the sequence: Ulysses sends 4 x 3/4 activations of it, ring 2 x 3 (keys, values)."""
    arch = KNOWLEDGE.architecture("FLUX.1-dev")
    activation = 57 * 4608 * 3072 * 2 / 4
    ulysses = count(arch, Request(height=1024, width=1024, steps=1, ulysses=4))
    ring = count(arch, Request(height=1024, width=1024, steps=1, ring=4))
    assert ulysses.exchange == pytest.approx(3 * activation)
    assert ring.exchange == pytest.approx(6 * activation)


def test_parts_worked_by_hand() -> None:
    """1e15 FLOP at half of 1e15 FLOP/s are 2 s; launches of 2 s beside them make that 2 x 2^(1/4) s; decoding adds 1 s."""
    work = Work(**dict.fromkeys(Work.__struct_fields__, 0.0))
    work = msgspec.structs.replace(work, dense=1e15, decode=1e14, blocks=2000.0)
    slow = dict.fromkeys(("dense", "attention", "elementwise", "exchange", "decode", "launch", "unet"), 1.0)
    numbers = dict.fromkeys(load_constants("generation").numbers, 0.1) | {"dense": 0.5, "decode": 0.1, "block_s": 1e-3}
    parts = seconds(work, Rates(peak=1e15, attention_peak=1e15, memory_bw=1e12, link_bw=1e11, slow=slow), numbers)
    assert parts.dense == pytest.approx(2.0)
    assert parts.decode == pytest.approx(1.0)
    assert parts.total == pytest.approx(2 * 2**0.25 + 1)


@given(st.sampled_from(["mem_gbs", "scaleup_gbs"]), st.floats(1, 10), st.sampled_from(DIFFUSION), st.sampled_from([1, 4]))
def test_more_bandwidth_never_slows_a_batch(field: str, more: float, name: str, n_accel: int) -> None:
    """Property of the issue, for memory and links, on one accelerator and on four."""
    chip = KNOWLEDGE.systems.accelerators["H100-SXM5-80GB"]
    quick = msgspec.structs.replace(chip, **{field: getattr(chip, field) * more})
    constants = KNOWLEDGE.constants["generation"]
    work = count(KNOWLEDGE.architecture(name), Request(height=1024, width=1024, steps=20, ulysses=n_accel))
    slow, fast = (seconds(work, rates_of(row, "bf16", "", constants), constants.numbers).total for row in (chip, quick))
    assert fast <= slow * (1 + 1e-12)


@given(st.sampled_from(DIFFUSION), st.integers(1, 32), st.sampled_from([(1, 1), (8, 1), (1, 8)]))
def test_energy_power_time_and_throughput_agree(name: str, batch: int, layout: tuple[int, int]) -> None:
    """Energy of an item is power x time / items, throughput is items / time, and power stays between idle and the limit."""
    ulysses, ring = layout
    found = answer(case(name, n_accel=ulysses * ring, batch_size=batch, parallel={"ulysses": ulysses, "ring": ring}), KNOWLEDGE).quantities
    value = {quantity: estimate.value for quantity, estimate in found.items()}
    assert value["throughput"] == pytest.approx(batch / value["latency_s"])
    assert value["energy_j_per_item"] == pytest.approx(value["avg_power_w"] * value["latency_s"] / batch)
    assert 0.1 * 700 * ulysses * ring <= value["avg_power_w"] <= 700 * ulysses * ring
    for estimate in found.values():
        assert estimate.low <= estimate.value <= estimate.high


def test_larger_batches_and_pictures_take_longer() -> None:
    """Latency grows with batch, steps, resolution and frames."""
    base = latency()
    assert latency(batch_size=8) > base
    assert latency(steps=56) > base
    assert latency(resolution=[1536, 1536]) > base
    video = {"kind": "generate_video", "resolution": [480, 832], "steps": 50}
    assert latency("Wan2.1-T2V-14B", frames=121, **video) > latency("Wan2.1-T2V-14B", frames=81, **video)


def test_a_silent_case_gets_defaults() -> None:
    """Only model and accelerator: a batch of one at the native resolution."""
    silent = case("SD-3.5-Large", n_accel=None, steps=None, resolution=None)
    assert answer(silent, KNOWLEDGE).quantities["latency_s"].value > 0


def test_a_chip_never_measured_is_answered_with_a_wider_range_and_one_without_power_without_energy() -> None:
    """MI300X rests on its data sheet; a TPU without a published board power answers time and warns."""
    known = answer(case(), KNOWLEDGE).quantities["latency_s"]
    unknown = answer(case(accelerator="MI300X"), KNOWLEDGE).quantities["latency_s"]
    assert unknown.high / unknown.low > known.high / known.low
    chip = msgspec.structs.replace(KNOWLEDGE.systems.accelerators["MI300X"], tdp_w=None)
    systems = msgspec.structs.replace(KNOWLEDGE.systems, accelerators={"MI300X": chip})
    found = answer(case(accelerator="MI300X"), msgspec.structs.replace(KNOWLEDGE, systems=systems))
    assert set(found.quantities) == {"latency_s", "throughput"}
    assert found.warnings == ("no board power is known for MI300X",)


def test_a_compiled_engine_saves_launches() -> None:
    """PixArt at a batch of one on eight accelerators waits for launches; an engine that replays a graph does not."""
    split = {"n_accel": 8, "parallel": {"ulysses": 8}, "steps": 20}
    assert latency("PixArt-Sigma-XL-2", engine="tensorrt", **split) < 0.8 * latency("PixArt-Sigma-XL-2", engine="diffusers", **split)


def test_what_makes_no_pictures_is_refused() -> None:
    """A language model, an unknown one."""
    for name, said in (("Llama-3.1-8B", "diffusion"), ("No-Such-Model-9", "No-Such-Model-9")):
        with pytest.raises(Unsupported, match=said):
            answer(case(name), KNOWLEDGE)


def test_sdxl_scales_with_the_accelerators_and_a_server_makes_less_than_offline() -> None:
    """The MLPerf row of eight H100 (16.3 images/s offline) lies in the range; four make half."""

    def rate(n_accel: int, scenario: str) -> float:
        asked = case("SDXL", kind="serve_max", n_accel=n_accel, scenario=scenario)
        found = answer_sdxl(asked, KNOWLEDGE).quantities["samples_per_s"]
        assert n_accel != 8 or scenario != "offline" or found.low <= 16.35 <= found.high
        return found.value

    assert rate(8, "offline") == pytest.approx(2 * rate(4, "offline"))
    assert rate(8, "server") < rate(8, "offline")
