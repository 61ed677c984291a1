"""Drift as `watch` finds it: PSI, KS and JS of every column, mixed types; both sides are sketched."""

from __future__ import annotations

import time

import polars as pl

from bedplate.stages.monitor.drift import compare
from bedplate.storage.backends.profile import profile

before, now = (pl.read_ipc(f"{name}.arrow") for name in ("before", "now"))
began = time.process_time()
reference = profile(before)
found = compare(reference, profile(now, reference))
print(f"inside={time.process_time() - began}")
assert len(found) == 20
