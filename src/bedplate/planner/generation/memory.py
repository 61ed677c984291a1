"""Bytes on each accelerator that makes images or videos.

    weights     = denoiser x bytes of the format + text encoders and VAE x 2, whole on every accelerator
    activations = items x tokens / accelerators x d_model x 2 x WIDTHS

WIDTHS is what HunyuanVideo leaves: 13 billion weights and 118,800 tokens of 3,072 take 60 GB, 67,320 take 45 (README of
Tencent/HunyuanVideo: 720 x 1280 and 544 x 960, 129 frames each, text encoder elsewhere). Passes with and without the prompt run one after
the other. Choices: the VAE decodes by tiles within RUNTIME. Limits: no offloading to the host.
"""

from __future__ import annotations

from bedplate.planner.facts.architecture import Architecture
from bedplate.planner.facts.cases import Unsupported
from bedplate.planner.facts.systems import BYTES

from .work import ACTIVATION, Request, tokens

WIDTHS = 46.0
RUNTIME = 3e9
UNET_BYTES = 3e9
"""Of a U-Net's activations for an item of its native size: SDXL at 1,024 pixels peaks at 10 to 12 GB, 7 of which are weights."""


def held(arch: Architecture, request: Request, precision: str) -> dict[str, float]:
    """Bytes by part. Raises Unsupported for an architecture that does not say how it makes images."""
    d = arch.diffusion
    if d is None:
        raise Unsupported(f"{arch.name} is no diffusion model")
    if arch.groups:
        sequence = tokens(d, request) + (d.text_tokens if d.text_in_sequence else 0)
        active = request.batch * sequence / request.n_accel * arch.d_model * ACTIVATION * WIDTHS
    else:
        active = request.batch * UNET_BYTES * request.height * request.width / (d.native[0] * d.native[1])
    return {
        "weights": (arch.params or 0.0) * BYTES[precision], "encoders": sum(e.params for e in arch.encoders) * ACTIVATION,
        "activations": active, "runtime": RUNTIME,
    }  # fmt: skip
