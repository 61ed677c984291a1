"""`bedplate size` as a person types it: answers, files, and what a mistake gets."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Person

RUN = ("size", "train", "--model", "llama-3.1-70b", "--tokens", "2T", "--seq-len", "8192", "--on", "h100")
SERVE = ("size", "serve", "--model", "llama-3.1-8b", "--isl", "1000", "--osl", "200", "--rate", "4/s", "--on", "h100")
CHIP = "name,vendor,mem_gb,mem_gbs,tdp_w,tflops.bf16,scaleup_gbs,scaleup_domain,source,as_of\n"
NODE = "name,provider,accelerator,n_accel,nic_gbps,nic_count,max_power_kw,cooling,source\nacme-8,acme,MyChip,8,3200,8,8.5,air,mine\n"
PRICE = "name,provider,accelerator,n_accel,region,on_demand,source,as_of\nacme-8,acme,MyChip,8,EU,20,mine,2026-11\n"
QUESTIONS = {
    "train": (*RUN, "--by", "30d"),
    "finetune": ("size", "finetune", "--model", "qwen3-14b", "--on", "h100", "--max-gpus", "16"),
    "serve": SERVE,
    "batch": ("size", "batch", "--model", "llama-3.1-8b", "--isl", "1000", "--osl", "200", "--requests", "1M", "--on", "h100"),
    "site": ("size", "site", "--node", "dgx-h100", "--nodes", "16"),
    "cost": ("size", "cost", "--node", "p5.48xlarge", "--utilisation", "60%"),
}


class Outside(HTMLParser):
    """What a page would load or run."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "link", "img", "iframe") or any(name in ("src", "href", "onclick") for name, _ in attrs):
            self.found.append(tag)
        if tag not in ("meta", "rect", "line", "circle", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("rect", "line", "circle"):
            assert self.open.pop() == tag


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_is_answered_on_the_terminal_as_json_as_a_page_and_as_a_report(someone: Person, name: str) -> None:
    """The four say the same best design; the page is whole and loads nothing, the report traces every number."""
    found = json.loads(someone.types(*QUESTIONS[name], "--json", "--html", "page.html", "--report", "report.md").stdout)
    best = found["best"]["name"]
    assert best in someone.types(*QUESTIONS[name]).stdout
    page, report = (someone.folder / "page.html").read_text(), (someone.folder / "report.md").read_text()
    outside = Outside()
    outside.feed(page)
    assert (outside.found, outside.open) == ([], [])
    assert best in page
    assert all(one["source"].split("&")[0].split("'")[0] in page for one in found["assumptions"])
    marks, notes = set(re.findall(r"\[\^(\d+)\](?!:)", report)), set(re.findall(r"^\[\^(\d+)\]:", report, re.MULTILINE))
    assert marks == notes != set()
    headings = ["Goals", "Workload", "Options", "Choice", "Risks", "Cost by month", "Time line", "What every number rests on"]
    assert re.findall(r"^## (.+)$", report, re.MULTILINE) == headings


def test_ranges_hold_their_value_and_parts_add_up(someone: Person) -> None:
    best = someone.reads(*RUN, "--by", "30d")["best"]
    assert all(one["low"] <= one["value"] <= one["high"] for one in best["quantities"].values())
    step = next(one for one in best["breakdowns"] if one["name"] == "step")
    assert sum(part["value"] for part in step["parts"]) == pytest.approx(best["quantities"]["step_time_s"]["value"], rel=0.01)


def test_cases_are_answered_line_by_line(someone: Person) -> None:
    """A case that there is no model for says why; a line that is no case is named, with exit code 2."""
    lines = ['{"id": "a", "kind": "gemm", "accelerator": "h100", "shape_mnk": [8192, 8192, 8192], "precision": "bf16"}']
    lines += ['{"id": "b", "kind": "train_step", "accelerator": "abacus"}', "no case"]
    (someone.folder / "cases.jsonl").write_text("\n".join(lines))
    done = someone.types("size", "--cases", "cases.jsonl", code=2)
    first, second = (json.loads(line) for line in done.stdout.splitlines())
    assert first["tflops"]["low"] < first["tflops"]["value"] < first["tflops"]["high"]
    assert (second["id"], "abacus" in second["unsupported"] or "model" in second["unsupported"]) == ("b", True)
    assert "cases.jsonl, line 3" in done.stderr


@pytest.mark.bad_input("a model that is not known")
def test_an_unknown_model_is_answered_with_the_nearest_names(someone: Person) -> None:
    """The nearest names, and where to look for all of them."""
    said = someone.types("size", "train", "--model", "lama-3.1-70", "--tokens", "2T", code=2).stderr
    assert "there is no model 'lama-3.1-70'" in said
    assert "Llama-3.1-70B" in said
    assert "next: bedplate size list models" in said


@pytest.mark.bad_input("a machine that is not known")
def test_an_unknown_machine_is_answered_with_the_nearest_names(someone: Person) -> None:
    """The nearest names, of accelerators as of nodes."""
    said = someone.types(*RUN[:-1], "h1000", code=2).stderr
    assert "there is no accelerator 'h1000'" in said
    assert "H100-SXM5-80GB" in said
    assert "there is no node 'dgx-q100'" in someone.types("size", "cost", "--node", "dgx-q100", code=2).stderr


@pytest.mark.bad_input("a quantity without its unit")
@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("--by", "30"), "write '20 ms', '5 min' or '1 day'"),
        (("--max-power", "2"), "write '2 MW' or '30 kW'"),
        (("--tokens", "2X"), "write '2T' or '4096'"),
        (("--budget", "plenty"), "write '2T' or '4096'"),
    ],
)
def test_a_quantity_without_its_unit_is_answered_with_one_that_has_it(someone: Person, words: tuple[str, str], hint: str) -> None:
    """The option, what was typed, and how it is written."""
    said = someone.types(*RUN, *words, code=2).stderr
    assert f"'{words[0]}'" in said
    assert hint in said


def test_a_rate_needs_its_time(someone: Person) -> None:
    assert "'40' is not a rate: write '40/s'" in someone.types(*SERVE, "--rate", "40", code=2).stderr


@pytest.mark.bad_input("a precision that is not there")
def test_an_unknown_precision_is_answered_with_those_there_are(someone: Person) -> None:
    """All of them, and the nearest to type."""
    said = someone.types(*RUN, "--precision", "fp7", code=2).stderr
    assert "there is no precision 'fp7'" in said
    assert "nvfp4" in said


@pytest.mark.bad_input("limits that contradict each other")
def test_limits_that_contradict_each_other_are_named_alone(someone: Person) -> None:
    """The smallest set that no design meets, nothing that could be met, and how far off the nearest design is; exit code 5."""
    found = someone.reads(*RUN, "--by", "90d", "--budget", "10k", "--max-power", "50MW", code=5)
    assert found["best"] is None
    assert len(found["conflict"]) == 1
    assert found["conflict"][0].startswith("budget: at most 10,000 USD (the least")
    both = someone.reads(*RUN, "--by", "6d", "--max-gpus", "1024", "--budget", "90M", code=5)["conflict"]
    assert [one.split(":")[0] for one in both] == ["deadline", "accelerators"]


@pytest.mark.bad_input("what cannot train")
@pytest.mark.parametrize(
    ("words", "then"),
    [
        (("--gpus", "12"), "--gpus 8"),
        (("--precision", "int4"), "--precision bf16"),
        (("--precision", "nvfp4"), "--precision bf16"),
        (("--engine", "pytorchx"), "--engine pytorch"),
        (("--export", "3A09"), "--export 3A090"),
        (("--by", "0d"), ""),
        (("--model", "vit-b/16"), "--items 1.28M --epochs 90"),
    ],
)
def test_what_cannot_train_is_refused_with_what_to_type(someone: Person, words: tuple[str, str], then: str) -> None:
    """A number of accelerators, a precision, an engine, a class, a time, a model: never answered with something else."""
    assert then in someone.types(*RUN, *words, code=2).stderr


def test_any_number_of_whole_nodes_trains_and_the_batch_is_shown(someone: Person) -> None:
    best = someone.reads(*RUN, "--gpus", "1000")["best"]
    assert best["n_accel"] == 1000
    assert best["layout"]["batch_tokens"] == pytest.approx(2**22, rel=0.125)


def test_images_are_trained_on_by_item(someone: Person) -> None:
    """ResNet-50, 90 epochs on 8 A100: about 3 hours, 16,621 images a second (DeepLearningExamples)."""
    words = ("size", "train", "--model", "resnet-50", "--items", "1.28M", "--epochs", "90", "--on", "a100", "--gpus", "8")
    rate = someone.reads(*words)["best"]["quantities"]["items_per_s"]
    assert rate["low"] < 16_621 < rate["high"]


@pytest.mark.bad_input("a model that fits nowhere")
def test_a_model_that_fits_nowhere_is_told_what_would_hold_it(someone: Person) -> None:
    """What it needs, and how many of the machines that were named would hold it."""
    words = ("size", "train", "--model", "llama-3.1-405b", "--tokens", "2T", "--on", "T4", "--gpus", "1")
    said = someone.types(*words, code=2).stderr
    assert "fits no machine within these limits" in said
    assert re.search(r"take [\d,]+ GB.*: \d+ x T4 would hold", said)


@pytest.mark.bad_input("a broken row of the catalogue")
@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("MyChip,acme,lots,3000,500,500,300,8,mine,2026-11", "mem_gb: 'lots' is not a number"),
        ("MyChip,acme,-96,3000,500,500,300,8,mine,2026-11", "mem_gb"),
    ],
    ids=["no number", "below nothing"],
)
def test_a_broken_row_is_named_by_file_line_and_field(someone: Person, row: str, said: str) -> None:
    """File, line and field, and the row's name."""
    _rows(someone.folder, CHIP + row + "\n")
    error = someone.types("size", "--systems", "mine", "list", "accelerators", code=2).stderr
    assert "accelerators.csv, line 2" in error
    assert said in error
    assert "MyChip" in error


@pytest.mark.bad_input("a broken row of the catalogue")
def test_a_folder_or_file_of_rows_that_nobody_would_read_is_refused(someone: Person) -> None:
    """A folder that is not there, and a misspelt file in it, with the name that was meant."""
    assert "nowhere is no folder" in someone.types("size", "--systems", "nowhere", "list", "links", code=2).stderr
    _rows(someone.folder, "")
    (someone.folder / "mine" / "accelerator.csv").write_text(CHIP)
    assert "did you mean accelerators.csv?" in someone.types("size", "--systems", "mine", "list", "links", code=2).stderr


@pytest.mark.bad_input("a machine that was never measured")
def test_a_machine_that_was_never_measured_gets_a_wide_range_and_a_warning(someone: Person) -> None:
    """A wider range than a machine with measured runs, and a warning in words."""
    _rows(someone.folder, CHIP + "MyChip,acme,96,3000,500,500,300,8,mine,2026-11\n", NODE, PRICE)
    words = ("train", "--model", "llama-3.1-8b", "--tokens", "100B", "--gpus", "64")
    mine = someone.reads("size", "--systems", "mine", *words, "--on", "mychip")
    known = someone.reads("size", *words, "--on", "h100")
    assert _width(mine) > 1.5 * _width(known)
    assert any("no run on MyChip was ever compared" in one for one in mine["warnings"])
    assert "! no run on MyChip" in someone.types("size", "--systems", "mine", *words, "--on", "mychip").stdout


def test_a_page_that_cannot_be_written_says_so(someone: Person) -> None:
    said = someone.types(*QUESTIONS["cost"], "--html", "nowhere/page.html", code=2).stderr
    assert "nowhere/page.html cannot be written" in said


def _width(found: dict[str, dict[str, dict[str, dict[str, float]]]]) -> float:
    time = found["best"]["quantities"]["time_s"]
    return time["high"] / time["low"] - 1


def _rows(folder: Path, chips: str, nodes: str = "", prices: str = "") -> None:
    (folder / "mine").mkdir()
    for name, text in (("accelerators", chips), ("nodes", nodes), ("prices", prices)):
        if text:
            (folder / "mine" / f"{name}.csv").write_text(text)


def test_the_same_answer_from_python(someone: Person) -> None:
    """`bedplate.size` with a question record gives what the command prints."""
    code = 'import bedplate; print(bedplate.size(bedplate.Cost(node="p5.48xlarge", utilisation=0.6)).best.name)'
    done = subprocess.run([sys.executable, "-c", code], cwd=someone.folder, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == someone.reads(*QUESTIONS["cost"])["best"]["name"]
