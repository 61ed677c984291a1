"""From the record to a report: which reference what a service served is compared with, and the event that drift leaves.

A window may hold answers of several model versions. The reference is that of the version that answered most and has one; inputs
are compared column by column, by name. What the service answers is compared with what that model says of its training table, unless the
results lie so far beyond it that the service must be giving something else than the model does.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from bedplate.catalog.catalog import Catalog
from bedplate.core.errors import WorldError
from bedplate.core.records import Event, Record, Version
from bedplate.pipeline.served import LABELS, LOST, PREDICTIONS, log_name
from bedplate.storage.sketch import Reference
from bedplate.storage.store import Store

from .parity import Parity, parity, sentence
from .report import Report, watch_report
from .served import brought
from .window import answered_by

DRIFT = "drift.found"
"""The kind of event that a report with drift leaves; `data` says in which columns, and of which window."""


class Asked(Record, frozen=True, kw_only=True):
    """What to report on: a service, since when (None: ever), the time column that slices quality, and what counts as too much."""

    service: str
    since: datetime | None = None
    by: str = "at"
    threshold: float
    goal_p95_s: float | None = None
    views: dict[str, tuple[str, dict[str, Any]]] = msgspec.field(default_factory=dict)
    """By parameter, the features that the service looks up, and how they are keyed."""


def watched(store: Store, catalog: Catalog, asked: Asked) -> Report:
    """The report on what a service served. Raises UserError where `by` is not a time column."""
    predictions = _predictions(store, asked)
    labels = brought(store.log(log_name(LABELS, asked.service)).scan())
    served = answered_by(predictions)
    version, reference = _reference(store, catalog, served)
    name = version.ref if version is not None else ""
    found = watch_report(
        predictions, labels, service=asked.service, threshold=asked.threshold, goal_p95_s=asked.goal_p95_s, by=asked.by,
        reference=reference.profile if reference else None, prediction_reference=reference.prediction if reference else None,
        reference_name=f"the {reference.profile.rows:,} rows that {name} was trained on" if reference else "",
        prediction_reference_name=f"what {name} says of {reference.predicted:,} of them" if reference else "",
    )  # fmt: skip
    compared = tuple(_parities(store, catalog, predictions, asked))
    lost = sum(int(event.data.get("count", 0)) for event in catalog.events.about(LOST, asked.service, asked.since))
    unequal = [said for one in compared if (said := sentence(one))]
    calm = [line for line in found.findings if not (unequal and line.startswith("Nothing stands out"))]
    findings = (*([_loss(lost)] if lost else []), *unequal, *calm)
    notes = (*found.notes, *_notes(served, version, reference))
    return msgspec.structs.replace(found, lost=lost, parity=compared, findings=findings, notes=notes)


def _parities(store: Store, catalog: Catalog, predictions: pl.DataFrame, asked: Asked) -> Iterator[Parity]:
    """Each view that the service looked rows up in, compared with what its newest version says was known then."""
    for parameter, (artifact, spec) in asked.views.items():

        @functools.cache
        def of(ref: str, spec: dict[str, Any] = spec) -> Any:
            version = catalog.artifacts.find(ref)
            return store.load(version, "features", spec) if version is not None and store.exists(version) else None

        newest = catalog.artifacts.find(artifact)
        if newest is not None and store.exists(newest):
            yield parity(predictions, parameter, store.load(newest, "features", spec), newest.ref, of)


def _loss(count: int) -> str:
    return f"{count:,} answers are not in the record, so no figure here counts them: the log had no room while they were given."


def drift_event(report: Report, at: datetime) -> Event | None:
    """The event for a report with drift: what due work reads; None without. The same drift of the same window gives the same `data`."""
    if not report.drifted:
        return None
    every = [*report.drift, *([report.prediction] if report.prediction else [])]
    columns = {one.column: {"psi": one.psi, "reasons": list(one.reasons)} for one in every if one.drifted}
    window = {"start": report.start, "end": report.end, "predictions": report.predictions}
    data = {"columns": columns, "window": window, "versions": report.versions, "reference": report.reference}
    return Event(kind=DRIFT, subject=report.service, at=at, data=msgspec.to_builtins(data))


def note_drift(catalog: Catalog, report: Report, at: datetime) -> bool:
    """Record the event of a report's drift, unless the last one says the same; whether there was something to record."""
    event = drift_event(report, at)
    last = catalog.events.last(DRIFT, report.service)
    if event is None or (last is not None and last.data == event.data):
        return False
    catalog.events.add(event)
    return True


def write_page(path: Path, text: str) -> Path:
    """Write a report's page, with the folders that it needs. Raises WorldError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise WorldError(f"the page {path} cannot be written", why=str(error), next="--html FILE writes it elsewhere") from error
    return path


def _predictions(store: Store, asked: Asked) -> pl.DataFrame:
    scan: pl.LazyFrame = store.log(log_name(PREDICTIONS, asked.service)).scan()
    if asked.since is not None and "at" in scan.collect_schema().names():
        scan = scan.filter(pl.col("at") >= asked.since)
    return scan.collect()


def _reference(store: Store, catalog: Catalog, served: dict[str, int]) -> tuple[Version | None, Reference | None]:
    """The version that answered most among those with a reference; without any, the one that answered most."""
    ranked = sorted(served, key=lambda ref: -served[ref])
    versions = [version for ref in ranked if (version := catalog.artifacts.find(ref)) is not None and version.kind == "model"]
    for version in versions:
        reference = store.reference(version)
        if reference is not None:
            return version, reference
    return (versions[0] if versions else None), None


def _notes(served: dict[str, int], version: Version | None, reference: Reference | None) -> list[str]:
    if version is None or not served:
        return []
    notes = []
    if reference is None:
        notes.append(f"give {version.artifact} its training table, Model(..., example=table), and drift is found against it")
    elif reference.unpredicted:
        notes.append(f"{version.ref}: {reference.unpredicted}")
    if reference is not None and len(served) > 1:
        mine = served[version.ref]
        notes.append(
            f"the reference is that of {version.ref}, which answered most: {mine:,} predictions; all versions: {', '.join(served)}"
        )
    return notes
