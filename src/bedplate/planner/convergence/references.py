"""What a training benchmark asks for: its work per sample, and the samples it takes to reach the quality target at a global batch.

The samples are MLPerf's reference convergence points (mlcommons/logging, mlperf_logging/rcp_checker, rounds 3.0 to 6.0; mean of the
reference runs): facts about the optimisation problem, the same on every machine. Between two batches the logarithm of the samples runs
straight over the logarithm of the batch; above the last one it keeps its slope, below the first one the samples stay.

FLOPs of a sample count 2 per multiply-add: 6 x parameters a token (forward 2, backward 4), 4 where the weights are frozen (LoRA computes
no weight gradients), and causal attention 6 x layers x width x length a token (Korthikanti et al., arXiv 2205.05198, halved for the mask).
Limits: a quality target moved by a later round needs new points.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from typing import Literal

from bedplate.core.records import Record

Family = Literal["masked", "pretrain", "adapter", "unet"]


class Benchmark(Record, frozen=True, kw_only=True):
    """`points`: (global batch, samples to the target), batches rising. `flops`: of one sample, forward and backward.

    `gradient_bytes` are exchanged each step between replicas of the whole model; 0 where the model is split over the accelerators and the
    exchange hides behind the compute. `low_precision`: matrix products run in 8 bits where the chip can.
    """

    name: str
    family: Family
    points: tuple[tuple[int, float], ...]
    flops: float
    gradient_bytes: float = 0.0
    low_precision: bool = True


def _language(params: float, layers: int, width: int, length: int, *, frozen: bool = False) -> float:
    """FLOPs of one sequence of `length` tokens: weights and causal attention; frozen weights save a third of the backward pass."""
    return length * ((4 if frozen else 6) * params + (4 if frozen else 6) * layers * width * length)


BENCHMARKS: Mapping[str, Benchmark] = {
    row.name: row
    for row in (
        Benchmark(
            name="mlperf-bert", family="masked", flops=6 * 334e6 * 512, gradient_bytes=2 * 334e6,
            points=(
                (256, 2559000), (448, 2395000), (1536, 2771000), (3072, 2754000), (4096, 2844000), (4608, 2793000), (6144, 3325000),
                (6912, 3601000), (8192, 4190000), (8704, 4273000), (12288, 4468000), (13056, 4625000), (16384, 5500000),
            ),
        ),
        Benchmark(
            name="mlperf-gpt3", family="pretrain", flops=_language(175e9, 96, 12288, 2048),
            points=((1536, 585700), (2048, 577500), (3072, 593900), (4096, 618500), (6144, 688100), (8192, 794600)),
        ),
        Benchmark(
            name="mlperf-llama31_405b", family="pretrain", flops=_language(405e9, 126, 16384, 8192),
            points=((1152, 313300), (2304, 368600), (4608, 488400)),
        ),
        Benchmark(
            name="mlperf-llama31_8b", family="pretrain", flops=_language(8.03e9, 32, 4096, 8192), gradient_bytes=2 * 8.03e9,
            points=((32, 179400), (64, 226500), (96, 277800), (128, 345600)),
        ),
        Benchmark(
            name="mlperf-llama2_70b_lora", family="adapter", flops=_language(69e9, 80, 8192, 8192, frozen=True),
            points=((8, 3168), (16, 4070), (32, 6010), (128, 11300)),
        ),
        Benchmark(
            name="mlperf-stable_diffusion", family="unet", flops=3 * 0.68e12, gradient_bytes=2 * 865e6, low_precision=False,
            points=((256, 2050000), (384, 2560000), (512, 2597000), (1024, 2836000), (2048, 3980000)),
        ),
    )
}  # fmt: skip
"""BERT-Large, phase 2 at 512 tokens; GPT-3 175B from the reference checkpoint; Llama 2 70B LoRA on GovReport at 8,192 tokens; Stable
Diffusion v2-base at 512 pixels from cached latents (U-Net 0.68 TFLOP forward); Llama 3.1 pretraining at 8,192 tokens."""


def samples_to_converge(benchmark: Benchmark, batch: float) -> float:
    """Samples that the reference takes to the quality target at this global batch (> 0)."""
    points = benchmark.points
    if batch <= points[0][0]:
        return points[0][1]
    last = min(bisect_right([b for b, _ in points], batch), len(points) - 1)
    (left, few), (right, many) = points[last - 1], points[last]
    slope = math.log(many / few) / math.log(right / left)
    return few * math.exp(slope * math.log(batch / left)) if batch <= right else many * (batch / right) ** max(0.0, slope)
