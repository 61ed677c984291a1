"""A files version through bedplate's Samples: `keep` 20,000 small files, or `read` them shuffled, each digest checked."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import msgspec

from bedplate.core.records import Draft, Version
from bedplate.storage.local import local_store
from bedplate.storage.shelf import Save

store = local_store(Path("store"))
if sys.argv[1] == "keep":
    began = time.process_time()
    draft = store.save(Save(kind="files", artifact="images", value=Path("raw"), attempt="a-1"))
    print(f"inside={time.process_time() - began}")
    Path("draft.json").write_bytes(msgspec.json.encode(draft))
else:
    kept = msgspec.json.decode(Path("draft.json").read_bytes(), type=Draft)
    version = msgspec.convert({**msgspec.to_builtins(kept), "number": 1, "created_at": "2026-01-01T00:00:00Z", "attempt": "a-1"}, Version)
    samples = store.load(version, "samples")
    began = time.process_time()
    size = sum(len(sample.data) for sample in samples.read(seed=1))
    print(f"inside={time.process_time() - began}")
    assert size == kept.size_bytes
