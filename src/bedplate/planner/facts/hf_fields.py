"""Fields of a Hugging Face style config.json under one name each.

Choices: families spell the same dimension differently (`hidden_size`, `n_embd`, `d_model`), so a table gives the spellings of each in the
order of trust; text dimensions may be nested one level down in a multimodal config. A null is an absent field.
Limits: knows names and types only, what they mean is in `hf_config.py` and `hf_layers.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bedplate.core.errors import UserError

SPELLINGS: dict[str, tuple[str, ...]] = {
    "d_model": ("hidden_size", "n_embd", "d_model", "dim", "model_dim"),
    "n_layers": ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "encoder_layers"),
    "n_heads": ("num_attention_heads", "n_head", "n_heads", "num_heads", "encoder_attention_heads"),
    "n_kv_heads": ("num_key_value_heads", "num_kv_heads", "n_head_kv", "multi_query_group_num", "num_query_groups"),
    "head_dim": ("head_dim", "kv_channels", "d_kv", "attention_head_dim"),
    "d_ff": ("intermediate_size", "n_inner", "ffn_dim", "d_ff", "ffn_hidden_size", "encoder_ffn_dim", "inner_dim"),
    "vocab_size": ("vocab_size", "padded_vocab_size"),
    "max_len": ("max_position_embeddings", "n_positions", "max_seq_len", "max_sequence_length", "seq_length", "n_ctx"),
    "experts": ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts", "num_moe_experts"),
    "top_k": ("num_experts_per_tok", "num_experts_per_token", "top_k_experts", "moe_top_k", "moe_router_topk", "moe_topk"),
    "expert_d_ff": ("moe_intermediate_size", "expert_ffn_hidden_size", "moe_ffn_hidden_size"),
    "shared_d_ff": ("shared_expert_intermediate_size", "moe_shared_expert_intermediate_size", "shared_intermediate_size"),
    "shared": ("n_shared_experts", "num_shared_experts", "moe_num_shared_experts"),
    "mtp_layers": ("num_nextn_predict_layers", "mtp_num_hidden_layers", "num_mtp_modules", "mtp_num_layers"),
    "state": ("ssm_state_size", "mamba_state_dim", "mamba_d_state", "state_size"),
    "state_heads": ("mamba_num_heads", "mamba_n_heads"),
    "state_head_dim": ("mamba_head_dim", "mamba_d_head"),
    "state_groups": ("n_groups", "mamba_num_groups", "mamba_n_groups"),
    "conv": ("conv_kernel", "mamba_d_conv", "linear_conv_kernel_dim"),
    "pattern": ("hybrid_override_pattern", "hybrid_layer_pattern"),
}

MOST = 10**9
"""The widest, longest and most of anything that a config says, a thousand times over."""
_MOST = {
    "n_layers": 10_000,
    "mtp_layers": 1_000,
    "experts": 1_000_000,
    "head_dim": 1_000_000,
    "num_decoder_layers": 10_000,
    "decoder_layers": 10_000,
}
_NESTED = ("text_config", "language_config", "llm_config", "thinker_config", "language_model")


class Fields:
    """One config's text dimensions, by the planner's names."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.whole = config
        self.kind = str(config.get("model_type") or "")
        text = config
        for _ in range(2):
            inner = next((text[name] for name in _NESTED if isinstance(text.get(name), Mapping)), None)
            text = inner if inner is not None else text
        self.text = text
        self.text_kind = str(text.get("model_type") or self.kind)

    def raw(self, name: str) -> Any:
        """The field as it stands, of the text part or else of the whole; None where absent or null."""
        value = self.text.get(name)
        return value if value is not None else self.whole.get(name)

    def number(self, name: str, default: int = 0) -> int:
        """A whole number by the planner's name, under any of its spellings. Raises UserError where it is something else."""
        for spelling in SPELLINGS.get(name, (name,)):
            value = self.raw(spelling)
            if value is None:
                continue
            most = _MOST.get(name, MOST)
            if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value) or not 0 <= value <= most:
                why = f"a whole number is expected, of at most {most:,}"
                raise UserError(f"'{spelling}' of the config is {value!r}", why=why, next="mend the config.json")
            return int(value)
        return default

    def flag(self, name: str, default: bool) -> bool:
        """True or false, or the family's habit where the config does not say."""
        value = self.raw(name)
        return bool(value) if value is not None else default

    def listed(self, name: str) -> list[Any]:
        """A list, or an empty one."""
        value = self.raw(name)
        return list(value) if isinstance(value, list | tuple) else []

    def need(self, *names: str) -> None:
        """Raises UserError that says which of the dimensions are missing, with every spelling that would do."""
        missing = [name for name in names if not self.number(name)]
        if missing:
            raise UserError(
                f"the config of a '{self.kind or 'model without model_type'}' does not say enough to size it",
                why="missing: " + "; ".join(f"{name} ({' or '.join(SPELLINGS.get(name, (name,)))})" for name in missing),
                next="add the fields, or name a model of `bedplate size list models`",
            )
