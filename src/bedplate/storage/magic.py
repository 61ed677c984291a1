"""Forms of files by their first bytes, and what their names promise. Pure."""

from __future__ import annotations

import posixpath
import re
import struct
from typing import Final, Literal

from bedplate.core.records import Record

Kind = Literal["image", "audio", "rows", "other"]
_PICKLE: Final = "opening a pickle runs what is in it: it is never opened here"
_PACKED: Final = "it is not unpacked here: download it"


class Form(Record, frozen=True, kw_only=False):
    """One form: its words, what kind of thing it is, the media type that it is served as, and why it is not shown."""

    words: str
    kind: Kind = "other"
    media_type: str = ""
    why: str = _PACKED


_MAGIC: Final[tuple[tuple[bytes, Form], ...]] = (
    (b"\x89PNG\r\n\x1a\n", Form("PNG image", "image", "image/png", "")),
    (b"\xff\xd8\xff", Form("JPEG image", "image", "image/jpeg", "")),
    (b"GIF87a", Form("GIF image", "image", "image/gif", "")),
    (b"GIF89a", Form("GIF image", "image", "image/gif", "")),
    (b"fLaC", Form("FLAC audio", "audio", "audio/flac", "")),
    (b"OggS", Form("Ogg audio", "audio", "audio/ogg", "")),
    (b"ID3", Form("MP3 audio", "audio", "audio/mpeg", "")),
    (b"\xff\xfb", Form("MP3 audio", "audio", "audio/mpeg", "")),
    (b"\xff\xf3", Form("MP3 audio", "audio", "audio/mpeg", "")),
    (b"\xff\xf2", Form("MP3 audio", "audio", "audio/mpeg", "")),
    (b"PAR1", Form("Parquet", "rows", "", "")),
    (b"ARROW1", Form("Arrow", "rows", "", "")),
    (b"%PDF", Form("PDF", why="a PDF is opened by your own reader: download it")),
    (b"PK\x03\x04", Form("ZIP archive")),
    (b"\x1f\x8b", Form("gzip archive")),
    (b"\xfd7zXZ\0", Form("xz archive")),
    (b"BZh", Form("bzip2 archive")),
    (b"\x28\xb5\x2f\xfd", Form("Zstandard archive")),
    (b"\x89HDF\r\n\x1a\n", Form("HDF5 file (Keras models are)")),
    (b"SQLite format 3\0", Form("SQLite database")),
    (b"\x93NUMPY", Form("NumPy array")),
    (b"GGUF", Form("GGUF model")),
    (b"\x7fELF", Form("program of Linux", why="programs are not run here")),
    (b"II*\0", Form("TIFF image", why="browsers do not draw it: download it")),
    (b"MM\0*", Form("TIFF image", why="browsers do not draw it: download it")),
    *((bytes((0x80, number)), Form("Python pickle", why=_PICKLE)) for number in (2, 3, 4, 5)),
)  # fmt: skip
ENDINGS: Final[dict[str, tuple[str, ...]]] = {
    ".png": ("PNG",), ".jpg": ("JPEG",), ".jpeg": ("JPEG",), ".gif": ("GIF",), ".webp": ("WebP",), ".svg": ("SVG",),
    ".wav": ("WAV",), ".mp3": ("MP3",), ".ogg": ("Ogg",), ".flac": ("FLAC",),
    ".parquet": ("Parquet",), ".arrow": ("Arrow",), ".feather": ("Arrow",), ".csv": ("CSV",), ".tsv": ("tab-separated",),
    ".json": ("JSON", "a table, as JSON", "a Vega", "a Plotly"), ".html": ("HTML",), ".htm": ("HTML",),
    ".pdf": ("PDF",), ".zip": ("ZIP",), ".gz": ("gzip",), ".npy": ("NumPy",), ".pkl": ("Python pickle",), ".pickle": ("Python pickle",),
    ".txt": ("text",), ".log": ("text",), ".md": ("Markdown",), ".py": ("Python code",),
}  # fmt: skip
"""The beginnings of the words that each ending of a name promises."""
PLAIN: Final = frozenset({".csv", ".tsv", ".txt", ".log", ".md", ".py", ".yaml", ".yml", ".toml", ".jsonl", ".sql"})
"""Endings of texts that may begin with a tag and are no page."""
_TEXTS: Final = {
    ".md": "Markdown", ".py": "Python code", ".yaml": "YAML", ".yml": "YAML", ".toml": "TOML", ".xml": "XML", ".jsonl": "lines of JSON",
    ".ubj": "XGBoost model", ".sql": "SQL",
}  # fmt: skip
_NAMED: Final = {
    ".onnx": "ONNX model, by its name", ".pb": "protocol buffer, by its name", ".safetensors": "safetensors model, by its name",
    ".ubj": "XGBoost model, by its name", ".pt2": "exported PyTorch model, by its name", ".bin": "bytes of an unknown form",
}  # fmt: skip
_SVG: Final = re.compile(r"(?:<\?xml[^>]{0,500}>\s*)?(?:<!doctype svg[^>]{0,500}>\s*|<!--.{0,500}?-->\s*)*<svg[\s>]", re.DOTALL)
_HTML: Final = re.compile(r"<(?:!doctype\s+html|!--|(?:html|head|body|script|iframe|img|style|link|meta|title|div|p|table|a|h1)[\s>/])")


def form_of(head: bytes) -> Form | None:
    """The form that begins so; None for text and what is not known."""
    if head[:4] == b"RIFF":
        if head[8:12] == b"WAVE":
            return Form("WAV audio", "audio", "audio/wav", "")
        return Form("WebP image", "image", "image/webp", "") if head[8:12] == b"WEBP" else Form("RIFF file")
    if len(head) > 9 and head[8:9] == b"{" and 2 <= struct.unpack_from("<Q", head)[0] < 1 << 30:
        return Form("safetensors model")
    return next((form for begins, form in _MAGIC if head.startswith(begins)), None)


def points_of(form: Form, head: bytes) -> int:
    """How many points an image says that it has; 0 where that is not looked at."""
    if form.words == "PNG image" and len(head) >= 24:
        width, height = struct.unpack_from(">II", head, 16)
        return int(width) * int(height)
    if form.words == "GIF image" and len(head) >= 10:
        width, height = struct.unpack_from("<HH", head, 6)
        return int(width) * int(height)
    return 0


def by_name(name: str) -> str:
    """What bytes of no known beginning are by their name; empty: nobody knows."""
    return _NAMED.get(posixpath.splitext(name)[1].lower(), "")


def text_by_name(name: str) -> str:
    """What a text is by its name."""
    if posixpath.basename(name) == "MLmodel":
        return "description of an MLflow model"
    return _TEXTS.get(posixpath.splitext(name)[1].lower(), "text")


def is_svg(start: str) -> bool:
    """Whether a text (its beginning, in lower case) is an SVG image."""
    return _SVG.match(start) is not None


def is_html(start: str) -> bool:
    """Whether a text (its beginning, in lower case) is a page."""
    return _HTML.match(start) is not None
