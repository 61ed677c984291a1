"""The assessment that a decision needs, from the answer to a sizing question."""

from __future__ import annotations

from pathlib import Path

from bedplate.planner.sizing import Sizing


def write_report(found: Sizing, path: Path) -> None:
    """Write the assessment."""
    raise NotImplementedError
