"""`bedplate size --cases`: every line is answered or named, whatever stands in the others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bedplate.core.errors import UserError
from bedplate.interfaces.cli.size import answer_cases

GEMM = '{"id": "%s", "kind": "gemm", "accelerator": "H100-SXM5-80GB", "precision": "bf16", "shape_mnk": [4096, 4096, 4096]}'


def _answered(tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[dict[str, object]], str]:
    path = tmp_path / "cases.jsonl"
    path.write_text(text, encoding="utf-8")
    code = answer_cases(path, None)
    out, err = capsys.readouterr()
    return code, [json.loads(line) for line in out.splitlines()], err


@pytest.mark.parametrize(
    "broken",
    ["[" * 200_000, '{"id": "deep", "kind": "gemm", "config":' + "[" * 100_000 + "]" * 100_000 + "}", '{"id": NaN, "kind": 5}', "null"],
)
def test_a_line_that_is_no_case_leaves_the_others_answered(tmp_path: Path, broken: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, answers, _ = _answered(tmp_path, "\n".join([GEMM % "a", broken, GEMM % "b"]), capsys)
    assert code == UserError.exit_code
    kept = [one for one in answers if "tflops" in one]
    assert [one["id"] for one in kept] == ["a", "b"]


def test_only_a_line_feed_ends_a_line_and_a_mark_of_byte_order_is_none_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, answers, _ = _answered(tmp_path, "\ufeff" + GEMM % "x\u2028y\x85z", capsys)
    assert (code, [one["id"] for one in answers]) == (0, ["x\u2028y\x85z"])


def test_an_id_that_two_lines_claim_is_answered_twice_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, answers, err = _answered(tmp_path, "\n".join([GEMM % "a", GEMM % "a"]), capsys)
    assert (code, len(answers)) == (0, 2)
    assert "line 2: 'a' is the id of line 1 too" in err
