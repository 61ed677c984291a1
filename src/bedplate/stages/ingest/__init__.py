"""Ingest: raw data through typed sources into the store."""

from .handler import Ingest
from .listing import list_source

__all__ = ["Ingest", "list_source"]
