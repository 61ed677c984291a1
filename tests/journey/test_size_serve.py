"""`bedplate size serve` and `batch` as a person types them: long prompts, exact counts, and what a question without an answer gets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Person

SERVE = ("size", "serve", "--model", "llama-3.1-8b", "--isl", "1000", "--osl", "200", "--rate", "4/s", "--on", "h100")
BATCH = ("size", "batch", "--model", "llama-3.1-8b", "--isl", "1000", "--osl", "200", "--requests", "1M", "--on", "h100")


FLUX = ("size", "serve", "--model", "flux.1-dev", "--rate", "2/s", "--on", "h100")


@pytest.mark.bad_input("what cannot be served")
@pytest.mark.parametrize(
    ("words", "said", "then"),
    [
        (("--isl", "131000"), "more than the context of Llama-3.1-8B", "a lower --isl or --osl"),
        (("--engine", "vlm"), "there is no serving engine 'vlm'", "next: --engine vllm"),
        (("--model", "whisper"), "Whisper-Large-v3 does not write tokens", "bedplate size list models"),
        (("--rate", "1e12/s"), "rate is 1e+12", "more than any service has"),
        (("--months", "nan"), "months is nan", "it must be a number"),
        (("--model", "llama-3.1-70b", "--gpus", "7"), "cannot be spread over exactly 7 accelerators", "next: --gpus 6"),
        (("--draft", "mtp"), "Llama-3.1-8B drafts no tokens of its own", "--draft with a small model of its family"),
        (("--draft", "qwen3-0.6b"), "Qwen3-0.6B cannot draft for Llama-3.1-8B", "--draft with a small model of its family"),
        (("--length-cv", "-1"), "length_cv is -1", "lengths scatter by 0 (all alike)"),
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


def test_images_are_sized_as_a_service_and_as_a_batch(someone: Person) -> None:
    """A size, steps and a latency as one types them; the same images offline take fewer accelerators a thousand of them."""
    asked = ("--resolution", "1024x1024", "--steps", "28")
    online = someone.reads(*FLUX, "--latency", "15s", *asked)["best"]
    offline = someone.reads("size", "batch", "--model", "flux.1-dev", "--items", "1M", "--on", "h100", "--gpus", "64", *asked)["best"]
    assert online["quantities"]["latency_p99_s"]["value"] <= 15
    assert online["quantities"]["usd_per_thousand_items"]["value"] > offline["quantities"]["usd_per_thousand_items"]["value"] > 0
    said = someone.types(*FLUX, "--latency", "15s", *asked).stdout
    assert all(words in said for words in ("latency, 99 %", "a thousand items", "energy of an item", "decoding to pixels", "the runner-up"))


@pytest.mark.bad_input("what cannot be served")
@pytest.mark.parametrize(
    ("words", "said", "then"),
    [
        (("--ttft", "1s"), "--ttft does not belong to FLUX.1-dev", "leave out --ttft"),
        (("--frames", "61"), "FLUX.1-dev makes single images", "leave out --frames"),
        (("--resolution", "large"), "'large' is no size of a picture", ""),
        (("--model", "xgboost"), "trees run on processors", "bedplate size list models"),
        (("--model", "llama-3.1-8b"), "tokens of a prompt and of an answer", "--isl 1000 --osl 200"),
    ],
)
def test_an_option_of_another_kind_of_model_is_refused(someone: Person, words: tuple[str, ...], said: str, then: str) -> None:
    error = someone.types(*FLUX, *words, code=2).stderr
    assert said in error
    assert then in error


def test_a_vision_training_run_says_what_its_storage_must_read(someone: Person) -> None:
    """A thousand H100 on a slow file system: the wait is in the step, and named."""
    run = ("size", "train", "--model", "resnet-50", "--items", "1B", "--epochs", "10", "--on", "h100", "--gpus", "1024")
    said = someone.types(*run, "--item-bytes", "400KB", "--storage-gbs", "200").stdout
    assert all(words in said for words in ("waiting for the storage", "storage, reading", "data-parallel communication that shows", "LARS"))


def test_percentiles_of_the_choice_are_simulated_beside_the_closed_form(someone: Person) -> None:
    """The JSON, the terminal and the page say the same 99th percentile, and it keeps to the limit."""
    words = (*SERVE, "--rate", "40/s", "--ttft", "400ms", "--tpot", "25ms")
    found = someone.reads(*words, "--html", "page.html")
    best = found["best"]
    simulated = best["simulated"]
    assert best["layout"]["instances"] == simulated["instances"] >= simulated["asked"]
    for name, limit in (("ttft", 0.4), ("tpot", 0.025)):
        times = simulated[f"{name}_s"]
        assert times["p50"] <= times["p90"] <= times["p99"] == best["quantities"][f"{name}_p99_s"]["value"] <= limit
        assert times["mean"] == best["quantities"][f"{name}_s"]["value"] >= 0.8 * simulated["closed_form"][f"{name}_s"] > 0
    said, page = someone.types(*words).stdout, (someone.folder / "page.html").read_text()
    tail = f"{simulated['ttft_s']['p99'] * 1e3:.0f} ms"
    assert "requests that wait" in said
    assert "closed form: mean" in said
    assert "How long requests wait" in page
    assert tail in said
    assert tail in page


def test_equal_questions_have_equal_answers(someone: Person) -> None:
    """The simulated requests are the same ones."""
    assert someone.types(*SERVE, "--json").stdout == someone.types(*SERVE, "--json").stdout


def test_lengths_that_are_all_alike_wait_less(someone: Person) -> None:
    tails = [someone.reads(*SERVE, "--length-cv", cv)["best"]["simulated"]["ttft_s"]["p99"] for cv in ("0", "1")]
    assert tails[0] < tails[1]


def test_drafts_shorten_a_token_and_the_answer_says_what_they_bought(someone: Person) -> None:
    words = (*SERVE, "--model", "llama-3.1-70b", "--rate", "1/s", "--tpot", "25ms")
    plain, drafting = someone.reads(*words), someone.reads(*words, "--draft", "llama-3.2-1b", "--acceptance", "0.8", "--draft-tokens", "3")
    assert drafting["best"]["layout"]["tokens a step"] == 2.95
    assert any(told.startswith("without drafts") for told in drafting["reasons"])
    assert drafting["best"]["quantities"]["cost_usd"]["value"] <= plain["best"]["quantities"]["cost_usd"]["value"]
    assert "drafting" in {part["name"] for one in drafting["best"]["breakdowns"] for part in one["parts"]}


def test_a_model_s_own_block_drafts_and_prefixes_are_found(someone: Person) -> None:
    words = (*BATCH, "--model", "deepseek-v3", "--isl", "2000", "--gpus", "16")
    cold, warm = (someone.reads(*words, "--draft", "mtp", "--prefix-hit", hit)["best"]["quantities"] for hit in ("0", "90%"))
    assert warm["time_s"]["value"] < cold["time_s"]["value"]
