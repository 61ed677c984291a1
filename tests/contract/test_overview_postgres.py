"""The contract suite of pages over many runs, over PostgreSQL: a real server that this session starts."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from bedplate.catalog.database import Database
from bedplate.testing.overview_contract import OverviewContract

postgres = pytest.importorskip("bedplate.catalog.backends.postgres", reason="psycopg is not installed")


class TestPostgresOverview(OverviewContract):
    @pytest.fixture(autouse=True)
    def server(self, postgres_url: str) -> None:
        self.url = postgres_url

    def make(self, folder: Path) -> Database:
        name = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
        database: Database = postgres.open_url(f"{self.url}?schema=o{name}")
        return database
