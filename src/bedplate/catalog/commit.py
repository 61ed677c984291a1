"""Commit: what an attempt made becomes part of the record, all of it or nothing (invariant 3).

A draft whose digest is already a version of its artifact makes no new one (invariant 1): the earlier version is the answer, and the
head when the run moves heads. A commit of an attempt that is already committed changes nothing and gives the same answer, so that
recovery may repeat it. A lost lease refuses the whole batch: commit the others one by one.
"""

from __future__ import annotations

import msgspec

from bedplate.core.clock import iso
from bedplate.core.context import Noted
from bedplate.core.errors import BusyError
from bedplate.core.records import Attempt, Draft, Event, Forecast, Input, Lease, Promotion, Record, Step, Verdict, Version
from bedplate.core.sources import Entry

from .artifacts import Artifacts
from .database import Database
from .events import write_events
from .models import Models
from .rows import forecast_values, text, version_of
from .runs import end_step, write_attempt, write_steps
from .sources import write_entries
from .tracking.registry import write_registered


class Commit(Record, frozen=True, kw_only=True):
    """One finished attempt: its step (done, `result` its own id), what it made, was handed, read and said.

    `lease`: refused with BusyError when another holder has it now. `moves_head` False makes side versions. `inputs` maps
    parameters to what they received, `source_entries` to what their source held. A `verdict` is recorded, with the number of the
    check's version filled in, and makes the promotion that the rules allow (never for a side version); a `promotion` without
    a verdict is made as it is.
    """

    step: Step
    attempt: Attempt
    drafts: tuple[Draft, ...] = ()
    noted: tuple[Noted, ...] = ()
    lease: Lease | None = None
    moves_head: bool = True
    inputs: dict[str, Input] = msgspec.field(default_factory=dict)
    source_entries: dict[str, tuple[Entry, ...]] = msgspec.field(default_factory=dict)
    verdict: Verdict | None = None
    promotion: Promotion | None = None
    forecasts: tuple[Forecast, ...] = ()
    events: tuple[Event, ...] = ()


def write_commit(database: Database, commit: Commit) -> tuple[Version, ...]:
    """One commit; inside a transaction. Returns a version for each draft, in order."""
    check_lease(database, commit.lease)
    attempt, step = commit.attempt, commit.step
    if database.value("attempt_status", id=attempt.id) == "done":
        return Artifacts(database).by_attempt(attempt.id)
    write_attempt(database, attempt, commit.noted)
    end_step(database, step)
    versions = tuple(_output(database, commit, place, draft) for place, draft in enumerate(commit.drafts))
    _inputs(database, commit)
    write_entries(database, attempt.id, step.name, commit.source_entries, commit.moves_head)
    if step.cache_key:
        database.run("cache_put", cache_key=step.cache_key, attempt=attempt.id)
    _judge(database, commit, versions)
    if commit.forecasts:
        values = [forecast_values(step.run, step.name, step.part, forecast) for forecast in commit.forecasts]
        database.many("forecast_put", values)
    write_events(database, commit.events)
    return versions


def write_skip(database: Database, step: Step, moves_head: bool) -> None:
    """A step answered by an earlier attempt (`step.result`): its versions are the heads again; inside a transaction.

    What only side runs knew until now becomes the project's own with it: the verdict of such a check is judged.
    """
    is_new = moves_head and step.result and not database.value("answered_by_head", step=step.name, attempt=step.result)
    write_steps(database, [step])
    if is_new:
        Models(database).judge_again(step.result, step.ended_at or step.started_at)
    if moves_head and step.result:
        for artifact, number in database.rows("heads_from_attempt", attempt=step.result):
            _move_head(database, artifact, number)
            database.run("version_moved_head", artifact=artifact, number=number)
        database.run("source_heads_from_attempt", attempt=step.result)


def check_lease(database: Database, lease: Lease | None) -> None:
    """Raises BusyError where another holder has had the lease since."""
    if lease is None:
        return
    row = database.one("lease_get", name=lease.name)
    if row is None or (row[1], row[2]) != (lease.holder, lease.fence):
        raise BusyError(
            f"the lease on '{lease.name}' was lost",
            why=f"its fence is {row[2] if row else 'gone'}, this attempt holds {lease.fence}: another run took over",
            next="bedplate status",
        )


def _output(database: Database, commit: Commit, place: int, draft: Draft) -> Version:
    row = database.one("version_equal", artifact=draft.artifact, digest=draft.digest, kind=draft.kind)
    version = _made(database, commit, draft) if row is None else _made_again(database, commit, draft, version_of(row))
    if commit.moves_head:
        _move_head(database, version.artifact, version.number)
    database.run("output_add", attempt=commit.attempt.id, position=place, artifact=version.artifact, number=version.number)
    return version


def _made(database: Database, commit: Commit, draft: Draft) -> Version:
    number = database.value("artifact_next", artifact=draft.artifact, kind=draft.kind)
    created_at = commit.attempt.ended_at or commit.attempt.started_at
    database.run(
        "version_add", artifact=draft.artifact, number=number, kind=draft.kind, digest=draft.digest, uri=draft.uri,
        table_version=draft.table_version, schema=draft.schema, value=draft.value, rows=draft.rows, size_bytes=draft.size_bytes,
        meta=text(draft.meta), created_at=iso(created_at), attempt=commit.attempt.id, moved_head=int(commit.moves_head),
    )  # fmt: skip
    if draft.kind == "model":
        write_registered(database, draft.artifact, number, commit.attempt.id, created_at)
    return Version(
        artifact=draft.artifact, kind=draft.kind, digest=draft.digest, uri=draft.uri, table_version=draft.table_version,
        schema=draft.schema, value=draft.value, rows=draft.rows, size_bytes=draft.size_bytes, meta=draft.meta, number=number,
        created_at=created_at, attempt=commit.attempt.id, head=commit.moves_head,
    )  # fmt: skip


def _made_again(database: Database, commit: Commit, draft: Draft, version: Version) -> Version:
    """Equal content: the version lies where the draft does, whose bytes are there, and has its description."""
    if (draft.uri, draft.table_version, draft.schema, draft.meta) != (version.uri, version.table_version, version.schema, version.meta):
        database.run(
            "version_place", artifact=draft.artifact, number=version.number, uri=draft.uri, table_version=draft.table_version,
            schema=draft.schema, meta=text(draft.meta),
        )  # fmt: skip
        version = msgspec.structs.replace(version, uri=draft.uri, table_version=draft.table_version, schema=draft.schema, meta=draft.meta)
    if commit.moves_head and not version.head:
        database.run("version_moved_head", artifact=draft.artifact, number=version.number)
        version = msgspec.structs.replace(version, head=True)
    return version


def _move_head(database: Database, artifact: str, number: int) -> None:
    if database.run("artifact_head", artifact=artifact, number=number):
        database.run("stamp_grow")


def _inputs(database: Database, commit: Commit) -> None:
    if commit.inputs:
        values = [
            {
                "attempt": commit.attempt.id, "parameter": parameter, "artifact": given.artifact, "view": given.view,
                "number": None if given.version is None else given.version.number,
            }
            for parameter, given in commit.inputs.items()
        ]  # fmt: skip
        database.many("input_add", values)


def _judge(database: Database, commit: Commit, versions: tuple[Version, ...]) -> None:
    models = Models(database)
    if commit.verdict is not None:
        number = next((one.number for one in versions if one.artifact == commit.verdict.check), commit.verdict.check_version)
        verdict = msgspec.structs.replace(commit.verdict, check_version=number, attempt=commit.attempt.id)
        models.judge(verdict, promotes=commit.moves_head)
    elif commit.promotion is not None:
        models.promote(commit.promotion)
