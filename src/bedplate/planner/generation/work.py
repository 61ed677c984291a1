"""What a batch of images or videos asks of each of `ulysses` x `ring` accelerators, counted from the architecture.

A pass runs the denoiser once over a sequence of S = frames' x height' x width' tokens (latents per patch; frames' = ceil((frames - 1) /
temporal) + 1), plus the text where it stands in the sequence. Classifier-free guidance doubles the batch (Ho and Salimans, arXiv
2207.12598), so a step of B items makes B x `guidance_passes` passes. Per pass: 2 FLOP for each weight and token, 4 S^2 d for attention
(arXiv 2212.09748), 4 S d head for linear attention (arXiv 2410.10629).

Sequence parallelism (arXiv 2405.07719): Ulysses exchanges queries, keys, values and outputs all-to-all, 4 x (u - 1) / u of an
activation; ring sends the keys and values of (r - 1) blocks. Text encoders and the VAE's decoder run whole on every accelerator.

Elementwise work is counted in features (activations that are read or written once); how many passes each costs is fitted. A U-Net
(`flops_per_pass`) is counted by its FLOPs alone, in proportion to the pixels. Limits: no step caching, no quantised attention.
"""

from __future__ import annotations

import math
from typing import Any

from bedplate.core.records import Record
from bedplate.planner.facts.architecture import Architecture, Diffusion, attention_flops, head_widths, layer_params
from bedplate.planner.facts.cases import Unsupported

ACTIVATION = 2.0
"""Bytes of one activation (bf16)."""


class Request(Record, frozen=True, kw_only=True):
    """A batch of `batch` items of height x width pixels and `frames` frames in `steps` denoising steps."""

    height: int
    width: int
    steps: int
    frames: int = 1
    batch: float = 1
    ulysses: int = 1
    ring: int = 1

    @property
    def n_accel(self) -> int:
        return self.ulysses * self.ring


class Work(Record, frozen=True, kw_only=True):
    """FLOPs, bytes and launched blocks of each accelerator for the whole batch. Floats, or NumPy arrays of one shape.

    `norm`, `qk`, `rotary`, `cross`, `inner`: bytes of one pass over the activations of mixers and feed-forwards, normalised queries,
    rotated ones, cross-attention, and inner feed-forward widths. `unet`: FLOPs of a denoiser that is no transformer. `blocks`,
    `qk_blocks`, `rotary_blocks`, `dual_blocks`: layers that are launched over all steps, and those that launch more. `rounds`: log2(ring).
    """

    dense: Any
    attention: Any
    norm: Any
    qk: Any
    rotary: Any
    cross: Any
    inner: Any
    exchange: Any
    decode: Any
    text: Any
    unet: Any
    blocks: Any
    qk_blocks: Any
    rotary_blocks: Any
    dual_blocks: Any
    rounds: Any
    split: Any
    """1 where several accelerators share the sequence, else 0."""


def tokens(diffusion: Diffusion, request: Request) -> float:
    """Image or video tokens of one item."""
    cell = diffusion.spatial * diffusion.patch
    frames = math.ceil((request.frames - 1) / diffusion.temporal) + 1
    return float(frames * math.ceil(request.height / cell) * math.ceil(request.width / cell))


def count(arch: Architecture, request: Request) -> Work:
    """The batch's work. Raises Unsupported for an architecture that does not say how it makes images."""
    d = arch.diffusion
    if d is None:
        raise Unsupported(f"{arch.name} is no diffusion model")
    passes = request.batch * d.guidance_passes * request.steps / request.n_accel
    pixels = request.height * request.width * request.frames * request.batch
    own = _transformer(arch, d, request, passes) if arch.groups else _unet(arch, d, request, passes)
    conditions = 2 if d.guidance_passes > 1 else 1
    return Work(
        decode=pixels * d.decode_flops,
        text=sum(2 * e.params * e.tokens for e in arch.encoders) * request.batch * conditions,
        rounds=math.log2(request.ring),
        split=float(request.n_accel > 1),
        **own,
    )


def _transformer(arch: Architecture, d: Diffusion, request: Request, passes: float) -> dict[str, float]:
    image = tokens(d, request)
    found = dict.fromkeys(("dense", "attention", "norm", "inner", "cross", "mixers", "blocks", "dual_blocks"), 0.0)
    for group in arch.groups:
        # A group without a feed-forward is a second attention over the image alone (SD 3.5 Medium).
        sequence = image + (d.text_tokens if d.text_in_sequence and group.ffn != "none" else 0)
        halves = (group.mixer != "none") + (group.ffn != "none")
        found["dense"] += group.count * 2 * sequence * layer_params(arch, group, active=True)
        found["attention"] += group.count * _attention(arch, d, group, sequence)
        if group.cross:
            keys_values = 2 * (arch.cross_dim or arch.d_model) * head_widths(arch, group)[1]
            found["dense"] -= group.count * 2 * (sequence - d.text_tokens) * keys_values
            found["attention"] += group.count * attention_flops(arch, group, sequence, d.text_tokens, causal=False)
            found["cross"] += group.count * sequence
        found["norm"] += group.count * sequence * halves / 2
        found["mixers"] += group.count * sequence
        found["inner"] += group.count * sequence * (group.d_ff or arch.d_ff) / arch.d_model * (group.ffn != "none")
        found["blocks"] += group.count * halves / 2
        found["dual_blocks"] += group.count * (group.streams - 1)
    found["dense"] += d.skips * 2 * image * 2 * arch.d_model**2
    activation = arch.d_model * ACTIVATION * passes
    mixers, layers = found.pop("mixers"), float(arch.n_layers)
    u, r = request.ulysses, request.ring
    return {
        "dense": found["dense"] * passes,
        "attention": found["attention"] * passes,
        "norm": found["norm"] * activation,
        "qk": mixers * activation * d.qk_norm,
        "rotary": mixers * activation * d.rotary,
        "cross": found["cross"] * activation,
        "inner": found["inner"] * activation,
        "exchange": mixers * activation * (4 * (u - 1) / u + 2 * (r - 1)),
        "unet": 0.0,
        "blocks": found["blocks"] * request.steps,
        "qk_blocks": layers * request.steps * d.qk_norm,
        "rotary_blocks": layers * request.steps * d.rotary,
        "dual_blocks": found["dual_blocks"] * request.steps,
    }


def _attention(arch: Architecture, d: Diffusion, group: Any, sequence: float) -> float:
    if d.attention == "linear":
        queries = head_widths(arch, group)[0]
        return 4 * sequence * queries * (arch.head_dim or queries / max(arch.n_heads, 1))
    return attention_flops(arch, group, sequence, sequence, causal=False)


def _unet(arch: Architecture, d: Diffusion, request: Request, passes: float) -> dict[str, float]:
    if not d.flops_per_pass or not d.native[0]:
        raise Unsupported(f"neither layers nor FLOPs of a pass are known for {arch.name}")
    scale = request.height * request.width * request.frames / (d.native[0] * d.native[1])
    none = dict.fromkeys(
        ("dense", "attention", "norm", "qk", "rotary", "cross", "inner", "exchange", "qk_blocks", "rotary_blocks", "dual_blocks"), 0.0
    )
    return {**none, "unet": d.flops_per_pass * scale * passes, "blocks": float(UNET_BLOCKS * request.steps)}


UNET_BLOCKS = 70
"""Blocks that a U-Net launches, in layers of a transformer: SDXL has 70 transformer blocks beside its convolutions (arXiv 2307.01952)."""
