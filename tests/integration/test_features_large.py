"""A features table larger than what is held of it: sorted part by part, memory-mapped, joined with labels that stream through."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

JOIN = """
import sys
import threading
import time
from pathlib import Path

import numpy as np
import polars as pl

from bedplate.core.features import FeatureSpec
from bedplate.storage.backends.features_build import index_of
from bedplate.storage.backends.features_view import TableFeatures

folder, files, rows, entities = Path(sys.argv[1]), 12, 1_000_000, 50_000
chance = np.random.default_rng(7)
for at in range(files):
    times = np.sort(chance.integers(at * 10**11, (at + 1) * 10**11, rows))
    frame = pl.DataFrame({"who": chance.integers(0, entities, rows), "time": times, **{f"x{i}": chance.random(rows) for i in range(4)}})
    frame.with_columns(pl.col("time").cast(pl.Datetime("us"))).write_parquet(folder / f"{at:02}.parquet")
asked = pl.DataFrame({"who": chance.integers(0, entities, 10**6), "time": chance.integers(0, files * 10**11, 10**6)})
asked.with_columns(pl.col("time").cast(pl.Datetime("us"))).write_parquet(folder / "labels.pq")
del asked, frame


def held() -> int:
    text = Path("/proc/self/status").read_text()
    return int(text.partition("RssAnon:")[2].split()[0]) // 1024


peak = before = held()


def watch() -> None:
    global peak
    while True:
        peak = max(peak, held())
        time.sleep(0.01)


threading.Thread(target=watch, daemon=True).start()
view = TableFeatures(pl.scan_parquet(sorted(folder.glob("*.parquet"))), FeatureSpec(("who",), "time"))
view._made = index_of(view._source, folder / "kept")
built, peak = peak, held()
view.at(pl.scan_parquet(folder / "labels.pq")).sink_parquet(folder / "joined.pq")
size = sum(path.stat().st_size for path in (folder / "kept").rglob("*") if path.is_file()) >> 20
joined = pl.scan_parquet(folder / "joined.pq")
same = joined.select("who", "time").collect().equals(pl.read_parquet(folder / "labels.pq"))
print(before, built, peak, size, joined.select(pl.len()).collect().item(), int(same))
"""


@pytest.mark.slow
def test_a_table_larger_than_what_is_held_of_it(tmp_path: Path) -> None:
    """12M events, 640 MB as an index: sorting holds less than that, joining a stream of 1M labels a fraction; no label is lost or moved."""
    done = subprocess.run([sys.executable, "-c", JOIN, str(tmp_path)], capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    before, built, joined, size, labels, same = map(int, done.stdout.split())
    assert (labels, same) == (1_000_000, 1)
    assert built - before < size * 0.8
    assert joined < size * 0.6
