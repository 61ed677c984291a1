"""A table through bedplate: `write`, `scan` of what was written (every column), `hot`: the same 20 times from the cache tier."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import msgspec
import polars as pl

from bedplate.core.records import Draft, Version
from bedplate.storage.cache import Cache
from bedplate.storage.local import local_store
from bedplate.storage.shelf import Save

NOW = "2026-01-01T00:00:00Z"
TIMES = 20
store = local_store(Path("store"), cache=Cache(Path("cache"), 10**10) if sys.argv[1] == "hot" else None)
if sys.argv[1] == "write":
    frame = pl.read_ipc("frame.arrow")
    began = time.process_time()
    draft = store.save(Save(kind="table", artifact="rows", value=frame, attempt="a-1"))
    print(f"inside={time.process_time() - began}")
    Path("draft.json").write_bytes(msgspec.json.encode(draft))
else:
    kept = msgspec.json.decode(Path("draft.json").read_bytes(), type=Draft)
    version = msgspec.convert({**msgspec.to_builtins(kept), "number": 1, "created_at": NOW, "attempt": "a-1"}, Version)
    hot = sys.argv[1] == "hot"
    if hot:
        store.load(version, "polars")
    began = time.process_time()
    for _ in range(TIMES if hot else 1):
        found = store.load(version, "polars")
        assert found.sum().height
    print(f"inside={time.process_time() - began}")
