"""A Hugging Face style config.json gives the architecture of the catalogue."""

from __future__ import annotations

from typing import Any

import pytest

from bedplate.core.errors import UserError
from bedplate.planner.facts.architecture import counted_params
from bedplate.planner.facts.hf_config import from_config
from bedplate.storage.systems import load_architectures

ROWS = load_architectures().rows

LLAMA: dict[str, Any] = {
    "model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336, "num_attention_heads": 32, "num_hidden_layers": 32,
    "num_key_value_heads": 8, "vocab_size": 128256, "max_position_embeddings": 131072, "tie_word_embeddings": False,
}  # fmt: skip
DEEPSEEK = {
    "model_type": "deepseek_v3", "first_k_dense_replace": 3, "hidden_size": 7168, "intermediate_size": 18432, "kv_lora_rank": 512,
    "moe_intermediate_size": 2048, "moe_layer_freq": 1, "n_routed_experts": 256, "n_shared_experts": 1, "num_attention_heads": 128,
    "num_experts_per_tok": 8, "num_hidden_layers": 61, "num_key_value_heads": 128, "num_nextn_predict_layers": 1, "q_lora_rank": 1536,
    "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128, "vocab_size": 129280, "max_position_embeddings": 163840,
}  # fmt: skip
QWEN_MOE = {
    "model_type": "qwen3_moe", "decoder_sparse_step": 1, "head_dim": 128, "hidden_size": 2048, "intermediate_size": 6144,
    "mlp_only_layers": [], "moe_intermediate_size": 768, "num_attention_heads": 32, "num_experts": 128, "num_experts_per_tok": 8,
    "num_hidden_layers": 48, "num_key_value_heads": 4, "sliding_window": None, "use_sliding_window": False, "vocab_size": 151936,
}  # fmt: skip
GEMMA = {
    "model_type": "gemma3",
    "text_config": {
        "model_type": "gemma3_text", "head_dim": 256, "hidden_size": 3840, "intermediate_size": 15360, "num_attention_heads": 16,
        "num_hidden_layers": 48, "num_key_value_heads": 8, "sliding_window": 1024, "sliding_window_pattern": 6, "vocab_size": 262208,
    },
    "vision_config": {"hidden_size": 1152, "intermediate_size": 4304, "num_attention_heads": 16, "num_hidden_layers": 27, "patch_size": 14},
}  # fmt: skip
NEMOTRON = {
    "model_type": "nemotron_h", "hidden_size": 2688, "hybrid_override_pattern": "MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME",
    "intermediate_size": 1856, "mamba_head_dim": 64, "mamba_num_heads": 64, "ssm_state_size": 128, "n_groups": 8, "conv_kernel": 4,
    "moe_intermediate_size": 1856, "moe_shared_expert_intermediate_size": 3712, "n_routed_experts": 128, "n_shared_experts": 1,
    "num_attention_heads": 32, "num_experts_per_tok": 6, "num_hidden_layers": 52, "num_key_value_heads": 2, "head_dim": 128,
    "vocab_size": 131072,
}  # fmt: skip
GPT_OSS = {
    "model_type": "gpt_oss", "attention_bias": True, "head_dim": 64, "hidden_size": 2880, "intermediate_size": 2880,
    "num_attention_heads": 64,
    "num_experts_per_tok": 4, "num_hidden_layers": 24, "num_key_value_heads": 8, "num_local_experts": 32, "sliding_window": 128,
    "vocab_size": 201088, "layer_types": ["sliding_attention", "full_attention"] * 12,
}  # fmt: skip
QWEN_HYBRID = {
    "model_type": "qwen3_5_moe",
    "text_config": {
        "model_type": "qwen3_5_moe_text", "attn_output_gate": True, "full_attention_interval": 4, "head_dim": 256, "hidden_size": 4096,
        "linear_conv_kernel_dim": 4, "linear_key_head_dim": 128, "linear_num_key_heads": 16, "linear_num_value_heads": 64,
        "linear_value_head_dim": 128, "moe_intermediate_size": 1024, "num_attention_heads": 32, "num_experts": 512,
        "num_experts_per_tok": 10,
        "num_hidden_layers": 60, "num_key_value_heads": 2, "shared_expert_intermediate_size": 1024, "vocab_size": 248320,
    },
}  # fmt: skip
LLAMA_4 = {
    "model_type": "llama4",
    "text_config": {
        "model_type": "llama4_text", "attention_chunk_size": 8192, "hidden_size": 5120, "head_dim": 128, "interleave_moe_layer_step": 2,
        "intermediate_size": 8192, "intermediate_size_mlp": 16384, "num_attention_heads": 40, "num_experts_per_tok": 1,
        "num_hidden_layers": 48, "num_key_value_heads": 8, "num_local_experts": 128, "vocab_size": 202048,
        "no_rope_layers": [1, 1, 1, 0] * 12,
    },
}  # fmt: skip
T5 = {
    "model_type": "t5", "d_ff": 65536, "d_kv": 128, "d_model": 1024, "num_heads": 128, "num_layers": 24, "num_decoder_layers": 24,
    "feed_forward_proj": "relu", "vocab_size": 32128,
}  # fmt: skip
FALCON = {
    "model_type": "falcon", "bias": False, "hidden_size": 8192, "multi_query": True, "new_decoder_architecture": True,
    "num_attention_heads": 128,
    "num_hidden_layers": 60, "num_kv_heads": 8, "vocab_size": 65024, "tie_word_embeddings": False,
}  # fmt: skip
BERT = {
    "model_type": "bert", "hidden_size": 1024, "intermediate_size": 4096, "max_position_embeddings": 512, "num_attention_heads": 16,
    "num_hidden_layers": 24, "vocab_size": 30522,
}  # fmt: skip


@pytest.mark.parametrize(
    ("config", "name"),
    [
        (LLAMA, "Llama-3.1-8B"), (DEEPSEEK, "DeepSeek-V3"), (QWEN_MOE, "Qwen3-30B-A3B"), (NEMOTRON, "Nemotron-3-Nano"),
        (GPT_OSS, "GPT-OSS-20B"), (T5, "T5-11B"), (FALCON, "Falcon-40B"), (BERT, "BERT-Large"),
    ],
)  # fmt: skip
def test_a_config_weighs_what_the_catalogue_row_weighs(config: dict[str, Any], name: str) -> None:
    """The same layers, mixtures and caches as the row that was written by hand."""
    read, row = from_config(config), ROWS[name]
    assert counted_params(read) == pytest.approx(counted_params(row), rel=1e-6)
    assert counted_params(read, active=True) == pytest.approx(counted_params(row, active=True), rel=1e-6)
    assert {(g.count, g.mixer, g.ffn, g.window) for g in read.groups} == {(g.count, g.mixer, g.ffn, g.window) for g in row.groups}
    assert (read.experts, read.latent, read.state_space) == (row.experts, row.latent, row.state_space)


@pytest.mark.parametrize(("config", "name"), [(GEMMA, "Gemma-3-12B"), (QWEN_HYBRID, "Qwen3.5-397B-A17B"), (LLAMA_4, "Llama-4-Maverick")])
def test_a_multimodal_config_gives_the_language_models_layers(config: dict[str, Any], name: str) -> None:
    """Windows, linear attention and interleaved mixtures as in the row; towers are counted from their widths, where described."""
    read, row = from_config(config), ROWS[name]
    towers = sum(e.params for e in row.encoders)
    assert counted_params(read) - sum(e.params for e in read.encoders) == pytest.approx(counted_params(row) - towers, rel=1e-6)
    assert {(g.count, g.mixer, g.ffn, g.window) for g in read.groups} == {(g.count, g.mixer, g.ffn, g.window) for g in row.groups}


def test_a_vision_tower_is_counted_from_its_widths() -> None:
    """27 x (4 x 1152^2 + 2 x 1152 x 4304) = 411 million, of SigLIP's 413 (arXiv 2303.15343)."""
    (tower,) = from_config(GEMMA).encoders
    assert tower.params == pytest.approx(411e6, rel=0.001)


def test_gpt_2_has_learned_positions_biases_and_one_embedding() -> None:
    """124,439,808 parameters, as published."""
    config = {"model_type": "gpt2", "n_embd": 768, "n_layer": 12, "n_head": 12, "n_positions": 1024, "vocab_size": 50257}
    assert counted_params(from_config(config)) == pytest.approx(124_439_808, rel=1e-4)


def test_vit_is_read_without_a_vocabulary() -> None:
    """86 million parameters for ViT-B/16, without the head."""
    config = {"model_type": "vit", "hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12, "num_hidden_layers": 12}
    assert counted_params(from_config(config)) == pytest.approx(85.8e6, rel=0.01)


def test_an_unknown_type_is_read_by_its_field_names_and_says_so() -> None:
    read = from_config({**LLAMA, "model_type": "brandnew"}, name="mine")
    assert counted_params(read) == counted_params(from_config(LLAMA))
    assert not read.verified
    assert "brandnew" in read.notes
    assert read.name == "mine"


def test_missing_fields_are_named_with_every_spelling() -> None:
    with pytest.raises(UserError) as caught:
        from_config({"model_type": "brandnew", "hidden_size": 64, "vocab_size": 100})
    assert "n_heads (num_attention_heads or n_head" in caught.value.why
    assert "d_model" not in caught.value.why
    with pytest.raises(UserError, match="does not say enough"):
        from_config({"model_type": "brandnew", "hidden_size": 64, "vocab_size": 100, "n_head": 2, "n_layer": 2})


@pytest.mark.parametrize(
    "change",
    [{"hidden_size": "big"}, {"num_hidden_layers": -1}, {"vocab_size": 3.5}, {"num_attention_heads": True}, {"num_experts": 8}],
)
def test_senseless_fields_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(UserError):
        from_config({**LLAMA, **change})


def test_an_unknown_block_of_a_hybrid_is_refused_by_name() -> None:
    with pytest.raises(UserError, match="'Q' is no block"):
        from_config({**NEMOTRON, "hybrid_override_pattern": "MQ"})


@pytest.mark.parametrize(
    ("lie", "said"),
    [
        ({"num_hidden_layers": 10**9}, "'num_hidden_layers' of the config is 1000000000"),
        ({"num_attention_heads": 33}, "4096 is no multiple of 33 heads"),
        ({"num_key_value_heads": 7}, "32 heads do not share 7"),
        ({"num_key_value_heads": 64}, "32 heads do not share 64"),
        ({"layer_types": ["full_attention"] * 3}, "32 layers and 3 layer_types"),
        ({"layer_types": ["full_attention", "conv"] * 16}, "'conv' in layer_types is no kind of layer"),
        ({"model_type": "mixtral", "num_local_experts": 8, "num_experts_per_tok": 9}, "9 of 8 experts"),
    ],
    ids=str,
)
def test_a_config_that_contradicts_itself_is_refused(lie: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        from_config(LLAMA | lie)


def test_what_is_not_read_of_a_config_is_said() -> None:
    assert from_config(LLAMA).notes == ""
    assert "model_type 'nope' is unknown" in from_config(LLAMA | {"model_type": "nope"}).notes
    assert "quantised (awq)" in from_config(LLAMA | {"quantization_config": {"quant_method": "awq", "bits": 4}}).notes
