"""What all verbs have in common: help, --json, a project file, and no traceback for a user's mistake."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest

from bedplate.interfaces.cli import load, main
from bedplate.interfaces.cli.verbs import VERBS, Verb

SHOWN = [verb for verb in VERBS if not verb.hidden]
NAMES = {
    "labels": ["truth.csv"],
    "tune": ["late"],
    "import": ["model", "late.onnx", "--as", "late"],
    "step": ["late"],
    "rerun": ["late"],
    "why": ["late"],
    "show": ["late"],
    "diff": ["a", "b"],
    "lineage": ["late"],
    "logs": ["late"],
    "promote": ["late@1"],
    "optimise": ["late"],
    "export": ["edge", "late"],
    "rollback": ["late"],
    "backup": ["kept"],
    "restore": ["kept"],
}
"""What a verb has to be told."""
BARE = {"new", "size"}
"""Verbs that are about no project."""
ANYWHERE = {"up", "account", "token", "audit", "restore"}
"""Verbs about a state, which a folder has without a project too."""
KEYS = {"login", "sign", "verify"}
"""Verbs that need a file or an address before anything else."""
HOWS = {"word": ["nowhere.py"], "option": ["--project", "nowhere.py"], "none": []}
WITHOUT = [
    pytest.param(verb, words, id=f"{how}-{verb.name}")
    for how, words in HOWS.items()
    for verb in SHOWN
    if verb.name not in BARE | KEYS and not (how == "none" and verb.name in ANYWHERE)
]


def ends(*words: str) -> int:
    """The exit code of a command."""
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    code = ended.value.code
    return code if isinstance(code, int) else 0


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to be in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("verb", SHOWN, ids=lambda verb: verb.name)
def test_a_verb_helps(verb: Verb, capsys: pytest.CaptureFixture[str]) -> None:
    assert ends(verb.name, "--help") == 0
    said = capsys.readouterr().out
    assert said.startswith(f"Usage: bedplate {verb.name} ")
    assert "--json" in said


@pytest.mark.parametrize("verb", SHOWN, ids=lambda verb: verb.name)
def test_a_verb_takes_json_and_a_project(verb: Verb) -> None:
    command = load(verb)
    options = {option for param in command.params if isinstance(param, click.Option) for option in param.opts}
    assert "--json" in options
    if verb.name not in BARE:
        assert {"--project", "--target"} <= options
        assert any(isinstance(param, click.Argument) and param.nargs == -1 for param in command.params)


@pytest.mark.parametrize(("verb", "how"), WITHOUT)
def test_without_such_a_project_a_verb_says_so(verb: Verb, how: list[str], elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, what is not there and what to type; no traceback, and nothing is made."""
    assert ends(verb.name, *NAMES.get(verb.name, []), *how) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "no project file" in said.err
    assert "next: bedplate new NAME makes one" in said.err
    assert "Traceback" not in said.err
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("verb", [verb for verb in SHOWN if verb.name in NAMES], ids=lambda verb: verb.name)
def test_a_verb_that_must_be_told_something_says_what(verb: Verb, elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ends(verb.name) == 2
    said = capsys.readouterr().err
    if verb.name == "labels":
        assert said == "error: Missing argument 'FILE'\n  next: bedplate labels --help\n"
    elif verb.name == "import":
        assert said.startswith("error: Missing argument '{model|mlflow}'")
    else:
        assert said.startswith(f"error: bedplate {verb.name}: what about?\n  why:  it needs ")
        assert f"  next: bedplate {verb.name} " in said


def test_an_error_is_told_to_programs_as_json(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On standard error, with the exit code: a usage that click refuses, a verb that is not there, a project that is not there."""
    for words, what in ((["plan", "--nope"], "No such option"), (["statsu"], "there is no verb 'statsu'"), (["plan"], "no project file")):
        code = ends(*words, "--json")
        said = capsys.readouterr()
        error = json.loads(said.err)["error"]
        assert (said.out, error["exit_code"], code) == ("", 2, 2)
        assert what in error["what"]
        assert error["next"]


@pytest.mark.parametrize("name", ["status", "lint", "gc", "doctor"])
def test_a_verb_about_the_whole_project_takes_no_name(name: str, elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A name that is not used would look as if it had been."""
    assert ends(name, "late") == 2
    assert "nothing can be made of 'late'" in capsys.readouterr().err


def test_a_verb_that_is_not_there_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert ends("statsu") == 2
    assert "did you mean 'status'?" in capsys.readouterr().err


def test_every_verb_is_listed_once_in_its_group(capsys: pytest.CaptureFixture[str]) -> None:
    assert ends("--help") == 0
    said = capsys.readouterr().out
    assert len({verb.name for verb in VERBS}) == len(VERBS)
    for verb in SHOWN:
        assert f"  {verb.name} " in said
    assert "  work " not in said


def test_a_mistake_in_the_project_file_is_told_by_its_place_from_here(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A short path that a terminal opens, exit code 3."""
    (elsewhere / "by_place.py").write_text("from bedplate import Project\np = Project('p')\n\n@p.step\ndef a(b) -> int:\n    return 1\n")
    assert ends("run") == 3
    said = capsys.readouterr().err
    assert said.startswith("error: by_place.py:5: nothing is called 'b'")
    assert str(elsewhere) not in said
    assert ends("lint") == 3
    assert "error by_place.py:5: " in capsys.readouterr().out


def test_new_makes_a_project_and_says_so_to_programs_too(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ends("new", "birds", "--json") == 0
    made = json.loads(capsys.readouterr().out)
    assert made["folder"] == str(elsewhere / "birds")
    assert "penguins.py" in made["files"]
    assert ends("new", "birds") == 2
    said = capsys.readouterr().err
    assert "not empty" in said
    assert said.endswith("next: choose another name: bedplate new birds-2\n")  # to remove somebody's work is no advice
