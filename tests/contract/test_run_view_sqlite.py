"""Pages over one run, on SQLite."""

from __future__ import annotations

from pathlib import Path

from bedplate.catalog.backends.sqlite import open_database
from bedplate.catalog.database import Database
from bedplate.testing.run_view_contract import RunViewContract


class TestSqliteRunView(RunViewContract):
    def make(self, folder: Path) -> Database:
        return open_database(folder / "catalog.db")
