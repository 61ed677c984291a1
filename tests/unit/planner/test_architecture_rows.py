"""Every architecture in the catalogue weighs what its source prints."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.core.errors import NotFound
from bedplate.planner.facts.architecture import (
    Architecture,
    Experts,
    LayerGroup,
    as_printed,
    attention_flops,
    counted_params,
    embedding_params,
    kv_bytes_per_token,
    layer_params,
)
from bedplate.planner.facts.knowledge import Knowledge
from bedplate.storage.systems import load_architectures, load_systems

ROWS = load_architectures()
KNOWLEDGE = Knowledge(systems=load_systems(), architectures=ROWS, constants={})

LOOSE = {
    "GPT-1.7B": "table 1 prints 1.7 for 1.65 billion",
    "DeepSeek-V2-Lite": "the card prints 2.4 of 2.45 billion active",
    "GShard-600B": "the paper rounds 618 billion to 600; the split of its layers is inferred",
}


def beside(row: Architecture) -> float:
    return sum(encoder.params for encoder in row.encoders)


@pytest.mark.parametrize("row", [row for row in ROWS.rows.values() if row.groups and row.params], ids=lambda row: row.name)
def test_counted_parameters_are_the_published_ones(row: Architecture) -> None:
    """Within 2 %, 5 % with encoders beside; a diffusion model's published figure is its denoiser's."""
    assert row.params
    counted = counted_params(row) - (beside(row) if row.family == "diffusion" else 0)
    within = 0.05 if row.name in LOOSE or (row.encoders and row.family != "diffusion") else 0.02
    assert counted == pytest.approx(row.params, rel=within)


@pytest.mark.parametrize("row", [row for row in ROWS.rows.values() if row.groups and row.active_params], ids=lambda row: row.name)
def test_active_parameters_are_the_published_ones(row: Architecture) -> None:
    """Within 2 %, under one of the three conventions in use: with both embeddings, without the look-up, or without either;
    encoders in or out."""
    assert row.active_params
    every, matrix = counted_params(row, active=True), row.vocab_size * row.d_model
    readings = [every - out - towers for out in (0, matrix, embedding_params(row)) for towers in (0.0, beside(row))]
    assert min(abs(reading / row.active_params - 1) for reading in readings) < (0.03 if row.name in LOOSE else 0.02)


def test_every_row_says_where_it_is_from_and_every_alias_leads_to_one() -> None:
    assert all(row.source and row.as_of for row in ROWS.rows.values())
    assert set(ROWS.aliases.values()) <= set(ROWS.rows)
    assert not {alias for alias, name in ROWS.aliases.items() if alias in {row.lower() for row in ROWS.rows} and name.lower() != alias}


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("meta-llama/Llama-3.1-70B-Instruct", "Llama-3.1-70B"),
        ("qwen/qwen3-14b", "Qwen3-14B"),
        ("deepseek-ai/DeepSeek-R1-0528", "DeepSeek-R1"),
        ("black-forest-labs/FLUX.1-dev", "FLUX.1-dev"),
        ("llama-3.1-70b", "Llama-3.1-70B"),
        ("someone/Qwen2.5_7B Instruct-AWQ", "Qwen2.5-7B"),
        ("Llama3.1-405B-MaxText", "Llama-3.1-405B"),
    ],
)
def test_models_are_known_by_the_names_people_use(asked: str, name: str) -> None:
    """Hugging Face names, lower case, other separators, tuned and quantised checkpoints of the same architecture."""
    assert KNOWLEDGE.architecture(asked).name == name


def test_an_unknown_model_is_refused_with_the_nearest_names() -> None:
    with pytest.raises(NotFound) as caught:
        KNOWLEDGE.architecture("lama-3.1-70")
    assert "Llama-3.1-70B" in caught.value.why


def test_llama_2_7b_by_hand() -> None:
    """32 x (4 x 4096^2 + 3 x 4096 x 11008 + 2 x 4096) + 2 x 32000 x 4096 + 4096 = 6,738,415,616, as on the model card."""
    assert counted_params(ROWS.rows["Llama-2-7B"]) == 6_738_415_616


def test_llama_3_70b_caches_320_kib_a_token() -> None:
    """2 x 8 heads x 128 x 2 bytes x 80 layers = 327,680."""
    row = ROWS.rows["Llama-3-70B"]
    assert sum(group.count * kv_bytes_per_token(row, group) for group in row.groups) == 327_680


def test_deepseek_v3_caches_one_latent_a_layer() -> None:
    """(512 + 64) x 2 bytes x 61 layers (arXiv 2405.04434, section 2.1.2)."""
    row = ROWS.rows["DeepSeek-V3"]
    assert sum(group.count * kv_bytes_per_token(row, group) for group in row.groups) == 576 * 2 * 61


def test_windows_and_indexers_bound_what_attention_costs() -> None:
    """Past its window or top-k a layer's work per query stops growing, but for the indexer's own."""
    gemma, glm = ROWS.rows["Gemma-3-12B"], ROWS.rows["GLM-5"]
    window = next(group for group in gemma.groups if group.window)
    assert attention_flops(gemma, window, 1, 8192, causal=False) == attention_flops(gemma, window, 1, 65536, causal=False)
    sparse = glm.groups[-1]
    assert attention_flops(glm, sparse, 1, 65536, causal=False) < 0.3 * attention_flops(
        glm, msgspec.structs.replace(sparse, sparse=False), 1, 65536, causal=False
    )


def test_shared_keys_are_neither_weighed_nor_cached() -> None:
    row = ROWS.rows["Gemma-4-E2B"]
    shared = next(group for group in row.groups if group.kv_shared and group.window)
    own = msgspec.structs.replace(shared, kv_shared=False)
    assert kv_bytes_per_token(row, shared) == 0
    assert layer_params(row, own) - layer_params(row, shared) == 2 * 1536 * 256


def test_a_token_passes_one_stream_and_no_modulation() -> None:
    """FLUX's double blocks hold 36 d^2 weights, of which a token is multiplied with 12 d^2 (and a norm)."""
    row = ROWS.rows["FLUX.1-dev"]
    double = row.groups[0]
    assert layer_params(row, double) == pytest.approx(36 * 3072**2, rel=0.001)
    assert layer_params(row, double, active=True) == pytest.approx(12 * 3072**2, rel=0.001)


def test_printed_dimensions_replace_the_rows_own() -> None:
    row = ROWS.rows["GPT-32B"]
    printed = as_printed(row, n_layers=40, d_model=8192, n_heads=64)
    assert (printed.n_layers, printed.d_ff, printed.head_dim, printed.n_kv_heads) == (40, 32768, 128, 64)
    assert as_printed(row, n_layers=row.n_layers, d_model=row.d_model) is row
    assert as_printed(ROWS.rows["DeepSeek-V3"], n_layers=10) is ROWS.rows["DeepSeek-V3"]


sizes = st.integers(1, 12)


@given(layers=sizes, heads=sizes, inner=sizes, vocab=sizes, experts=st.integers(2, 16))
def test_counts_grow_with_every_dimension(layers: int, heads: int, inner: int, vocab: int, experts: int) -> None:
    """More layers, width, inner width, vocabulary or experts never weigh less; a token never uses more than there is."""

    def weigh(layers: int, heads: int, inner: int, vocab: int, experts: int) -> tuple[float, float]:
        arch = Architecture(
            name="x", source="x", d_model=64 * heads, n_heads=heads, n_kv_heads=1, head_dim=64, d_ff=64 * inner, vocab_size=1000 * vocab,
            groups=(LayerGroup(count=layers), LayerGroup(count=layers, ffn="moe")),
            experts=Experts(count=experts, top_k=2, d_ff=64 * inner),
        )  # fmt: skip
        return counted_params(arch), counted_params(arch, active=True)

    here = (layers, heads, inner, vocab, experts)
    total, active = weigh(*here)
    assert active <= total
    for index in range(5):
        more = [value + (1 if at == index else 0) for at, value in enumerate(here)]
        assert weigh(*more)[0] > total
