"""Whose code a file is: the project's, bedplate's, or installed.

Project code is what lies in the project's folder, and what Python imports from anywhere that is neither its own library nor a place
where packages are installed: an editable package, a folder on PYTHONPATH. bedplate itself never is.
"""

from __future__ import annotations

import functools
import sysconfig
from pathlib import Path

_BEDPLATE = str(Path(__file__).resolve().parents[2]) + "/"
_INSTALLED = ("site-packages", "dist-packages")


@functools.cache
def is_installed(file: Path) -> bool:
    """Whether `file` belongs to Python, to an installed package or to bedplate."""
    text = str(file)
    if text.startswith(_BEDPLATE) or any(part in _INSTALLED for part in file.parts):
        return True
    return any(text.startswith(f"{place}/") for place in _library())


@functools.cache
def _library() -> frozenset[str]:
    return frozenset(str(Path(path).resolve()) for name in ("stdlib", "platstdlib") if (path := sysconfig.get_path(name)))
