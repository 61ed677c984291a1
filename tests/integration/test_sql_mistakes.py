"""A query that cannot be used is a user's mistake, told in words; a trailing comment is none."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from bedplate.core.errors import UserError
from bedplate.core.sources import Sql

sql = pytest.importorskip("bedplate.stages.ingest.backends.sql", reason="reads frames")
pytest.importorskip("sqlalchemy", reason="no SQLAlchemy on this machine")


@pytest.fixture
def url(tmp_path: Path) -> str:
    with sqlite3.connect(tmp_path / "shop.db") as database:
        database.executescript("CREATE TABLE sold (id INT, what); INSERT INTO sold VALUES (1, x'ff00'), (2, 'text'), (3, 3.5)")
    return f"sqlite:///{tmp_path / 'shop.db'}"


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("SELECT * FROM sold", "several types"),
        ("SELECT a.id, b.id FROM sold a, sold b", "id twice"),
        ("SELECT id FROM sold WHERE id = :id", "cannot be run"),
        ("DELETE FROM sold", "cannot be run"),
        ("SELECT id FROM sold WHERE (", "cannot be run"),
        ("SELECT id FROM nothing", "cannot be run"),
    ],
)
def test_a_query_that_cannot_be_used(url: str, query: str, told: str) -> None:
    """Named when the source is looked at; and nothing is deleted."""
    with pytest.raises(UserError, match=told):
        sql.entries(Sql(query, url=url), url, ())
    assert sql.entries(Sql("SELECT id FROM sold", url=url), url, ())[0].size == 3


def test_a_comment_at_the_end_of_a_query(url: str) -> None:
    """It does not swallow what the query is wrapped in."""
    source = Sql("SELECT id FROM sold -- all of it", url=url, watermark="id")
    now = sql.entries(source, url, ())
    assert sql.rows(source, url, now, ()).collect()["id"].to_list() == [1, 2, 3]
