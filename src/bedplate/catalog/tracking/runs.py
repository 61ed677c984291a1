"""Runs of clients, and how trackers see those of the project.

A client's run is a run of the record (origin `client`) with one attempt of the same id, so that lineage, files and versions know it as they
know a step. Params are written once; a run that is deleted takes nothing; one that ended does, as clients log after the end. Of the
project's own runs, clients may say more (tags, params, metrics), but not how they stand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from bedplate.catalog import rows
from bedplate.catalog.database import Database, Result
from bedplate.catalog.events import write_events
from bedplate.core.clock import iso
from bedplate.core.errors import NotFound, Refused, UserError
from bedplate.core.records import Attempt, Event, Record, Run

from . import limits, pages
from .curves import Curves
from .names import run_name
from .overview import write_keys
from .tracked import ENDED, OURS, PARENT, RUN_NAME, SOURCE_NAME, Named, Point, RunDetail, Status, TrackedRun

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
CLIENT_FAILED: Final = "client_run.failed"
"""The kind of event that says that a client's run (`subject`) failed (`data`: name, experiment, by): webhooks hear of it as they hear of
the request that said so."""
_MOST_KNOWN: Final = 10_000
"""Runs whose experiment is remembered."""
_LATEST_MS: Final = 253_402_300_799_999
"""The last ms that a date has a name for."""


class NewRun(Record, frozen=True, kw_only=True):
    """A run that a client begins. `random` are bits that its name is made of, where it has none."""

    id: str
    experiment: int
    name: str = ""
    made_by: str = ""
    started_ms: int
    tags: tuple[Named, ...] = ()
    random: int = 0


class Batch(Record, frozen=True, kw_only=True):
    """What a client says of a run at once: all of it is recorded, or nothing."""

    metrics: tuple[Point, ...] = ()
    params: tuple[Named, ...] = ()
    tags: tuple[Named, ...] = ()


class TrackedRuns:
    """Runs as trackers see them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._experiments: dict[str, int] = {}

    def experiment(self, run: str) -> int:
        """The experiment of a run that was there once: no run ever goes to another one, so it is remembered. Raises NotFound."""
        known = self._experiments.get(run)
        if known is None:
            known = self.get(run).experiment
            if len(self._experiments) >= _MOST_KNOWN:
                self._experiments.clear()
            self._experiments[run] = known
        return known

    def get(self, run: str) -> TrackedRun:
        """One, deleted or not. Raises NotFound."""
        row = self._database.one("tracked_get", id=run)
        if row is None:
            raise NotFound(f"Run with id={run[:100]} not found")
        return TrackedRun(*row)

    def active(self, run: str) -> TrackedRun:
        """One that takes what is said of it. Raises NotFound, and UserError for a deleted one."""
        found = self.get(run)
        if found.stage != "active":
            raise UserError(f"The run {run} must be in the 'active' state. Current state is {found.stage}.")
        return found

    def create(self, new: NewRun) -> RunDetail:
        """Begin a run; what it says by now is its tags. Raises NotFound for an experiment that is not there, UserError."""
        tags = {tag.key: limits.named(f"tags[{place}]", tag).value for place, tag in enumerate(new.tags)}
        if new.name and tags.get(RUN_NAME, new.name) != new.name:
            raise UserError(f"Both 'run_name' and the tag '{RUN_NAME}' are specified, with different values")
        name = new.name or tags.get(RUN_NAME) or run_name(new.random)
        limits.length("run_name", name, limits.LONGEST_NAME)
        tags[RUN_NAME] = limits.text(name)
        checked_time("start_time", new.started_ms)
        return self._transact(lambda: self._create(new, tags))

    def update(self, run: str, now_ms: int, *, status: Status | None = None, ended_ms: int | None = None, name: str = "") -> TrackedRun:
        """Say how it stands, when it ended, or what it is called. Raises NotFound, UserError, Refused for a project's."""
        limits.length("run_name", name, limits.LONGEST_NAME)
        if ended_ms is not None:
            checked_time("end_time", ended_ms)

        def work() -> TrackedRun:
            before = self.active(run)
            if before.origin == "project" and (status not in (None, before.status) or ended_ms is not None):
                raise Refused(f"The run {run} is the project's own: only its run says how it stands")
            if name:
                self._tag(run, Named(RUN_NAME, limits.text(name)))
            if before.origin == "client" and (status is not None or ended_ms is not None):
                self._stands(before, status or before.status, ended_ms, now_ms)
            return self.get(run)

        return self._transact(work)

    def delete(self, run: str, now_ms: int) -> None:
        """Mark it deleted; `gc` gives its bytes back. Raises NotFound."""
        self._stage(run, "deleted", now_ms)

    def restore(self, run: str) -> None:
        """Take that back. Raises NotFound."""
        self._stage(run, "active", None)

    def log(self, run: str, batch: Batch) -> TrackedRun:
        """Record a batch, all or nothing. Raises NotFound, UserError for what is too much, too long or a param that says another value."""
        limits.many("metrics", batch.metrics, limits.MOST_METRICS)
        limits.many("params", batch.params, limits.MOST_PARAMS)
        limits.many("tags", batch.tags, limits.MOST_TAGS)
        limits.many("metrics, params and tags together", (*batch.metrics, *batch.params, *batch.tags), limits.MOST_TOGETHER)
        limits.points("metrics", batch.metrics)
        params = [limits.named(f"params[{place}]", param) for place, param in enumerate(batch.params)]
        tags = [limits.named(f"tags[{place}]", tag) for place, tag in enumerate(batch.tags)]
        if len({param.key for param in params}) < len(params):
            raise UserError("Duplicate parameter keys have been submitted in 'params': one value per key")

        def work() -> TrackedRun:
            found = self.active(run)
            self._params(run, params)
            if batch.metrics:
                Curves(self._database).log(run, found.experiment, batch.metrics)
            for tag in tags:
                self._tag(run, tag)
            return found

        return self._transact(work)

    def log_metric(self, run: str, point: Point) -> None:
        """Record one point. Raises NotFound, UserError."""
        limits.point("", point)
        self._transact(lambda: Curves(self._database).log(run, self.active(run).experiment, [point]))

    def log_param(self, run: str, param: Named) -> None:
        """Record a param. Raises NotFound, UserError for one that has another value."""
        checked = limits.named("", param)

        def work() -> None:
            self.active(run)
            self._params(run, [checked])

        self._transact(work)

    def set_tag(self, run: str, tag: Named) -> None:
        """Tag it. Raises NotFound, UserError."""
        checked = limits.named("", tag)

        def work() -> None:
            self.active(run)
            self._tag(run, checked)

        self._transact(work)

    def delete_tag(self, run: str, key: str) -> None:
        """Take a tag away. Raises NotFound, UserError."""

        def work() -> None:
            self.active(run)
            if not self._database.run("run_tag_drop", run=run, name=key):
                raise NotFound(f"No tag with name: {key[:100]} in run with id {run}")
            if key == RUN_NAME:
                self._database.run("tracked_name", id=run, name="")

        self._transact(work)

    def _transact(self, work: Callable[[], Result]) -> Result:
        return self._database.transact(work)

    def _create(self, new: NewRun, tags: dict[str, str]) -> RunDetail:
        row = self._database.one("experiment_get", id=new.experiment)
        if row is None:
            raise NotFound(f"No Experiment with id={new.experiment} exists")
        if row[2] != "active":
            raise UserError(f"The experiment {new.experiment} must be in the 'active' state. Current state is {row[2]}.")
        started = time_of(new.started_ms)
        run = Run(
            id=new.id, project=row[1], target="client", command=tags.get(SOURCE_NAME, ""), started_at=started, origin="client",
            moves_heads=False,
        )  # fmt: skip
        self._database.run("run_put", **rows.run_values(run))
        self._database.many("attempt_put", [rows.attempt_values(Attempt(id=new.id, run=new.id, step="", started_at=started))])
        self._database.run(
            "tracked_add", id=new.id, experiment=new.experiment, parent=tags.get(PARENT, ""), name=tags[RUN_NAME],
            made_by=new.made_by, started_ms=new.started_ms,
        )  # fmt: skip
        self._database.many("run_tag_put", [{"run": new.id, "name": key, "value": value} for key, value in tags.items()])
        write_keys(self._database, new.id, "tag", tags)
        begun = TrackedRun(
            new.id, new.experiment, "client", tags.get(PARENT, ""), tags[RUN_NAME], new.made_by, "RUNNING", new.started_ms, None, "active"
        )
        return RunDetail(begun, [], [], [Named(*tag) for tag in sorted(tags.items())], [], [], [])

    def _stands(self, before: TrackedRun, status: Status, ended_ms: int | None, now_ms: int) -> None:
        """Record how a client's run stands; one that goes on again has not ended."""
        kept = ended_ms if ended_ms is not None else before.ended_ms if status in ENDED else None
        self._database.run("tracked_update", id=before.id, name=self.get(before.id).name, status=status, ended_ms=kept)
        ended_at = iso(time_of(now_ms if kept is None else kept)) if status in ENDED else None
        self._database.run("run_end", id=before.id, status=OURS[status], ended_at=ended_at)
        self._database.run("client_attempt_end", id=before.id, status=OURS[status], ended_at=ended_at)
        if status == "FAILED" != before.status:
            told = {"name": before.name, "experiment": before.experiment, "by": before.made_by}
            write_events(self._database, [Event(kind=CLIENT_FAILED, subject=before.id, at=time_of(now_ms), data=told)])

    def _stage(self, run: str, stage: str, deleted_ms: int | None) -> None:
        def work() -> None:
            self.get(run)
            self._database.run("tracked_stage", id=run, stage=stage, deleted_ms=deleted_ms)

        self._transact(work)

    def _params(self, run: str, params: Sequence[Named]) -> None:
        """Write params that are new. Raises UserError where one has another value."""
        known = self._known(run, [param.key for param in params])
        changed = [param for param in params if known.get(param.key, param.value) != param.value]
        if changed:
            one = changed[0]
            raise UserError(
                f"Changing param values is not allowed. Param with key='{one.key}' was already logged with value='{known[one.key][:200]}' "
                f"for run ID='{run}'. Attempted logging new value '{one.value[:200]}'."
            )
        new = [{"run": run, "name": param.key, "value": param.value} for param in params if param.key not in known]
        if new:
            self._database.many("run_param_put", new)
            write_keys(self._database, run, "param", [str(one["name"]) for one in new])

    def _known(self, run: str, keys: Sequence[str]) -> dict[str, str]:
        """The params that there are, of these."""
        if not keys:
            return {}
        if len(keys) == 1:
            value = self._database.value("run_param_get", run=run, name=keys[0])
            return {} if value is None else {keys[0]: str(value)}
        values = pages.Values()
        mark = values.bind(run)
        sql = f"SELECT name, value FROM run_params WHERE run = {mark} AND name IN ({values.listed(keys)})"
        return dict(self._database.composed(sql, values.given))

    def _tag(self, run: str, tag: Named) -> None:
        self._database.many("run_tag_put", [{"run": run, "name": tag.key, "value": tag.value}])
        write_keys(self._database, run, "tag", [tag.key])
        if tag.key == RUN_NAME:
            limits.length("run_name", tag.value, limits.LONGEST_NAME)
            self._database.run("tracked_name", id=run, name=tag.value)
        elif tag.key == PARENT:
            self._database.run("tracked_parent", id=run, parent=tag.value)


def checked_time(field: str, given: int) -> int:
    """A moment in ms since the epoch. Raises UserError for one that no calendar has."""
    if not 0 <= given <= _LATEST_MS:
        raise UserError(f"Invalid value for parameter '{field}' supplied: ms since the epoch are needed, up to {_LATEST_MS}")
    return given


def time_of(ms: int) -> datetime:
    """The moment of so many ms since the epoch."""
    return _EPOCH + timedelta(milliseconds=ms)


def ms_of(at: datetime) -> int:
    """A moment in ms since the epoch."""
    return (at - _EPOCH) // timedelta(milliseconds=1)
