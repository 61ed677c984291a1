"""A Hugging Face style config.json as an Architecture.

Choices: what a config leaves unsaid is its family's habit (whether the feed-forward is gated, biases, tied embeddings), looked up by
`model_type`; an unknown type is read by its field names as a Llama-like decoder, and refused where dimensions are missing.
Limits: norms of queries and keys, biases of single matrices and the exact size of vision towers (counted from their widths) are not told
apart: totals agree with the published ones within 2 % (5 % with towers). Quantisation is not read, the caller states the precision.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from bedplate.core.errors import UserError
from bedplate.core.records import Record

from . import hf_layers
from .architecture import Architecture, Encoder, LayerGroup
from .hf_fields import Fields

Part = Literal["decoder", "encoder", "encoder-decoder", "vision", "speech"]


class Habit(Record, frozen=True, kw_only=True):
    """What a family does where its configs do not say. `positions`: learned ones, counted as weights."""

    gated: bool = True
    tied: bool = False
    biases: bool = False
    qkv_bias: bool = False
    positions: bool = False
    part: Part = "decoder"


_GPT = Habit(gated=False, tied=True, biases=True, positions=True)
_LLAMA = Habit()

HABITS: dict[str, Habit] = {
    **dict.fromkeys(
        ("llama", "mistral", "mixtral", "qwen3", "qwen3_moe", "qwen3_next", "qwen3_5", "qwen3_5_moe", "qwen3_vl", "qwen3_vl_moe",
         "deepseek_v2", "deepseek_v3", "deepseek_v32", "deepseek_v4", "kimi_k2", "kimi_k25", "minimax", "minimax_m2", "glm4", "glm4_moe",
         "glm_moe_dsa", "llama4", "llama4_text", "mllama", "phi3", "olmo2", "stablelm", "internlm2", "mistral3", "qwen3_omni_moe"),
        _LLAMA,
    ),
    **dict.fromkeys(("gemma", "gemma2", "gemma3", "gemma3_text", "gemma4", "gemma4_text", "cohere"), Habit(tied=True)),
    **dict.fromkeys(("qwen2", "qwen2_moe", "qwen2_vl", "qwen2_5_vl", "glm", "chatglm", "gpt_oss"), Habit(qkv_bias=True)),
    **dict.fromkeys(("gpt2", "gpt_bigcode", "opt"), _GPT),
    "bloom": Habit(gated=False, tied=True, biases=True),
    "mpt": Habit(gated=False, tied=True),
    "falcon": Habit(gated=False, tied=True), "RefinedWeb": Habit(gated=False, tied=True), "RefinedWebModel": Habit(gated=False, tied=True),
    "gptj": Habit(gated=False), "gpt_neox": Habit(gated=False, biases=True), "phi": Habit(gated=False, biases=True),
    "gpt_neo": Habit(gated=False, tied=True, positions=True), "starcoder2": Habit(gated=False, tied=True, biases=True),
    "nemotron": Habit(gated=False), "nemotron_h": Habit(gated=False),
    **dict.fromkeys(("bert", "roberta", "xlm-roberta"), Habit(gated=False, tied=True, biases=True, positions=True, part="encoder")),
    **dict.fromkeys(("t5", "mt5", "umt5"), Habit(gated=False, tied=True, part="encoder-decoder")),
    "whisper": Habit(gated=False, tied=True, biases=True, part="speech"),
    "vit": Habit(gated=False, biases=True, part="vision"),
}  # fmt: skip


def from_config(config: Mapping[str, Any], *, name: str = "", source: str = "config.json") -> Architecture:
    """The architecture that a parsed config.json describes. Raises UserError that names missing or senseless fields."""
    if not isinstance(config, Mapping):
        raise UserError("a config.json is an object", why=f"this is a {type(config).__name__}", next="give the model's config.json")
    fields = Fields(config)
    known = HABITS.get(fields.text_kind) or HABITS.get(fields.kind)
    habit = known or _LLAMA
    if habit.part == "vision":
        return _vision(fields, name, source)
    fields.need("d_model", "n_heads", "vocab_size")
    pattern = fields.raw("hybrid_override_pattern") or fields.raw("hybrid_layer_pattern") or fields.listed("layers_block_type")
    if not pattern:
        fields.need("n_layers")
    return _language(fields, habit, name or fields.kind, source, known is not None)


def _language(fields: Fields, habit: Habit, name: str, source: str, known: bool) -> Architecture:
    experts, latent = hf_layers.experts(fields), hf_layers.latent(fields)
    d_model, heads = fields.number("d_model"), fields.number("n_heads")
    d_ff = fields.number("d_ff") or _usual_d_ff(fields, d_model, known, experts is not None)
    _divisible(fields, d_model, heads)
    biases = fields.flag("bias", habit.biases) and not fields.flag("no_bias", False)
    if fields.text_kind == "mpt":
        biases = not fields.flag("no_bias", True)
    return Architecture(
        name=name,
        source=source,
        verified=known,
        notes="; ".join(_remarks(fields, known)),
        family=habit.part if habit.part != "vision" else "decoder",
        d_model=d_model,
        n_heads=heads,
        n_kv_heads=_kv_heads(fields, heads),
        head_dim=fields.number("head_dim") or d_model // heads,
        d_ff=d_ff,
        gated=_gated(fields, habit),
        vocab_size=fields.number("vocab_size"),
        tied=fields.flag("tie_word_embeddings", habit.tied),
        qkv_bias=fields.flag("attention_bias", habit.qkv_bias) or fields.flag("add_qkv_bias", False),
        biases=biases,
        positions=_positions(fields, habit),
        max_len=fields.number("max_len"),
        groups=_stacks(fields) if habit.part != "decoder" else hf_layers.groups(fields, experts, latent),
        experts=experts,
        latent=latent,
        state_space=hf_layers.state_space(fields),
        attention_gate=fields.flag("attn_output_gate", fields.text_kind.startswith(("qwen3_next", "qwen3_5"))),
        other_params=_per_layer_embeddings(fields),
        mtp_layers=fields.number("mtp_layers"),
        encoders=_encoders(fields),
    )


def _remarks(fields: Fields, known: bool) -> list[str]:
    """What a reader of an answer must know of the config."""
    told = [] if known else [f"model_type '{fields.kind}' is unknown: read by its field names as a Llama-like decoder"]
    quantised = fields.raw("quantization_config")
    if isinstance(quantised, Mapping):
        method = str(quantised.get("quant_method") or "an unnamed method")
        told.append(f"its weights are quantised ({method}), which is not read: say it with --precision")
    return told


def _divisible(fields: Fields, d_model: int, heads: int) -> None:
    """Raises UserError where heads do not share what they should."""
    kv = fields.number("n_kv_heads") or heads
    if not fields.number("head_dim") and not fields.number("kv_lora_rank") and d_model % heads:
        raise UserError(
            f"a width of {d_model} is no multiple of {heads} heads", why="the config gives no head_dim", next="mend the config.json"
        )
    if heads % kv:
        raise UserError(
            f"{heads} heads do not share {kv} heads of keys and values evenly", next="mend num_key_value_heads of the config.json"
        )
    experts, top = fields.number("experts"), fields.number("top_k")
    if experts and top > experts:
        raise UserError(f"a token goes to {top} of {experts} experts", next="mend num_experts_per_tok of the config.json")


def _usual_d_ff(fields: Fields, d_model: int, known: bool, moe: bool) -> int:
    """GPT-like families leave the inner width out where it is 4 d_model; others must say it."""
    if fields.number("expansion_ratio"):
        return d_model * fields.number("expansion_ratio")
    if known and fields.text_kind in ("gpt2", "gpt_bigcode", "gptj", "gpt_neo", "bloom", "mpt", "falcon", "RefinedWeb", "RefinedWebModel"):
        return 4 * d_model
    if not (moe and fields.number("expert_d_ff")):
        fields.need("d_ff")
    return 0


def _kv_heads(fields: Fields, heads: int) -> int:
    """Falcon says `multi_query`, and means it only in the old decoder; StarCoder says it too."""
    if fields.text_kind in ("falcon", "RefinedWeb", "RefinedWebModel", "gpt_bigcode"):
        if fields.flag("new_decoder_architecture", False):
            return fields.number("n_kv_heads", heads)
        return 1 if fields.flag("multi_query", True) else heads
    attention = fields.raw("attn_config")
    if isinstance(attention, Mapping) and attention.get("kv_n_heads"):
        return int(attention["kv_n_heads"])
    return fields.number("n_kv_heads", heads)


def _gated(fields: Fields, habit: Habit) -> bool:
    projection = fields.raw("feed_forward_proj")
    return "gated" in str(projection) if projection else habit.gated


def _positions(fields: Fields, habit: Habit) -> int:
    if fields.text_kind == "whisper":
        return fields.number("max_source_positions") + fields.number("max_target_positions")
    attention = fields.raw("attn_config")
    alibi = isinstance(attention, Mapping) and bool(attention.get("alibi"))
    learned = habit.positions or (fields.text_kind == "mpt" and fields.flag("learned_pos_emb", True) and not alibi)
    return fields.number("max_len") if learned else 0


def _per_layer_embeddings(fields: Fields) -> float:
    """Gemma 4's embeddings per layer with the matrices that bring them in."""
    width, layers = fields.number("hidden_size_per_layer_input"), fields.number("n_layers")
    vocabulary = fields.number("vocab_size_per_layer_input") or fields.number("vocab_size")
    return float(width * layers * (vocabulary + 3 * fields.number("d_model")))


def _stacks(fields: Fields) -> tuple[LayerGroup, ...]:
    """Encoder layers, and decoder layers with cross-attention where there are any."""
    encoder = LayerGroup(count=fields.number("n_layers"), part="encoder")
    kind = HABITS[fields.text_kind].part
    if kind == "encoder":
        return (encoder,)
    count = fields.number("num_decoder_layers") or fields.number("decoder_layers") or fields.number("n_layers")
    return (encoder, LayerGroup(count=count, cross=True))


def _encoders(fields: Fields) -> tuple[Encoder, ...]:
    """A vision tower, counted from its widths."""
    vision = fields.raw("vision_config")
    if not isinstance(vision, Mapping):
        return ()
    tower = Fields({key.removeprefix("vt_"): value for key, value in vision.items()})
    d, layers = tower.number("d_model"), tower.number("n_layers") or tower.number("depth")
    d_ff = tower.number("d_ff") or 4 * d
    return (Encoder(name="vision tower", params=float(layers * (4 * d * d + 2 * d * d_ff))),) if d and layers else ()


def _vision(fields: Fields, name: str, source: str) -> Architecture:
    fields.need("d_model", "n_layers", "n_heads", "d_ff")
    d, heads = fields.number("d_model"), fields.number("n_heads")
    patch, image = fields.number("patch_size", 16), fields.number("image_size", 224)
    return Architecture(
        name=name or fields.kind,
        source=source,
        family="vision",
        d_model=d,
        n_heads=heads,
        n_kv_heads=heads,
        head_dim=d // heads,
        d_ff=fields.number("d_ff"),
        gated=False,
        biases=True,
        positions=(image // patch) ** 2 + 1,
        groups=(LayerGroup(count=fields.number("n_layers"), part="encoder"),),
        other_params=float(fields.number("num_channels", 3) * patch * patch * d + 2 * d),
    )
