"""The catalog on a disk that misbehaves: full, read-only, bytes changed. Mounts small file systems where it may."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bedplate.catalog.backends.sqlite import open_database
from bedplate.catalog.catalog import Catalog
from bedplate.core.clock import SystemClock
from bedplate.core.errors import CatalogError
from bedplate.testing.records import History


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MB, or a skip that says why there is none."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)], capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def opened(path: Path) -> Catalog:
    return Catalog.open(open_database(path), SystemClock())


def fill(file: Path) -> None:
    with file.open("wb", buffering=0) as filler, contextlib.suppress(OSError):
        while filler.write(b"x" * 4096):
            pass


def make_many(history: History) -> None:
    for number in range(1, 2000):
        history.make("late", number)


@pytest.mark.bad_input("a full disk")
def test_a_full_disk(small_disk: Path) -> None:
    """One clear message; what was committed stays, and with space again the next commit goes through."""
    catalog = opened(small_disk / "catalog.db")
    history = History(catalog, SystemClock())
    history.make("late", 0)
    filler = small_disk / "filler"
    fill(filler)
    with pytest.raises(CatalogError, match="cannot be written") as full:
        make_many(history)
    assert "the disk is full" in full.value.why
    made = catalog.artifacts.get("late").number
    filler.unlink()
    assert history.make("late", "after").number == made + 1
    assert catalog.database.faults() == []
    catalog.close()


@pytest.mark.bad_input("a full disk")
def test_no_space_for_a_first_catalog(small_disk: Path) -> None:
    """Nothing is left behind that a later start would take for a catalog."""
    filler = small_disk / "filler"
    fill(filler)
    with pytest.raises(CatalogError, match="cannot be"):
        opened(small_disk / "catalog.db")
    filler.unlink()
    catalog = opened(small_disk / "catalog.db")
    assert catalog.artifacts.names() == {}
    catalog.close()


@pytest.mark.bad_input("a read-only folder")
def test_a_read_only_file_system(small_disk: Path) -> None:
    """Neither a new record nor an old one can be opened there, and it is said so."""
    opened(small_disk / "catalog.db").close()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    for name in ("catalog.db", "another.db"):
        with pytest.raises(CatalogError, match="cannot be") as refused:
            History(opened(small_disk / name), SystemClock())
        assert str(small_disk / name) in refused.value.what
        assert "rights" in refused.value.next


@pytest.mark.bad_input("a read-only folder")
def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """The state folder's place is a file (works for root too, who ignores mode bits)."""
    (tmp_path / "state").write_text("a file")
    with pytest.raises(CatalogError, match="cannot be made") as refused:
        opened(tmp_path / "state" / "catalog.db")
    assert refused.value.exit_code == 4


@pytest.mark.skipif(os.geteuid() == 0, reason="root ignores mode bits")
def test_a_folder_without_the_right_to_write(tmp_path: Path) -> None:
    """The same for everybody else."""
    folder = tmp_path / "state"
    folder.mkdir(mode=0o555)
    with pytest.raises(CatalogError, match="cannot be made"):
        opened(folder / "catalog.db")


def test_changed_bytes_are_found_by_the_doctors_question(tmp_path: Path) -> None:
    """Pages overwritten in the middle: `faults` names them, or the read itself says that the file is damaged."""
    path = tmp_path / "catalog.db"
    catalog = opened(path)
    history = History(catalog, SystemClock())
    for number in range(50):
        history.make("late", number)
    catalog.close()
    content = bytearray(path.read_bytes())
    for page in range(4, len(content) // 4096, 3):
        content[page * 4096 : page * 4096 + 512] = b"\xff" * 512
    path.write_bytes(bytes(content))
    database = open_database(path)
    try:
        found = database.faults()
    except CatalogError as error:
        found = [str(error)]
    assert found
    database.close()
