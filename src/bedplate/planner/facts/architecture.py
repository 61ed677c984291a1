"""A model's architecture as counts: parameters, bytes and floating-point operations, layer by layer.

Choices: a model is a list of layer groups (so that sliding windows, hybrids with state-space layers, and dense layers before a mixture
of experts need no case of their own), embeddings, a head, and encoders beside it. Operations count 2 for a multiply-add. What a
training step or a serving iteration makes of these counts is decided in `training/` and `serving/`.
Limits: norms, biases and rotary tables are counted as parameters (`norm_params`), their operations are not.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from bedplate.core.records import Record

from .systems import Row

Mixer = Literal["attention", "mla", "mamba", "linear", "none"]
Ffn = Literal["dense", "moe", "none"]


class LayerGroup(Record, frozen=True, kw_only=True):
    """`count` equal layers. `window`: the most tokens that attention looks back (None: all). Widths of 0 fall back to the model's.

    `part` is the stack they stand in. `cross` adds attention to another sequence (an encoder's, an image's, a prompt's) beside the mixer.
    `kv_shared` layers reuse the keys and values of an earlier one. `streams`: sets of weights of which a token passes one (text and
    image in a multimodal diffusion transformer). `modulation`: matrices of d_model^2 that turn the conditioning of one item into shifts
    and scales (per stream; AdaLN, arXiv 2212.09748), multiplied once an item and not once a token. `compress` tokens share one cached
    entry; a `sparse` layer attends to the entries that an indexer picks (LatentAttention.index_*; DeepSeek-V3.2 and V4).
    """

    count: int
    mixer: Mixer = "attention"
    ffn: Ffn = "dense"
    window: int | None = None
    n_heads: int = 0
    n_kv_heads: int = 0
    head_dim: int = 0
    d_ff: int = 0
    part: Literal["decoder", "encoder"] = "decoder"
    cross: bool = False
    kv_shared: bool = False
    streams: int = 1
    modulation: float = 0.0
    compress: int = 1
    sparse: bool = False


class Experts(Record, frozen=True, kw_only=True):
    """A mixture: each token goes to `top_k` of `count` experts of inner width `d_ff`,
    and through `shared` ones of width `shared_d_ff` in all."""

    count: int
    top_k: int
    d_ff: int
    shared: int = 0
    shared_d_ff: int = 0
    latent: int = 0
    """Width of the space the experts work in where it is not the model's (latent MoE); 0: the model's."""


class LatentAttention(Record, frozen=True, kw_only=True):
    """Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434): ranks and head widths. `index_*` describe a sparse indexer (0: none).

    `o_rank` in each of `o_groups` groups of heads where the output projection is of low rank too; `direct`: the latent itself is key and
    value, without the way up (DeepSeek-V4).
    """

    kv_rank: int
    q_rank: int = 0
    nope_dim: int
    rope_dim: int
    v_dim: int
    index_heads: int = 0
    index_dim: int = 0
    index_top: int = 0
    o_rank: int = 0
    o_groups: int = 1
    direct: bool = False


class StateSpace(Record, frozen=True, kw_only=True):
    """A Mamba-2 or gated linear-attention mixer: `inner` channels, `state` per head, `heads`, `groups` of B and C, convolution width."""

    inner: int
    state: int
    heads: int
    groups: int = 1
    conv: int = 4


class Encoder(Record, frozen=True, kw_only=True):
    """A model beside the main one (vision tower, audio encoder, text encoder, VAE): parameters, and FLOPs of one item where known."""

    name: str
    params: float
    tokens: int = 0
    flops_per_item: float | None = None


class Diffusion(Record, frozen=True, kw_only=True):
    """What turns pixels into tokens and steps into passes.

    Sequence = frames/`temporal` x (height/`spatial`) x (width/`spatial`) latents per `patch`^2, plus text.
    """

    spatial: int = 8
    temporal: int = 1
    patch: int = 2
    text_tokens: int = 0
    text_in_sequence: bool = False
    guidance_passes: int = 2
    attention: Literal["full", "linear"] = "full"
    latent_channels: int = 4
    flops_per_pass: float | None = None
    """Of one forward pass at `native` resolution for a network that is no transformer (a U-Net), from its source."""
    native: tuple[int, int] = (0, 0)
    qk_norm: bool = False
    """Queries and keys are normalised in each head before attention."""
    rotary: bool = False
    """Positions enter by rotating queries and keys."""
    skips: int = 0
    """Layers that take an earlier layer's output beside their own through a matrix of 2 d_model^2 (counted in `other_params`)."""
    decode_flops: float = 9.5e6
    """FLOPs of the VAE's decoder for each pixel and frame that comes out; the default is Stable Diffusion's (9.9 TFLOP at 1024 x 1024)."""


class Architecture(Row, frozen=True, kw_only=True):
    """One architecture. Dimensions as in its published configuration, `params` and `active_params` as published.

    `gated`: three matrices in a feed-forward (SwiGLU and kin), else two. `qkv_bias`, `tied` (input and output embedding share), `max_len`
    tokens. `mtp_layers` are the multi-token-prediction blocks that a checkpoint carries and training may use; `params` is without them.
    `attention_gate`: queries come with a gate of their width (Qwen3.5). `cross_dim`: width of the sequence that cross-attention reads
    where it is not the model's. `other_params` stand in no layer and are not multiplied once a token (embeddings per layer, time and
    patch embedders, skip connections). For a diffusion model `params` is the denoiser alone; text encoders and VAE are `encoders`.
    """

    family: Literal["decoder", "encoder", "encoder-decoder", "diffusion", "vision", "speech", "trees"] = "decoder"
    d_model: int = 0
    n_heads: int = 0
    n_kv_heads: int = 0
    head_dim: int = 0
    d_ff: int = 0
    gated: bool = True
    vocab_size: int = 0
    tied: bool = False
    qkv_bias: bool = False
    biases: bool = False
    positions: int = 0
    max_len: int = 0
    groups: tuple[LayerGroup, ...] = ()
    experts: Experts | None = None
    latent: LatentAttention | None = None
    state_space: StateSpace | None = None
    attention_gate: bool = False
    cross_dim: int = 0
    other_params: float = 0.0
    mtp_layers: int = 0
    encoders: tuple[Encoder, ...] = ()
    diffusion: Diffusion | None = None
    params: float | None = None
    active_params: float | None = None
    flops_per_item: float | None = None
    """Forward FLOPs of one image, clip or row, for a network that is not described layer by layer (CNN, trees)."""
    activations_per_item: float | None = None
    """Elements that the layers of such a network give out for one item."""

    @property
    def n_layers(self) -> int:
        """Blocks with a mixer or a feed-forward; an attention block and its feed-forward are one layer."""
        return sum(group.count for group in self.groups)

    @property
    def moe(self) -> bool:
        return self.experts is not None


def mixer_params(arch: Architecture, group: LayerGroup) -> float:
    """Weights of one layer's attention or state-space mixer, and of its cross-attention."""
    return _own_mixer_params(arch, group) + (_cross_params(arch, group) if group.cross else 0.0)


def _own_mixer_params(arch: Architecture, group: LayerGroup) -> float:
    d = arch.d_model
    if group.mixer == "none":
        return 0.0
    if group.mixer == "mla" and arch.latent:
        return _latent_params(arch, arch.latent, group)
    if group.mixer in ("mamba", "linear") and arch.state_space:
        s = arch.state_space
        return (
            d * (2 * s.inner + 2 * s.groups * s.state + s.heads) + s.conv * (s.inner + 2 * s.groups * s.state) + s.inner * d + 3 * s.heads
        )
    q, kv = head_widths(arch, group)
    kv = 0 if group.kv_shared else kv
    weights = d * q * (3 if arch.attention_gate else 2) + d * kv * 2
    return weights + ((q + 2 * kv) if arch.qkv_bias or arch.biases else 0) + (d if arch.biases else 0)


def _cross_params(arch: Architecture, group: LayerGroup) -> float:
    q, kv = head_widths(arch, group)
    return 2 * arch.d_model * q + 2 * (arch.cross_dim or arch.d_model) * kv + ((q + 2 * kv + arch.d_model) if arch.biases else 0)


def head_widths(arch: Architecture, group: LayerGroup) -> tuple[int, int]:
    """Widths of all query heads and of all key (or value) heads together."""
    heads = group.n_heads or arch.n_heads
    kv_heads = group.n_kv_heads or arch.n_kv_heads or heads
    width = group.head_dim or arch.head_dim or arch.d_model // max(heads, 1)
    return heads * width, kv_heads * width


def _latent_params(arch: Architecture, latent: LatentAttention, group: LayerGroup) -> float:
    d, heads, per_head = arch.d_model, group.n_heads or arch.n_heads, latent.nope_dim + latent.rope_dim
    query = d * latent.q_rank + latent.q_rank * heads * per_head if latent.q_rank else d * heads * per_head
    way_up = 0 if latent.direct else latent.kv_rank * heads * (latent.nope_dim + latent.v_dim)
    key_value = d * (latent.kv_rank + (0 if latent.direct else latent.rope_dim)) + way_up
    out = heads * latent.v_dim * d
    if latent.o_rank:
        out = heads * latent.v_dim * latent.o_rank + latent.o_groups * latent.o_rank * d
    index = 0
    if group.sparse:
        index = (latent.q_rank or d) * latent.index_heads * latent.index_dim + d * (latent.index_dim + latent.index_heads)
    return query + key_value + out + index


def dense_ffn_params(arch: Architecture, group: LayerGroup) -> float:
    """Weights of one layer's feed-forward where it is dense."""
    width = group.d_ff or arch.d_ff
    return arch.d_model * width * (3 if arch.gated else 2) + ((width + arch.d_model) if arch.biases else 0)


def expert_params(arch: Architecture) -> float:
    """Weights of one routed expert."""
    experts = arch.experts
    return 0.0 if experts is None else (experts.latent or arch.d_model) * experts.d_ff * (3 if arch.gated else 2)


def shared_expert_params(arch: Architecture) -> float:
    """Weights that every token of a mixture layer passes: shared experts, the router, and the ways into and out of a latent space."""
    experts = arch.experts
    if experts is None:
        return 0.0
    way = 2 * arch.d_model * experts.latent if experts.latent else 0
    return arch.d_model * experts.shared_d_ff * (3 if arch.gated else 2) + arch.d_model * experts.count + way


def layer_params(arch: Architecture, group: LayerGroup, *, active: bool = False) -> float:
    """Weights of one layer of the group: all, or those that one token is multiplied with."""
    norms = (group.mixer != "none") + group.cross + (group.ffn != "none")
    weights = mixer_params(arch, group) + norms * arch.d_model * (2 if arch.biases else 1)
    if group.ffn == "dense":
        weights += dense_ffn_params(arch, group)
    elif group.ffn == "moe" and arch.experts:
        weights += expert_params(arch) * (arch.experts.top_k if active else arch.experts.count) + shared_expert_params(arch)
    return weights if active else group.streams * (weights + group.modulation * arch.d_model**2)


def embedding_params(arch: Architecture) -> float:
    """Input embedding, output layer (0 where tied) and learned positions."""
    return arch.vocab_size * arch.d_model * (1 if arch.tied else 2) + arch.positions * arch.d_model


def counted_params(arch: Architecture, *, active: bool = False) -> float:
    """All weights (or those that a token uses), embeddings and encoders included; the published figure where there are no layers."""
    if not arch.groups:
        return (arch.active_params if active else arch.params) or arch.params or 0.0
    blocks = sum(group.count * layer_params(arch, group, active=active) for group in arch.groups)
    other = 0.0 if active else arch.other_params
    return blocks + embedding_params(arch) + arch.d_model + other + sum(e.params for e in arch.encoders)


def attention_flops(arch: Architecture, group: LayerGroup, queries: float, keys: float, *, causal: bool) -> float:
    """Forward FLOPs of one layer's scores and weighted values for `queries` that look at `keys` each (halved where causal)."""
    if group.mixer == "none":
        return 0.0
    if group.mixer in ("mamba", "linear") and arch.state_space:
        return queries * 2 * 3 * arch.state_space.inner * arch.state_space.state
    if group.window:
        keys, causal = min(keys, group.window), causal and keys <= group.window
    keys /= group.compress
    half = 0.5 if causal else 1.0
    if group.mixer == "mla" and arch.latent:
        return _latent_flops(arch.latent, group, queries, keys, group.n_heads or arch.n_heads, half)
    return 4 * queries * keys * head_widths(arch, group)[0] * half


def _latent_flops(latent: LatentAttention, group: LayerGroup, queries: float, keys: float, heads: int, half: float) -> float:
    width, index = heads * (latent.nope_dim + latent.rope_dim + latent.v_dim), 0.0
    if group.sparse and latent.index_top and keys > latent.index_top:
        index = 2 * queries * keys * latent.index_heads * latent.index_dim * half
        keys, half = latent.index_top, 1.0
    return 2 * queries * keys * width * half + index


def kv_bytes_per_token(arch: Architecture, group: LayerGroup, element: float = 2.0) -> float:
    """Cache that one more token of one sequence adds in one layer (0 for a state-space layer; a window stops adding when it is full)."""
    if group.mixer == "mla" and arch.latent:
        rope = 0 if arch.latent.direct else arch.latent.rope_dim
        return ((arch.latent.kv_rank + rope) * element + (arch.latent.index_dim if group.sparse else 0)) / group.compress
    return 2 * head_widths(arch, group)[1] * element / group.compress if group.mixer == "attention" and not group.kv_shared else 0.0


def state_bytes(arch: Architecture, group: LayerGroup, element: float = 4.0) -> float:
    """Fixed state of one sequence in one state-space layer."""
    s = arch.state_space
    if group.mixer not in ("mamba", "linear") or s is None:
        return 0.0
    return s.inner * s.state * element + (s.inner + 2 * s.groups * s.state) * s.conv * 2


def as_printed(
    arch: Architecture,
    *,
    n_layers: int | None = None,
    d_model: int | None = None,
    n_heads: int | None = None,
    n_kv_heads: int | None = None,
    d_ff: int | None = None,
    vocab_size: int | None = None,
) -> Architecture:
    """The architecture with the dimensions that a source prints; what it leaves out keeps its proportion.

    Models of several kinds of layers stay as they are: a printed total does not say which kind it means.
    """
    printed = {
        "n_layers": n_layers,
        "d_model": d_model,
        "n_heads": n_heads,
        "n_kv_heads": n_kv_heads,
        "d_ff": d_ff,
        "vocab_size": vocab_size,
    }
    if len(arch.groups) != 1 or all(value is None or value == getattr(arch, name) for name, value in printed.items()):
        return arch
    width, heads = d_model or arch.d_model, n_heads or arch.n_heads
    square = arch.head_dim * arch.n_heads == arch.d_model
    (group,) = arch.groups
    return msgspec.structs.replace(
        arch,
        d_model=width,
        n_heads=heads,
        n_kv_heads=n_kv_heads or (heads if arch.n_kv_heads == arch.n_heads else arch.n_kv_heads),
        head_dim=width // heads if square else arch.head_dim,
        d_ff=d_ff or arch.d_ff * width // arch.d_model,
        vocab_size=vocab_size or arch.vocab_size,
        groups=(msgspec.structs.replace(group, count=n_layers or group.count),),
        params=None,
        active_params=None,
        notes="; ".join(filter(None, (arch.notes, "dimensions as printed"))),
    )


class Architectures(Record, frozen=True, kw_only=True):
    """Architectures by name, with the other names they are known by (lower case) in `aliases`."""

    rows: dict[str, Architecture]
    aliases: dict[str, str] = msgspec.field(default_factory=dict)
