"""Ingest: raw data through typed sources into the store."""

from .doors import Doors
from .handler import Ingest

__all__ = ["Doors", "Ingest"]
