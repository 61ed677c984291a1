"""What is brought over from another tracker, written into the record: each thing once, whole, in one transaction.

Choices: the source's ids are kept where nobody has them; a run is put with all that it said, so that it is here whole or not at all; what
is here already is never changed by a source, but for how a run that went on has ended. A run that came from nobody's source stays ours:
a source that has its id is told so. Limits: a run's points are held in memory while it is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from bedplate.catalog.database import Database, Value
from bedplate.catalog.rows import text
from bedplate.core.clock import iso
from bedplate.core.records import Record

from .overview import write_keys
from .theirs import Point, TheirDataset, TheirExperiment, TheirLogged, TheirRun
from .tracked import OURS, PARENT, bits_of, number_of, rank_of

Values = dict[str, Value]
What = Literal["experiment", "run", "logged", "model"]
_LARGEST = 2**63 - 1
_OURS: Mapping[str, str] = dict(OURS.items())


class Kept(Record, frozen=True, kw_only=False):
    """A file whose bytes are in the store: its path, digest (64 hex digits) and size."""

    path: str
    sha256: str
    size_bytes: int


class Mark(Record, frozen=True, kw_only=False):
    """What was brought: its id here, and the digest of all that the source said of it."""

    here: str
    digest: str


class Brought:
    """Writes what another tracker held. `source` is where it is, in every call."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def marks(self, source: str, what: What) -> dict[str, Mark]:
        """What was brought from a source before, by the source's id."""
        return {row[0]: Mark(row[1], row[2]) for row in self._database.rows("brought_all", source=source, what=what)}

    def experiment(self, source: str, theirs: TheirExperiment, digest: str) -> int:
        """Bring an experiment; its id here. One of the same name here is the same."""
        return self._database.transact(lambda: self._experiment(source, theirs, digest))

    def is_ours(self, what: Literal["run", "logged"], key: str) -> bool:
        """Whether something of this id is here that no source brought."""
        there = self._database.value("brought_tracked_there" if what == "run" else "brought_logged_there", id=key)
        return bool(there) and not self.came(what, key)

    def came(self, what: What, key: str) -> bool:
        """Whether something here was brought, from whichever source."""
        return bool(self._database.value("brought_from_any", what=what, here=key))

    def thing(self, what: What, key: str, source: str, put: Callable[[], None]) -> None:
        """Bring something by what `put` does, in one transaction with the note that it came."""

        def work() -> None:
            put()
            self._database.run("brought_put", source=source, what=what, id=key, here=key, digest="")

        self._database.transact(work)

    def number_next(self, model: str, number: int) -> None:
        """Let a model's next version have a source's number, where that is not behind."""
        self._database.run("brought_number", name=model, number=number)

    def run(self, source: str, theirs: TheirRun, experiment: int, points: Sequence[Point], files: Sequence[Kept], digest: str) -> None:
        """Bring a run with all that it said; `experiment` is the id here."""
        self._database.transact(lambda: self._run(source, theirs, experiment, points, files, digest))

    def logged(self, source: str, theirs: TheirLogged, experiment: int, files: Sequence[Kept], digest: str) -> None:
        """Bring a logged model."""
        self._database.transact(lambda: self._logged(source, theirs, experiment, files, digest))

    def linked(self, theirs: TheirRun) -> None:
        """Bring which logged models a run took and gave; they are here by now, or left out."""
        links: list[Values] = [{"id": theirs.id, "model": model, "way": "in", "at_step": 0} for model in theirs.inputs]
        links += [{"id": theirs.id, "model": model, "way": "out", "at_step": step} for model, step in theirs.outputs]
        self._database.many("brought_run_model", links)

    def differences(self, theirs: TheirRun, points: Iterable[Point], files: Iterable[Kept]) -> list[str]:
        """What of a run is not here as the source has it; empty where all is."""
        return self._database.snapshot(lambda: self._differences(theirs, points, files))

    def _experiment(self, source: str, theirs: TheirExperiment, digest: str) -> int:
        found = self._database.value("brought_experiment_named", name=theirs.name)
        if found is None:
            wanted = int(theirs.id) if theirs.id.isascii() and theirs.id.isdecimal() and int(theirs.id) <= _LARGEST else 0
            is_free = wanted and self._database.value("brought_experiment_free", id=wanted)
            found = wanted if is_free else self._database.value("brought_experiment_next")
            self._database.run(
                "brought_experiment", id=found, name=theirs.name, stage=theirs.stage, created_ms=theirs.created_ms,
                updated_ms=theirs.updated_ms,
            )  # fmt: skip
        self._database.many("brought_experiment_tag", _named(found, theirs.tags))
        self._database.run("brought_put", source=source, what="experiment", id=theirs.id, here=str(found), digest=digest)
        return int(found)

    def _run(self, source: str, theirs: TheirRun, experiment: int, points: Sequence[Point], files: Sequence[Kept], digest: str) -> None:
        self._begun(theirs, experiment)
        self._database.run(
            "brought_tracked", id=theirs.id, experiment=experiment, parent=theirs.tags.get(PARENT, ""), name=theirs.name,
            made_by=theirs.user, status=theirs.status, started_ms=theirs.started_ms, ended_ms=theirs.ended_ms, stage=theirs.stage,
            deleted_ms=theirs.deleted_ms if theirs.stage == "deleted" else None,
        )  # fmt: skip
        self._database.many("brought_param", _named(theirs.id, theirs.params))
        self._database.many("brought_tag", _named(theirs.id, theirs.tags))
        curves = latest(points)
        self._database.many("brought_curve", [_curve(theirs.id, experiment, point) for point in curves])
        write_keys(self._database, theirs.id, "param", theirs.params)
        write_keys(self._database, theirs.id, "tag", theirs.tags)
        write_keys(self._database, theirs.id, "metric", [point.name for point in curves])
        self._database.many("brought_point", [_point(theirs.id, point) for point in points])
        for dataset in theirs.datasets:
            self._dataset(theirs.id, experiment, dataset)
        self._files(theirs.id, experiment, files, theirs.ended_ms or theirs.started_ms)
        self._database.run("brought_put", source=source, what="run", id=theirs.id, here=theirs.id, digest=digest)

    def _begun(self, theirs: TheirRun, experiment: int) -> None:
        """The rows that make it a run of the record."""
        ended = theirs.ended_ms
        status = _OURS.get(theirs.status, "running")
        times: Values = {"started_at": _at(theirs.started_ms), "ended_at": None if ended is None else _at(ended)}
        name = self._database.value("brought_experiment_name", id=experiment)
        self._database.run("brought_run", id=theirs.id, project=name, status=status, **times)
        wall_s = 0.0 if ended is None else max(0, ended - theirs.started_ms) / 1000
        self._database.run("brought_attempt", id=theirs.id, status=status, wall_s=wall_s, **times)

    def _dataset(self, run: str, experiment: int, theirs: TheirDataset) -> None:
        which: Values = {"experiment": experiment, "name": theirs.name, "digest": theirs.digest}
        self._database.run(
            "brought_dataset", **which, source_type=theirs.source_type, source=theirs.source, schema=theirs.schema, profile=theirs.profile
        )
        self._database.run("brought_run_dataset", id=run, tags=text(theirs.tags), **which)

    def _logged(self, source: str, theirs: TheirLogged, experiment: int, files: Sequence[Kept], digest: str) -> None:
        self._database.run(
            "brought_logged", id=theirs.id, experiment=experiment, name=theirs.name, model_type=theirs.model_type, run=theirs.run,
            status=theirs.status, message=theirs.message, created_ms=theirs.created_ms, updated_ms=theirs.updated_ms,
            deleted_ms=theirs.updated_ms if theirs.is_deleted else None,
        )  # fmt: skip
        self._database.many("brought_logged_param", _named(theirs.id, theirs.params))
        self._database.many("brought_logged_tag", _named(theirs.id, theirs.tags))
        self._database.many(
            "brought_logged_metric",
            [
                {
                    "id": theirs.id, "run": one.run, "name": one.name, "number": number_of(one.value), "bits": bits_of(one.value),
                    "at_step": one.at_step, "at_ms": one.at_ms, "dataset": one.dataset, "dataset_digest": one.dataset_digest,
                }
                for one in theirs.metrics
            ],
        )  # fmt: skip
        self._files(theirs.id, experiment, files, theirs.updated_ms)
        self._database.run("brought_put", source=source, what="logged", id=theirs.id, here=theirs.id, digest=digest)

    def _files(self, owner: str, experiment: int, files: Sequence[Kept], at_ms: int) -> None:
        there = {row[0] for row in self._database.rows("brought_files_of", id=owner)}
        self._database.value(
            "client_bytes_grow", name=f"client_bytes:{experiment}", by=sum(one.size_bytes for one in files if one.path not in there)
        )
        listed: list[Values] = [
            {"id": owner, "path": one.path, "sha256": one.sha256, "size_bytes": one.size_bytes, "changed_ms": at_ms} for one in files
        ]
        self._database.many("brought_file", listed)

    def _differences(self, theirs: TheirRun, points: Iterable[Point], files: Iterable[Kept]) -> list[str]:
        asked: dict[str, tuple[set[tuple[Any, ...]], str]] = {
            "params": (set(theirs.params.items()), "brought_params_of"),
            "tags": (set(theirs.tags.items()), "brought_tags_of"),
            "points": ({(one.name, one.at_step, one.at_ms, bits_of(one.value)) for one in points}, "brought_points_of"),
            "files": ({(one.path, one.sha256, one.size_bytes) for one in files}, "brought_files_of"),
        }
        found = []
        for what, (wanted, query) in asked.items():
            lacking = len(wanted - set(self._database.rows(query, id=theirs.id)))
            if lacking:
                found.append(f"{lacking} of {len(wanted)} {what} of run {theirs.id} are not here as they are there")
        return found


def latest(points: Iterable[Point]) -> list[Point]:
    """The latest point of each metric: of the highest step, then time, then value."""
    found: dict[str, Point] = {}
    for point in points:
        if point.name not in found or _rank(point) > _rank(found[point.name]):
            found[point.name] = point
    return list(found.values())


def _rank(point: Point) -> tuple[int, int, int]:
    return point.at_step, point.at_ms, rank_of(bits_of(point.value))


def _named(key: str | int, values: Mapping[str, str]) -> list[Values]:
    return [{"id": key, "name": name, "value": value} for name, value in values.items()]


def _curve(run: str, experiment: int, point: Point) -> Values:
    return {**_point(run, point), "experiment": experiment, "number": number_of(point.value)}


def _point(run: str, point: Point) -> Values:
    return {"id": run, "name": point.name, "bits": bits_of(point.value), "at_step": point.at_step, "at_ms": point.at_ms}


def _at(at_ms: int) -> str:
    """A time as the record writes it; what no calendar has becomes the epoch."""
    try:
        return iso(datetime.fromtimestamp(at_ms / 1000, UTC))
    except (OverflowError, ValueError, OSError):
        return iso(datetime.fromtimestamp(0, UTC))
