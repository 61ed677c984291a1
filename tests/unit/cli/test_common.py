"""Which word of a command is the project file."""

from __future__ import annotations

import pytest

from bedplate.interfaces.cli.verb import split


@pytest.mark.parametrize("word", ["flights.py", "../flights.py", "a b/flights.py", ".", "./", "somewhere/else"])
def test_a_file_or_folder_is_the_project(word: str) -> None:
    assert split(("late", word), None) == (word, ("late",))


@pytest.mark.parametrize("word", ["select a/b from raw", "select\n1/2", "late", "raw[2026/01]", "late@production", "count(a)/2"])
def test_a_query_or_a_part_is_none(word: str) -> None:
    assert split((word,), None) == (None, (word,))


def test_an_option_goes_before_a_word() -> None:
    assert split(("late",), "flights.py") == ("flights.py", ("late",))
