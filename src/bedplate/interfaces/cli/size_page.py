"""The answer to a sizing question as one self-contained page."""

from __future__ import annotations

from pathlib import Path

from bedplate.planner.sizing import Sizing


def write_page(found: Sizing, path: Path) -> None:
    """Write the page."""
    raise NotImplementedError
