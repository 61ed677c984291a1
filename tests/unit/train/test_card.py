"""The model card says what the record holds, and lists what it does not."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from bedplate.catalog.lineage import Edge, Lineage, SourceEdge
from bedplate.core.check import Check
from bedplate.core.model import Field, Signature
from bedplate.core.records import Attempt, KeyParts, Part, Promotion, Run, Step, Usage, Verdict, Version
from bedplate.core.sources import Entry
from bedplate.stages.train import Facts, card
from bedplate.storage.flavours import Stored

AT = datetime(2026, 11, 21, 12, 30, tzinfo=UTC)

VERSION = Version(
    artifact="late", kind="model", digest="sha256:" + "ab" * 32, size_bytes=123_456, number=7, created_at=AT, attempt="a-1",
    meta={"describe": {"class": "lightgbm.Booster", "trees": 200}, "metrics": {"auc": 0.73456789}},
)  # fmt: skip
FULL = Facts(
    version=VERSION,
    stored=Stored(
        flavour="lightgbm",
        library="polars",
        signature=Signature(
            (Field("carrier", "BYTES", tuple(f"C{n}" for n in range(12))), Field("a|b", "FP64")),
            (Field("prediction", "FP64", ("no", "yes")),),
        ),
        example=[{"carrier": "C1", "a|b": 0.5}],
    ),
    run=Run(id="r-1", project="flights", target="local", command="bedplate run", started_at=AT, git_commit="c0ffee" * 7, host="here"),
    attempt=Attempt(
        id="a-1", run="r-1", step="late", started_at=AT,
        usage=Usage(wall_s=90.0, cpu_s=170.0, peak_bytes=2 * 10**9, energy_joules=5850.0, energy_basis="assumed", cost_usd=0.25),
    ),
    step=Step(
        run="r-1", name="late",
        key_parts=KeyParts(
            code=(
                Part(name="flights.py:late", digest="sha256:" + "12" * 32, file="flights.py", line=40),
                Part(name="flights.py:pl", digest="sha256:" + "34" * 32, file="flights.py", line=3, imports="polars"),
            ),
            settings={"num_leaves": 31},
            packages={"lightgbm": "4.7.0"}, python="3.11",
        ),
    ),
    description="Says whether a flight will be late.",
    metrics={"rows": 1000.0},
    params={"objective": "binary"},
    lineage=Lineage(
        version=VERSION,
        upstream=(
            Edge(upstream="departures@3", downstream="late@7", parameter="departures", attempt="a-1"),
            Edge(upstream="raw@1", downstream="departures@3", parameter="raw", attempt="a-0"),
        ),
        sources=(SourceEdge(downstream="raw@1", parameter="source", entries=(Entry("a.csv", "/a.csv", 3_000_000, "1"),)),),
    ),
    verdicts=(Verdict(check="good", check_version=2, model="late", model_version=7, passed=True, promotes="production", at=AT),),
    checks={"good@2": Check.at_least("auc", {"EWR": 0.74}, 0.7)},
    aliases=("production",),
    history=(
        Promotion(model="late", alias="production", version=5, at=AT),
        Promotion(model="late", alias="production", version=7, before=5, at=AT, reason="passed good"),
    ),
)  # fmt: skip


def test_the_card_holds_what_the_record_holds():
    """Identity, signature, example, metrics, verdicts with findings, inputs, sources, code, packages, moves, use with its basis."""
    text = card(FULL)
    for line in (
        "# late@7",
        "now `production`",
        "Says whether a flight will be late.",
        "- Class: lightgbm.Booster",
        "- Code: c0ffeec0ffee",
        "| carrier | text | C0, C1, C2, C3, C4, C5, C6, C7 and 4 more |",
        "| a\\|b | float64 |  |",
        "| prediction | float64 | no, yes |",
        'model = bedplate.open(".")["late"].load(version=7)',
        'model.predict({"carrier": "C1", "a|b": 0.5})',
        "| auc | 0.734568 |",
        "| rows | 1000 |",
        "**good@2 passed**, 2026-11-21 12:30 UTC",
        "- pass auc[EWR] = 0.74 (>= 0.7)",
        "| departures | departures@3 |",
        "| raw@1 | source | 1 | 3.0 MB |",
        "| num_leaves | 31 |",
        "| objective | binary |",
        "| late | flights.py:40 | 1212121212 |",
        "Python 3.11; lightgbm 4.7.0. It imports `polars`.",
        "Python 3.11; lightgbm 4.7.0.",
        "| 2026-11-21 12:30 UTC | production | promoted to 7 from 5 by verdict | passed good |",
        "- Energy: 1.6 Wh (assumed)",
        "- Time: 90.0 s",
        "- Cost: 0.2500 USD",
    ):
        assert line in text
    assert "raw@1 |\n" not in text.split("| source of")[0]
    assert text.endswith("\n")


def test_a_remote_model_says_where_it_is():
    there = {"address": "http://triton.internal:8000/v2/models/late", "platform": "onnxruntime_onnx", "versions": ["3"]}
    remote = msgspec.structs.replace(FULL, version=msgspec.structs.replace(VERSION, meta={"describe": there}))
    assert "- Where: http://triton.internal:8000/v2/models/late (onnxruntime_onnx)" in card(remote)
    assert "- Where:" not in card(FULL)


def test_what_is_missing_is_listed_and_what_is_there_is_not():
    """A card of a bare record admits it; a card of a full one keeps what no record can know."""
    bare = msgspec.structs.replace(
        FULL, run=msgspec.structs.replace(FULL.run, git_commit=""), attempt=msgspec.structs.replace(FULL.attempt, usage=Usage()),
        version=msgspec.structs.replace(VERSION, meta={}), description="", metrics={}, params={}, lineage=None, verdicts=(), checks={},
        history=(), aliases=(), step=None,
    )  # fmt: skip
    gaps = card(bare).split("## What is not known")[1]
    for words in (
        "has no docstring",
        "no check has judged",
        "no metric",
        "not in git",
        "no meter",
        "no source file",
        "Whom the data describes",
    ):
        assert words in gaps
    gaps = card(FULL).split("## What is not known")[1]
    assert gaps.count("\n- ") == 3
    assert "assumed power" in gaps


def test_uncommitted_changes_and_unsliced_checks_are_admitted():
    """Partial knowledge is said to be partial."""
    facts = msgspec.structs.replace(
        FULL, run=msgspec.structs.replace(FULL.run, git_dirty=True), checks={"good@2": Check.at_least("auc", float("nan"), 0.7)}
    )
    text = card(facts)
    assert "c0ffeec0ffee with uncommitted changes" in text
    assert "- FAIL auc = not a number (>= 0.7)" in text
    gaps = text.split("## What is not known")[1]
    assert "there were uncommitted changes" in gaps
    assert "no check compared slices" in gaps
