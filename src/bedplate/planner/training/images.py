"""One step of data-parallel training on items that come from storage: what computes, and what it waits for.

    run     = max(batch x seconds of an item, LAUNCHES) + gradients that show
    shows   = max(all-reduce of the last bucket, all-reduce of all - backward pass before it)
    step    = max(run, bytes of the batch / storage's rate, bytes of the batch / decoding rate)

Gradients are 4 bytes a weight in buckets that are reduced while the backward pass still runs, which is two thirds of the time (PyTorch
DDP: Li et al., arXiv 2006.15704, section 3.2). Reading and decoding are ahead of the step: they show only where they are slower than it.

Choices: whole copies on every accelerator, because such models take megabytes; micro-batches as large as fit. An item's activations are
kept KEPT times over. Limits: the storage's rate is one number, caches in the nodes are not counted; no augmentation but a resize.
"""

from __future__ import annotations

from bedplate.core.records import Record
from bedplate.planner.kernels.collective import Fabric, reduce_seconds
from bedplate.planner.kernels.items import ELEMENT, LAUNCH_S, PASSES

GRADIENT_BYTES = 4.0
BUCKET_BYTES = 25.0 * 2**20
"""torch.nn.parallel.DistributedDataParallel: bucket_cap_mb."""
BACKWARD = 2.0 / 3.0
STATE_BYTES = 16.0
"""Of a weight: weight, gradient and two moments in 32 bits."""
KEPT = 3.0
"""Copies of each activation until its backward pass: 256 images of ResNet-50 (22 MB each) train in the 16 GB of a V100
(NVIDIA/DeepLearningExamples, PyTorch/Classification/ConvNets/resnet50v1.5)."""
RUNTIME_BYTES = 2e9


class Feed(Record, frozen=True, kw_only=True):
    """Where items come from: bytes of one, what the storage reads (B/s) and what the cores decode (B/s); None: is taken to keep up."""

    item_bytes: float
    storage: float | None = None
    decoding: float | None = None


class ImageStep(Record, frozen=True, kw_only=True):
    """Seconds of a step by part; `storage` and `decoding` are the waits for them."""

    products: float
    stream: float
    host: float
    data: float
    storage: float
    decoding: float

    @property
    def run(self) -> float:
        """Without the waits for input."""
        return self.products + self.stream + self.host + self.data

    @property
    def total(self) -> float:
        return self.run + self.storage + self.decoding


def image_step(
    per_item: tuple[float, float],
    batch: float,
    n: int,
    params: float,
    net: Fabric,
    feed: Feed,
    launch_s: float = LAUNCH_S,
) -> ImageStep:
    """A step of `batch` items on each of `n` accelerators; `per_item`: seconds of one in products and in streams (`kernels.items`)."""
    products, stream = (batch * one for one in per_item)
    host = max(0.0, PASSES["train"] * launch_s - products - stream)
    compute = products + stream + host
    data = exposed(params * GRADIENT_BYTES, n, compute * BACKWARD, net)
    run, moved = compute + data, n * batch * feed.item_bytes
    read = moved / feed.storage if feed.storage else 0.0
    decoded = moved / feed.decoding if feed.decoding else 0.0
    return ImageStep(
        products=products, stream=stream, host=host, data=data, storage=max(0.0, read - run), decoding=max(0.0, decoded - max(run, read)),
    )  # fmt: skip


def exposed(gradients: float, n: int, backward: float, net: Fabric) -> float:
    """Seconds of reducing `gradients` bytes over `n` accelerators that the backward pass does not hide."""
    if n == 1:
        return 0.0
    last = min(BUCKET_BYTES, gradients)
    return max(float(reduce_seconds(last, n, 1.0, net)), float(reduce_seconds(gradients, n, 1.0, net)) - backward * (1 - last / gradients))


def micro_batch(batch: float, params: float, activations: float, capacity: float) -> int:
    """Items that an accelerator of `capacity` bytes holds at a time, at most its share of the batch; 0 where not one fits."""
    room = capacity - params * STATE_BYTES - RUNTIME_BYTES
    return int(min(batch, room / (activations * ELEMENT * KEPT))) if room > 0 else 0


def held(micro: int, params: float, activations: float) -> dict[str, float]:
    """Bytes of an accelerator by part."""
    return {
        "optimiser": params * STATE_BYTES,
        "activations": micro * activations * ELEMENT * KEPT,
        "runtime": RUNTIME_BYTES,
    }
