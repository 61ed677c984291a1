"""Time to train of a benchmark case: what is defaulted, which constants apply, and the range.

Defaults where a case is silent: the batch of the reference points that ends soonest, nodes of eight accelerators, the software of the
newest round seen. Limits: closed-division recipes only; the network is taken from the accelerator's links, not from the case's words.
"""

from __future__ import annotations

from collections.abc import Sequence

from bedplate.planner.facts.calibration import Constants
from bedplate.planner.facts.cases import Answer, Case, Unsupported
from bedplate.planner.facts.estimate import spread
from bedplate.planner.facts.knowledge import Knowledge, machine
from bedplate.planner.facts.systems import Accelerator

from .references import BENCHMARKS, Benchmark, samples_to_converge
from .scaling import Load, Pace, Run, run_seconds

SCALE_OUT = 50e9
"""Bytes/s of one accelerator's share of the scale-out network: one 400 Gbit/s port each, as in the submitted clusters."""
HOST_LINK = 31e9
"""Bytes/s over PCIe 4.0 x16, for a chip without a link of its own."""
UNMEASURED = ("mlperf-llama31_405b", "mlperf-llama31_8b")
"""Benchmarks whose points and FLOPs are known, but of which no run was among the cases: their family's constants answer."""
EIGHT_BITS = ("fp8", "int8")


def answer(case: Case, knowledge: Knowledge) -> Answer:
    """Minutes to the quality target. Raises Unsupported for a benchmark without reference points, or without a count of accelerators."""
    benchmark = benchmark_of(case)
    chip = machine(case, knowledge)
    if not case.n_accel:
        raise Unsupported("the number of accelerators is not given")
    constants = knowledge.constants["convergence"]
    batch = case.gbs or best_batch(benchmark, chip, case, constants)
    run = run_seconds(load_of(benchmark, chip, case, batch), pace_of(benchmark, chip, case, constants))
    down, up = constants.spreads["time_to_train_min"].of(groups_of(benchmark, familiarity(chip, constants)))
    basis = (
        f"{samples_to_converge(benchmark, batch):.3g} samples to the target at batch {batch:g} (MLPerf reference points); "
        f"compute {run.compute / run.total:.0%}, bubble {run.bubble / run.total:.0%}, exchange {run.exchange / run.total:.0%}"
    )
    return Answer(id=case.id, quantities={"time_to_train_min": spread(float(run.total) / 60, down, up, basis)}, basis=basis)


def familiarity(chip: Accelerator, constants: Constants) -> str:
    """`known` where the chip was measured, `kin` where one of its generation was, else `new`: what the width of the range goes by."""
    measured = constants.effects["slow"].effects
    if f"accelerator:{chip.name}" in measured:
        return "known"
    return "kin" if f"generation:{chip.generation}" in measured else "new"


def groups_of(benchmark: Benchmark, state: str) -> list[str]:
    """Groups of the range. A benchmark of which nothing was measured is never better known than a chip's kin."""
    if benchmark.name in UNMEASURED:
        return ["new" if state == "new" else "kin"]
    return [f"{state}/{benchmark.name}", state]


def benchmark_of(case: Case) -> Benchmark:
    """The benchmark of a case, `mlperf-` put before where it is missing. Raises Unsupported where it has no reference points."""
    name = case.benchmark or ""
    row = BENCHMARKS.get(name) or BENCHMARKS.get(f"mlperf-{name}")
    if row is None:
        raise Unsupported(f"no reference convergence points for '{name}' (known: {', '.join(BENCHMARKS)})")
    return row


def best_batch(benchmark: Benchmark, chip: Accelerator, case: Case, constants: Constants) -> float:
    """The reference batch with which the run ends soonest."""

    def total(batch: float) -> Run:
        return run_seconds(load_of(benchmark, chip, case, batch), pace_of(benchmark, chip, case, constants))

    return min((batch for batch, _ in benchmark.points), key=lambda batch: float(total(batch).total))


def load_of(benchmark: Benchmark, chip: Accelerator, case: Case, batch: float) -> Load:
    """The run's work and the rates it meets. Raises Unsupported where the chip has no matrix peak in 16 bits."""
    sixteen = chip.peak("bf16")
    if sixteen is None:
        raise Unsupported(f"no peak in 16 bits is known for {chip.name}")
    eight = max((chip.tflops.get(precision, 0.0) * 1e12 for precision in _eight_bits(chip)), default=0.0)
    return Load(
        samples=samples_to_converge(benchmark, batch),
        batch=float(batch),
        n_accel=float(case.n_accel or 1),
        flops=benchmark.flops,
        gradient_bytes=benchmark.gradient_bytes,
        peak=max(sixteen, eight) if benchmark.low_precision else sixteen,
        memory_bw=chip.mem_gbs * 1e9,
        network_bw=network_bandwidth(chip, case.n_accel or 1, case.n_nodes),
    )


def _eight_bits(chip: Accelerator) -> Sequence[str]:
    """Formats of eight bits that training uses: FP8, and INT8 on TPUs (accurate quantised training, github.com/google/aqt)."""
    return EIGHT_BITS if chip.kind == "tpu" else EIGHT_BITS[:1]


def network_bandwidth(chip: Accelerator, n_accel: int, n_nodes: int | None) -> float:
    """Bytes/s of one accelerator towards the others: its own links inside a domain or node, the scale-out network beyond."""
    inside = chip.scaleup_gbs * 1e9 if chip.scaleup_gbs else HOST_LINK
    nodes = n_nodes or -(-n_accel // max(8, chip.scaleup_domain))
    return inside if nodes == 1 or n_accel <= chip.scaleup_domain else min(inside, SCALE_OUT)


def labels_of(benchmark: Benchmark, chip: Accelerator, case: Case) -> list[str]:
    """The effects that apply: chip, its generation (also with this family of work), engine, and the round whose software ran."""
    kin = chip.generation
    return [
        f"generation:{kin}", f"work:{kin}/{benchmark.family}", f"accelerator:{chip.name}",
        f"engine:{case.engine or ''}", f"round:{case.round or ''}",
    ]  # fmt: skip


def start_labels_of(benchmark: Benchmark, case: Case) -> list[str]:
    """What changes the time to start and to evaluate: the round's software for this family of work."""
    return [f"round:{case.round or ''}/{benchmark.family}"]


def pace_of(benchmark: Benchmark, chip: Accelerator, case: Case, constants: Constants) -> Pace:
    """The constants of the benchmark's family with the effects of chip, engine and round."""
    numbers, family = constants.numbers, benchmark.family
    return Pace(
        compute=numbers[f"compute/{family}"],
        memory=numbers[f"memory/{family}"],
        bubble=numbers.get(f"bubble/{family}", 0.0),
        latency=numbers["latency_s"],
        exchange=numbers["exchange"],
        start=numbers[f"start_s/{family}"] * constants.effects["start"].of(start_labels_of(benchmark, case)),
        slow=constants.effects["slow"].of(labels_of(benchmark, chip, case)),
    )
