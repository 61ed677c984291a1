"""Bringing labels: a file of what really happened becomes part of a service's label log.

Only what is new or says something else than before is appended, so that the same file may come twice; nothing is ever changed in
place. Labels may come before their predictions are logged, or name predictions of long ago: they are joined when somebody looks.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import polars as pl

from bedplate.core.errors import UserError
from bedplate.core.records import Record
from bedplate.pipeline.served import LABELS, PREDICTIONS, log_name
from bedplate.storage.store import Store

from .labels import KEYS, LabelCounts, as_before, join_labels, latest, read_labels
from .served import BROUGHT_AT, BROUGHT_ROW, brought


class Brought(Record, frozen=True, kw_only=True):
    """What became of a labels file: `counts` of its rows against what was served, and how many were `added` to the log (the others
    were `known`). `predictions` have been answered in all, and `labelled` of them have a label now.
    """

    service: str
    counts: LabelCounts
    added: int
    known: int
    predictions: int
    labelled: int

    @property
    def matched(self) -> int:
        """Labels whose prediction is known."""
        return self.added + self.known - self.counts.unmatched


def bring(store: Store, service: str, path: Path, at: datetime) -> Brought:
    """Add the labels in a file to the service's. Raises UserError for a file that cannot be read, or says nothing."""
    frame = read_labels(path).drop(BROUGHT_AT, BROUGHT_ROW, strict=False)
    given, parts = latest(frame)
    if not given:
        why = "it has no rows" if not frame.height else f"none of its {frame.height:,} rows has a label and an id"
        raise UserError(f"'{path.name}' brings no label", why=why, next="write a row per prediction: its id and what happened")
    log = store.log(log_name(LABELS, service))
    ids, before = _ids(store, service), brought(log.scan())
    fresh = _fresh(as_before(pl.concat(parts.values(), how="diagonal"), before, path.name), before)
    if fresh.height:
        stamps = pl.lit(at).cast(pl.Datetime("us", "UTC")).alias(BROUGHT_AT), pl.int_range(pl.len()).alias(BROUGHT_ROW)
        log.append(fresh.with_columns(*stamps))
    now = brought(log.scan())
    return Brought(
        service=service, counts=join_labels(ids, frame)[1], added=fresh.height, known=sum(p.height for p in parts.values()) - fresh.height,
        predictions=ids.height, labelled=join_labels(ids, now)[1].predictions if now is not None else 0,
    )  # fmt: skip


def _ids(store: Store, service: str) -> pl.DataFrame:
    """The ids of every prediction of the service."""
    scan = store.log(log_name(PREDICTIONS, service)).scan()
    found: pl.DataFrame = (
        scan.select(KEYS).collect() if scan.collect_schema().names() else pl.DataFrame(schema=dict.fromkeys(KEYS, pl.String))
    )
    return found


def _fresh(labels: pl.DataFrame, before: pl.DataFrame | None) -> pl.DataFrame:
    """The labels that are not known as they are already."""
    columns = labels.columns
    if before is None or not set(columns) <= set(before.columns) or any(dtype.is_nested() for dtype in labels.dtypes):
        return labels
    keys = [key for key in KEYS if key in before.columns]
    state = before.unique(keys, keep="last", maintain_order=True).select(columns).cast(labels.schema, strict=False)
    return labels.join(state, on=columns, how="anti", nulls_equal=True, maintain_order="left")
