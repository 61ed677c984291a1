"""What is let go of libraries: pages that nobody wrote to, and only those."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from bedplate.compute import system

HEAD = "{} {} {} fe:00 77 /usr/lib/{}\nSize: 8 kB\nAnonymous: {} kB\nSwap: {} kB\nVmFlags: rd ex\n"


def pages() -> int:
    """KiB of files that this process has mapped."""
    said = Path("/proc/self/status").read_text()
    return int(said.partition("RssFile:")[2].split()[0])


def test_libraries_work_on_once_their_pages_are_let_go() -> None:
    """Much less is mapped, and what is used is there again."""
    kept = pl.DataFrame({"a": [1.0, 2.0]})
    before = pages()
    assert system.leave_libraries() > 10
    assert pages() < before / 2
    assert kept.select(pl.col("a").sum()).item() == 3.0
    assert np.linalg.det(np.eye(3)) == 1.0


def test_what_was_written_to_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of libraries only code and the beginnings of files, and none of which a page is ours, here or in swap; nothing of other files."""
    made = [
        ("10000-20000", "r--p", "00000000", "libx.so.1", 0, 0), ("20000-30000", "r-xp", "00010000", "libx.so.1", 0, 0),
        ("30000-40000", "r--p", "00020000", "libx.so.1", 0, 0), ("40000-50000", "rw-p", "00000000", "libx.so.1", 0, 0),
        ("50000-60000", "r-xp", "00000000", "liby.so", 4, 0), ("60000-70000", "r--p", "00000000", "liby.so", 0, 4),
        ("70000-80000", "r--p", "00000000", "data.so.d/table.arrow", 0, 0),
    ]  # fmt: skip
    maps = tmp_path / "smaps"
    maps.write_text("".join(HEAD.format(*one) for one in made))
    left: list[tuple[int, int]] = []

    class Libc:
        @staticmethod
        def madvise(start: ctypes.c_void_p, size: ctypes.c_size_t, advice: int) -> int:
            left.append((start.value or 0, size.value))
            return 0

    monkeypatch.setattr(system, "_LIBC", Libc)
    assert system.leave_libraries(maps) == 2
    assert left == [(0x10000, 0x10000), (0x20000, 0x10000)]
    assert system.leave_libraries(tmp_path / "none") == 0
