"""How long a run of a fixed global batch takes on many accelerators: strong scaling in four parts.

    step = seconds of one sample on one accelerator x (batch / accelerators + bubble) + latency + exchange x 2 bytes / bandwidth
    run  = start + samples / batch x step

One sample takes flops x (compute / peak + memory / (intensity x bandwidth)): a part that follows the matrix units and one that follows
the memory (INTENSITY FLOP for each byte is where an H100 balances). `bubble` is the time, in samples of one accelerator, that pipeline
fill, split matrix products and their collectives cost a step however many accelerators share it (Narayanan et al., arXiv 2104.04473: the
bubble is a constant number of micro-batches). A ring all-reduce moves 2 bytes over each link for each byte of gradient (Patarasuk and
Yuan, JPDC 2009). `start` holds loading and the evaluations.

All fields take floats or NumPy arrays of one shape, so that a fit and a search ask for many runs at once.
"""

from __future__ import annotations

from typing import Any

from bedplate.core.records import Record

INTENSITY = 300.0
"""FLOP for each byte: 989 TFLOP/s over 3.35 TB/s of an H100."""


class Load(Record, frozen=True, kw_only=True):
    """What is run on what: FLOPs and gradient bytes as in `references.Benchmark`, rates of one accelerator in FLOP/s and bytes/s."""

    samples: Any
    batch: Any
    n_accel: Any
    flops: Any
    gradient_bytes: Any
    peak: Any
    memory_bw: Any
    network_bw: Any


class Pace(Record, frozen=True, kw_only=True):
    """The fitted constants of one run: dimensionless but `latency` and `start` (s). `slow` multiplies the seconds of a sample."""

    compute: Any
    memory: Any
    bubble: Any
    latency: Any
    exchange: Any
    start: Any
    slow: Any = 1.0


class Run(Record, frozen=True, kw_only=True):
    """Seconds of the whole run by part."""

    compute: Any
    bubble: Any
    exchange: Any
    start: Any

    @property
    def total(self) -> Any:
        return self.compute + self.bubble + self.exchange + self.start


def run_seconds(load: Load, pace: Pace) -> Run:
    """The run by part; every quantity must be positive (`gradient_bytes` may be 0: then nothing is exchanged)."""
    sample = load.flops * (pace.compute / load.peak + pace.memory / (INTENSITY * load.memory_bw)) * pace.slow
    steps = load.samples / load.batch
    exchanges = load.gradient_bytes > 0
    return Run(
        compute=steps * sample * load.batch / load.n_accel,
        bubble=steps * sample * pace.bubble,
        exchange=steps * exchanges * (pace.latency + pace.exchange * 2 * load.gradient_bytes / load.network_bw),
        start=pace.start + 0.0 * steps,
    )
