"""Seconds of one micro-batch's compute through the layers of the whole model, on the slice of it that one rank holds.

Choices: a forward pass, a backward pass (twice the products; 2.5 times fused attention, which rebuilds its scores: Dao et al., arXiv
2205.14135) and what recomputation repeats are told apart. Results are divided over pipeline stages by `step`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bedplate.planner.kernels.roofline import Numbers, attention_seconds, product_seconds, stream_seconds

from .layout import FULL, SELECTIVE, Layout
from .operators import COLUMNS, ROWS, WHOLE, Operations
from .rates import Machine, Rates, Workload

UNFUSED_FORWARD, UNFUSED_BACKWARD = 13.0, 22.0
"""Bytes moved a score where attention is not fused: products' results, masked softmax, dropout with its mask (Korthikanti, section 4.1)."""
UNFUSED_RAMP = 64.0
"""Inner dimension at which the batched products of scores run at half their rate."""
FLASH_BACKWARD = 2.5
"""FLOPs of a backward pass over those of the forward pass."""


class Pass(NamedTuple):
    """Seconds of a micro-batch through all layers: forward, backward, and repeated by recomputation."""

    forward: Numbers
    backward: Numbers
    again: Numbers

    @property
    def total(self) -> Numbers:
        return self.forward + self.backward + self.again


def repeated(layout: Layout, selective: Numbers, once: Numbers) -> Numbers:
    """What recomputation repeats of a forward pass that takes `once`: all of it under FULL, the part `selective` under SELECTIVE."""
    level = np.asarray(layout.recompute)
    return once * layout.share * np.where(level == FULL, 1.0, np.where(level == SELECTIVE, selective, 0.0))


def products(layout: Layout, work: Workload, ops: Operations, machine: Machine, rates: Rates, tokens: Numbers) -> tuple[Pass, Numbers]:
    """All matrix products of the layers, and those of the output layer (forward and backward, never repeated)."""
    p = ops.products
    split_by = np.where(p.routed > 0, layout.etp, layout.tp)
    n = p.out / np.where(p.split == COLUMNS, split_by, 1.0)
    k = p.inp / np.where(p.split == ROWS, split_by, 1.0)
    local = np.where(p.routed > 0, ops.experts / layout.ep, 1.0)
    rows = tokens * np.where(p.routed > 0, ops.top_k * layout.etp / layout.tp / local, 1.0)
    rows = np.where(p.split == WHOLE, rows / np.where(np.asarray(layout.sequence) > 0, layout.tp, 1.0), rows)
    low = (p.low > 0) & (np.asarray(work.low) > 0)
    power = np.minimum(machine.power, 1.0) ** rates.power
    flops = np.where(low, machine.peak_low * rates.matrix_low, machine.peak * rates.matrix) * power
    flops = flops * np.where(p.routed > 0, rates.grouped, 1.0)
    element = np.where(low, work.low_bytes, 2.0)
    ramp = rates.ramp * np.where(low, machine.peak_low / machine.peak, 1.0)
    shape = {"flops": flops, "bandwidth": machine.memory, "element": element, "ramp": ramp, "unhidden": rates.unhidden}
    many = local * p.layers
    quantise = np.where(low, work.quantise * rates.quantise / machine.memory, 0.0)
    forward = many * (product_seconds(rows, n, k, **shape) + rows * k * quantise)
    inputs = product_seconds(rows, k, n, **shape) + rows * n * quantise
    weights = product_seconds(k, n, rows, **shape) * (1.0 - np.asarray(work.frozen))
    backward = many * (inputs + weights)
    body, head = 1.0 - p.head, p.head
    once = np.sum(forward * body, axis=0)
    layers = Pass(once, np.sum(backward * body, axis=0), repeated(layout, work.again_products, once))
    return layers, np.sum((forward + backward) * head, axis=0)


def attention(layout: Layout, work: Workload, ops: Operations, machine: Machine, rates: Rates, tokens: Numbers) -> Pass:
    """Scores and weighted values (or state-space scans) of all layers."""
    a = ops.attends
    keys = np.minimum(work.seq, a.window)
    halved = (np.asarray(work.flash) > 0) & (np.asarray(work.causal) > 0) & (a.window >= work.seq)
    flops = tokens / layout.tp * a.layers * a.per_key * keys * np.where(halved, 0.5, 1.0)
    power = np.minimum(machine.power, 1.0) ** rates.power
    fused = attention_seconds(flops, keys, a.width, flops=machine.peak * rates.attention * power, narrow=rates.narrow)
    fused = fused + tokens / layout.tp * a.layers * a.flat / (machine.peak * rates.scan * power)
    apart = _unfused(layout, work, ops, machine, rates, tokens)
    flash = np.asarray(work.flash) > 0
    forward = np.sum(np.where(flash, fused, apart[0]), axis=0)
    backward = np.sum(np.where(flash, FLASH_BACKWARD * fused, apart[1]), axis=0)
    return Pass(forward, backward, repeated(layout, work.again_attention, forward))


def _unfused(layout: Layout, work: Workload, ops: Operations, machine: Machine, rates: Rates, tokens: Numbers) -> tuple[Numbers, Numbers]:
    """Attention whose scores go through memory, causal or not: two products forward and four backward, softmax and dropout."""
    a = ops.attends
    keys = np.minimum(work.seq, a.window)
    scores = tokens / layout.tp * a.layers * a.heads * keys
    shape = {"flops": machine.peak * rates.matrix, "bandwidth": machine.memory, "element": 0.0, "ramp": UNFUSED_RAMP, "unhidden": 0.0}
    one = product_seconds(work.seq, keys, a.width, **shape) / (work.seq * keys) * scores
    forward = 2.0 * one + stream_seconds(scores * UNFUSED_FORWARD, machine.memory)
    return forward, 4.0 * one + stream_seconds(scores * UNFUSED_BACKWARD, machine.memory)


def stream(layout: Layout, work: Workload, ops: Operations, machine: Machine, rates: Rates, tokens: Numbers) -> Pass:
    """Norms, residual sums, activations, rotations and permutations."""
    whole = np.where(np.asarray(layout.sequence) > 0, layout.tp, 1.0)
    scale = tokens * rates.stream
    permuted = stream_seconds(tokens * rates.permute * ops.permuted / whole, machine.memory)
    forward = permuted + stream_seconds(scale * (ops.whole_forward / whole + ops.split_forward / layout.tp), machine.memory)
    backward = permuted + stream_seconds(scale * (ops.whole_backward / whole + ops.split_backward / layout.tp), machine.memory)
    return Pass(forward, backward, repeated(layout, work.again_stream, forward))
