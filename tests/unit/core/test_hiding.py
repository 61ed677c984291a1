"""Secrets are masked however they are written and cut into pieces, and nothing else is changed."""

from __future__ import annotations

import base64
import json
import urllib.parse
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.core.hiding import Hider, hidden
from bedplate.core.parameters import Secret

TEXT = "hush/4711+\n'\"ü"


def plain(text: str) -> str:
    return text


def base64_of(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def basic_url(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


@pytest.mark.parametrize("written", [plain, repr, json.dumps, urllib.parse.quote, urllib.parse.quote_plus, base64_of, basic_url])
def test_every_spelling_is_masked(written: Any) -> None:
    """What is left says nothing of it: neither the whole nor its middle."""
    left = hidden(f"token: {written(TEXT)}.", [Secret(TEXT)])
    assert "****" in left
    assert written(TEXT)[2:8] not in left


@given(st.lists(st.sampled_from(["aba", "abab", "ababc", "x", "\n"]), max_size=12), st.lists(st.integers(0, 40), max_size=6))
def test_pieces_change_nothing(words: list[str], cuts: list[int]) -> None:
    """Secrets that begin with themselves and with each other, cut anywhere: the same as in one piece, and never one of them."""
    secrets = [Secret("abab"), Secret("ababc")]
    data = "".join(words).encode()
    hider, start, made = Hider(secrets), 0, b""
    for cut in [*sorted(min(cut, len(data)) for cut in cuts), len(data)]:
        made += hider.feed(data[start:cut])
        start = cut
    made += hider.end()
    assert made == hidden(data.decode(), secrets).encode()
    assert b"abab" not in made
    assert made.replace(b"****", b"") == data.replace(b"ababc", b"").replace(b"abab", b"")


@given(st.text())
def test_what_holds_no_secret_stays_as_it_is(text: str) -> None:
    assert hidden(text, [Secret("hush-4711")]) == text
    assert hidden(text, [Secret("abc")]) == text, "too short to be one"
