"""The time of one training step, part by part, for one layout or an array of them.

Choices: a micro-batch's passes through the whole model are summed operator by operator, then divided over pipeline stages;
communication is added where the schedule cannot hide it. Formulas: recomputation and tensor parallelism Korthikanti et al.
(arXiv 2205.05198); pipeline bubble (pp-1)/(vp x accum) Narayanan et al. (arXiv 2104.04473); FSDP as ZeRO-3 (arXiv 1910.02054).
Limits: stages are alike but for the head; no straggler but `jitter`; data loading is not modelled.
"""

from __future__ import annotations

import numpy as np

from bedplate.core.records import Record
from bedplate.planner.kernels.collective import Fabric
from bedplate.planner.kernels.roofline import Numbers, stream_seconds

from . import compute, traffic
from .layout import Layout
from .operators import Operations
from .rates import Machine, Rates, Workload


class StepBreakdown(Record, frozen=True, kw_only=True):
    """Seconds of a step on the slowest rank by part, which sum to `total`; for an array of layouts each is an array.

    `products`, `attention` and `stream` (memory-bound) are forward and backward passes, `recompute` what is repeated of them, `loss` the
    output layer with the loss. `host`: the chip waits for its host. `tensor` to `pipeline`: communication that shows. `bubble`: idle
    at the pipeline's ends, and behind its slowest stage.
    """

    products: Numbers
    attention: Numbers
    stream: Numbers
    recompute: Numbers
    loss: Numbers
    host: Numbers
    tensor: Numbers
    context: Numbers
    expert: Numbers
    data: Numbers
    pipeline: Numbers
    bubble: Numbers
    optimiser: Numbers
    jitter: Numbers

    @property
    def total(self) -> Numbers:
        return sum((getattr(self, name) for name in self.__struct_fields__), start=np.zeros(()))


def step(layout: Layout, work: Workload, ops: Operations, machine: Machine, rates: Rates) -> StepBreakdown:
    """Where the time of a step goes."""
    tokens = layout.mbs * work.seq / layout.cp
    net = Fabric(machine.domain, machine.scaleup * rates.scaleup, machine.fabric * rates.fabric)
    products, head = compute.products(layout, work, ops, machine, rates, tokens)
    attend = compute.attention(layout, work, ops, machine, rates, tokens)
    stream = compute.stream(layout, work, ops, machine, rates, tokens)
    loss = head + stream_seconds(tokens * ops.vocab / layout.tp * rates.loss, machine.memory)
    ring = net._replace(scaleup=net.scaleup / np.where(np.asarray(layout.tp) < layout.chips, machine.axes, 1.0))
    tensor = traffic.tensor(layout, ops, ring, rates, tokens)
    context = traffic.context(layout, ops, net, rates, tokens, attend.total)
    expert = traffic.expert(layout, ops, net, rates, tokens)
    busy = products.total + attend.total + stream.total + tensor + context + expert
    host = np.hypot(busy, ops.mixtures * rates.host_mixture + ops.layers * rates.host_layer) - busy
    layers = busy + host
    mean = (layers + loss) / layout.pp
    bubble = (layout.pp - 1) / layout.vp * layout.bubble * mean + layout.accum * (_slowest(layout, work, ops, layers, loss) - mean)
    share = layout.accum / layout.pp
    parts = {
        "products": share * (products.forward + products.backward),
        "attention": share * (attend.forward + attend.backward),
        "stream": share * (stream.forward + stream.backward),
        "recompute": share * (products.again + attend.again + stream.again),
        "loss": share * loss,
        "host": share * host,
        "tensor": share * tensor,
        "context": share * context,
        "expert": share * expert,
        "data": traffic.data(layout, work, ops, net, rates, mean),
        "pipeline": traffic.pipeline(layout, ops, net, rates, tokens),
        "bubble": bubble,
        "optimiser": _update(layout, work, ops, machine, rates),
    }
    domains = np.maximum(layout.chips / machine.domain, 1.0)
    whole = sum(parts.values(), start=np.zeros(()))
    return StepBreakdown(**parts, jitter=whole * rates.jitter * np.log2(domains))


def _slowest(layout: Layout, work: Workload, ops: Operations, layers: Numbers, loss: Numbers) -> Numbers:
    """Seconds of a micro-batch on the slowest stage.

    Layers that divide evenly leave the head on top of the last stage; otherwise embedding and head are cut off as if each was a layer.
    """
    chunks = np.asarray(layout.pp * layout.vp)
    even = (np.mod(ops.layers, chunks) == 0) & (np.asarray(work.balanced) == 0)
    cut = np.ceil((ops.layers + 2.0) / chunks) * layout.vp / ops.layers * layers
    slowest = np.where(even, layers / layout.pp + loss, np.maximum(np.minimum(cut, layers), (layers + loss) / layout.pp))
    return np.where(np.asarray(layout.pp) > 1, slowest, layers + loss)


def _update(layout: Layout, work: Workload, ops: Operations, machine: Machine, rates: Rates) -> Numbers:
    """Seconds of the optimiser on the weights that a rank updates."""
    dense, routed = traffic.held(layout, ops)
    ranks = np.asarray(layout.dp * layout.cp)
    sharded = np.asarray(layout.zero) >= 1
    shard = np.where(sharded, np.clip(layout.shard, 1.0, ranks), 1.0)
    shard_routed = np.where(sharded, np.maximum(ranks * layout.tp / (layout.ep * layout.etp), 1.0), 1.0)
    weights = np.where(np.asarray(work.frozen) > 0, work.trained, dense / shard + routed / shard_routed)
    return stream_seconds(weights * rates.optimiser, machine.memory)
