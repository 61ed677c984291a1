"""A thousand pictures: ingested, looked at, trained on, gone on with after the process was killed."""

from __future__ import annotations

import io
import wave
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Person
from PIL import Image

import bedplate
from bedplate.core.errors import UserError

PROJECT = """
import json
import os
import signal
from pathlib import Path

from bedplate import Context, Files, Project, Samples

photos = Project("photos")


@photos.ingest
def images(source: Files = Files("raw/*")) -> Files:
    return source


@photos.step(retries=1)
def seen(images: Samples, context: Context) -> list[str]:
    known = context.checkpoints.latest()
    names, done = ([], 0) if known is None else json.loads((known[1] / "state.json").read_text())
    reading = images.read(seed=1, done=done)
    for sample in reading:
        names.append(sample.name)
        if len(names) % 250 == 0:
            state = json.dumps([names, reading.place().done])
            context.checkpoints.save(len(names), lambda folder: (folder / "state.json").write_text(state))
            context.checkpoints.wait()
        if len(names) == 600 and known is None:
            os.kill(os.getpid(), signal.SIGKILL)
    return names
"""


@pytest.fixture(scope="module")
def viewer(tmp_path_factory: pytest.TempPathFactory) -> Person:
    """Somebody with 1,100 pictures and a sound."""
    folder = tmp_path_factory.mktemp("photos")
    (folder / "raw").mkdir()
    for number in range(1_100):
        Image.new("L", (8, 8), number % 256).save(folder / "raw" / f"{number:04}.png")
    with wave.open(str(folder / "raw" / "sound.wav"), "wb") as sound:
        sound.setparams((1, 2, 8_000, 0, "NONE", ""))
        sound.writeframes(b"\x00\x40" * 80)
    (folder / "project.py").write_text(PROJECT)
    return Person(folder)


def test_a_killed_reading_goes_on_and_no_sample_is_lost_or_doubled(viewer: Person) -> None:
    """From the checkpoint's place: what came after it is read again, and was not kept."""
    viewer.types("run")
    names = bedplate.open(viewer.folder)["seen"].load()
    assert len(names) == 1_101
    assert len(set(names)) == 1_101


def test_what_was_read_and_waited_for_is_shown_with_the_step(viewer: Person) -> None:
    said = viewer.types("show", "seen").stdout
    assert "images.samples" in said
    assert "images.stalled_s" in said


def test_show_looks_into_the_files(viewer: Person) -> None:
    said = viewer.types("show", "images").stdout
    assert "1,101 files" in said
    assert "raw/0000.png" in said
    assert "PNG image" in said
    assert "and 1,093 more" in said


def test_pictures_and_sounds_are_decoded_and_what_is_none_is_named(viewer: Person) -> None:
    samples = bedplate.open(viewer.folder)["images"].load(view="samples")
    assert samples["raw/0007.png"].image().getpixel((0, 0)) == 7
    heard, rate = samples["raw/sound.wav"].audio()
    assert (len(heard), rate) == (80, 8_000)
    assert heard[0] == pytest.approx(0.5)
    with pytest.raises(UserError, match=r"sound\.wav is no image"):
        samples["raw/sound.wav"].image()
    with pytest.raises(UserError, match=r"0007\.png is no audio"):
        samples["raw/0007.png"].audio()


def test_one_more_picture_costs_one_more_picture(viewer: Person) -> None:
    """All but the new bytes lie where they lay."""
    store = viewer.folder / ".bedplate" / "store" / "blobs"
    before = {path for path in store.rglob("*") if path.is_file()}
    picture = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(picture, "png")
    (viewer.folder / "raw" / "new.png").write_bytes(picture.getvalue())
    viewer.types("run", "images")
    new = {path for path in store.rglob("*") if path.is_file()} - before
    assert len(new) == 2
    assert min(path.stat().st_size for path in new) == len(picture.getvalue())


def test_a_table_cannot_be_read_as_samples(viewer: Person, tmp_path: Path, person: Callable[..., Person]) -> None:
    (tmp_path / "project.py").write_text(
        "import polars as pl\nfrom bedplate import Project, Samples\np = Project('p')\n"
        "@p.step\ndef rows() -> pl.DataFrame:\n    return pl.DataFrame()\n"
        "@p.step\ndef wrong(rows: Samples) -> int:\n    return 1\n"
    )
    assert "rows" in Person(tmp_path).types("lint", code=3).stdout
