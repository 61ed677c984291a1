"""The files behind the page of MLflow's API are true: to the table of routes, and to the tests that they name."""

from __future__ import annotations

import re
from pathlib import Path

from driven import rows

from bedplate.interfaces.http.up.table import ANSWERED, endpoints

TESTS = Path(__file__).parents[2]


def test_what_clients_drive_is_in_the_table_of_routes() -> None:
    """No row outlives its endpoint."""
    table = {(one.method, one.path) for one in endpoints()} | set(ANSWERED)
    assert [row for row in rows() if (row.method, row.path) not in table] == []


def test_the_tests_that_drive_them_are_there() -> None:
    """No row outlives its test, and each test with a client of MLflow's that says something has rows."""
    named = {row.test.partition("[")[0] for row in rows()}
    texts = [path.read_text() for folder in ("integration", "journey") for path in (TESTS / folder).glob("test_*.py")]
    there = {name for text in texts for name, body in _functions(text) if re.search(r"(?:client|Client\([^)]*\))\.says\(", body)}
    assert named == there


def _functions(text: str) -> list[tuple[str, str]]:
    """Each test of a file with its lines."""
    pieces = re.split(r"^def (test_\w+)", text, flags=re.MULTILINE)[1:]
    return list(zip(pieces[::2], pieces[1::2], strict=True))
