"""`bedplate size serve` and `batch` as a person types them: long prompts, exact counts, and what a question without an answer gets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Person

SERVE = ("size", "serve", "--model", "llama-3.1-8b", "--isl", "1000", "--osl", "200", "--rate", "4/s", "--on", "h100")
BATCH = ("size", "batch", "--model", "llama-3.1-8b", "--isl", "1000", "--osl", "200", "--requests", "1M", "--on", "h100")


@pytest.mark.bad_input("what cannot be served")
@pytest.mark.parametrize(
    ("words", "said", "then"),
    [
        (("--isl", "131000"), "more than the context of Llama-3.1-8B", "a lower --isl or --osl"),
        (("--engine", "vlm"), "there is no serving engine 'vlm'", "next: --engine vllm"),
        (("--model", "resnet-50"), "ResNet-50 does not write tokens", "bedplate size list models"),
        (("--rate", "1e12/s"), "rate is 1e+12", "more than any service has"),
        (("--months", "nan"), "months is nan", "must be more than nothing"),
        (("--model", "llama-3.1-70b", "--gpus", "7"), "cannot be spread over exactly 7 accelerators", "next: --gpus 6"),
    ],
)
def test_what_cannot_be_served_is_refused_with_what_to_type(someone: Person, words: tuple[str, ...], said: str, then: str) -> None:
    """In words, with exit code 2 and the next step."""
    error = someone.types(*SERVE, *words, code=2).stderr
    assert said in error
    assert then in error


def test_a_prompt_as_long_as_retrieval_makes_it_is_answered(someone: Person) -> None:
    best = someone.reads(*SERVE, "--model", "llama-3.1-70b", "--isl", "24000", "--osl", "300", "--rate", "1/s")["best"]
    assert best["quantities"]["ttft_s"]["value"] > 0.5


@pytest.mark.parametrize("question", [SERVE, BATCH], ids=["serve", "batch"])
def test_exactly_as_many_accelerators_as_were_typed(someone: Person, question: tuple[str, ...]) -> None:
    """Also a number that is no power of two."""
    assert someone.reads(*question, "--gpus", "24")["best"]["n_accel"] == 24


def test_machines_that_are_too_slow_are_named_and_not_listed(someone: Person) -> None:
    words = ("size", "serve", "--model", "llama-3.1-70b", "--isl", "2000", "--osl", "300", "--rate", "50/s", "--tpot", "30ms")
    said = someone.types(*words).stdout
    assert "keeps to the latency limits" in said
    assert "x (tp4) on L40S" not in said


def test_an_option_that_breaks_a_limit_says_so(someone: Person) -> None:
    words = ("size", "serve", "--model", "llama-3.1-70b", "--isl", "2000", "--osl", "300", "--rate", "50/s", "--on", "b200", "--on", "l40s")
    assert "breaks power" in someone.types(*words, "--max-power", "100kW").stdout
