"""Features: 200k labels joined as of their time onto 2M events of 20k entities, beside pandas and Polars; reads of 1 and 100 entities now.

Joins: both sides sorted beforehand as each system likes it, and from events as they come (where Polars sorts and joins once, and we sort,
keep nothing and join once). Reads: beside the bare store with the same packed values; a Redis is started for each run. These calls take
micro- to milliseconds and live in the processor's caches, which other programs empty: the least of all runs is compared, not the median.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from environments import HERE
from measurement import Asked, Finding, Measurement, Table
from measuring import Case, Measured

PEERS = HERE / "peers"
JOINS = [(system, key, "sorted") for key in ("number", "text") for system in ("bedplate", "pandas", "polars")]
JOINS += [(system, key, "unsorted") for key in ("number", "text") for system in ("bedplate", "polars")]
_WALKS = "pandas walks once through both sides, which it needs sorted by time; labels of ours come in any order and are searched for"
STORES = ("lmdb", "sqlite", "raw lmdb", "redis", "raw redis")


def cases(asked: Asked) -> list[Case]:
    """All read the same two Arrow files, or make the same values."""
    events = 20_000 if asked.quick else 2_000_000
    before = partial(_ready, python=asked.python, events=events)
    folder = asked.scratch / "features"
    joins = [
        Case(
            system=system, work=f"join, {key} keys, {work}", folder=folder, before=before, pieces=events,
            command=(asked.python, str(PEERS / "join.py"), system, key, work),
        )
        for system, key, work in JOINS
    ]  # fmt: skip
    reads = [
        Case(system=store, work=f"read of {many}", command=(asked.python, str(PEERS / "online.py"), store, str(many)), folder=folder)
        for many in (1, 100)
        for store in STORES
    ]
    return joins + reads


def _ready(folder: Path, *, python: str, events: int) -> None:
    if not (folder / "labels.arrow").exists():
        subprocess.run([python, str(PEERS / "frames.py"), "events", str(events)], cwd=folder, check=True)


def judge(measured: Sequence[Measured]) -> list[Finding]:
    """Ratios of the calls themselves, the least of each."""
    table = Table(measured)

    def least(case: tuple[str, str]) -> float:
        return min(sample.inside or 0.0 for sample in table[case].samples)

    def ratio(ours: tuple[str, str], theirs: tuple[str, str]) -> float:
        return least(ours) / least(theirs)

    found = []
    for key in ("number", "text"):
        kept, fresh = f"join, {key} keys, sorted", f"join, {key} keys, unsorted"
        found += [
            Finding(what=f"{kept}, beside pandas", value=ratio(("bedplate", kept), ("pandas", kept)), unit="times", goal=0.5, note=_WALKS),
            Finding(what=f"{kept}, beside polars", value=ratio(("bedplate", kept), ("polars", kept)), unit="times"),
            Finding(what=f"{fresh}, beside polars", value=ratio(("bedplate", fresh), ("polars", fresh)), unit="times", goal=2.0),
        ]
    for many in (1, 100):
        work = f"read of {many}"
        found += [
            Finding(what=f"{work} from LMDB", value=least(("lmdb", work)) * 1e6, unit="CPU us"),
            Finding(what=f"{work} from LMDB, beside bare LMDB", value=ratio(("lmdb", work), ("raw lmdb", work)), unit="times", goal=2.0),
            Finding(what=f"{work} from SQLite, beside bare LMDB", value=ratio(("sqlite", work), ("raw lmdb", work)), unit="times"),
            Finding(what=f"{work} from Redis", value=least(("redis", work)) * 1e6, unit="CPU us"),
            Finding(what=f"{work} from Redis, beside MGET", value=ratio(("redis", work), ("raw redis", work)), unit="times", goal=1.2),
        ]
    return found


FEATURES = Measurement(name="features", title="Features", cases=cases, judge=judge)
