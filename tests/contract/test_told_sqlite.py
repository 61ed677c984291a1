"""What is told over SQLite: traces, webhooks, what was brought."""

from __future__ import annotations

from pathlib import Path

from bedplate.catalog.backends.sqlite import open_database
from bedplate.catalog.database import Database
from bedplate.testing.told_contract import ToldContract


class TestSqliteTold(ToldContract):
    def make(self, folder: Path) -> Database:
        return open_database(folder / "catalog.db")
