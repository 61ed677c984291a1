"""Previews are decided by bytes: what is not what its name says is told so, what could hurt is never shown as what it is."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from bedplate.storage.local import local_store
from bedplate.storage.previews import HEAD_BYTES, preview

PNG = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + (10).to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0"
PAGE = b"<!DOCTYPE html><html><script>alert(1)</script></html>"
SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


@pytest.mark.parametrize(
    ("name", "content", "form", "shows"),
    [
        ("a.png", PNG, "PNG image", "image"),
        ("a.jpg", b"\xff\xd8\xff\xe0abc", "JPEG image", "image"),
        ("a.webp", b"RIFF\0\0\0\0WEBPVP8 ", "WebP image", "image"),
        ("a.wav", b"RIFF\0\0\0\0WAVEfmt ", "WAV audio", "audio"),
        ("a.flac", b"fLaC\0\0", "FLAC audio", "audio"),
        ("a.svg", SVG, "SVG image", "image"),
        ("a.html", PAGE, "HTML", "text"),
        ("a.json", b'{"a": [1, NaN' + b"]}", "text", "text"),
        ("a.json", b'{"a": "</script>"}', "JSON", "text"),
        ("a.jsonl", b'{"a": 1}\n{"a": 2}\n', "lines of JSON", "text"),
        ("fig.json", b'{"data": [{"x": [1]}], "layout": {}}', "a Plotly figure of 1 traces, as JSON", "text"),
        ("fig.json", b'{"$schema": "https://vega.github.io/schema/vega-lite/v5.json"}', "a Vega chart, as JSON", "text"),
        ("t.json", b'{"columns": ["a"], "data": [[1], ["<b>"]]}', "a table, as JSON", "table"),
        ("t.csv", b"a,b\n1,<script>\n", "CSV", "table"),
        ("MLmodel", b"flavors:\n  sklearn: {}\n", "description of an MLflow model", "text"),
        ("model.pkl", b"\x80\x04\x95", "Python pickle", "nothing"),
        ("model.safetensors", (40).to_bytes(8, "little") + b'{"a":{}}', "safetensors model", "nothing"),
        ("x.bin", b"\0\1\2\3", "bytes of an unknown form", "nothing"),
        ("x", b"", "an empty file", "nothing"),
    ],
)
def test_bytes_say_what_a_file_is(name: str, content: bytes, form: str, shows: str) -> None:
    """Each form is told in words and shown as what it safely can be; a page only as text, a pickle not at all."""
    found = preview(name, content, len(content))
    assert (found.form, found.shows) == (form, shows)
    assert not found.wrong or name == "a.json"


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.png", PAGE), ("a.png", SVG), ("a.csv", PNG), ("a.json", PNG), ("a.parquet", b"a,b\n1,2\n"), ("a.json", b"not json")],
)
def test_what_is_not_what_it_says_is_told_so(name: str, content: bytes) -> None:
    """A name is a promise; nothing is served as an image because it is named so."""
    found = preview(name, content, len(content))
    assert found.wrong
    assert found.shows != "image" or content in (PNG, SVG)


def test_long_and_deep_things_are_cut() -> None:
    """A text of megabytes, a cell of megabytes, JSON nested deep and wide, an image of a billion points: each is answered in words."""
    assert len(preview("a.txt", b"x" * HEAD_BYTES, 50_000_000).text) < 100_000
    deep = b"[" * 300 + b"1," * 5000 + b"1" + b"]" * 300
    assert len(preview("a.json", deep, len(deep)).text) < 100_000
    table = preview("a.csv", b"a,b\n" + b"x" * 90_000 + b",1\n", 90_010).table
    assert table is not None
    assert len(str(table.rows[0][0])) < 200
    bomb = PNG[:16] + (60_000).to_bytes(4, "big") * 2 + PNG[24:]
    assert preview("a.png", bomb, len(bomb)).shows == "nothing"


def test_letters_cut_in_two_are_no_reason_to_call_a_text_binary() -> None:
    """The head of a file ends anywhere."""
    text = ("\N{GREEK SMALL LETTER ALPHA}" * HEAD_BYTES).encode()
    assert preview("a.txt", text[: HEAD_BYTES - 1], len(text)).shows == "text"


def test_parquet_and_arrow_are_read_from_their_heads(tmp_path: Path) -> None:
    """The first rows with their types; a file that begins so and is broken says so."""
    store = local_store(tmp_path / "store")
    frame = pl.DataFrame({"n": range(1000), "t": ["<b>\N{RIGHT-TO-LEFT OVERRIDE}"] * 1000, "l": [[1, 2]] * 1000})
    frame.write_parquet(tmp_path / "a")
    frame.write_ipc(tmp_path / "b")
    for source in ("a", "b"):
        table = store.preview(store.keep(tmp_path / source), "rows.parquet").table
        assert table is not None
        assert len(table.rows) == 100
        assert table.rows[7][0] == 7
        assert table.columns[0] == ("n", "Int64")
    (tmp_path / "c").write_bytes((tmp_path / "a").read_bytes()[:-30] + b"\0" * 26 + b"PAR1")
    (tmp_path / "d").write_bytes(b"ARROW1\0\0" + json.dumps({"no": "arrow"}).encode())
    for source in ("c", "d"):
        found = store.preview(store.keep(tmp_path / source), "rows.parquet")
        assert "cannot be read" in found.wrong
        assert found.shows == "nothing"


def test_a_table_that_unpacks_to_more_than_is_looked_into_is_left_alone(tmp_path: Path) -> None:
    """Some kilobytes of Parquet whose one cell is 300 MB: the child that reads it ends, and the reader is told to download it."""
    pl.DataFrame({"a": ["y" * 300_000_000]}).write_parquet(tmp_path / "a")
    store = local_store(tmp_path / "store")
    digest = store.keep(tmp_path / "a")
    found = store.preview(digest, "a.parquet")
    assert (found.shows, found.table) == ("nothing", None)
    assert "unpacks to more" in found.wrong
    assert store.preview(digest, "a.parquet", rows=False).form == "Parquet"
