"""Every verb in a small project that has run: an answer for people, and JSON for programs, with the same exit code."""

from __future__ import annotations

import json
import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import bedplate
from bedplate.interfaces.cli import main
from bedplate.interfaces.cli.verbs import VERBS

TEXT = """
    from bedplate import Check, Context, Model, Project, tune, use

    small = Project("small")

    @small.ingest
    def numbers() -> list[int]:
        return [1, 2, 3]

    @small.train
    def line(numbers: list[int], context: Context, slope: int = tune(1, 9, default=2)) -> Model:
        context.metric("slope", slope)
        return Model.of(predict, {"slope": slope}, example=[{"x": 1.0}])

    def predict(params, columns):
        return columns["x"] * params["slope"]

    @small.check(promotes="production")
    def good(line: Model, champion: Model = use("line@production")) -> Check:
        return Check.at_most("at one", float(line.predict({"x": 1.0})), 5.0)

    @small.service
    def answer(line: Model, x: float) -> float:
        return float(line.predict({"x": x}))
    """
LINES = {"run", "step", "rerun"}
"""Verbs that answer with a JSON object a line."""
ASKED = {
    "lint": ([], 0, "no mistakes in 4 functions"),
    "plan": ([], 0, "nothing to do"),
    "run": ([], 0, "3 skipped in"),
    "step": (["line", "--fresh"], 0, "line@1, equal to before"),
    "rerun": (["line@1"], 0, "line: equal, bit by bit"),
    "cancel": ([], 2, "no run is going on"),
    "why": (["line", "good"], 0, "would be skipped: unchanged since good@1"),
    "status": ([], 0, "model line: production = line@1"),
    "show": (["line"], 0, "A model of the project small"),
    "diff": (["line@1", "line@1"], 0, "line@1 and line@1 are equal"),
    "lineage": (["line"], 0, "numbers@1 as numbers"),
    "logs": (["numbers"], 0, "numbers printed nothing in"),
    "sql": (["select 1 / 2 as half"], 0, "0.5"),
    "optimise": (["line"], 2, "line@1 does not compute on rows of numbers"),
    "promote": (["line@1"], 0, "line@1 is production already"),
    "rollback": (["line"], 5, "there is nothing to roll 'line@production' back to"),
    "labels": (["truth.csv"], 0, "name no prediction that is known"),
    "watch": ([], 2, "answer served nothing yet"),
    "size": (["list", "figures", "finance"], 0, "finance-rate"),
    "tune": (["line", "--maximise", "slope", "--trials", "0"], 0, "0 trials"),
    "import": (["nothing.txt", "--as", "line"], 2, "nothing.txt"),
    "cache": ([], 0, "of 10.0 GB in 0 copies"),
    "gc": (["--dry-run"], 0, "nothing was removed: --dry-run"),
    "doctor": ([], 0, "versions are all there"),
    "backup": (["kept"], 0, "of them new"),
    "restore": (["nothing"], 2, "there is no backup at"),
    "account": (["list"], 2, "there are no accounts here"),
    "token": (["list"], 2, "there are no accounts here"),
    "audit": (["verify"], 2, "there are no accounts here"),
    "login": (["http://127.0.0.1:1", "--show"], 2, "no token of http://127.0.0.1:1 is kept here"),
    "sign": (["line@1", "--key", "nothing.pem"], 2, "File 'nothing.pem' does not exist"),
    "verify": (["line@1", "--key", "nothing.pem"], 2, "File 'nothing.pem' does not exist"),
    "target": (["test"], 0, "target local: all well"),
}
Types = Callable[..., tuple[int, str, str]]


@pytest.fixture
def types(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Types]:
    """`types("why", "line")` in the project's folder: exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BEDPLATE_COMPUTE", "inline")
    (tmp_path / "small.py").write_text(textwrap.dedent(TEXT))
    (tmp_path / "truth.csv").write_text("prediction_id,label\np-1,2.0\n")
    path, modules = list(sys.path), set(sys.modules)

    def types(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(list(words))
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    yield types
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the state after a first run is kept, so that it is made once."""
    return tmp_path_factory.mktemp("first") / "state"


@pytest.fixture
def ran(types: Types, tmp_path: Path, first: Path) -> Types:
    """The same, after a first run."""
    if first.exists():
        shutil.copytree(first, tmp_path / ".bedplate")
        return types
    code, out, err = types("run")
    assert code == 0, out + err
    shutil.copytree(tmp_path / ".bedplate", first)
    return types


def test_every_verb_is_asked_here() -> None:
    """A new verb is shown below, or is one that makes a folder or never ends."""
    assert {verb.name for verb in VERBS if not verb.hidden} - set(ASKED) == {"new", "serve", "up", "export"}


@pytest.mark.parametrize("verb", ASKED)
def test_a_verb_answers_people(ran: Types, verb: str) -> None:
    words, code, expected = ASKED[verb]
    got, out, err = ran(verb, *words)
    assert got == code, out + err
    assert expected in (out if code == 0 else err)
    assert "Traceback" not in out + err


@pytest.mark.parametrize("verb", ASKED)
def test_a_verb_answers_programs(ran: Types, verb: str) -> None:
    """Standard output is JSON and nothing else; where there is no answer it is empty and the reason is on standard error."""
    words, code, expected = ASKED[verb]
    got, out, err = ran(verb, *words, "--json")
    assert got == code, out + err
    if code:
        assert (out, expected in err) == ("", True)
    else:
        answers: list[Any] = [json.loads(line) for line in (out.splitlines() if verb in LINES else [out])]
        assert answers


def test_a_run_shows_each_step_what_it_took_and_what_is_next(types: Types) -> None:
    code, out, _ = types("run")
    assert code == 0
    lines = out.splitlines()
    assert lines[0].endswith("3 steps")
    assert [line.split()[:3] for line in lines[1:4]] == [["+", "numbers", "numbers@1"], ["+", "line", "line@1"], ["+", "good", "good@1"]]
    assert "pass at one = 2 (<= 5)" in lines[4]
    assert lines[5].endswith("line@1 is now production")
    assert "3 made in" in out
    assert lines[-1] == "next: bedplate serve answers with answer"


def test_a_check_that_does_not_pass_is_exit_code_6_with_the_next_command(types: Types, tmp_path: Path) -> None:
    text = (tmp_path / "small.py").read_text()
    (tmp_path / "small.py").write_text(text.replace("default=2", "default=9"))
    code, out, _ = types("run")
    assert code == 6
    assert "FAIL at one = 9 (<= 5)" in out
    assert "good@1 did not pass; next: bedplate show good@1" in out


def test_a_step_that_raises_is_exit_code_1_with_its_frames_and_the_next_command(types: Types, tmp_path: Path) -> None:
    text = (tmp_path / "small.py").read_text()
    (tmp_path / "small.py").write_text(text.replace("return [1, 2, 3]", "return [1 / 0]"))
    code, out, _ = types("run")
    assert code == 1
    assert " x numbers  ZeroDivisionError: division by zero" in out
    assert 'File "small.py", line 8, in numbers' in out
    assert " - line     it needs numbers, which did not get through" in out
    assert "1 failed, 2 not reached in" in out
    assert "next: bedplate logs numbers shows what it printed and where it failed; mend it, then" in out.splitlines()[-1]


def test_a_failure_is_still_to_be_found_later_in_the_logs_and_the_status(types: Types, tmp_path: Path) -> None:
    """Until the step has run well."""
    text = (tmp_path / "small.py").read_text()
    (tmp_path / "small.py").write_text(text.replace("return [1, 2, 3]", "return [1 / 0]"))
    types("run")
    _, out, _ = types("logs", "numbers")
    assert 'small.py", line 8, in numbers' in out
    assert out.splitlines()[-1] == "-- failed: ZeroDivisionError: division by zero"
    assert "failed: bedplate logs numbers" in types("status")[1]
    assert json.loads(types("status", "--json")[1])["failed"] == ["numbers"]
    (tmp_path / "small.py").write_text(text)
    types("run")
    assert "failed: bedplate logs" not in types("status")[1]


def test_a_table_in_a_pipe_has_a_row_on_a_line_without_spaces_at_its_end(ran: Types) -> None:
    """However long a cell is; and a time is to the second."""
    code, out, _ = ran("sql", "select repeat('long ', 100) || 'end' as cell, 1 as n, timestamp '2026-01-02 03:04:05.6' as at")
    assert code == 0
    lines = out.splitlines()
    assert len(lines) == 2
    assert "long end" in lines[1]
    assert lines[1].endswith(" 2026-01-02 03:04:05")
    for verb in ("status", "plan", "show"):
        lines = ran(verb, *ASKED[verb][0])[1].splitlines()
        assert lines == [line.rstrip() for line in lines]


def test_a_setting_makes_a_side_version_and_says_how_to_compare_it(ran: Types) -> None:
    code, out, _ = ran("run", "line", "--set", "line.slope=3")
    assert code == 0
    assert "line@2 is a side version; next: bedplate diff line line@2" in out
    assert "metric slope" in ran("diff", "line", "line@2")[1]


def test_plan_takes_the_settings_of_a_run_and_sees_its_side_version(ran: Types) -> None:
    """What would run and why, and once it has been made that it would not; a setting that is not right is refused as a run refuses it."""
    code, out, _ = ran("plan", "line", "--set", "line.slope=3")
    assert code == 0
    assert "+ run" in out
    assert "slope" in next(line for line in out.splitlines() if "+ run" in line)
    assert out.splitlines()[-1] == "with --set the versions are side versions: no head moves"
    ran("run", "line", "--set", "line.slope=3")
    assert {one["name"]: one["action"] for one in json.loads(ran("plan", "line", "--set", "line.slope=3", "--json")[1])} == {
        "numbers": "skip",
        "line": "skip",
    }
    assert "nothing to do" in ran("plan", "line")[1]
    assert ran("plan", "--set", "line.slope=10")[0] == 2


def test_the_whole_plan_is_one_object_for_who_never_imports_the_project(ran: Types) -> None:
    """The graph with services, what is to be done and why, when, what is due; it goes with no names and is for programs."""
    told = json.loads(ran("plan", "--whole", "--json")[1])
    steps = {one["name"]: one for one in told["steps"]}
    assert (told["project"], steps["line"]["after"], steps["answer"]["decorator"]) == ("small", ["numbers"], "service")
    assert steps["good"]["actions"] == {"skip": 1}
    assert steps["line"]["starts_s"] is None
    assert list(told["files"]) == [steps["line"]["file"]]
    assert ran("plan", "--whole")[0] == 2
    assert ran("plan", "--whole", "line", "--json")[0] == 2


def test_a_rollback_says_what_it_barred_and_so_do_the_next_run_and_the_status(ran: Types, tmp_path: Path) -> None:
    """Until a person promotes it: then nobody speaks of it any more."""
    text = (tmp_path / "small.py").read_text()
    (tmp_path / "small.py").write_text(text.replace("default=2", "default=3"))
    assert "is barred" not in ran("run")[1]
    assert "line@2 is barred: no check promotes it again; bedplate promote line@2 frees it" in ran("rollback", "line")[1]
    barred = "line@2 is barred: it was rolled back from, and no check promotes it; bedplate promote line@2 frees it"
    for verb in ("run", "status"):
        assert barred in ran(verb)[1]
    assert "those before line@1" not in (first := ran("rollback", "line")[2])
    assert "line@1 was the first" in first
    ran("promote", "line@2")
    for verb in ("run", "status"):
        assert "barred" not in ran(verb)[1]


def test_status_says_what_is_tried_and_what_a_server_took_back_when_and_why(ran: Types, tmp_path: Path) -> None:
    """A canary that went back tries nothing, though its alias stays on the record."""
    text = (tmp_path / "small.py").read_text()
    (tmp_path / "small.py").write_text(text.replace("default=2", "default=3"))
    ran("run")
    ran("promote", "line@1")
    ran("promote", "line@2", "--canary", "5 %")
    assert "canary = line@2 (5 %), production = line@1" in ran("status")[1]
    models = bedplate.open(tmp_path).catalog.models
    (trial,) = models.rolled_out("line")
    models.conclude(trial, datetime.now(UTC) - timedelta(minutes=3), "line@2 as canary: answer: 9 of 10 failed", promotes=False)
    said = ran("status")[1]
    assert "model line: production = line@1\n" in said
    assert "  rolled back 3 min ago: line@2 as canary: answer: 9 of 10 failed\n" in said
    told = json.loads(ran("status", "--json")[1])
    assert (told["models"], told["rolled_out"]) == ({"line": {"production": 1}}, [])
    assert [(one["alias"], one["before"]) for one in told["rolled_back"]] == [("canary", 2)]
    assert bedplate.open(tmp_path).show("line@1").aliases == ("production",)


def test_lint_warns_of_an_alias_that_nobody_gives(ran: Types, tmp_path: Path) -> None:
    """A misspelt champion would be absent for ever, and nothing compared with it; one given by hand is no mistake."""
    text = (tmp_path / "small.py").read_text()
    (tmp_path / "small.py").write_text(text.replace('use("line@production")', 'use("line@prod")'))
    code, out, _ = ran("lint")
    warned = """use("line@prod"): no line is prod and no check promotes one, so 'champion' is always absent"""
    assert (code, warned in out) == (0, True)
    assert 'did you mean use("line@production")?' in out
    assert [one["line"] for one in json.loads(ran("lint", "--json")[1])["mistakes"]] == [19]
    ran("promote", "line@1", "--alias", "prod")
    assert "no mistakes" in ran("lint")[1]


def test_a_model_is_promoted_by_its_version_only(ran: Types) -> None:
    code, _, err = ran("promote", "line")
    assert code == 2
    assert "there are line@1 (production)" in err
    assert "next: bedplate promote line@1" in err
    assert "line@1 is production already" in ran("promote", "line@1")[1]
    assert "line@1 is now staging" in ran("promote", "line@1", "--alias", "staging")[1]


@pytest.mark.parametrize(("name", "said"), [("lin", "did you mean 'line'?"), ("zzz", "lists every name"), ("answer", "bedplate serve")])
def test_a_name_that_there_is_nothing_to_show_of_leads_on(ran: Types, name: str, said: str) -> None:
    code, _, err = ran("show", name)
    assert code == 2
    assert said in err


def test_what_was_not_made_yet_is_shown_the_way(types: Types) -> None:
    assert "next: bedplate run line" in types("show", "line")[2]


def test_programs_get_the_columns_of_a_version_in_words(types: Types, tmp_path: Path) -> None:
    """Of a table and of a model, wherever a version is told; never the bytes by which a library reads a schema."""
    head, rest = textwrap.dedent(TEXT).split("@small.check", 1)
    text = f"import polars as pl\n{head}@small.prepare\ndef frame(numbers: list[int]) -> pl.DataFrame:\n"
    text += f"    return pl.DataFrame({{'n': numbers, 'name': ['a', 'b', 'c']}})\n\n@small.check{rest}"
    (tmp_path / "small.py").write_text(text)
    assert types("run")[0] == 0
    table = [{"name": "n", "type": "int64"}, {"name": "name", "type": "text"}]
    model = [{"name": "x", "type": "float64", "role": "input"}, {"name": "prediction", "type": "float64", "role": "output"}]
    status = json.loads(types("status", "--json")[1])["artifacts"]
    assert (status["frame"]["schema"], status["line"]["schema"], status["numbers"]["schema"]) == (table, model, [])
    for name, columns in (("frame", table), ("line", model)):
        shown = json.loads(types("show", name, "--json")[1])
        assert shown["version"]["schema"] == shown["versions"][0]["schema"] == columns
        assert json.loads(types("lineage", name, "--json")[1])["version"]["schema"] == columns
    card = types("show", "line")[1]
    assert "bedplate.Model" in card
    assert not any(line.split()[:1] == ["Model"] for line in card.splitlines()), "an import is no code of the project"


def test_what_is_on_record_is_told_without_the_projects_code(ran: Types, tmp_path: Path) -> None:
    """Its file is not imported, so it may even be broken; a name that only the project knows is looked up there."""
    status = json.loads(ran("status", "--json")[1])
    assert ran("logs", "nothing")[0] == 2
    (tmp_path / "small.py").write_text("raise SystemExit(9)\n" + textwrap.dedent(TEXT))
    made = status["artifacts"]["line"]["attempt"]
    for words in (["logs", "line"], ["lineage", "line"], ["diff", "line@1", "line@1"], ["show", status["runs"][0]["id"]], ["show", made]):
        code, out, err = ran(*words)
        assert code == 0, err
        assert out
    assert "numbers" in ran("sql", "select artifact from versions")[1]
    assert ran("status")[0] == 3


def test_a_run_is_not_run_again_as_one(ran: Types) -> None:
    run = json.loads(ran("status", "--json")[1])["runs"][0]["id"]
    code, _, err = ran("rerun", run)
    assert code == 2
    assert "rerun takes an attempt or a version" in err


@pytest.mark.parametrize("given", ["line.slope", "slope=3", "line.slope=10", "line.slop=3", "line.slope=steep"])
def test_a_setting_that_cannot_be_read_is_exit_code_2(ran: Types, given: str) -> None:
    code, out, err = ran("run", "--set", given)
    assert code == 2
    assert out == ""
    assert "next:" in err


def test_plan_before_the_first_run_says_that_all_will_run_and_nothing_of_time(types: Types) -> None:
    code, out, _ = types("plan")
    assert code == 0
    assert out.count("it has never run") == 3
    assert "how long it will take is unknown" in out
    assert "time" not in out.splitlines()[0]


def test_a_project_is_named_before_or_behind(ran: Types, tmp_path: Path) -> None:
    asked = (("line", "small.py"), ("small.py", "line"), ("line", "--project", str(tmp_path)))
    answers = {(code, re.sub(r"\d+ s ago", "N s ago", out), err) for code, out, err in (ran("why", *words) for words in asked)}
    assert [code for code, _, _ in answers] == [0]  # one answer for all three


def test_no_verb_at_all_gets_the_help_and_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("Usage: bedplate")


def test_a_try_says_how_it_is_ended_and_its_rollback_who_answers_alone(ran: Types) -> None:
    """Nobody has to know that an alias of what is tried goes back to production's version."""
    ran("run", "line", "--set", "line.slope=3")
    said = ran("promote", "line@2", "--canary", "5 %")[1]
    assert "line@2 is now canary: answers 5 %" in said
    assert "bedplate promote line@2 or bedplate rollback line@canary" in said
    said = ran("rollback", "line@canary")[1]
    assert "line@2 is canary no more: line@1 answers alone" in said
    assert "is now canary" not in said


def test_a_name_that_is_no_service_and_a_share_that_is_none_say_what_was_meant(ran: Types) -> None:
    """A letter left out, a sign left out."""
    assert "did you mean 'answer'?" in ran("run", "answr", "--over", "-")[2]
    assert "write '5%'" in ran("promote", "line@1", "--canary", "5")[2]
