"""Run or skip: the rules of the cache, of `every=`, of side versions and of the champion, as a run obeys them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bedplate.core.errors import UserError

CHAIN = """
@p.prepare
def a(size: int = 3) -> list[int]:
    return list(range(size))

@p.prepare
def b(a: list[int]) -> int:
    return len(a)

@p.prepare
def c(b: int) -> int:
    return b * 2
"""
FILES = """
@p.ingest(every="1 hour")
def names(source: Files = Files("data/*.txt")) -> list[str]:
    return [path.name for path in source.paths]
"""
GATE = """
GOOD = 1
ROW = {"x": 1.0}

@p.step
def score() -> int:
    return GOOD

@p.train
def late(score: int) -> Model:
    return Model.of(predict, {"score": score}, example=[{"x": 1.0}])

def predict(params: dict, columns: dict) -> object:
    return columns["x"] * 0 + params["score"]

@p.check(promotes="production")
def better(late: Model, champion: Model = use("late@production")) -> Check:
    return Check.compare("score", late.predict(ROW), champion.predict(ROW) if champion else None)
"""


def files(house: Any, *names: str) -> None:
    folder: Path = house.folder / "data"
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_text(name)


def aliases(house: Any) -> dict[str, int]:
    found: dict[str, int] = house.open().catalog.models.aliases("late")
    return found


def test_the_first_run_makes_everything_the_second_skips_it(house: Any) -> None:
    assert house.steps(house.run(CHAIN)) == {"a": "done", "b": "done", "c": "done"}
    assert house.told("step.done") == ["a@1", "b@1", "c@1"]
    again = house.run(CHAIN)
    assert house.steps(again) == {"a": "skipped", "b": "skipped", "c": "skipped"}
    assert house.told("step.skipped") == ["unchanged since a@1", "unchanged since b@1", "unchanged since c@1"]
    assert house.tasks == []


def test_an_equal_result_makes_no_version_and_stops_the_wave(house: Any) -> None:
    """Early cut-off: `a` runs for its changed code, gives the same, and `b` does not run."""
    house.run(CHAIN)
    summary = house.run(CHAIN.replace("list(range(size))", "[*range(size)]"))
    assert house.steps(summary) == {"a": "done", "b": "skipped", "c": "skipped"}
    assert summary.versions["a"].number == 1
    assert house.told("step.done") == ["a@1, equal to before"]


def test_going_back_to_earlier_code_takes_its_version_as_head_again(house: Any) -> None:
    house.run(CHAIN)
    house.run(CHAIN.replace("len(a)", "len(a) + 1"))
    summary = house.run(CHAIN)
    assert house.steps(summary) == {"a": "skipped", "b": "skipped", "c": "skipped"}
    assert house.open().catalog.artifacts.head("b").number == 1
    assert house.open()["c"].load() == 6


def test_fresh_runs_what_is_named_though_nothing_changed(house: Any) -> None:
    house.run(CHAIN)
    summary = house.run(CHAIN, "b", fresh=True)
    assert house.steps(summary) == {"a": "skipped", "b": "done"}
    assert next(step.why for step in summary.steps if step.name == "b") == "asked for with --fresh"


def test_bytes_that_are_gone_are_made_again_equal(house: Any) -> None:
    """A hit counts only if the bytes still exist; what comes after is not touched."""
    text = """
    @p.step
    def note() -> Files:
        path = os.path.join(os.path.dirname(__file__), "note.txt")
        with open(path, "w") as file:
            file.write("hello")
        return Files.of(path)

    @p.step
    def size(note: Files) -> int:
        return note.path.stat().st_size
    """
    house.run(text)
    store = house.folder / ".bedplate" / "store"
    for blob in (store / "blobs").rglob("*"):
        if blob.is_file():
            blob.unlink()
    summary = house.run(text)
    assert house.steps(summary) == {"note": "done", "size": "skipped"}
    assert "the bytes of note@1 are gone" in next(step.why for step in summary.steps if step.name == "note")
    assert house.steps(house.run(text)) == {"note": "skipped", "size": "skipped"}


def test_within_every_the_last_listing_holds_then_the_source_is_read_anew(house: Any) -> None:
    files(house, "a.txt")
    house.run(FILES)
    files(house, "b.txt")
    house.clock.forward(3000)
    assert house.steps(house.run(FILES)) == {"names": "skipped"}
    house.clock.forward(700)
    summary = house.run(FILES)
    assert house.steps(summary) == {"names": "done"}
    assert "1 new file (data/b.txt)" in summary.steps[0].why
    assert house.open()["names"].load() == ["a.txt", "b.txt"]


def test_fresh_lists_the_source_though_every_says_it_holds(house: Any) -> None:
    files(house, "a.txt")
    house.run(FILES)
    files(house, "b.txt")
    house.run(FILES, fresh=True)
    assert house.open()["names"].load() == ["a.txt", "b.txt"]


def test_a_source_without_every_is_looked_at_each_time(house: Any) -> None:
    text = FILES.replace('(every="1 hour")', "")
    files(house, "a.txt")
    house.run(text)
    files(house, "b.txt")
    assert house.steps(house.run(text)) == {"names": "done"}


def test_an_ingest_without_a_source_runs_once(house: Any) -> None:
    text = """
    @p.ingest
    def constant() -> int:
        return 7
    """
    house.run(text)
    assert house.steps(house.run(text)) == {"constant": "skipped"}


def test_a_source_with_nothing_blocks_its_step_and_says_why(house: Any) -> None:
    (house.folder / "data").mkdir()
    summary = house.run(FILES)
    assert not summary.ok
    assert "no file matches 'data/*.txt'" in summary.failures["names"]
    assert house.steps(summary) == {"names": "failed"}


def test_set_makes_a_side_version_and_moves_no_head(house: Any) -> None:
    house.run(CHAIN)
    summary = house.run(CHAIN, settings={"a.size": "5"})
    assert not summary.run.moves_heads
    assert summary.versions["c"].number == 2
    assert not summary.versions["c"].head
    workspace = house.open()
    assert [workspace.catalog.artifacts.head(name).number for name in "abc"] == [1, 1, 1]
    assert workspace["c"].load(2) == 10
    assert workspace["c"].load() == 6
    assert house.steps(house.run(CHAIN)) == {"a": "skipped", "b": "skipped", "c": "skipped"}


def test_a_default_that_becomes_what_was_set_takes_the_side_version_as_head(house: Any) -> None:
    """The side run's work is not done twice: its versions become heads when a plain run stands on them."""
    house.run(CHAIN)
    house.run(CHAIN, settings={"a.size": "5"})
    summary = house.run(CHAIN.replace("size: int = 3", "size: int = 5"))
    assert house.steps(summary) == {"a": "skipped", "b": "skipped", "c": "skipped"}
    assert house.open().catalog.artifacts.head("c").number == 2
    assert house.open()["c"].load() == 10


def test_a_check_that_promoted_is_skipped_after_its_own_promotion(house: Any) -> None:
    """Its champion is the one before its candidate, so that its own promotion is no new input."""
    summary = house.run(GATE)
    assert summary.ok, summary.failures
    assert aliases(house) == {"production": 1}
    assert set(house.steps(house.run(GATE)).values()) == {"skipped"}
    house.run(GATE.replace("GOOD = 1", "GOOD = 2"))
    assert aliases(house) == {"production": 2}
    assert set(house.steps(house.run(GATE.replace("GOOD = 1", "GOOD = 2"))).values()) == {"skipped"}


def test_after_a_rollback_the_check_stays_skipped_and_the_model_barred(house: Any) -> None:
    better = GATE.replace("GOOD = 1", "GOOD = 2")
    house.run(GATE)
    house.run(better)
    house.open().catalog.models.rollback("late", "production", house.clock.now(), "it was wrong")
    assert aliases(house) == {"production": 1}
    assert set(house.steps(house.run(better)).values()) == {"skipped"}
    house.run(better, "better", fresh=True)
    assert aliases(house) == {"production": 1}


def test_a_person_who_promotes_what_a_check_refused_does_not_make_it_judge_itself(house: Any) -> None:
    """The candidate would be its own champion and pass; the check keeps the champion it was refused against."""
    worse = GATE.replace("GOOD = 1", "GOOD = 0")
    house.run(GATE)
    house.run(worse)
    assert aliases(house) == {"production": 1}
    workspace = house.open()
    workspace.catalog.models.promote(promotion(workspace, 2))
    assert set(house.steps(house.run(worse)).values()) == {"skipped"}
    assert not house.open()["better"].load().passed


def test_a_new_candidate_is_compared_with_the_champion_that_serves(house: Any) -> None:
    house.run(GATE)
    house.run(GATE.replace("GOOD = 1", "GOOD = 3"))
    house.run(GATE.replace("GOOD = 1", "GOOD = 2"))
    assert aliases(house) == {"production": 2}
    finding = house.open()["better"].load().findings[0]
    assert (finding.value, finding.bound) == (2.0, 3.0)


def promotion(workspace: Any, version: int) -> Any:
    from_records = workspace.catalog.models.history("late")[0]
    return type(from_records)(model="late", alias="production", version=version, by="person", at=workspace.clock.now())


WEEK = """
@p.prepare
def week(clean: dict) -> str:
    return " ".join(f"{day}:{text}" for day, text in sorted(clean.items()))
"""


def test_each_runs_a_part_per_key_and_only_what_is_new_later(house: Any, parts: str) -> None:
    """A key that comes makes one part, and the whole again; the parts that were are skipped."""
    summary = house.run(parts + WEEK)
    assert summary.ok, summary.failures
    assert house.open()["week"].load() == "mon:MON! tue:TUE!"
    summary = house.run((parts + WEEK).replace('"mon", "tue"', '"mon", "tue", "wed"'))
    steps = house.steps(summary)
    assert (steps["raw[mon]"], steps["raw[wed]"], steps["clean[tue]"], steps["clean[wed]"]) == ("skipped", "done", "skipped", "done")
    assert house.open()["week"].load() == "mon:MON! tue:TUE! wed:WED!"


def test_a_key_that_goes_makes_the_whole_anew_from_the_parts_that_stay(house: Any, parts: str) -> None:
    house.run(parts + WEEK)
    summary = house.run((parts + WEEK).replace('"mon", "tue"', '"tue"'))
    assert summary.ok, summary.failures
    assert house.open()["week"].load() == "tue:TUE!"


def test_each_of_a_calendar_gets_a_part_for_every_day_that_has_ended(house: Any) -> None:
    text = """
    @p.ingest(each=daily("2026-01-29"))
    def raw(day: str) -> str:
        return day
    """
    assert house.steps(house.run(text)) == {"raw[2026-01-29]": "done", "raw[2026-01-30]": "done", "raw": "done"}
    house.clock.forward(86400)
    assert house.steps(house.run(text))["raw[2026-01-31]"] == "done"


def test_a_setting_without_default_is_asked_for_before_anything_runs(house: Any) -> None:
    """In the words of lint; given, it runs."""
    text = """
    @p.step
    def a(size: int) -> int:
        return size
    """
    workspace = house.open(text)
    for ask in (workspace.run, workspace.plan, lambda: workspace.why("a")):
        with pytest.raises(UserError, match="the setting 'size' has no default, so a plain `bedplate run` cannot make a") as raised:
            ask()
        assert raised.value.next.endswith("--set a.size=...")
    assert house.open().catalog.runs.last() == []
    assert house.run("", settings={"a.size": "4"}).ok


@pytest.mark.parametrize("given", [{"a.sise": "1"}, {"nothing.size": "1"}, {"a.size": "many"}])
def test_a_setting_that_is_not_there_or_does_not_fit_is_said(house: Any, given: dict[str, str]) -> None:
    house.run(CHAIN)
    with pytest.raises(Exception, match=r"a.size|nothing"):
        house.open().run(settings=given)
