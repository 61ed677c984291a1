"""Pages over one run, on PostgreSQL."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from bedplate.catalog.database import Database
from bedplate.testing.run_view_contract import RunViewContract

postgres = pytest.importorskip("bedplate.catalog.backends.postgres", reason="psycopg is not installed")


class TestPostgresRunView(RunViewContract):
    @pytest.fixture(autouse=True)
    def server(self, postgres_url: str) -> None:
        self.url = postgres_url

    def make(self, folder: Path) -> Database:
        name = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
        database: Database = postgres.open_url(f"{self.url}?schema=n{name}")
        return database
