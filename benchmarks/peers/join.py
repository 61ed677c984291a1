"""The as-of join of labels onto events, by one system: `join.py SYSTEM KEY WORK`.

KEY is `number` or `text`, the sort of the entity. WORK is `sorted` (the events are kept sorted as the system likes them; the least of
nine joins) or `unsorted` (the events as they come, once).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl

from bedplate.core.features import FeatureSpec
from bedplate.storage.backends.features_view import TableFeatures

system, key, work = sys.argv[1:]
events, labels = (pl.read_ipc(f"{name}.arrow").rename({key: "who"}).drop("text", "number", strict=False) for name in ("events", "labels"))


def ours() -> Callable[[], Any]:
    view = TableFeatures(events.lazy(), FeatureSpec(("who",), "time"), home=Path("kept") / key if work == "sorted" else None)
    if work == "sorted":
        view.index()
    return lambda: view.at(labels)


def pandas() -> Callable[[], Any]:
    kept, asked = (frame.sort("time").to_pandas() for frame in (events, labels))
    return lambda: pd.merge_asof(asked, kept, on="time", by="who")


def polars() -> Callable[[], Any]:
    if work == "sorted":
        kept, asked = events.sort("time"), labels.sort("time")
        return lambda: asked.join_asof(kept, on="time", by="who", check_sortedness=False)
    return lambda: labels.sort("time").join_asof(events.sort("time"), on="time", by="who", check_sortedness=False)


join = {"bedplate": ours, "pandas": pandas, "polars": polars}[system]()
taken = []
for _ in range(9 if work == "sorted" else 1):
    began = time.process_time()
    found = join()
    taken.append(time.process_time() - began)
    assert len(found) == len(labels)
print(f"inside={min(taken)}")
