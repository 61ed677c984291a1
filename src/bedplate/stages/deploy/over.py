"""Scoring a table with a service: the function that answers requests is called for each row, and the answers become a table.

One of arrays is called for many rows at once, and where it raises for each of them alone.

Shards of rows are scored one by one and kept beside the state, each whole or not there; whoever goes on after a crash skips those. Once all
are there they become one version of `SERVICE_over_TABLE`, in one commit that says what it was made of: scored again with the same
rows, artifacts and code, it is that version, and nothing is called. Two on one machine at once: the second waits, and finds it made.

A row that the service refuses keeps its place, with what was wrong in the column `error`. Limits: rows are scored in this process, one
after another; features are looked up as of now, as a request's would be.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec
import polars as pl

from bedplate.core import digests
from bedplate.core.errors import Refused, StepError, UserError, WorldError
from bedplate.core.records import Input, Record, Version
from bedplate.core.together import apart
from bedplate.pipeline.code.behind import Behind
from bedplate.pipeline.outside import Made, commit, new_attempt
from bedplate.pipeline.served import OVER
from bedplate.pipeline.workspace import Workspace
from bedplate.storage import disk
from bedplate.storage.shelf import Save

from . import together
from .choose import choose
from .deployment import Waiting
from .misfits import misfit
from .service import Service, column_type, reader
from .site import Site, no_service, site_of

FOLDER: Final = "over"
_TYPES: Final = {"int": pl.Int64, "float": pl.Float64, "bool": pl.Boolean, "text": pl.String}


class Scored(Record, frozen=True, kw_only=True):
    """What came of it: the version, its rows and how many were refused; `shards` of them were scored now, `kept` were there."""

    version: Version
    rows: int
    refused: int
    shards: int
    kept: int


class Scoring:
    """One service over one table version."""

    def __init__(self, workspace: Workspace, name: str, table: str, *, shard_rows: int) -> None:
        self._workspace = workspace
        self._site = site_of(workspace.parts)
        self._service = _service(self._site, name)
        self._table = workspace.catalog.artifacts.get(table)
        if self._table.kind != "table":
            raise UserError(f"{self._table.ref} is a {self._table.kind}, not a table", next=f"bedplate run {name} --over TABLE")
        self._rows = shard_rows
        self._inputs = self._chosen()
        self.artifact = f"{name}_over_{self._table.artifact}"
        self.key = self._key()
        self._folder = workspace.config.state / FOLDER / digests.short(self.key)

    def run(self, say: Callable[[int, int], None]) -> Scored:
        """Score what is not yet scored; `say` hears how many of how many shards are there. Raises UserError for a missing column."""
        disk.make_folder(self._folder.parent)
        with disk.locked(self._folder.parent / f".{self.artifact}.lock"):
            return self._before() or self._scored(say)

    def _scored(self, say: Callable[[int, int], None]) -> Scored:
        """Score the shards that are not there, and make one version of all."""
        frame = self._frame()
        total = frame.select(pl.len()).collect().item()
        count = -(-total // self._rows)
        disk.make_folder(self._folder)
        made = 0
        for at in range(count):
            path = self._folder / f"{at:06}.parquet"
            if not path.exists():
                _write(self._score(frame.slice(at * self._rows, self._rows).collect()), path)
                made += 1
            say(at + 1, count)
        version, refused = self._commit(count, total)
        shutil.rmtree(self._folder, ignore_errors=True)
        return Scored(version=version, rows=total, refused=refused, shards=made, kept=count - made)

    def _before(self) -> Scored | None:
        """The version that an earlier scoring of the very same has made."""
        for version in self._workspace.catalog.artifacts.versions(self.artifact):
            if version.meta.get(OVER) == self.key:
                refused = int(version.meta.get("refused", 0))
                return Scored(version=version, rows=version.rows or 0, refused=refused, shards=0, kept=0)
        return None

    def _chosen(self) -> dict[str, tuple[Version | None, Any]]:
        """Each artifact that the function takes, by parameter: the version that would serve, loaded. Raises Refused where one waits."""
        found: dict[str, tuple[Version | None, Any]] = {}
        for wanted in self._service.wanted:
            version = choose(wanted, self._site.record)
            if isinstance(version, Waiting):
                if not wanted.optional:
                    raise Refused(f"{self._service.name} cannot answer yet", why=version.reason, next=version.next)
                found[wanted.parameter] = (None, None)
            else:
                found[wanted.parameter] = (version, self._site.load(version, wanted.view, wanted.spec))
        return found

    def _key(self) -> str:
        """Everything that the answers depend on."""
        used = {name: version.digest if version else "" for name, (version, _) in self._inputs.items()}
        code = Behind(self._workspace.parts.loaded)(self._service.source)
        return digests.of_json([self._table.digest, used, code, self._rows])

    def _frame(self) -> pl.LazyFrame:
        frame: pl.LazyFrame = self._workspace.store.load(self._table, "polars.lazy")
        have = frame.collect_schema().names()
        needed = [field.name for field in msgspec.structs.fields(self._service.request) if field.required]
        missing = [name for name in needed if name not in have]
        if missing:
            why = f"{self._service.name} asks for {', '.join(needed)}; the table has {', '.join(have)}"
            raise UserError(
                f"{self._table.ref} has no column {', '.join(missing)}",
                why=why[:400],
                next="score a table that has it, or name the column so in a prepare",
            )
        return frame

    def _score(self, rows: pl.DataFrame) -> pl.DataFrame:
        service, given = self._service, {name: value for name, (_, value) in self._inputs.items()}
        read, fields = reader(service.returns), [name for name in service.fields if name in rows.columns]
        told_by_row = _answers(service, {**given, **service.fixed}, rows.select(fields).iter_rows(named=True), read)
        answers = [answer for answer, _ in told_by_row]
        errors = [error for _, error in told_by_row]
        kind = _TYPES.get(column_type(service.returns))
        if kind is None:
            answers = [None if answer is None else msgspec.json.encode(answer).decode() for answer in answers]
        told = pl.Series("prediction", answers, dtype=kind or pl.String, strict=False)
        return rows.with_columns(told, pl.Series("error", errors, dtype=pl.String))

    def _commit(self, count: int, total: int) -> tuple[Version, int]:
        paths = [self._folder / f"{at:06}.parquet" for at in range(count)]
        scored = pl.scan_parquet(paths) if paths else self._score(self._frame().collect()).lazy()
        refused = scored.select(pl.col("error").is_not_null().sum()).collect().item()
        attempt, began = new_attempt(self._workspace)
        head = self._workspace.catalog.artifacts.head(self.artifact)
        meta = {OVER: self.key, "refused": refused}
        draft = self._workspace.store.save(Save(kind="table", artifact=self.artifact, value=scored, attempt=attempt, prior=head, meta=meta))
        views = {wanted.parameter: wanted.view for wanted in self._service.wanted}
        used = {name: version for name, (version, _) in self._inputs.items() if version is not None}
        inputs = {name: Input(artifact=version.artifact, view=views[name], version=version) for name, version in used.items()}
        inputs["rows"] = Input(artifact=self._table.artifact, view="polars.lazy", version=self._table)
        why = f"over {self._table.ref}, {total:,} rows"
        made = Made(
            draft=draft, attempt=attempt, began=began, step=self._service.name, stage="deploy", why=why,
            command=f"bedplate run {self._service.name} --over {self._table.ref}", moves_head=True, inputs=inputs,
        )  # fmt: skip
        return commit(self._workspace, made), refused


def _service(site: Site, name: str) -> Service:
    found = next((one for one in site.services if one.name == name), None)
    if found is None:
        raise no_service(name, site, "row of a table")
    return found


def _answers(
    service: Service, given: Mapping[str, Any], rows: Iterable[Mapping[str, Any]], read: Callable[[Any], Any]
) -> list[tuple[Any, str | None]]:
    """What the service answers to rows, each as a request's, and what was wrong where it did not.

    Raises WorldError where a store or a server is away: that is no row's fault, and what is scored already is kept for the next time.
    """
    asked = [_request(service, row) for row in rows]
    call = partial(together.asked, service, given) if service.together is not None else partial(_one, service, given)
    made = iter(apart(call, [one for one in asked if not isinstance(one, str)], service.most, raised=(WorldError, KeyboardInterrupt)))
    return [(None, one) if isinstance(one, str) else _told(next(made), read) for one in asked]


def _request(service: Service, row: Mapping[str, Any]) -> Any:
    """A row as the request that it is; what is wrong with it in words."""
    try:
        return msgspec.convert(row, service.request, strict=False)
    except msgspec.ValidationError as error:
        return misfit(error)


def _one(service: Service, given: Mapping[str, Any], requests: Sequence[Any]) -> list[Any]:
    return [service.function(**given, **{name: getattr(one, name) for name in service.fields}) for one in requests]


def _told(made: Any, read: Callable[[Any], Any]) -> tuple[Any, str | None]:
    """An answer as it is kept, or what was wrong."""
    try:
        if isinstance(made, BaseException):
            raise made
        return read(made), None
    except (UserError, StepError) as error:
        return None, error.what
    except Exception as error:  # the project's function may raise anything; the other rows are scored
        return None, f"{type(error).__name__}: {error}"


def _write(frame: pl.DataFrame, path: Path) -> None:
    """A shard, whole or not there."""
    temporary = path.with_suffix(f".{os.getpid()}.new")
    frame.write_parquet(temporary)
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.rename(path)
