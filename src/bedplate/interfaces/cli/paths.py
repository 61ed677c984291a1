"""Paths for people, without anything heavy: an error is printed before a table is."""

from __future__ import annotations

from pathlib import Path


def near(text: str) -> str:
    """Text with the paths in it as seen from this folder: a terminal opens them, and a line stays short."""
    return text.replace(f"{Path.cwd()}/", "")
