"""A process that commits to a catalog: `catalog_writer.py FILE NAME COUNT`. Prints each version once it is committed, then its waits.

FILE may be the URL of a database.
"""

from __future__ import annotations

import importlib
import sys
import time
from pathlib import Path
from typing import Any

from bedplate.catalog.backends.sqlite import open_database
from bedplate.catalog.catalog import Catalog
from bedplate.core.clock import SystemClock
from bedplate.testing.records import History, draft


def opened(place: str) -> Any:
    if "://" in place:
        return importlib.import_module("bedplate.catalog.backends.postgres").open_url(place)
    return open_database(Path(place))


def main(place: str, name: str, count: int) -> None:
    database, clock = opened(place), SystemClock()
    longest_s = 0.0
    history = History(Catalog.open(database, clock), clock, f"r-{name}")
    for number in range(count):
        began = time.monotonic()
        commit = history.done(f"step_{number}", draft("shared", [name, number]), draft(f"own_{name}", number))
        ((shared, own),) = history.catalog.commit([commit])
        longest_s = max(longest_s, time.monotonic() - began)
        print(shared.ref, own.ref, commit.attempt.id, flush=True)
    print("waits", getattr(database, "waited_s", 0.0), longest_s, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
