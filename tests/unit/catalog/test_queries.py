"""Named queries: each has a purpose, a caller, and fits the schema."""

from __future__ import annotations

import re
from pathlib import Path

import apsw
import pytest

import bedplate.catalog
from bedplate.catalog.export import TABLES
from bedplate.catalog.migration import load_migrations
from bedplate.catalog.queries import load_queries
from bedplate.core.errors import InternalError

ROOM = Path(bedplate.catalog.__file__).parent
QUERIES = load_queries()


@pytest.fixture(scope="module")
def schema() -> apsw.Connection:
    connection = apsw.Connection(":memory:")
    for migration in load_migrations():
        connection.execute(migration.script).fetchall()
    return connection


@pytest.mark.parametrize("name", QUERIES)
def test_every_query_fits_the_schema(name: str, schema: apsw.Connection) -> None:
    """Tables and columns that it names are there."""
    values = dict.fromkeys(re.findall(r":(\w+)", QUERIES[name].sql))
    assert schema.execute(f"EXPLAIN {QUERIES[name].sql}", values).fetchall()


def test_every_query_has_a_caller() -> None:
    """No dead SQL."""
    code = "\n".join(file.read_text() for file in ROOM.rglob("*.py"))
    assert [name for name in QUERIES if f'"{name}"' not in code and name.removeprefix("export_") not in TABLES] == []


def test_hot_queries_use_an_index(schema: apsw.Connection) -> None:
    """What runs for each step of a plan never reads a whole table (a partial index of just those rows may be)."""
    hot = [
        "version_head", "version_equal", "versions_by_attempt", "cache_get", "step_last", "attempts_open", "usages_of_step", "lease_get",
        "promotion_alias", "source_entries_of_head", "heads_from_attempt", "attempt_status",
    ]  # fmt: skip
    for name in hot:
        values = dict.fromkeys(re.findall(r":(\w+)", QUERIES[name].sql))
        plan = [str(row[3]) for row in schema.execute(f"EXPLAIN QUERY PLAN {QUERIES[name].sql}", values)]
        assert not [line for line in plan if line.startswith("SCAN") and "USING" not in line], name


def test_a_query_without_purpose_or_twice_is_our_bug(tmp_path: Path) -> None:
    """The file format is checked when read."""
    (tmp_path / "a.sql").write_text("-- name: one\nSELECT 1;\n")
    with pytest.raises(InternalError, match="'one'"):
        load_queries(tmp_path)
    (tmp_path / "a.sql").write_text("-- name: one\n-- One.\nSELECT 1;\n-- name: one^\n-- Again.\nSELECT 1;\n")
    with pytest.raises(InternalError, match="'one'"):
        load_queries(tmp_path)
