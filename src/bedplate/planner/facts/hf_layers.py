"""The layers that a Hugging Face style config.json describes, as groups of equal ones.

Choices: each layer is decided on its own (which mixer, which feed-forward, which window), then equal ones are counted together; so every
hybrid is a matter of per-layer rules and none of special cases in the arithmetic.
Limits: the order of layers is lost, which no count depends on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from bedplate.core.errors import UserError

from .architecture import Experts, LatentAttention, LayerGroup, Mixer, StateSpace
from .hf_fields import Fields

_BLOCKS: dict[str, tuple[Mixer, str]] = {
    "M": ("mamba", "none"), "mamba": ("mamba", "none"), "*": ("attention", "none"), "attention": ("attention", "none"),
    "-": ("none", "dense"), "mlp": ("none", "dense"), "E": ("none", "moe"), "moe": ("none", "moe"),
}  # fmt: skip
"""Blocks of Nemotron-H's `hybrid_override_pattern` and `layers_block_type`."""

_KINDS = (
    "full_attention", "attention", "sliding_attention", "chunked_attention", "linear_attention", "compressed_sparse_attention",
    "heavily_compressed_attention",
)  # fmt: skip
"""Names in `layer_types` whose layers are counted; what compressed layers attend to, `compress_ratios` tells."""

_PERIODS = {"gemma2": 2, "gpt_oss": 2, "gemma3": 6, "gemma3_text": 6, "llama4": 4, "llama4_text": 4}
"""Every so many layers one attends to everything, in families whose configs may leave `layer_types` out."""


def groups(fields: Fields, experts: Experts | None, latent: LatentAttention | None) -> tuple[LayerGroup, ...]:
    """All layers, equal ones counted together."""
    pattern = fields.raw("hybrid_override_pattern") or fields.raw("hybrid_layer_pattern") or fields.listed("layers_block_type")
    if pattern:
        layers = [_block(symbol) for symbol in pattern if symbol != "|"]
    else:
        types, count = fields.listed("layer_types"), fields.number("n_layers")
        if types and len(types) < count:
            raise UserError(f"the config has {count} layers and {len(types)} layer_types", next="mend layer_types of the config.json")
        _known(types)
        layers = [_layer(fields, index, experts, latent) for index in range(fields.number("n_layers"))]
    counts = Counter(layers)
    return tuple(_counted(layer, count) for layer, count in counts.items())


def experts(fields: Fields) -> Experts | None:
    """The mixture, or None where the model is dense."""
    count = fields.number("experts")
    if count <= 1 or not fields.flag("enable_moe_block", True):
        return None
    fields.need("top_k")
    inner = fields.number("expert_d_ff") or fields.number("d_ff")
    shared = fields.number("shared")
    width = fields.number("shared_d_ff") or shared * inner
    if fields.text_kind.startswith("llama4"):
        inner = fields.number("d_ff")
        shared, width = 1, inner
    elif fields.raw("enable_moe_block"):
        shared, width = 1, fields.number("d_ff")
    return Experts(
        count=count,
        top_k=fields.number("top_k"),
        d_ff=inner,
        shared=shared or (1 if width else 0),
        shared_d_ff=width,
        latent=fields.number("moe_latent_size"),
    )


def latent(fields: Fields) -> LatentAttention | None:
    """Multi-head latent attention, or None. A low-rank output (`o_lora_rank`) marks DeepSeek-V4, whose latent is key and value itself."""
    direct = fields.number("o_lora_rank") > 0
    if not fields.number("kv_lora_rank") and not direct:
        return None
    rope = fields.number("qk_rope_head_dim")
    wide = fields.number("head_dim")
    return LatentAttention(
        kv_rank=wide if direct else fields.number("kv_lora_rank"),
        q_rank=fields.number("q_lora_rank"),
        nope_dim=wide - rope if direct else fields.number("qk_nope_head_dim"),
        rope_dim=rope,
        v_dim=wide if direct else fields.number("v_head_dim"),
        index_heads=fields.number("index_n_heads"),
        index_dim=fields.number("index_head_dim"),
        index_top=fields.number("index_topk"),
        o_rank=fields.number("o_lora_rank"),
        o_groups=fields.number("o_groups", 1),
        direct=direct,
    )


def state_space(fields: Fields) -> StateSpace | None:
    """A Mamba-2 or gated linear-attention mixer, or None."""
    if fields.number("state_heads"):
        heads = fields.number("state_heads")
        return StateSpace(
            inner=heads * fields.number("state_head_dim"),
            state=fields.number("state", 128),
            heads=heads,
            groups=fields.number("state_groups", 1),
            conv=fields.number("conv", 4),
        )
    heads = fields.number("linear_num_value_heads")
    if not heads:
        return None
    return StateSpace(
        inner=heads * fields.number("linear_value_head_dim"),
        state=fields.number("linear_key_head_dim"),
        heads=heads,
        groups=fields.number("linear_num_key_heads"),
        conv=fields.number("conv", 4),
    )


def _known(types: Sequence[Any]) -> None:
    """Raises UserError for a kind of layer that is not counted."""
    for name in dict.fromkeys(str(one) for one in types):
        if name not in _KINDS:
            why = f"known: {', '.join(_KINDS)}"
            raise UserError(f"'{name}' in layer_types is no kind of layer", why=why, next="mend layer_types of the config.json")


def _block(symbol: Any) -> LayerGroup:
    if symbol not in _BLOCKS:
        raise UserError(f"'{symbol}' is no block of a hybrid", why=f"known: {' '.join(_BLOCKS)}", next="mend the config's layer pattern")
    mixer, ffn = _BLOCKS[symbol]
    return LayerGroup(count=1, mixer=mixer, ffn="moe" if ffn == "moe" else "dense" if ffn == "dense" else "none")


def _counted(layer: LayerGroup, count: int) -> LayerGroup:
    fields = {name: getattr(layer, name) for name in layer.__struct_fields__}
    return LayerGroup(**{**fields, "count": count})


def _layer(fields: Fields, index: int, experts: Experts | None, latent: LatentAttention | None) -> LayerGroup:
    kind = _attention(fields, index)
    ratios = fields.listed("compress_ratios")
    ratio = ratios[index] if index < len(ratios) else 0
    sparse = bool(latent and latent.index_heads) and (not ratios or 0 < ratio <= _FINE)
    mixer: Mixer = "linear" if kind == "linear_attention" else "mla" if latent else "attention"
    if index in fields.listed("cross_attention_layers"):
        mixer = "none"
    everywhere = kind == "full_attention"
    shared = index >= fields.number("n_layers") - fields.number("num_kv_shared_layers")
    double = shared and bool(fields.number("num_kv_shared_layers")) and fields.flag("use_double_wide_mlp", False)
    dense = fields.number("intermediate_size_mlp")
    moe = experts is not None and _mixture(fields, index)
    return LayerGroup(
        count=1,
        mixer=mixer,
        ffn="moe" if moe else "dense",
        window=_window(fields, kind, ratio if ratios else None),
        d_ff=0 if moe else 2 * fields.number("d_ff") if double else dense,
        cross=mixer == "none",
        kv_shared=shared and bool(fields.number("num_kv_shared_layers")),
        compress=ratio or 1,
        sparse=sparse,
        head_dim=fields.number("global_head_dim") if everywhere else 0,
        n_kv_heads=fields.number("num_global_key_value_heads") if everywhere else 0,
    )


_FINE = 16
"""DeepSeek-V4's indexer serves layers that put few tokens into an entry; heavily compressed ones (128) attend to all."""


def _attention(fields: Fields, index: int) -> str:
    """full_attention, sliding_attention, chunked_attention or linear_attention."""
    types = fields.listed("layer_types")
    if index < len(types):
        return str(types[index])
    interval = fields.number("full_attention_interval")
    if interval:
        return "full_attention" if (index + 1) % interval == 0 else "linear_attention"
    window = fields.number("sliding_window") or fields.number("attention_chunk_size")
    if not window or not fields.flag("use_sliding_window", True):
        return "full_attention"
    if fields.listed("no_rope_layers"):
        return "chunked_attention" if fields.listed("no_rope_layers")[index] else "full_attention"
    period = fields.number("sliding_window_pattern") or _PERIODS.get(fields.text_kind, 0)
    return "full_attention" if period and (index + 1) % period == 0 else "sliding_attention"


def _window(fields: Fields, kind: str, ratio: int | None) -> int | None:
    if ratio is not None:
        return fields.number("sliding_window") if ratio == 0 else None
    if kind == "sliding_attention":
        return fields.number("sliding_window") or None
    return fields.number("attention_chunk_size") or None if kind == "chunked_attention" else None


def _mixture(fields: Fields, index: int) -> bool:
    """Whether this layer's feed-forward is the mixture."""
    types = fields.listed("mlp_layer_types")
    if index < len(types):
        return bool(types[index] == "sparse")
    if fields.listed("moe_layers"):
        return index in fields.listed("moe_layers")
    freq = fields.raw("moe_layer_freq")
    if isinstance(freq, list):
        return bool(freq[index])
    step = fields.number("decoder_sparse_step") or fields.number("interleave_moe_layer_step") or (int(freq) if freq else 1)
    return index >= fields.number("first_k_dense_replace") and (index + 1) % step == 0 and index not in fields.listed("mlp_only_layers")
