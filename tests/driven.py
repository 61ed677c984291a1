"""Which endpoints each test with MLflow's own clients drives, as `tests/clients/driven.csv` says: a test that drives others fails.

A row is a client, a test, and an endpoint as the table of routes has it, which answered that client well at least once.
`make driven` runs those tests and writes the file anew; `make docs` makes the page of it.
"""

from __future__ import annotations

import csv
import fcntl
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from bedplate.interfaces.http.door.routes import Routes
from bedplate.interfaces.http.up.table import ANSWERED, endpoints

FILE = Path(__file__).parent / "clients" / "driven.csv"
WRITING = os.environ.get("WRITE_DRIVEN") == "1"
_ROUTES = Routes(endpoints())


class Driven(NamedTuple):
    """One row of the file."""

    client: str
    test: str
    method: str
    path: str


def rows() -> list[Driven]:
    """What the file says."""
    with FILE.open(newline="") as file:
        return [Driven(*row) for row in list(csv.reader(file))[1:]]


def asked_of(record: Path) -> set[tuple[str, str]]:
    """The endpoints that a client's record names, by method and path."""
    found = set()
    for line in set(record.read_text().splitlines()) if record.exists() else ():
        method, _, url = line.partition(" ")
        path = unquote(urlsplit(url).path)
        route = _ROUTES.find(path)
        if route is not None and method in route.methods:
            found.add((method, route.methods[method].endpoint.path))
        elif (method, path) in ANSWERED:
            found.add((method, path))
    return found


def holds(client: str, test: str, asked: Iterable[tuple[str, str]]) -> None:
    """The test drives with this client what the file says, or is written into it. Raises AssertionError with the difference."""
    now = {Driven(client, test, *one) for one in asked}
    if WRITING:
        _write(client, test, now)
        return
    before = {row for row in rows() if (row.client, row.test) == (client, test)}
    assert now == before, f"next: make driven\ndriven: {sorted(now - before)}\nno more: {sorted(before - now)}"


def _write(client: str, test: str, now: set[Driven]) -> None:
    with FILE.open("r+", newline="") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        kept = [Driven(*row) for row in list(csv.reader(file))[1:]]
        file.seek(0)
        file.truncate()
        out = csv.writer(file, lineterminator="\n")
        out.writerow(Driven._fields)
        out.writerows(sorted({row for row in kept if (row.client, row.test) != (client, test)} | now))
