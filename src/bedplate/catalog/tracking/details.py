"""Runs with all that they said, many at once: a handful of queries for each few hundred runs, whatever they hold."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

import msgspec

from bedplate.catalog.database import Database, Row

from . import pages
from .pages import Values
from .tracked import Dataset, DatasetInput, Given, Metric, Named, RunDetail, TrackedRun, told

_AT_ONCE: Final = 500
_RUNS: Final = "SELECT id, experiment, origin, parent, name, made_by, status, started_ms, ended_ms, stage FROM tracked WHERE id IN ({})"
_METRICS: Final = "SELECT run, name, number, bits, at_ms, at_step FROM curves WHERE run IN ({}) ORDER BY run, name"
_PARAMS: Final = "SELECT run, name, value FROM run_params WHERE run IN ({}) ORDER BY run, name"
_TAGS: Final = "SELECT run, name, value FROM run_tags WHERE run IN ({}) ORDER BY run, name"
_DATASETS: Final = (
    "SELECT r.run, r.tags, d.name, d.digest, d.source_type, d.source, d.schema, d.profile "
    "FROM run_datasets AS r JOIN datasets AS d ON d.id = r.dataset WHERE r.run IN ({}) ORDER BY r.run, r.dataset"
)
_MODELS: Final = "SELECT run, way, model, at_step FROM run_models WHERE run IN ({}) ORDER BY run, at_step, model"
_tags = msgspec.json.Decoder(list[tuple[str, str]])


class Details:
    """Reads runs whole."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, runs: Sequence[str]) -> list[RunDetail]:
        """The runs of these ids in their order, as they were at one moment; one that is not there is left out."""
        return self._database.snapshot(lambda: [detail for some in pages.chunks(runs, _AT_ONCE) for detail in self._of(some)])

    def _of(self, runs: Sequence[str]) -> list[RunDetail]:
        values = Values()
        listed = values.listed(runs)

        def rows(query: str) -> list[Row]:
            return self._database.composed(query.format(listed), values.given)

        known = {row[0]: TrackedRun(*row) for row in rows(_RUNS)}
        metrics: dict[str, list[Metric]] = defaultdict(list)
        for run, name, number, bits, at_ms, at_step in rows(_METRICS):
            metrics[run].append(Metric(name, told(number, bits), at_ms, at_step))
        params, tags = _named(rows(_PARAMS)), _named(rows(_TAGS))
        datasets: dict[str, list[DatasetInput]] = defaultdict(list)
        for run, kept, *dataset in rows(_DATASETS):
            datasets[run].append(DatasetInput(Dataset(*dataset), tuple(Named(*tag) for tag in _tags.decode(kept))))
        given: dict[tuple[str, str], list[Given]] = defaultdict(list)
        for run, way, model, at_step in rows(_MODELS):
            given[run, way].append(Given(model, at_step))
        return [
            RunDetail(
                known[run], metrics.get(run, []), params.get(run, []), tags.get(run, []), datasets.get(run, []),
                given.get((run, "in"), []), given.get((run, "out"), []),
            )
            for run in runs
            if run in known
        ]  # fmt: skip


def _named(rows: list[Row]) -> dict[str, list[Named]]:
    found: dict[str, list[Named]] = defaultdict(list)
    for run, name, value in rows:
        found[run].append(Named(name, value))
    return found
