"""The questions of `size` as forms: what is typed is read with its units, and what is wrong is said beside its field."""

from __future__ import annotations

import pytest

from bedplate.core.errors import UserError
from bedplate.interfaces.http.console.sized.size_form import EXAMPLES, KINDS, beside, form, read
from bedplate.planner.asking.questions import Cost, Serve, Train


def test_what_is_typed_is_read_as_on_the_command_line() -> None:
    """Units, names with commas between, and several ways of paying become the question's record."""
    typed = {"model": ["GPT-3-175B"], "tokens": ["2T"], "by_s": ["30d"], "on": ["H100, B200"], "terms": ["spot", "buy"], "gpus": ["64"]}
    found, wrong = read("train", typed)
    assert wrong == {}
    assert isinstance(found, Train)
    assert (found.tokens, found.limits.by_s, found.limits.gpus) == (2e12, 30 * 86400, 64)
    assert (found.limits.on, found.limits.terms) == (("H100", "B200"), ("spot", "buy"))


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("kind", "typed", "field"),
    [
        ("train", {"model": ["X"], "tokens": ["2Q"]}, "tokens"),
        ("train", {"tokens": ["2T"]}, "model"),
        ("train", {"model": ["X"], "gpus": ["1.5"]}, "gpus"),
        ("train", {"model": ["x" * 300]}, "model"),
        ("serve", {"model": ["X"], "rate": ["40"]}, "rate"),
        ("serve", {"model": ["X"], "rate": ["4/s"], "resolution": ["big"]}, "resolution"),
        ("finetune", {"model": ["X"], "method": ["magic"]}, "method"),
        ("cost", {"node": ["X"], "load": ["4\nfour"]}, "load"),
        ("train", {"model": ["X"], "terms": ["stolen"]}, "terms"),
    ],
)
def test_a_mistake_stands_beside_its_field(kind: str, typed: dict[str, list[str]], field: str) -> None:
    """Each of these is refused before anything is worked out, and the form shows it at that field."""
    found, wrong = read(kind, typed)
    assert found is None
    assert list(wrong) == [field]
    shown = form(kind, typed, wrong)
    assert [one.name for one in (*shown.first, *shown.more) if one.wrong] == [field]


@pytest.mark.bad_input
@pytest.mark.parametrize("name", ["/etc/config.json", "config.json", "../x", "a\\b"])
def test_no_field_names_a_file_of_the_server(name: str) -> None:
    """A model is one by name: the command line alone reads a config.json."""
    assert "no name of a model" in read("train", {"model": [name]})[1]["model"]
    assert "draft" in read("serve", {"model": ["X"], "rate": ["1/s"], "draft": [name]})[1]


def test_what_the_planner_says_is_wrong_finds_its_field() -> None:
    """By the value that it quotes, or by the option that it offers; else it is about the whole question."""
    typed = {"model": ["Lama"], "precision": ["bf17"], "gpus": ["7"]}
    assert beside(UserError("there is no model 'Lama'"), "train", typed) == "model"
    assert beside(UserError("there is no precision 'bf17'"), "train", typed) == "precision"
    assert beside(UserError("7 accelerators are not whole nodes of 8", next="--gpus 8"), "train", typed) == "gpus"
    assert beside(UserError("tokens to train on are missing", next="--tokens 2T"), "train", typed) == "tokens"
    assert beside(UserError("it fits no machine within these limits", next="another --on"), "train", typed) == ""
    assert beside(UserError("this takes too long"), "train", typed) == ""


def test_the_examples_are_questions() -> None:
    """What the empty page offers can be asked as it stands."""
    for _, kind, fields in EXAMPLES:
        found, wrong = read(kind, {name: [value] for name, value in fields.items()})
        assert found is not None, wrong


def test_limits_that_a_question_does_not_heed_are_no_fields() -> None:
    """A service has no deadline, and what nodes cost names the nodes itself."""
    names = {kind: {one.name for one in (*form(kind, {}, {}).first, *form(kind, {}, {}).more)} for kind in KINDS}
    assert "by_s" not in names["serve"]
    assert "on" not in names["cost"]
    found = read("serve", {"model": ["X"], "rate": ["1/s"], "by_s": ["nonsense"]})[0]
    assert isinstance(found, Serve)
    assert isinstance(read("cost", {"node": ["X"], "load": ["1\n2\n"]})[0], Cost)
