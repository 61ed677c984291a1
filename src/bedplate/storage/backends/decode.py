"""What is in a file: decoded for whoever reads samples, and in a few words for people.

Images by Pillow, audio by soundfile; both are optional, and a file that they cannot read is named. Words come from the first bytes (PNG,
JPEG, GIF, WAV, FLAC, PDF, ...), so that they need neither.
"""

from __future__ import annotations

import io
from typing import Any

from bedplate.core import extras
from bedplate.core.errors import UserError
from bedplate.core.samples import Sample

_MAGIC = (
    (b"\x89PNG\r\n", "PNG image"), (b"\xff\xd8\xff", "JPEG image"), (b"GIF8", "GIF image"), (b"BM", "BMP image"), (b"II*\0", "TIFF image"),
    (b"MM\0*", "TIFF image"), (b"fLaC", "FLAC audio"), (b"OggS", "Ogg audio"), (b"ID3", "MP3 audio"), (b"%PDF", "PDF"),
    (b"PK\x03\x04", "ZIP"), (b"\x1f\x8b", "gzip"), (b"PAR1", "Parquet"), (b"ARROW1", "Arrow"), (b"\x00\x00\x00\x18ftyp", "MP4 video"),
)  # fmt: skip
_LINE = 60


class FileSample(Sample, frozen=True):
    """A sample that can be decoded."""

    def image(self) -> Any:
        """The bytes as a `PIL.Image.Image`, loaded. Raises UserError for what Pillow cannot read."""
        pillow = extras.load("PIL.Image", "an image", "images")
        try:
            image = pillow.open(io.BytesIO(self.data))
            image.load()
        except (OSError, ValueError, SyntaxError) as error:
            raise UserError(f"{self.name} is no image that can be read", why=str(error), next="leave it out in the step") from error
        return image

    def audio(self) -> tuple[Any, int]:
        """The bytes as samples (an array of shape frames or frames x channels, -1 to 1) and their rate in Hz. Raises UserError."""
        soundfile = extras.load("soundfile", "audio", "audio")
        try:
            heard, rate = soundfile.read(io.BytesIO(self.data), dtype="float32")
        except soundfile.LibsndfileError as error:
            raise UserError(f"{self.name} is no audio that can be read", why=str(error), next="leave it out in the step") from error
        return heard, int(rate)


def words(sample: Sample) -> str:
    """What a file is, in a few words: its form, else its first line, else only that it is binary."""
    start = sample.data[:64]
    if start[:4] == b"RIFF":
        return "WAV audio" if start[8:12] == b"WAVE" else "WebP image" if start[8:12] == b"WEBP" else "RIFF"
    for magic, form in _MAGIC:
        if start.startswith(magic):
            return form
    line = sample.data[:1_000].partition(b"\n")[0]
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return "binary"
    if not text.replace("\t", " ").isprintable():
        return "binary"
    return text if len(text) <= _LINE else f"{text[:_LINE]}..."
