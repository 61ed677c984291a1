"""What is asked of a project by name: a part of a step, and why a step stands as it does after a failure or a run that made nothing."""

from __future__ import annotations

from typing import Any

import pytest

from bedplate.core.errors import NotFound, ProjectError, UserError


def test_a_part_is_run_by_the_name_that_the_docs_give_it(house: Any, parts: str) -> None:
    """It alone, with what it needs; the rest and the whole are left."""
    summary = house.run(parts, "clean[tue]")
    assert summary.ok, summary.failures
    assert "clean[mon]" not in house.steps(summary)
    assert house.steps(summary)["clean[tue]"] == "done"
    assert house.steps(house.run("", "raw[mon]", "raw[tue]", only=True)) == {"raw[mon]": "skipped", "raw[tue]": "skipped"}
    assert house.steps(house.run())["clean[mon]"] == "done"


def test_a_part_has_its_own_why_and_plan(house: Any, parts: str) -> None:
    house.run(parts, "clean[tue]")
    workspace = house.open()
    assert workspace.why("clean[tue]").now.action == "skip"
    assert workspace.why("clean[mon]").now.action == "run"
    assert [(one.name, one.part) for one in workspace.plan("clean[mon]", only=True)] == [("clean", "mon")]
    with pytest.raises(NotFound, match="clean has no part 'sun'"):
        workspace.why("clean[sun]")
    with pytest.raises(UserError, match="days has no parts"):
        workspace.why("days[mon]")
    assert "clean has no part 'sun'" in house.run("", "clean[sun]").failures["clean"]


@pytest.mark.parametrize("key", [".", ".."])
def test_a_key_that_no_file_can_be_called_is_refused_before_a_part_is_made(house: Any, parts: str, key: str) -> None:
    summary = house.run(parts.replace('"tue"', f'"{key}"'))
    assert f"'days' has the key '{key}'" in summary.failures["raw"]
    assert set(house.steps(summary)) == {"days", "raw", "clean"}


ONE = """
@p.step
def a(size: int = 1) -> float:
    return 1 / size
"""


def test_a_failed_attempt_is_seen_by_plan_and_why(house: Any) -> None:
    house.run(ONE.replace("= 1", "= 0"))
    workspace = house.open()
    assert workspace.plan()[0].why == "it has not got through yet; its last attempt failed"
    why = workspace.why("a")
    assert (why.last, why.failed.why) == (None, "ZeroDivisionError: division by zero")
    house.run(ONE)
    assert house.open().why("a").failed is None
    house.run(ONE.replace("= 1", "= 0"))
    again = house.open().why("a")
    assert again.now.why == "setting size: 1 -> 0; its last attempt failed"
    assert (again.last.status, again.failed.status) == ("done", "failed")


def test_after_a_run_that_made_nothing_why_still_says_why_it_was_made(house: Any) -> None:
    house.run(ONE)
    house.run(ONE.replace("= 1", "= 2"))
    house.run()
    why = house.open().why("a")
    assert (why.last.status, why.made.why) == ("skipped", "setting size: 1 -> 2")


def test_code_nested_too_deep_to_follow_is_a_mistake_of_the_project(house: Any) -> None:
    text = ONE.replace("1 / size", "+".join(["size"] * 900))
    with pytest.raises(ProjectError, match=r"flow\.py:\d+: the code of a is nested too deep"):
        house.run(text)


def test_a_lazy_frame_that_fails_when_it_is_kept_shows_the_step_that_returned_it(house: Any) -> None:
    text = """
    import polars as pl

    @p.prepare
    def rows() -> pl.LazyFrame:
        return pl.LazyFrame({"a": [1]}).select("nothing")
    """
    house.run(text)
    failed = next(said for said in house.said if said.kind == "step.failed")
    assert "nothing" in failed.text
    assert "flow.py" in failed.data["traceback"]
    assert "in rows" in failed.data["traceback"]


def test_diff_names_the_files_that_came_and_says_source_once(house: Any) -> None:
    text = """
    @p.ingest
    def names(source: Files = Files("data/*.txt")) -> list[str]:
        return sorted(path.name for path in source.paths)
    """
    (house.folder / "data").mkdir()
    (house.folder / "data" / "a.txt").write_text("1")
    house.run(text)
    (house.folder / "data" / "b.txt").write_text("2")
    house.run(text)
    workspace = house.open()
    because = [row.after for row in workspace.diff("names@1", "names@2") if row.what == "because"]
    assert len(because) == 1
    assert because[0].startswith("source: 1 new file (")
    assert "b.txt" in because[0]
    assert repr(workspace.diff("names@1", "names@2")[-1]) == f"<because: {because[0]}>"
    assert repr(workspace.plan()) == "(<skip names: unchanged since names@2>,)"
    assert repr(workspace.why("names")) == "<why names: skip, unchanged since names@2>"
