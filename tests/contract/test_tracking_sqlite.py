"""The contract suite of tracking over SQLite."""

from __future__ import annotations

from pathlib import Path

from bedplate.catalog.backends.sqlite import open_database
from bedplate.catalog.database import Database
from bedplate.testing.tracking_contract import TrackingContract


class TestSqliteTracking(TrackingContract):
    def make(self, folder: Path) -> Database:
        return open_database(folder / "catalog.db")
