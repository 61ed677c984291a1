"""A case whose numbers cannot be is answered `unsupported` with the field's name; none of them brings down the file it stands in."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from bedplate.assembly import knowledge
from bedplate.planner.answering import answer
from bedplate.planner.facts.cases import Answer, Case, Unsupported
from bedplate.planner.facts.estimate import exact
from bedplate.planner.facts.sane import finite

STEP = {"id": "s", "kind": "train_step", "model": {"name": "Llama-3.1-8B"}, "accelerator": "H100-SXM5-80GB", "n_accel": 8, "seq_len": 4096,
        "gbs": 128, "mbs": 1, "engine": "megatron", "precision": "bf16"}  # fmt: skip
POINT = {"id": "p", "kind": "serve_point", "model": {"name": "Llama-3.1-8B"}, "accelerator": "H100-SXM5-80GB", "n_accel": 1,
         "isl": 1000, "osl": 100, "concurrency": 8, "engine": "vllm", "precision": "bf16"}  # fmt: skip
RING = {"id": "r", "kind": "collective", "accelerator": "H100-SXM5-80GB", "n_accel": 8, "bytes": 1e8}


def _said(case: dict[str, Any]) -> str:
    return answer(msgspec.convert(case, Case), knowledge(None)).unsupported


@pytest.mark.parametrize("case", [STEP, POINT, RING], ids=lambda case: str(case["kind"]))
def test_numbers_that_can_be_are_answered(case: dict[str, Any]) -> None:
    assert _said(case) == ""


@pytest.mark.parametrize(
    ("case", "changed", "field"),
    [
        (STEP, {"gbs": 0}, "gbs is 0"), (STEP, {"seq_len": -1}, "seq_len is -1"), (STEP, {"mbs": 1e300}, "mbs is 1e+300"),
        (STEP, {"n_accel": 10**18}, "n_accel is 1e+18"), (STEP, {"parallel": {"tp": -1}}, "parallel.tp is -1"),
        (STEP, {"accelerator_overrides": {"mem_gb": 0}}, "accelerator_overrides.mem_gb is 0"),
        (STEP, {"model": {"name": "Llama-3.1-8B", "n_layers": 10**9}}, "model.n_layers is 1e+09"),
        (STEP, {"model": {"name": "Llama-3.1-8B", "d_model": 2}}, "of width 2 has no 32 heads"),
        (STEP, {"model": {"name": "MPT-13B", "n_layers": 40, "d_model": 1, "n_heads": 40}}, "of width 1 has no 40 heads"),
        (POINT, {"isl": math.inf}, "isl is inf"), (POINT, {"osl": math.nan}, "osl is nan"),
        (POINT, {"concurrency": -8}, "concurrency is -8"),
        (RING, {"bytes": -1}, "bytes is -1"), (RING, {"n_accel": 1}, "one accelerator exchanges nothing"),
    ],
    ids=str,
)  # fmt: skip
def test_a_number_that_cannot_be_is_named(case: dict[str, Any], changed: dict[str, Any], field: str) -> None:
    assert field in _said(case | changed)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_no_answer_holds_what_is_no_number(value: float) -> None:
    with pytest.raises(Unsupported, match="step_time_s"):
        finite(Answer(id="a", quantities={"step_time_s": exact(value)}))
