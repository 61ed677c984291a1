"""Files larger than memory, and very many of them (F19): memory grows with their number a little, with their size not at all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

WORK = """
import resource, sys
from pathlib import Path
from bedplate.core.sources import Files
from bedplate.stages.ingest.listing import list_files
from bedplate.storage.local import local_store

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

place, what = Path(sys.argv[1]), sys.argv[2]
store = local_store(place / "store")
before = peak()
if what == "list":
    found = list_files(Files("in/**/*"), place)
    count, size = len(found), sum(entry.size for entry in found)
else:
    digest = store.keep(next((place / "in").iterdir()))
    count, size = 1, next((place / "store" / "blobs" / "sha256").rglob(digest.removeprefix("sha256:"))).stat().st_size
print(count, size, peak() - before)
"""


def taken(place: Path, what: str) -> tuple[int, int, int]:
    """How many files, of how many bytes, and the memory that it took to list or keep them."""
    done = subprocess.run([sys.executable, "-c", WORK, str(place), what], capture_output=True, text=True, timeout=300, check=True)
    count, size, memory = map(int, done.stdout.split())
    return count, size, memory


def sparse(path: Path, size: int) -> None:
    path.parent.mkdir()
    with path.open("wb") as file:
        file.truncate(size)


def test_f19_a_file_of_a_hundred_gigabytes_is_listed_without_reading_it(tmp_path: Path) -> None:
    sparse(tmp_path / "in" / "large.bin", 100 * 2**30)
    count, size, memory = taken(tmp_path, "list")
    assert (count, size) == (1, 100 * 2**30)
    assert memory < 8e6


def test_f19_a_large_file_is_kept_piece_by_piece(tmp_path: Path) -> None:
    sparse(tmp_path / "in" / "large.bin", 400_000_000)
    count, size, memory = taken(tmp_path, "keep")
    assert (count, size) == (1, 400_000_000)
    assert memory < 32e6


@pytest.mark.slow
def test_f19_very_many_small_files_are_listed_in_bounded_memory(tmp_path: Path) -> None:
    """100,000 of them take some 50 MB, half a kilobyte each: an entry has a name, a path and a stamp."""
    for number in range(100_000):
        path = tmp_path / "in" / f"{number % 100:02}" / f"{number:06}.txt"
        if number < 100:
            path.parent.mkdir(parents=True)
        path.touch()
    count, _, memory = taken(tmp_path, "list")
    assert count == 100_000
    assert memory < 100e6
