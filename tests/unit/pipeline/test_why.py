"""Why a step runs, in words: each sort of difference, by name and place."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from bedplate.core.records import KeyParts, Part
from bedplate.core.sources import Entry
from bedplate.pipeline.code.closure import key
from bedplate.pipeline.why import FIRST, explain, gone, sentence

BEFORE = KeyParts(
    code=(
        Part(name="flow.py:late", digest="sha256:a", file="flow.py", line=12),
        Part(name="helpers.py:clean", digest="sha256:b", file="helpers.py", line=3),
        Part(name="helpers.py", digest="sha256:c", file="helpers.py", line=1),
    ),
    inputs={"departures": "sha256:d1"},
    versions={"departures": "departures@3"},
    sources={"files": "sha256:0123456789abc"},
    settings={"leaves": 31},
    packages={"polars": "2.1.0"},
    python="3.11",
    kinds={"table": 1},
)

CHANGES: list[tuple[str, dict[str, Any], str, str]] = [
    ("code", {"code": ("helpers.py:clean", "sha256:z", 4)}, "code", "clean changed (helpers.py:4)"),
    ("module", {"code": ("helpers.py", "sha256:z", 1)}, "code", "module helpers.py changed (helpers.py:1)"),
    ("new code", {"code": ("flow.py:extra", "sha256:z", 9)}, "code", "extra is used now (flow.py:9)"),
    ("import", {"code": ("flow.py:<import>", "sha256:z", 2)}, "code", "what importing flow.py does is used now (flow.py:2)"),
    ("decorator", {"code": ("flow.py:late<decorator>", "sha256:z", 2)}, "code", "the decorator of late is used now (flow.py:2)"),
    (
        "input", {"inputs": {"departures": "sha256:d2"}, "versions": {"departures": "departures@4"}},
        "input", "input departures: departures@3 -> departures@4",
    ),
    ("input content", {"inputs": {"departures": "sha256:d2"}}, "input", "input departures: departures@3 has other content (d1 -> d2)"),
    ("absent input", {"inputs": {"departures": ""}, "versions": {"departures": ""}}, "input", "departures@3 -> absent"),
    ("no input", {"inputs": {}, "versions": {}}, "input", "input departures is gone: it was departures@3"),
    ("source", {"sources": {"files": "sha256:fff"}}, "source", "source files: 0123456789 -> fff"),
    ("setting", {"settings": {"leaves": 63}}, "setting", "setting leaves: 31 -> 63"),
    ("new setting", {"settings": {"leaves": 31, "rate": None, "x": "a"}}, "setting", "setting x: none -> 'a'"),
    (
        "features", {"settings": {"leaves": 31, "features habit": {"window_s": 60.0, "time": "at"}}},
        "setting", "how habit is looked up: time none -> 'at', window none -> 60 s",
    ),
    ("package", {"packages": {"polars": "2.2.0"}}, "package", "package polars: 2.1.0 -> 2.2.0"),
    ("no package", {"packages": {}}, "package", "package polars: 2.1.0 -> not used"),
    ("python", {"python": "3.12"}, "python", "Python 3.11 -> 3.12"),
    ("kind", {"kinds": {"table": 2}}, "kind", "how a table is stored: form 1 -> 2"),
    ("part", {"part": "2025-01-01"}, "first", "part '2025-01-01' has never run"),
]  # fmt: skip


def with_code(name: str, digest: str, line: int) -> tuple[Part, ...]:
    part = Part(name=name, digest=digest, file=name.partition(":")[0], line=line)
    return (*(other for other in BEFORE.code if other.name != name), part)


@pytest.mark.parametrize(("change", "what", "text"), [row[1:] for row in CHANGES], ids=[row[0] for row in CHANGES])
def test_a_difference_is_one_reason_in_words(change: dict[str, Any], what: str, text: str) -> None:
    if "code" in change:
        change = {"code": with_code(*change["code"])}
    now = msgspec.structs.replace(BEFORE, **change)
    (reason,) = explain(now, BEFORE)
    assert reason.what == what
    assert text in reason.text
    assert key(now) != key(BEFORE)


def test_code_no_longer_used_is_named_where_it_was() -> None:
    now = msgspec.structs.replace(BEFORE, code=BEFORE.code[:1])
    assert [str(reason) for reason in explain(now, BEFORE)] == [
        "clean is used no more (was helpers.py:3)",
        "module helpers.py is used no more (was helpers.py:1)",
    ]


def test_no_difference_is_no_reason_wherever_the_code_stands() -> None:
    moved = tuple(msgspec.structs.replace(part, line=99) for part in BEFORE.code)
    now = msgspec.structs.replace(BEFORE, code=moved, versions={"departures": "departures@9"})
    assert explain(now, BEFORE) == ()
    assert key(now) == key(BEFORE)


def test_a_first_run_says_so() -> None:
    assert explain(BEFORE, None) == (FIRST,)


def test_sources_say_which_files_are_new() -> None:
    old = [Entry("a.csv", "/a.csv", 1, "1"), Entry("b.csv", "/b.csv", 1, "1")]
    new = [Entry("a.csv", "/a.csv", 2, "2"), Entry("c.csv", "/c.csv", 1, "1"), Entry("d.csv", "/d.csv", 1, "1")]
    now = msgspec.structs.replace(BEFORE, sources={"files": "sha256:f"})
    (reason,) = explain(now, BEFORE, {"files": (new, old)})
    assert reason.text == "source files: 2 new files (c.csv to d.csv), 1 changed file (a.csv), 1 gone file (b.csv)"


def test_the_sentence_names_three_reasons_and_counts_the_rest() -> None:
    now = msgspec.structs.replace(BEFORE, settings={"leaves": 1}, python="3.12", kinds={}, packages={})
    assert sentence(explain(now, BEFORE)) == "setting leaves: 31 -> 1; package polars: 2.1.0 -> not used; Python 3.11 -> 3.12; and 1 more"
    assert sentence(()) == "nothing changed"
    assert sentence([gone("late@3", "score@2")]) == "the bytes of late@3, score@2 are gone"


def test_a_setting_that_the_record_gives_back_in_another_form_has_not_changed() -> None:
    """JSON has no tuples: the record gives back lists, and the key is the same."""
    now = msgspec.structs.replace(BEFORE, settings={"leaves": (31, 63), "features habit": {"entity": ("customer",)}})
    then = msgspec.json.decode(msgspec.json.encode(now), type=KeyParts)
    assert explain(now, then) == ()
