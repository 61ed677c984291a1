"""The contract suite over SQLite."""

from __future__ import annotations

from pathlib import Path

from bedplate.catalog.backends.sqlite import open_database
from bedplate.catalog.database import Database
from bedplate.testing.catalog_contract import CatalogContract


class TestSqliteCatalog(CatalogContract):
    def make(self, folder: Path) -> Database:
        return open_database(folder / "catalog.db")
