"""Prepare: clean, join, normalise; features by entity over time."""

from .handler import Prepare

__all__ = ["Prepare"]
