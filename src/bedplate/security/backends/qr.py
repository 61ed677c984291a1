"""QR codes, by segno: what a phone's camera takes from a page instead of a person's fingers."""

from __future__ import annotations

import segno


def drawing(text: str) -> str:
    """A QR code of a text as a `data:` URI of an SVG, dark on white in any scheme, with the quiet zone that cameras want."""
    made: str = segno.make(text, error="m", micro=False).svg_data_uri(scale=4, border=4, dark="#000", light="#fff")
    return made
