"""Time to train: samples at a batch, strong scaling by parts, and answers that rest on data sheets alone."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.planner.convergence.answering import answer, network_bandwidth
from bedplate.planner.convergence.references import BENCHMARKS, samples_to_converge
from bedplate.planner.convergence.scaling import Load, Pace, run_seconds
from bedplate.planner.facts.architecture import Architectures
from bedplate.planner.facts.cases import Case, Unsupported
from bedplate.planner.facts.knowledge import Knowledge
from bedplate.storage.systems import load_constants, load_systems


@pytest.fixture(scope="module")
def knowledge() -> Knowledge:
    return Knowledge(systems=load_systems(), architectures=Architectures(rows={}), constants={"convergence": load_constants("convergence")})


def case(**more: object) -> Case:
    fields = {"benchmark": "mlperf-gpt3", "accelerator": "H100-SXM5-80GB", "n_accel": 512}
    return msgspec.convert({"id": "x", "kind": "time_to_train", **fields, **more}, Case)


def minutes(knowledge: Knowledge, **more: object) -> float:
    return answer(case(**more), knowledge).quantities["time_to_train_min"].value


def test_samples_at_a_reference_batch_are_the_reference_mean() -> None:
    """rcps_gpt3.json, batch 2048: mean of 1157627904 and 1207959552 tokens (three runs each) over 2048 tokens is 577,500 sequences."""
    assert samples_to_converge(BENCHMARKS["mlperf-gpt3"], 2048) == pytest.approx((1157627904 + 1207959552) / 2 / 2048, rel=1e-3)


def test_samples_between_and_beyond_the_points() -> None:
    """Half-way in logarithms lies the geometric mean; above the last point the slope goes on; below the first it stops."""
    lora = BENCHMARKS["mlperf-llama2_70b_lora"]
    assert samples_to_converge(lora, 64) == pytest.approx(math.sqrt(6010 * 11300), rel=1e-6)
    assert samples_to_converge(lora, 512) == pytest.approx(11300 * (11300 / 6010), rel=1e-6)
    assert samples_to_converge(lora, 1) == 3168


@given(st.sampled_from(sorted(BENCHMARKS)), st.floats(600, 1e5), st.floats(1, 50))
def test_a_larger_batch_never_needs_fewer_steps_times_batch_than_the_smaller_one_in_steps(name: str, batch: float, more: float) -> None:
    """Samples may grow with the batch, but steps never do: otherwise a larger batch would be worse on any machine."""
    row = BENCHMARKS[name]
    assert samples_to_converge(row, batch * more) / (batch * more) <= samples_to_converge(row, batch) / batch * (1 + 1e-9)


def test_a_run_worked_by_hand() -> None:
    """1,000 samples in batches of 10 on 5 chips; a sample is 1e15 FLOP at 2 x the time of a 1e15 FLOP/s peak, so 2 s.

    100 steps x 2 s x 10 / 5 = 400 s compute, 100 x 2 s x 0.1 = 20 s bubble, 100 x (0.01 + 0.5 x 2 x 1e9 / 1e10) = 11 s exchange, 7 s start.
    """
    load = Load(samples=1000, batch=10, n_accel=5, flops=1e15, gradient_bytes=1e9, peak=1e15, memory_bw=1e12, network_bw=1e10)
    run = run_seconds(load, Pace(compute=2.0, memory=0.0, bubble=0.1, latency=0.01, exchange=0.5, start=7.0))
    assert (run.compute, run.bubble, run.exchange, run.start) == pytest.approx((400, 20, 11, 7))
    assert run.total == pytest.approx(438)


@given(st.sampled_from(["mem_gbs", "scaleup_gbs"]), st.floats(1, 10), st.sampled_from(sorted(BENCHMARKS)))
def test_more_bandwidth_never_slows_a_run(field: str, more: float, name: str) -> None:
    """Property of the issue: raising a rate of the data sheet cannot lengthen the run."""
    systems = load_systems()
    chip = systems.accelerators["A100-SXM4-80GB"]
    quick = msgspec.structs.replace(chip, **{field: getattr(chip, field) * more})
    with_row = [msgspec.structs.replace(systems, accelerators={chip.name: row}) for row in (chip, quick)]
    constants = {"convergence": load_constants("convergence")}
    times = [
        minutes(
            Knowledge(systems=rows, architectures=Architectures(rows={}), constants=constants),
            benchmark=name, accelerator=chip.name, n_accel=64,
        )
        for rows in with_row
    ]  # fmt: skip
    assert times[1] <= times[0] * (1 + 1e-9)


def test_more_accelerators_help_less_and_less(knowledge: Knowledge) -> None:
    """At a fixed batch eight times the accelerators give a speed-up, but less than eight."""
    few, many = minutes(knowledge, n_accel=512, gbs=2048), minutes(knowledge, n_accel=4096, gbs=2048)
    assert few / 8 < many < few / 4


def test_a_chip_never_measured_is_answered_with_a_wider_range(knowledge: Knowledge) -> None:
    """MI300X has no row of these rounds: the data sheet answers, and says so by its range."""
    known = answer(case(gbs=2048), knowledge).quantities["time_to_train_min"]
    unknown = answer(case(gbs=2048, accelerator="MI300X"), knowledge).quantities["time_to_train_min"]
    assert unknown.high / unknown.low > known.high / known.low


def test_a_benchmark_never_measured_is_answered_with_a_wider_range(knowledge: Knowledge) -> None:
    """Llama 3.1 405B has points and FLOPs, and GPT-3's constants."""
    measured = answer(case(gbs=2048), knowledge).quantities["time_to_train_min"]
    other = answer(case(benchmark="mlperf-llama31_405b", gbs=1152), knowledge).quantities["time_to_train_min"]
    assert other.high / other.low > measured.high / measured.low


def test_a_batch_not_given_is_the_one_that_ends_soonest(knowledge: Knowledge) -> None:
    """Every reference batch is at least as slow as the default."""
    default = minutes(knowledge, n_accel=64)
    assert default == pytest.approx(min(minutes(knowledge, n_accel=64, gbs=batch) for batch, _ in BENCHMARKS["mlperf-gpt3"].points))


def test_what_cannot_be_answered_is_refused_with_the_reason(knowledge: Knowledge) -> None:
    """No reference points, no count, no such chip."""
    for more, said in (({"benchmark": "mlperf-chess"}, "chess"), ({"n_accel": None}, "number"), ({"accelerator": "Z80"}, "Z80")):
        with pytest.raises(Unsupported, match=said):
            answer(case(**more), knowledge)


def test_network_of_a_domain_a_node_and_a_cluster() -> None:
    """Inside NVLink the links count, past the node the port, and a PCIe card has only its slot."""
    chips = load_systems().accelerators
    assert network_bandwidth(chips["H100-SXM5-80GB"], 8, 1) == 450e9
    assert network_bandwidth(chips["H100-SXM5-80GB"], 64, 8) == 50e9
    assert network_bandwidth(chips["GB200-186GB"], 72, 18) == 900e9
    assert network_bandwidth(chips["L40S"], 64, 8) == 31e9


def test_generations_by_name() -> None:
    """A superchip belongs to its GPU's generation."""
    chips = load_systems().accelerators
    assert [chips[name].generation for name in ("GB200-186GB", "B200-SXM-180GB", "GH200-96GB", "TPU-v5p")] == ["B", "B", "H", "TPU"]
