"""The few Linux and C library calls that Python does not wrap, by ctypes."""

from __future__ import annotations

import ctypes
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_M_ARENA_MAX: Final = -8
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
