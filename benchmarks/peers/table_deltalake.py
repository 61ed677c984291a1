"""The same table through deltalake alone: `write` by write_deltalake, `scan` by Polars' scan_delta."""

from __future__ import annotations

import sys
import time

import deltalake
import polars as pl

if sys.argv[1] == "write":
    frame = pl.read_ipc("frame.arrow")
    began = time.process_time()
    deltalake.write_deltalake("delta", frame)
    print(f"inside={time.process_time() - began}")
else:
    began = time.process_time()
    found = pl.scan_delta("delta").collect()
    assert found.sum().height
    print(f"inside={time.process_time() - began}")
