"""A notebook's view: `bedplate.open` from another folder, steps in this process, twice after an edit."""

from __future__ import annotations

import inspect
import sys
import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_type_hints

import polars as pl
import pytest

import bedplate
from bedplate.core.errors import NotFound, Refused, UserError

TEXT = """
    import polars as pl
    from bedplate import Check, Context, Files, Model, Project
    from helper import FACTOR

    notes = Project("notes")

    @notes.ingest
    def rows(source: Files = Files("data/*.csv")) -> pl.DataFrame:
        return pl.concat([pl.read_csv(path) for path in source.paths])

    @notes.prepare
    def scaled(rows: pl.LazyFrame, times: int = 1) -> pl.LazyFrame:
        return rows.select(n=pl.col("n") * FACTOR * times)

    @notes.train
    def line(scaled: pl.DataFrame, context: Context) -> Model:
        for done in context.progress(range(3), label="rounds"):
            context.metric("loss", 1.0 / (done + 1), done)
        return Model.of(predict, {"slope": float(scaled["n"].sum())}, example=scaled)

    def predict(params, columns):
        return columns["n"] * params["slope"]

    @notes.check(promotes="production")
    def good(line: Model) -> Check:
        return Check.at_least("one", float(line.predict({"n": 1})), 0.0)

    @notes.service
    def answer(line: Model, n: int) -> float:
        return float(line.predict({"n": n}))
    """


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project's folder; the notebook itself stands somewhere else."""
    project, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    (project / "data").mkdir(parents=True)
    elsewhere.mkdir()
    (project / "data" / "a.csv").write_text("n\n1\n2\n")
    (project / "helper.py").write_text("FACTOR = 10\n")
    (project / "notes.py").write_text(textwrap.dedent(TEXT))
    monkeypatch.setenv("BEDPLATE_COMPUTE", "inline")
    monkeypatch.chdir(elsewhere)
    path, modules = list(sys.path), set(sys.modules)
    yield project
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


def test_a_project_is_opened_run_and_read_from_another_folder(folder: Path) -> None:
    project = bedplate.open(folder)
    assert repr(project) == "OpenProject('notes', target='local')"
    summary = project.run()
    assert summary.ok, summary.failures
    assert project["scaled"].load()["n"].to_list() == [10, 20]
    assert isinstance(project["scaled"].load(view="polars.lazy"), pl.LazyFrame)
    assert project["line"].load("production").predict({"n": 2}) == 60.0
    assert project["good"].load().passed
    assert [version.ref for version in project["line"].versions] == ["line@1"]
    assert project.sql("select sum(n) as n from scaled").item() == 30
    assert not (Path.cwd() / ".bedplate").exists()


def test_why_and_plan_answer_from_there_too(folder: Path) -> None:
    project = bedplate.open(folder / "notes.py")
    assert {one.action for one in project.plan()} == {"run"}
    assert project.why("line").last is None
    project.run("scaled")
    assert {one.name: one.action for one in project.plan()} == {"rows": "skip", "scaled": "skip", "line": "run", "good": "run"}
    assert project.why("scaled").last is not None
    with pytest.raises(UserError, match="answer is a service"):
        project.why("answer")


def test_an_edited_project_is_opened_again_in_the_same_process(folder: Path) -> None:
    """Its helper too; what was opened before says that it is out of date, and runs nothing under the wrong name."""
    before = bedplate.open(folder)
    before.run()
    (folder / "helper.py").write_text("FACTOR = 1000\n")
    with pytest.raises(UserError, match=r"helper\.py changed since the project was opened"):
        before.run()
    after = bedplate.open(folder)
    summary = after.run()
    assert {step.name: step.status for step in summary.steps}["rows"] == "skipped"
    assert after["scaled"].load()["n"].to_list() == [1000, 2000]
    assert after["scaled"].load(1)["n"].to_list() == [10, 20]
    assert "FACTOR changed (helper.py:1)" in next(step.why for step in summary.steps if step.name == "scaled")
    assert before["scaled"].load(1)["n"].to_list() == [10, 20], "what was opened before still reads"


def test_settings_make_side_versions_and_progress_is_heard(folder: Path) -> None:
    project = bedplate.open(folder)
    project.run()
    said: list[str] = []
    summary = project.run("line", settings={"scaled.times": 3}, emit=lambda one: said.append(one.kind))
    assert summary.versions["scaled"].ref == "scaled@2"
    assert project["scaled"].load()["n"].to_list() == [10, 20]
    assert said.count("step.metric") == 3
    assert "step.progress" in said


def test_the_verbs_that_look_answer_a_notebook_with_records(folder: Path) -> None:
    """What `status` and `show` say on the command line, typed; a model's card is what a notebook draws."""
    project = bedplate.open(folder)
    assert project.status().artifacts == {}
    project.run()
    status = project.status(runs=1)
    assert {name: version.ref for name, version in status.artifacts.items()} == {
        "rows": "rows@1", "scaled": "scaled@1", "line": "line@1", "good": "good@1",
    }  # fmt: skip
    assert (status.models, status.failed, status.services) == ({"line": {"production": 1}}, (), ())
    assert [run.status for run in status.runs] == ["done"]
    shown = project.show("line@production")
    assert (shown.version.ref, shown.aliases, shown.metrics) == ("line@1", ("production",), {"loss": 1 / 3})
    assert shown.card.startswith("# line@1")
    assert shown._repr_markdown_() == shown.card
    table = project.show("scaled")
    assert ([(one.name, one.type) for one in table.version.columns], table.card) == ([("n", "int64")], "")
    assert table._repr_markdown_() == "**scaled@1** table\n\n- n: int64"
    with pytest.raises(NotFound, match="answer is a service"):
        project.show("answer")


def test_a_person_moves_an_alias_from_a_notebook_by_the_same_rules(folder: Path) -> None:
    project = bedplate.open(folder)
    project.run()
    project.run("line", settings={"scaled.times": 3})
    moved = project.promote("line@2", reason="it is spring")
    assert (moved.version, moved.before, moved.by, moved.reason) == (2, 1, "person", "it is spring")
    back = project.rollback("line")
    assert (back.version, back.before, back.by) == (1, 2, "rollback")
    assert back.reason.startswith("by ")
    assert project.catalog.models.barred("line") == {2}
    assert project.promote("line@1", "staging").before is None
    assert project.status().models == {"line": {"production": 1, "staging": 1}}
    with pytest.raises(Refused, match="nothing to roll"):
        project.rollback("line@staging")
    with pytest.raises(UserError, match="which version of line"):
        project.promote("line")
    with pytest.raises(UserError, match="scaled@1 is a table, not a model"):
        project.promote("scaled@1")


def test_what_was_served_is_labelled_and_watched_from_a_notebook(folder: Path) -> None:
    """The labels' file, the report, its page and the event of drift: as the verbs do it."""
    project = bedplate.open(folder)
    project.run()
    with pytest.raises(UserError, match="answer served nothing yet"):
        project.watch()
    at = datetime(2026, 11, 1, tzinfo=UTC)
    served = {
        "prediction_id": [f"p-{i}" for i in range(40)], "request_id": [f"r-{i}" for i in range(40)],
        "at": [at + timedelta(minutes=i) for i in range(40)], "latency_ms": [1.0] * 40, "status": [200] * 40,
        "error": pl.Series([None] * 40, dtype=pl.String), "models": ['{"line": 1}'] * 40, "request": ['{"n": 1}'] * 40,
        "features": pl.Series([None] * 40, dtype=pl.String), "result": ["1.5"] * 40,
    }  # fmt: skip
    project.store.log("predictions/answer").append(pl.DataFrame(served))
    (folder / "truth.csv").write_text("prediction_id,label\np-1,2.0\np-2,1.5\n")
    brought = project.labels(folder / "truth.csv")
    assert (brought.service, brought.added, brought.labelled, brought.predictions) == ("answer", 2, 2, 40)
    report = project.watch("answer", html=folder / "out" / "page.html")
    assert (report.predictions, report.labels.predictions, report.drifted) == (40, 2, ())
    assert "answer" in (folder / "out" / "page.html").read_text()
    assert project.watch(since=datetime(2026, 11, 1, 0, 30)).predictions == 10, "a time without a zone is UTC"
    with pytest.raises(UserError, match="line is no service"):
        project.watch("line")
    assert get_type_hints(type(project).status)["return"] is type(project.status())


def test_help_shows_what_a_notebook_gives_and_nothing_else(folder: Path) -> None:
    """No parameter that only the command line fills, no default that reads as an address in memory; and the record names the call."""
    project = bedplate.open(folder)
    assert list(inspect.signature(project.run).parameters) == ["names", "settings", "fresh", "only", "emit"]
    assert " at 0x" not in f"{inspect.signature(project.run)}{inspect.signature(project.rerun)}"
    assert project.run("rows").run.command == "bedplate.open().run()"


def test_what_is_not_there_is_said_with_the_nearest_name(folder: Path) -> None:
    project = bedplate.open(folder)
    with pytest.raises(NotFound, match="did you mean 'scaled'"):
        project["scaledd"]
    with pytest.raises(NotFound, match="'answer' has predicted nothing yet"):
        project["answer"].load()
    with pytest.raises(NotFound, match="line"):
        project["line"].load()
    with pytest.raises(NotFound, match="no project file"):
        bedplate.open(Path.cwd())


def test_a_step_that_raises_leaves_the_notebook_standing(folder: Path) -> None:
    (folder / "notes.py").write_text(textwrap.dedent(TEXT).replace("FACTOR * times", "FACTOR * times / pl.col('nothing')"))
    summary = bedplate.open(folder).run()
    assert not summary.ok
    assert "nothing" in summary.failures["scaled"]


def test_runs_in_one_process_add_one_audit_hook(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hook cannot be removed, so a notebook of a hundred runs must not have a hundred."""
    bedplate.open(folder).run()
    added: list[object] = []
    monkeypatch.setattr(sys, "addaudithook", added.append)
    for _ in range(3):
        bedplate.open(folder).run()
    assert added == []
