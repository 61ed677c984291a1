"""The search for a way to train: any number of accelerators, the batch it makes, and what it refuses."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedplate.assembly import knowledge
from bedplate.core.errors import UserError
from bedplate.planner.asking.questions import Finetune, Limits, Train
from bedplate.planner.asking.sizing import Design
from bedplate.planner.search import size
from bedplate.planner.search.layouts import BATCH_SLACK, batch_sequences, grid, micro_batches, stages

KNOWN = knowledge()
H100 = Limits(on=("H100-SXM5-80GB",), terms=("on-demand",))
LARGE = "Llama-3.1-70B"
SMALL = "Llama-3.1-8B"
DAY = 86_400.0


def best(question: Train | Finetune) -> Design:
    found = size(question, KNOWN).best
    assert found is not None
    return found


def limited(**limits: Any) -> Limits:
    return msgspec.structs.replace(H100, **limits)


@pytest.mark.parametrize("gpus", [96, 384, 640, 768, 1000, 1536])
def test_any_number_of_whole_nodes_has_a_layout_and_its_batch_is_near_the_wanted(gpus: int) -> None:
    layout = best(Train(model=LARGE, tokens=2e12, limits=limited(gpus=gpus))).layout
    assert layout.get("tp", 1) * layout.get("pp", 1) * layout.get("cp", 1) * layout["dp"] == gpus
    assert layout["batch_tokens"] == layout["dp"] * layout["micro_batch"] * layout["accumulation"] * 4096
    assert layout["batch_tokens"] == pytest.approx(2**22, rel=BATCH_SLACK)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 200))
def test_every_layout_uses_all_accelerators(nodes: int) -> None:
    arch = KNOWN.architecture(LARGE)
    found = grid(arch, 8 * nodes, 8, 8, 4096.0, 1024.0)
    assert np.asarray(found.chips) == pytest.approx(8 * nodes)
    assert np.asarray(found.batch) == pytest.approx(1024, rel=BATCH_SLACK)


def test_pipelines_have_a_power_of_two_of_stages_or_as_many_as_divide_the_layers() -> None:
    """126 layers over 48 accelerators: 1, 2, 3, 4, 6, 8, 16; 12, 24 and 48 divide no layers."""
    assert stages(126, 48) == [1, 2, 3, 4, 6, 8, 16]


def test_a_part_of_a_node_is_paid_for_whole() -> None:
    """6 of 8 take longer than all 8 and cost as much an hour."""
    hours = {n: best(Finetune(model=SMALL, limits=limited(on=("p5.48xlarge",), gpus=n))).quantities for n in (6, 8)}
    rate = {n: q["cost_usd"].value / q["time_s"].value for n, q in hours.items()}
    assert rate[6] == pytest.approx(rate[8])


def test_the_most_that_is_allowed_is_looked_at() -> None:
    assert best(Train(model=LARGE, tokens=2e12, limits=limited(max_gpus=1000, budget_usd=1e7))).n_accel == 1000


def test_the_usual_batch_follows_published_runs() -> None:
    """GPT-3 175B 3.2 M, Llama 2 70B 4 M, Llama 3 405B 16 M tokens."""
    tokens = {name: batch_sequences(Train(model=name, tokens=1e12), KNOWN.architecture(name)) * 4096 for name in (LARGE, "Llama-3.1-405B")}
    assert list(tokens.values()) == [2**22, 2**24]


def test_quantised_weights_take_a_quarter_of_the_memory() -> None:
    """16.1 GB in bf16; 8.03e9 x 0.52 B and 1.05e9 weights of embedding and head in bf16 make 5.8 GB."""

    def weights(method: Any) -> float:
        found = best(Finetune(model=SMALL, method=method, limits=limited(gpus=1)))
        return next(part.value for b in found.breakdowns if b.name == "memory" for part in b.parts if part.name == "weights")

    assert weights("lora") == pytest.approx(16.1e9, rel=0.02)
    assert weights("qlora") == pytest.approx(5.8e9, rel=0.05)


def test_adapters_of_a_70b_model_tune_on_one_card_when_quantised() -> None:
    assert best(Finetune(model=LARGE, method="qlora", limits=limited(gpus=1))).n_accel == 1


def test_plain_pytorch_shards_and_does_not_cut() -> None:
    layout = best(Finetune(model=LARGE, limits=limited(gpus=8))).layout
    assert (layout["dp"], layout["zero"]) == (8, 3)


def test_frozen_weights_have_no_gradient_to_count() -> None:
    """MFU counts 4 operations a weight and token, not 6 (two passes in place of three)."""
    found = best(Finetune(model=SMALL, seq_len=512, limits=limited(gpus=8))).quantities
    tokens = found["tokens_per_s"].value * 4 * 7.5e9
    assert found["mfu"].value == pytest.approx(tokens / 8 / 989e12, rel=0.03)


def test_a_chip_without_a_node_is_told_to_bring_one() -> None:
    """Only one of them can work on a job, and --systems takes the row that is missing."""
    nodes = {name: node for name, node in KNOWN.systems.nodes.items() if node.accelerator != "H800-SXM5-80GB"}
    alone = msgspec.structs.replace(KNOWN, systems=msgspec.structs.replace(KNOWN.systems, nodes=nodes))
    question = Train(model="DeepSeek-V3", tokens=1e12, limits=Limits(on=("H800-SXM5-80GB",), gpus=2048))
    assert size(question, KNOWN).best is not None
    with pytest.raises(UserError) as caught:
        size(question, alone)
    assert "no node of H800-SXM5-80GB" in caught.value.why
    assert "--systems FOLDER" in caught.value.next


REFUSED: dict[str, tuple[Train | Finetune, str]] = {
    "whole nodes": (Train(model=SMALL, tokens=1e9, limits=limited(gpus=12)), "--gpus 8"),
    "a batch of 16 sequences": (Train(model=SMALL, tokens=1e9, batch_tokens=65536, limits=limited(gpus=1024)), "--batch-tokens 4194304"),
    "multiplies fp8": (Train(model=SMALL, tokens=1e9, precision="fp8", limits=limited(on=("A100-SXM4-80GB",))), "--precision bf16"),
    "multiplies nvfp4": (Train(model=SMALL, tokens=1e9, precision="nvfp4", limits=H100), "--precision bf16"),
    "no precision to train in": (Train(model=SMALL, tokens=1e9, precision="fp32", limits=H100), "--precision bf16"),
    "'nf4' is no precision": (Finetune(model=SMALL, precision="nf4", limits=H100), "--method qlora"),
    "no training engine": (Train(model=SMALL, tokens=1e9, engine="pytorchx", limits=H100), "--engine pytorch"),
    "no export class": (Train(model=SMALL, tokens=1e9, limits=limited(export="3A09")), "--export 3A090"),
    "rank is 0": (Finetune(model=SMALL, rank=0, limits=H100), ""),
    "more than there is text": (Train(model=SMALL, tokens=1e30, limits=H100), ""),
    "by_s is 0": (Train(model=SMALL, tokens=1e9, limits=limited(by_s=0.0)), ""),
    "cannot be read": (Train(model=SMALL, tokens="2T", limits=H100), "numbers"),  # type: ignore[arg-type]
    "not trained on tokens": (Train(model="ViT-B/16", tokens=1e9, limits=H100), "--items"),
    "'ViT-B/16' is not trained": (Finetune(model="ViT-B/16", tokens=1e9, limits=H100), "bedplate size train --model ViT-B/16 --items"),
    "DLRM cannot be sized": (Train(model="DLRM", tokens=1e9, limits=H100), "list models"),
    "LightGBM-200 cannot be sized": (Train(model="LightGBM-200", items=1e9, limits=H100), "list models"),
    "no machine on offer joins 8": (
        Train(model="BERT-Base", tokens=1e9, limits=Limits(on=("a100",), gpus=8, providers=("verda",))),
        "--gpus 4",
    ),
    "not described layer by layer": (Train(model="ResNet-50", tokens=1e9, limits=H100), "--items"),
    "is not trained on images": (Train(model=SMALL, items=1e6, limits=H100), "--tokens"),
    "tokens to train on are missing": (Train(model=SMALL, limits=H100), "--tokens 2T"),
    "not on both": (Train(model="ResNet-50", tokens=1e9, items=1e6, limits=H100), "--tokens"),
    "too many": (Train(model="ViT-B/16", items=1e9, limits=limited(gpus=4096)), "--gpus 2048"),
    "nothing to train on": (Train(model="ResNet-50", items=1e6, epochs=0, limits=H100), "--epochs"),
}


@pytest.mark.parametrize("told", REFUSED)
def test_what_has_no_answer_is_refused_with_what_to_do(told: str) -> None:
    question, then = REFUSED[told]
    with pytest.raises(UserError) as caught:
        size(question, KNOWN)
    assert told in caught.value.what
    assert then in caught.value.next


def test_a_reservation_says_what_it_binds_to_and_a_purchase_what_it_takes() -> None:
    """16 nodes for a run of days: three years of them are committed, and an owner invests all of their price."""
    asked = {"gpus": 128, "on": ("p5.48xlarge",)}
    reserved = best(Train(model=SMALL, tokens=1e11, limits=limited(terms=("reserved-3y",), **asked))).quantities
    bought = best(Train(model=SMALL, tokens=1e11, limits=limited(terms=("buy",), **asked))).quantities
    whole = reserved["cost_usd"].value / reserved["time_s"].value * 3600 * 730 * 36
    assert reserved["commitment_usd"].value == pytest.approx(whole)
    assert bought["capex_usd"].value > 16 * 200_000
    assert "commitment_usd" not in bought
    assert "capex_usd" not in best(Train(model=SMALL, tokens=1e11, limits=limited(**asked))).quantities


def test_power_is_limited_by_the_most_that_may_be_drawn_not_by_the_mean() -> None:
    found = best(Train(model=SMALL, tokens=1e12, limits=limited(max_power_w=1e6))).quantities
    assert found["power_w"].value < found["power_max_w"].value <= 1e6


def test_synchronous_training_over_nodes_is_not_put_on_spot_unless_asked() -> None:
    limits = Limits(on=("H100-SXM5-80GB",), gpus=64)
    terms = {d.term for d in size(Train(model=SMALL, tokens=1e11, limits=limits), KNOWN).options}
    asked = {d.term for d in size(Train(model=SMALL, tokens=1e11, limits=limited(gpus=64, terms=("spot",))), KNOWN).options}
    assert (terms, asked) == ({"on-demand"}, {"spot"})


def test_short_sequences_go_together_in_a_micro_batch() -> None:
    assert micro_batches(8192.0) == [1, 2, 4]
    assert micro_batches(512.0) == [1, 2, 4, 8, 16, 32]


def test_without_a_limit_the_answer_is_no_waste() -> None:
    """Machines are added while they shorten the time more than they add to the bill: money counts twice."""
    free, few = (best(Train(model=LARGE, tokens=2e12, limits=limited(**more))).quantities for more in ({}, {"gpus": 64}))
    assert free["cost_usd"].value < 1.6 * few["cost_usd"].value
    assert free["time_s"].value < few["time_s"].value / 10


def test_a_sequence_beyond_the_context_that_fits_nowhere_is_told_the_context() -> None:
    with pytest.raises(UserError) as caught:
        size(Train(model=SMALL, tokens=1e12, seq_len=10_000_000, limits=H100), KNOWN)
    assert caught.value.next == "--seq-len 131072"


def test_a_deadline_is_kept_on_images_too() -> None:
    found = best(Train(model="ViT-L/14", items=14e6, epochs=90, limits=limited(by_s=DAY))).quantities
    assert found["time_s"].value <= DAY
