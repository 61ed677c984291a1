"""Looks at a prediction log for pages: what was served lately, and single predictions.

Only the columns and rows that are asked for are read, and of each look at most `MOST` rows. Times are UTC.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import msgspec
import polars as pl

from bedplate.catalog.catalog import Catalog
from bedplate.pipeline.served import LABELS, PREDICTIONS, log_name
from bedplate.pipeline.why import FEATURES
from bedplate.storage.store import Store

from .labels import KEYS, join_labels
from .lately import Answer, Lately, OfVersion, Place, Sought, Stretch
from .report import Report
from .served import brought
from .watched import Asked, watched
from .window import bucket_width

MOST: Final = 200_000
WATCHED: Final = 50_000
"""Rows of which drift and quality are worked out for a page: about a second's work."""
_STRETCHES: Final = 100
_NEWEST: Final = 20
"""Predictions by which it is told how a service stands now."""
_MESSAGES: Final = 5
_ID: Final = r" \(e-[0-9a-z-]+\)$"
_NUMBER: Final = r"[-+]?\d[\d.,]*"
_LONGEST: Final = 300
_QUANTILES: Final = (("p50_ms", 0.5), ("p95_ms", 0.95), ("p99_ms", 0.99))
_FAILED: Final = (pl.col("status") >= 500) | ((pl.col("status") < 400) & pl.col("error").is_not_null())
_REFUSED: Final = pl.col("status").is_between(400, 499)


def last(store: Store, service: str) -> datetime | None:
    """When the newest prediction of a service was asked for; None where there is none."""
    scan = _log(store, service)
    found = None if scan is None else scan.select(pl.col("at").max()).collect().item()
    return found if isinstance(found, datetime) else None


def lately(store: Store, service: str, start: datetime | None, now: datetime) -> Lately:
    """What a service was asked since then (None: ever) until now."""
    scan = _log(store, service)
    if scan is None:
        return Lately(service=service, start=start or now, end=now)
    since, cut = _bounded(scan, start, MOST)
    wanted = scan if since is None else scan.filter(pl.col("at") >= since)
    columns = wanted.select("at", "status", "error", "latency_ms", "models", failed=_FAILED.fill_null(False), refused=_REFUSED)
    rows = columns.with_columns(ms=pl.when(~pl.col("failed") & ~pl.col("refused")).then("latency_ms")).sort("at").collect()
    first = rows.get_column("at")[0] if rows.height else now
    begin = first if since is None or cut else since
    width = bucket_width((now - begin).total_seconds(), _STRETCHES)
    newest = rows.tail(_NEWEST)
    whole = rows.select(*_figures()).row(0, named=True) if rows.height else {}
    return Lately(
        service=service, start=begin, end=now, width_s=width, stretches=_stretches(rows, begin, now, width), cut=cut,
        by_version=_by_version(rows), messages=_messages(rows), newest=newest.height,
        newest_failed=int(newest.get_column("failed").sum()), **whole,
    )  # fmt: skip


def answers(store: Store, service: str, sought: Sought) -> tuple[list[Answer], Place | None]:
    """A page of predictions, the newest first, and where the next one begins; None where there is none."""
    scan = _log(store, service)
    if scan is None:
        return [], None
    held = _holds(scan, sought)
    rows = held.top_k(sought.limit + 1, by=["at", "prediction_id"]).collect().sort("at", "prediction_id", descending=True)
    page = rows.head(sought.limit)
    found = _answers(_labelled(store, service, page))
    return found, Place(found[-1].at, found[-1].id) if rows.height > sought.limit else None


def answer(store: Store, service: str, prediction: str) -> Answer | None:
    """One prediction; None where the log has none of that id (yet)."""
    scan = _log(store, service)
    if scan is None:
        return None
    rows = scan.filter(pl.col("prediction_id") == prediction).head(1).collect()
    return next(iter(_answers(_labelled(store, service, rows))), None)


def look(store: Store, catalog: Catalog, service: str, since: datetime | None, threshold: float) -> tuple[Report, bool]:
    """The report on what was served since then, and whether that is less than was asked for.

    How features are keyed is what the last step that looked rows up in them was told.
    """
    scan = _log(store, service)
    begin, cut = (since, False) if scan is None else _bounded(scan, since, WATCHED)
    asked = Asked(service=service, since=begin, threshold=threshold, views={} if scan is None else _views(catalog, scan))
    return watched(store, catalog, asked), cut


def _log(store: Store, service: str) -> pl.LazyFrame | None:
    """The log; None where nothing was logged yet."""
    scan: pl.LazyFrame = store.log(log_name(PREDICTIONS, service)).scan()
    return scan if scan.collect_schema().names() else None


def _bounded(scan: pl.LazyFrame, since: datetime | None, most: int) -> tuple[datetime | None, bool]:
    """From when on there are at most about so many rows, and whether that is later than asked."""
    wanted = scan if since is None else scan.filter(pl.col("at") >= since)
    if wanted.select(pl.len()).collect().item() <= most:
        return since, False
    later = wanted.select(pl.col("at").top_k(most).min()).collect().item()
    return (later, True) if isinstance(later, datetime) else (since, False)


def _views(catalog: Catalog, scan: pl.LazyFrame) -> dict[str, tuple[str, dict[str, Any]]]:
    """By parameter, the features that were looked up, and how they are keyed; without those of which that is not known."""
    if "looked" not in scan.collect_schema().names():
        return {}
    told = scan.select("at", "looked").drop_nulls().top_k(1, by="at").collect().get_column("looked").to_list()
    asked: dict[str, dict[str, Any]] = msgspec.json.decode(told[0]) if told else {}
    steps = (step for step in catalog.runs.last_steps().values() if step.key_parts is not None)
    keyed = {name: spec for step in steps if step.key_parts for name, spec in step.key_parts.settings.items() if name.startswith(FEATURES)}
    artifacts = {parameter: str(one["features"]).rpartition("@")[0] for parameter, one in asked.items() if one.get("features")}
    return {parameter: (name, dict(keyed[FEATURES + name])) for parameter, name in artifacts.items() if FEATURES + name in keyed}


def _figures() -> list[pl.Expr]:
    quantiles = [pl.col("ms").quantile(share, "linear").alias(name) for name, share in _QUANTILES]
    return [pl.len().alias("predictions"), pl.col("refused").sum(), pl.col("failed").sum(), *quantiles]


def _stretches(rows: pl.DataFrame, start: datetime, end: datetime, width_s: int) -> tuple[Stretch, ...]:
    slot = pl.col("at").dt.truncate(f"{width_s}s")
    found = {row["at"]: row for row in rows.group_by(slot).agg(*_figures()).iter_rows(named=True)}
    counted = rows.group_by(slot, "models").agg(count=pl.len()).sort("at", "models")
    versions: dict[datetime, dict[str, int]] = {}
    for at, text, count in counted.iter_rows():
        for ref in refs(text):
            there = versions.setdefault(at, {})
            there[ref] = there.get(ref, 0) + count
    grid = pl.datetime_range(start, end, f"{width_s}s", eager=True).dt.truncate(f"{width_s}s").to_list()
    times = sorted({*grid, *found})
    return tuple(Stretch(**{"at": at, **found.get(at, {}), "versions": versions.get(at, {})}) for at in times)


def _by_version(rows: pl.DataFrame) -> tuple[OfVersion, ...]:
    times = pl.col("at").min().alias("first"), pl.col("at").max().alias("last")
    grouped = rows.group_by("models").agg(*_figures(), *times).sort("last", descending=True)
    return tuple(
        OfVersion(versions=refs(row["models"]), **{k: v for k, v in row.items() if k != "models"}) for row in grouped.iter_rows(named=True)
    )


def _messages(rows: pl.DataFrame) -> dict[str, int]:
    """The errors that came most often, without the ids that the server gave them: of those alike but for numbers the newest."""
    texts = rows.select(text=pl.col("error").str.slice(0, _LONGEST).str.replace(_ID, "")).drop_nulls()
    alike = texts.group_by(kind=pl.col("text").str.replace_all(_NUMBER, "0")).agg(pl.col("text").last(), count=pl.len())
    most = alike.sort("count", "text", descending=[True, False]).head(_MESSAGES)
    return {str(text): int(count) for text, count in most.select("text", "count").iter_rows()}


def refs(models: str | None) -> tuple[str, ...]:
    """The versions in the text of a prediction's models: `late@7`."""
    return tuple(f"{name}@{number}" for name, number in sorted(msgspec.json.decode(models).items())) if models else ()


def _holds(scan: pl.LazyFrame, sought: Sought) -> pl.LazyFrame:
    """The rows that are looked for."""
    if sought.since is not None:
        scan = scan.filter(pl.col("at") >= sought.since)
    if sought.until is not None:
        scan = scan.filter(pl.col("at") <= sought.until)
    if sought.wrong:
        scan = scan.filter((_FAILED | _REFUSED).fill_null(False))
    if sought.version:
        every = scan.select(pl.col("models").unique()).collect().get_column("models").to_list()
        scan = scan.filter(pl.col("models").is_in([text for text in every if sought.version in refs(text)]))
    if sought.below is not None:
        at, there = pl.lit(sought.below.at).cast(pl.Datetime("us", "UTC")), pl.lit(sought.below.id)
        scan = scan.filter((pl.col("at") < at) | ((pl.col("at") == at) & (pl.col("prediction_id") < there)))
    return scan


def _labelled(store: Store, service: str, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with what really happened, where it was brought; only the labels of these rows are read."""
    scan: pl.LazyFrame = store.log(log_name(LABELS, service)).scan()
    keys = [key for key in KEYS if key in scan.collect_schema().names()]
    if not keys or not rows.height:
        return rows
    known = brought(scan.filter(pl.any_horizontal(pl.col(key).is_in(rows.get_column(key).to_list()) for key in keys)))
    return rows if known is None or not known.height else join_labels(rows, known)[0]


def _answers(rows: pl.DataFrame) -> list[Answer]:
    return [_answer(row) for row in rows.iter_rows(named=True)]


def _answer(row: dict[str, Any]) -> Answer:
    result = row.get("result")
    return Answer(
        id=row["prediction_id"], request_id=row["request_id"], at=row["at"], status=row["status"], error=row["error"] or "",
        latency_ms=row["latency_ms"], versions=refs(row["models"]), request=row.get("request") or {},
        features={name: found for name, found in (row.get("features") or {}).items() if found is not None},
        looked=msgspec.json.decode(row["looked"]) if row.get("looked") else {}, result=result, label=row.get("label"),
        labelled=row.get("label") is not None, answer_of=row.get("answer_of") or "",
        trace=msgspec.json.decode(row["trace"]) if row.get("trace") else {},
    )  # fmt: skip
