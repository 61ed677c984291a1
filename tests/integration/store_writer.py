"""A process that writes versions one after the other and says of each what it made; killed by test_store_kills.py."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import polars as pl

from bedplate.core.records import Outcome, Version
from bedplate.storage.local import local_store
from bedplate.storage.shelf import Save
from bedplate.testing.store_contract import committed


def main(root: str, start: str, pinned: str) -> None:
    store = local_store(Path(root))
    store.save(Save(kind="table", artifact="warm", value=pl.DataFrame({"n": [0]}), attempt=f"w-{start}"))  # imports, before the clock runs
    prior = msgspec.json.decode(pinned, type=Version | None)
    for number in range(int(start), int(start) + 1000):
        frame = pl.DataFrame({"n": [number] * 2000, "text": [f"row {row}" for row in range(2000)]})
        append = number % 3 == 0 and prior is not None
        print(f"starting {number}", flush=True)
        draft = store.save(Save(kind="table", artifact="late", value=frame, attempt=f"a-{number}", prior=prior, append=append))
        store.stage(Outcome(attempt=f"a-{number}", drafts=(draft,)))
        prior = committed(draft, number)
        print(msgspec.json.encode(prior).decode(), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
