"""What a file is, in a few words, from its first bytes."""

from __future__ import annotations

import pytest

from bedplate.core.samples import Sample
from bedplate.storage.backends.decode import words


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"\x89PNG\r\n\x1a\n rest", "PNG image"),
        (b"\xff\xd8\xff\xe0 rest", "JPEG image"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "WAV audio"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "WebP image"),
        (b"a,b\n1,2\n", "a,b"),
        (b"x" * 100, f"{'x' * 60}..."),
        (b"\x00\x01\x02", "binary"),
        (b"\xfe\xfe", "binary"),
        (b"\x1b[2Jgone", "binary"),
        (b"", ""),
    ],
)
def test_a_file_is_known_by_how_it_begins(data: bytes, what: str) -> None:
    """Text that would move the cursor of a terminal is not printed."""
    assert words(Sample("x", data)) == what
