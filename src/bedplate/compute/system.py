"""The few Linux and C library calls that Python does not wrap, by ctypes."""

from __future__ import annotations

import ctypes
import re
from pathlib import Path
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_M_ARENA_MAX: Final = -8
_MADV_DONTNEED: Final = 4
_MAPPING: Final = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) (\S{4}) ([0-9a-f]+) \S+ \d+ *(.*)$", re.MULTILINE)
_WRITTEN: Final = re.compile(r"^(?:Anonymous|Swap): +[1-9]", re.MULTILINE)
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


def die_with_parent(signal_number: int) -> None:
    """Have this process sent a signal when its parent ends."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal_number, 0, 0, 0)


def become_subreaper() -> None:
    """Have descendants whose parent ended handed to this process, not to init."""
    _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def flush_c_streams() -> None:
    """Write out what C code has printed and still buffers."""
    _LIBC.fflush(None)


def share_heaps(count: int) -> None:
    """Have all threads of this process share so many heaps: each one of its own keeps the most that it ever held. Nothing without glibc."""
    if hasattr(_LIBC, "mallopt"):
        _LIBC.mallopt(_M_ARENA_MAX, count)


def give_memory_back() -> None:
    """Give the machine back what was freed. Nothing without glibc."""
    if hasattr(_LIBC, "malloc_trim"):
        _LIBC.malloc_trim(0)


def leave_libraries(maps: Path = Path("/proc/self/smaps")) -> int:
    """Let go of the pages of libraries that loading and starting read; what is used again is mapped again. Returns how many mappings.

    A page of a file that nobody wrote to loses nothing by it. Only code and the beginnings of files, which no loader writes to, are let
    go, and of these none that holds, here or in swap, a page of our own. Nothing where the system does not tell its mappings.
    """
    try:
        text = maps.read_text()
    except OSError:
        return 0
    found = list(_MAPPING.finditer(text))
    left = 0
    for one, after in zip(found, [*(each.start() for each in found[1:]), len(text)], strict=True):
        start, end, rights, offset, name = one.groups()
        is_library = ".so" in name.rpartition("/")[2] and "w" not in rights and ("x" in rights or not int(offset, 16))
        if is_library and not _WRITTEN.search(text, one.end(), after):
            first, beyond = int(start, 16), int(end, 16)
            left += _LIBC.madvise(ctypes.c_void_p(first), ctypes.c_size_t(beyond - first), _MADV_DONTNEED) == 0
    return left
