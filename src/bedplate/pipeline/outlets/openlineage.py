"""A run as OpenLineage events: each attempt at a step is a run of its job, the bedplate run its parent. Pure.

Choices: the namespace of jobs and of versions is the project's; a version is a dataset with the number that it has here. What a step read
outside (files, addresses, queries) is a dataset of the namespace `sources`. Ids are UUIDs that follow from the record's own, so that
telling a run twice tells the same. Limits: column lineage is not told.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from bedplate.core.clock import iso
from bedplate.core.records import Version

from .gathered import Gathered, Told

PRODUCER: Final = "https://github.com/bedplate/bedplate"
_SPEC: Final = "https://openlineage.io/spec"
_EVENT: Final = f"{_SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent"
_ENDS: Final = {"done": "COMPLETE", "failed": "FAIL", "cancelled": "ABORT"}
_SPACE: Final = uuid.uuid5(uuid.NAMESPACE_URL, PRODUCER)
Event = dict[str, Any]


def events(gathered: Gathered) -> list[Event]:
    """Every event of a run, in the order of their times: how it began, its attempts, how it ended."""
    run, namespace = gathered.run, gathered.run.project
    job = {"namespace": namespace, "name": namespace, "facets": {"jobType": _job_type("RUN")}}
    own = {"runId": _uuid(run.id), "facets": {}}
    found = [_event("START", run.started_at, own, job)]
    for told in gathered.told:
        found += _attempt(gathered, told)
    if run.ended_at is not None:
        found.append(_event(_ENDS.get(run.status, "OTHER"), run.ended_at, own, job))
    return sorted(found, key=lambda event: (event["eventTime"], event["eventType"] != "START"))


def _attempt(gathered: Gathered, told: Told) -> Iterator[Event]:
    attempt, namespace = told.attempt, gathered.run.project
    name = f"{namespace}.{attempt.step}" + (f"[{attempt.part}]" if attempt.part else "")
    job = {"namespace": namespace, "name": name, "facets": {"jobType": _job_type((told.stage or "step").upper())}}
    parent = {"run": {"runId": _uuid(gathered.run.id)}, "job": {"namespace": namespace, "name": namespace}}
    facets: Event = {"parent": _facet("1-1-0/ParentRunFacet", parent)}
    inputs = [_dataset(namespace, version) for version in told.inputs]
    inputs += [{"namespace": f"{namespace}.sources", "name": read, "facets": {}} for read in told.read]
    run = {"runId": _uuid(attempt.id), "facets": facets}
    yield {**_event("START", attempt.started_at, run, job), "inputs": inputs}
    if attempt.ended_at is None:
        return
    ended = dict(facets)
    if attempt.status == "failed":
        ended["errorMessage"] = _facet(
            "1-0-1/ErrorMessageRunFacet", {"message": attempt.message or attempt.cause or "failed", "programmingLanguage": "PYTHON"}
        )
    outputs = [_output(namespace, version) for version in told.outputs]
    kind = _ENDS.get(attempt.status, "OTHER")
    yield {**_event(kind, attempt.ended_at, {**run, "facets": ended}, job), "inputs": inputs, "outputs": outputs}


def _event(kind: str, at: datetime, run: Event, job: Event) -> Event:
    return {
        "eventType": kind, "eventTime": iso(at), "run": run, "job": job, "inputs": [], "outputs": [], "producer": PRODUCER,
        "schemaURL": _EVENT,
    }  # fmt: skip


def _dataset(namespace: str, version: Version) -> Event:
    facets = {"version": _facet("1-0-1/DatasetVersionDatasetFacet", {"datasetVersion": str(version.number)})}
    if version.columns:
        fields = [{"name": column.name, "type": column.type} for column in version.columns]
        facets["schema"] = _facet("1-1-1/SchemaDatasetFacet", {"fields": fields})
    return {"namespace": namespace, "name": version.artifact, "facets": facets}


def _output(namespace: str, version: Version) -> Event:
    statistics: Event = {"size": version.size_bytes}
    if version.rows is not None:
        statistics["rowCount"] = version.rows
    facets = {"outputStatistics": _facet("1-0-2/OutputStatisticsOutputDatasetFacet", statistics)}
    return {**_dataset(namespace, version), "outputFacets": facets}


def _job_type(kind: str) -> Event:
    return _facet("2-0-3/JobTypeJobFacet", {"processingType": "BATCH", "integration": "BEDPLATE", "jobType": kind})


def _facet(which: str, values: Event) -> Event:
    """A facet: `which` is its version and name."""
    version, _, name = which.partition("/")
    return {"_producer": PRODUCER, "_schemaURL": f"{_SPEC}/facets/{version}/{name}.json#/$defs/{name}", **values}


def _uuid(key: str) -> str:
    return str(uuid.uuid5(_SPACE, key))
