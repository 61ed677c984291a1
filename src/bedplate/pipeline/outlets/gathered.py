"""A run as other tools are told of it: its attempts with what each was handed, read and made. Read from the record alone."""

from __future__ import annotations

from bedplate.catalog.catalog import Catalog
from bedplate.catalog.lineage import handed_to, read_by
from bedplate.core.records import Attempt, Record, Run, Version


class Told(Record, frozen=True, kw_only=True):
    """An attempt with the versions that it was handed and made, and the names of what it read outside."""

    attempt: Attempt
    stage: str
    inputs: tuple[Version, ...]
    outputs: tuple[Version, ...]
    read: tuple[str, ...]


class Gathered(Record, frozen=True, kw_only=True):
    """A run with its attempts, oldest first."""

    run: Run
    told: tuple[Told, ...]


def gather(catalog: Catalog, run: str) -> Gathered:
    """What took place in a run. Raises NotFound."""
    database = catalog.database

    def work() -> Gathered:
        stages = {(step.name, step.part): step.stage for step in catalog.runs.steps(run)}
        told = tuple(
            Told(
                attempt=attempt,
                stage=stages.get((attempt.step, attempt.part), ""),
                inputs=tuple(catalog.artifacts.get(ref) for ref in handed_to(database, attempt.id)),
                outputs=catalog.artifacts.by_attempt(attempt.id),
                read=read_by(database, attempt.id),
            )
            for attempt in catalog.runs.attempts(run)
        )
        return Gathered(run=catalog.runs.get(run), told=told)

    return database.snapshot(work)
