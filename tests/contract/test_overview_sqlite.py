"""The contract suite of pages over many runs, over SQLite."""

from __future__ import annotations

from pathlib import Path

from bedplate.catalog.backends.sqlite import open_database
from bedplate.catalog.database import Database
from bedplate.testing.overview_contract import OverviewContract


class TestSqliteOverview(OverviewContract):
    def make(self, folder: Path) -> Database:
        return open_database(folder / "catalog.db")
