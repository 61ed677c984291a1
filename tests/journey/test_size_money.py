"""`bedplate size cost` and `size site` as a person types them: what is refused, and what terminal, page and report agree on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Person

COST = ("size", "cost", "--node", "p5.48xlarge")
SITE = ("size", "site", "--node", "dgx-h100", "--nodes", "16")


@pytest.mark.bad_input("what cannot be paid or housed")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((*COST, "--count", "0"), "no machines"),
        ((*COST, "--months", "nan"), "months is nan"),
        ((*COST, "--months", "inf"), "months is inf"),
        ((*COST, "--egress-tb-month=-500"), "egress"),
        ((*COST, "--storage-tb=-200"), "storage"),
        ((*COST, "--region", "mars"), "no region 'mars'"),
        ((*COST, "--gpus", "8"), "No such option"),
        ((*SITE, "--region", "mars"), "no region 'mars'"),
        ((*SITE, "--rack-kw", "5"), "--retrofit"),
    ],
    ids=lambda value: "_".join(value[-2:]) if isinstance(value, tuple) else None,
)
def test_what_cannot_be_paid_or_housed_is_refused_in_words(someone: Person, words: tuple[str, ...], said: str) -> None:
    """No machines, no time, less than no data, nowhere, an option without effect: each with the next step."""
    error = someone.types(*words, code=2).stderr
    assert said in error
    assert "next:" in error


@pytest.mark.bad_input("what cannot be paid or housed")
def test_an_empty_load_is_refused_and_a_load_is_answered_on_paper(someone: Person) -> None:
    """A load file without a number; one with them has a page and a report."""
    (someone.folder / "empty.txt").write_text("")
    assert "no number" in someone.types(*COST, "--load", "empty.txt", code=2).stderr
    (someone.folder / "hours.txt").write_text("2\n" * 16 + "8\n" * 8)
    rented = ("--term", "on-demand", "--term", "reserved-1y")
    asked = (*COST, *rented, "--load", "hours.txt", "--json", "--html", "page.html", "--report", "report.md")
    found = json.loads(someone.types(*asked).stdout)
    assert found["best"]["term"] == "mix"
    for page in ("page.html", "report.md"):
        assert found["best"]["name"] in (someone.folder / page).read_text()
        assert "24 values" in (someone.folder / page).read_text()


@pytest.mark.parametrize("words", [COST, SITE, (*COST, "--utilisation", "20%"), ("size", "cost", "--node", "dgx-h200", "--count", "16")])
def test_the_report_recommends_what_the_terminal_shows(someone: Person, words: tuple[str, ...]) -> None:
    """The report's first line names the design, and both its money."""
    first = someone.types(*words, "--report", "report.md").stdout.splitlines()[0].split("  ")[0]
    best = someone.reads(*words)["best"]
    assert best["name"] == first
    assert f"{first}, {best['provider']}" in (someone.folder / "report.md").read_text().split("## Goals")[0]


def test_a_site_houses_what_another_answer_chose(someone: Person) -> None:
    """`size train --json` says which nodes and how many; `size site --from` takes them; a file that is no answer is refused."""
    answer = someone.types(
        "size", "train", "--model", "llama-3.1-70b", "--tokens", "2T", "--on", "dgx-h100", "--gpus", "512", "--json"
    ).stdout
    (someone.folder / "plan.json").write_text(answer)
    housed = json.loads(someone.types("size", "site", "--from", "plan.json", "--json").stdout)
    assert (housed["question"]["node"], housed["question"]["nodes"]) == ("DGX-H100", 64)
    (someone.folder / "other.json").write_text("[1, 2]")
    assert "no answer of size" in someone.types("size", "site", "--from", "other.json", code=2).stderr
    assert "--from FILE" in someone.types("size", "site", code=2).stderr
