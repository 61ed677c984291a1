"""What an accelerator's memory holds while serving, and how many sequences that allows.

    available = memory x UTILISATION - weights - overhead;   overhead = RUNTIME + activations of one chunk

Choices: engines take a set share of the memory when they start (vLLM `gpu_memory_utilization` 0.9, TensorRT-LLM 0.9 of what is free,
SGLang about 0.88 by size) and fill what weights leave with cache blocks. Limits: block rounding (under a block a sequence) is left out.
"""

from __future__ import annotations

from typing import cast

import numpy as np

from bedplate.core.units import GIB
from bedplate.planner.facts.systems import Accelerator

from .records import Numbers, ServeLayout, ServeMemory
from .work import Work

UTILISATION = 0.92
RUNTIME = 2.0e9
"""Bytes of driver context, graphs and workspace that an engine holds beside weights and caches (1.5-4 GB in engine start logs)."""
ACTIVATIONS = 10
"""Hidden vectors per token that one chunk keeps alive at its widest point (feed-forward in and out, in 16 bit)."""


def memory(work: Work, layout: ServeLayout, chip: Accelerator) -> ServeMemory:
    """Memory of one accelerator, and tokens of cache for the whole instance."""
    overhead = RUNTIME + ACTIVATIONS * layout.chunk * work.hidden_bytes
    available = chip.mem_gb * GIB * UTILISATION - work.weight_bytes - overhead
    held = max(work.kv_held + work.held_window, 1e-9)
    return ServeMemory(
        weights=work.weight_bytes,
        overhead=overhead,
        available=available,
        kv_per_token=work.kv_held + work.held_window,
        tokens=available / held * layout.attention_dp,
    )


def most_sequences(work: Work, available: Numbers, context: Numbers) -> Numbers:
    """Sequences of `context` tokens whose caches and states fit into `available` bytes of each rank, over the whole instance."""
    windowed = np.minimum(context, work.window)
    one = work.kv_held * context + work.held_window * windowed + work.state / 2
    return cast(Numbers, np.maximum(available, 0.0) / np.maximum(one, 1.0) * work.attention_dp)
