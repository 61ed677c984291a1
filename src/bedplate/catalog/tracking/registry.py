"""The registry: models and their versions as clients see them, over the versions, aliases and verdicts that the record has anyway.

A version that the project makes stands here from the transaction that makes it; a client's is a version like any other, of its run's
attempt, and the head of its model until the project makes one. A client's alias is a person's promotion. Deleted versions keep their number
for ever, and lose their bytes at `gc`; what an alias names, or what the project made, is not deleted.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from bedplate.catalog import rows
from bedplate.catalog.artifacts import Artifacts
from bedplate.catalog.database import Database, Row
from bedplate.catalog.models import Models
from bedplate.core.clock import iso, parse
from bedplate.core.errors import NotFound, Refused, UserError
from bedplate.core.records import Promotion, Verdict, Version
from bedplate.security.decide import resource_name

from .registered import (
    ModelVersion,
    RegisteredModel,
    Registration,
    ServingStage,
    alias_name,
    description,
    model_name,
    tag,
)
from .tracked import Named

_MODEL = 0
"""The number under which a model's own tags stand."""


class Registry:
    """Registered models; writes are for inside a transaction. Raises NotFound for what is not there or deleted."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._models = Models(database)

    def exists(self, name: str) -> bool:
        """Whether a model of that name is registered and not deleted."""
        row = self._database.one("registered_get", name=name)
        return row is not None and row[2] == "active"

    def get(self, name: str) -> RegisteredModel:
        """One model."""
        row = self._row(name)
        return RegisteredModel(
            name=row[0], description=row[1], created_ms=row[3], updated_ms=row[4], tags=self._tags(name, _MODEL),
            aliases=self._models.aliases(name), latest=self.latest(name),
        )  # fmt: skip

    def version(self, name: str, number: int) -> ModelVersion:
        """One version."""
        row = self._database.one("registered_version", name=name, number=number) if self.exists(name) else None
        if row is None or row[9] != "active":
            raise NotFound(f"Model Version (name={name}, version={number}) not found", next=f"bedplate show {name}")
        return self.told([row])[0]

    def by_alias(self, name: str, alias: str) -> ModelVersion:
        """The version that an alias names."""
        self._row(name)
        number = self._models.alias(name, alias)
        if number is None:
            raise UserError(f"Registered model alias {alias} not found.", why=f"{name} has no such alias")
        return self.version(name, number)

    def latest(self, name: str, stages: Iterable[ServingStage] = ()) -> tuple[ModelVersion, ...]:
        """The newest version of each stage (of these, or of all that there are)."""
        wanted = frozenset(stages)
        return tuple(
            one for one in self.told(self._database.rows("registered_latest", name=name)) if not wanted or one.serving_stage in wanted
        )

    def create(self, name: str, at_ms: int, *, said: str = "", tags: Iterable[Named] = ()) -> RegisteredModel:
        """Register a model, or one that was deleted again. Raises UserError for a bad name, Refused for one that is taken."""
        model_name(name)
        kind = self._database.value("artifact_kind", name=name)
        if self.exists(name) or kind not in (None, "model"):
            raise Refused(
                f"Registered Model (name={name}) already exists.", why=f"it is a {kind} of the project" if kind != "model" else ""
            )
        self._database.run("registered_artifact", name=name)
        self._database.run("registered_put", name=name, description=description(said), at_ms=at_ms)
        self._put_tags(name, _MODEL, tags)
        return self.get(name)

    def describe(self, name: str, said: str, at_ms: int) -> RegisteredModel:
        """Say what a model is."""
        self._row(name)
        self._database.run("registered_describe", name=name, description=description(said), at_ms=at_ms)
        return self.get(name)

    def rename(self, name: str, new_name: str, at_ms: int) -> RegisteredModel:
        """Give a model that clients made another name. Raises Refused for one of the project's, or a name that was used before."""
        self._row(name)
        model_name(new_name)
        if name != new_name:
            self._refuse_ours(name, "renamed")
            taken = self.exists(new_name) or self._database.value("artifact_kind", name=new_name) not in (None, "model")
            if taken or self._database.value("versions_there", name=new_name):
                raise Refused(f"Registered Model (name={new_name}) already exists.", why="something has, or had, that name")
            self._rename(name, new_name, at_ms)
        return self.get(new_name)

    def delete(self, name: str, at_ms: int) -> None:
        """Delete a model with its versions. Raises Refused where an alias names one, or the project made one."""
        self._row(name)
        aliases = self._models.aliases(name)
        if aliases:
            raise Refused(f"{name} is not deleted", why=f"the alias {min(aliases)} names a version of it", next="delete its aliases first")
        self._refuse_ours(name, "deleted")
        for number, _ in self._database.rows("registered_numbers", name=name):
            self._database.run("registered_version_end", name=name, number=number, at_ms=at_ms)
        self._database.run("registered_tags_drop", name=name)
        self._database.run("registered_end", name=name, at_ms=at_ms)
        self._move_head(name)

    def set_tag(self, name: str, number: int, given: Named, at_ms: int) -> None:
        """Tag a model (number 0) or a version."""
        self._row(name) if number == _MODEL else self.version(name, number)
        self._put_tags(name, number, [given])
        self._touch(name, at_ms)

    def drop_tag(self, name: str, number: int, key: str, at_ms: int) -> None:
        """Take a tag away; one that is not there is no error."""
        self._row(name) if number == _MODEL else self.version(name, number)
        self._database.run("registered_tag_drop", name=name, number=number, tag=key)
        self._touch(name, at_ms)

    def register(self, asked: Registration, at_ms: int) -> ModelVersion:
        """Register a version that a client sent. The model must be registered."""
        name = asked.draft.artifact
        self._row(name)
        at = iso(datetime.fromtimestamp(at_ms / 1000, UTC))
        attempt = self._attempt(asked, at)
        number = int(self._database.value("artifact_next", artifact=name, kind="model"))
        moves = bool(self._database.value("client_head", name=name))
        draft = asked.draft
        self._database.run(
            "version_add", artifact=name, number=number, kind="model", digest=draft.digest, uri=draft.uri, table_version=None,
            schema=draft.schema, value=None, rows=None, size_bytes=draft.size_bytes, meta=rows.text(draft.meta), created_at=at,
            attempt=attempt, moved_head=int(moves),
        )  # fmt: skip
        place = self._database.value("output_next", attempt=attempt)
        self._database.run("output_add", attempt=attempt, position=place, artifact=name, number=number)
        self._database.run(
            "registered_version_add", name=name, number=number, description=description(asked.description), source=asked.source,
            run=asked.run, logged_model=asked.logged_model, made_by=asked.made_by, origin="client", at_ms=at_ms,
        )  # fmt: skip
        self._put_tags(name, number, asked.tags)
        self._touch(name, at_ms)
        if moves:
            self._move_head(name)
        return self.version(name, number)

    def describe_version(self, name: str, number: int, said: str, at_ms: int) -> ModelVersion:
        """Say what a version is."""
        self.version(name, number)
        self._database.run("registered_version_describe", name=name, number=number, description=description(said), at_ms=at_ms)
        self._touch(name, at_ms)
        return self.version(name, number)

    def transition(self, name: str, number: int, stage: ServingStage, at_ms: int, *, archive: bool = False) -> ModelVersion:
        """Give a version a stage in the old sense; with `archive` the others of that stage are archived. Raises UserError."""
        self.version(name, number)
        if archive and stage not in ("Staging", "Production"):
            raise UserError(f"Model version transition cannot archive existing model versions because '{stage}' is not an Active stage")
        if archive:
            self._database.run("registered_archive", name=name, number=number, serving_stage=stage, at_ms=at_ms)
        self._database.run("registered_version_stage", name=name, number=number, serving_stage=stage, at_ms=at_ms)
        self._touch(name, at_ms)
        return self.version(name, number)

    def delete_version(self, name: str, number: int, at_ms: int) -> None:
        """Delete a version. Raises Refused where an alias names it, or the project made it."""
        found = self.version(name, number)
        if found.aliases:
            raise Refused(f"{name}@{number} is not deleted", why=f"the alias {found.aliases[0]} names it", next="delete the alias first")
        if found.origin != "client":
            raise Refused(f"{name}@{number} is not deleted", why="a run of the project made it, and the record keeps what was made")
        self._database.run("registered_version_end", name=name, number=number, at_ms=at_ms)
        self._touch(name, at_ms)
        self._move_head(name)

    def set_alias(self, name: str, alias: str, number: int, actor: str, at: datetime, reason: str = "") -> Promotion:
        """Give a version an alias: a promotion by a person, who is the reason where none is given."""
        self.version(name, number)
        why = description(reason) or f"set by {actor}"
        moved = Promotion(model=name, alias=alias_name(alias), version=number, by="person", reason=why, actor=actor, at=at)
        if self._models.alias(name, alias) == number:
            return msgspec.structs.replace(moved, before=number)
        return self._models.promote(moved)

    def drop_alias(self, name: str, alias: str, actor: str, at: datetime) -> int | None:
        """Take an alias away; which version it named. One that is not there is no error."""
        self._row(name)
        number = self._models.alias(name, alias)
        if number is not None:
            self._database.run("withdraw_alias", model=name, alias=alias, moved_by=actor, at=iso(at))
            self._database.run("stamp_grow")
        return number

    def artifact(self, name: str, number: int) -> Version:
        """The version as the record has it."""
        self.version(name, number)
        return Artifacts(self._database).get(f"{name}@{number}")

    def of_logged(self, logged_model: str) -> list[tuple[str, int]]:
        """What a logged model was registered as."""
        return [(row[0], row[1]) for row in self._database.rows("registered_of_model", logged_model=logged_model)]

    def told(self, found: Iterable[Row]) -> tuple[ModelVersion, ...]:
        """Versions with their tags and aliases, from the columns of `sql/tracking_registry.sql`."""
        aliases: dict[str, dict[str, int]] = {}
        return tuple(self._told(row, aliases) for row in found)

    def _told(self, row: Row, known: dict[str, dict[str, int]]) -> ModelVersion:
        name, number, origin = row[0], row[1], row[8]
        if name not in known:
            known[name] = self._models.aliases(name)
        meta = msgspec.json.decode(row[13])
        judged = verdict_tags(self._models.verdicts(name, number)) if origin == "project" else ()
        return ModelVersion(
            name=name, number=number, description=row[2], serving_stage=row[3], source=row[4], run=row[5], logged_model=row[6],
            made_by=row[7], origin=origin, created_ms=row[10], updated_ms=row[11], digest=row[12],
            tags=(*self._tags(name, number), *judged), cannot_serve=str(meta.get("cannot_serve", "")),
            aliases=tuple(alias for alias, named in known[name].items() if named == number),
        )  # fmt: skip

    def _row(self, name: str) -> Row:
        row = self._database.one("registered_get", name=name)
        if row is None or row[2] != "active":
            raise NotFound(f"Registered Model with name={name} not found")
        return row

    def _tags(self, name: str, number: int) -> tuple[Named, ...]:
        return tuple(Named(row[0], row[1]) for row in self._database.rows("registered_tags", name=name, number=number))

    def _put_tags(self, name: str, number: int, tags: Iterable[Named]) -> None:
        for given in tags:
            checked = tag(given)
            self._database.run("registered_tag_put", name=name, number=number, tag=checked.key, value=checked.value)

    def _touch(self, name: str, at_ms: int) -> None:
        self._database.run("registered_touch", name=name, at_ms=at_ms)

    def _attempt(self, asked: Registration, at: str) -> str:
        """The attempt that made it: the client's run, or one of its own where no run of the record did."""
        if asked.run and asked.made and self._database.value("attempt_there", id=asked.run):
            return asked.run
        self._database.run("registration_run", id=asked.attempt, project=asked.draft.artifact, at=at)
        self._database.run("registration_attempt", id=asked.attempt, at=at)
        return asked.attempt

    def _refuse_ours(self, name: str, what: str) -> None:
        ours = [number for number, origin in self._database.rows("registered_numbers", name=name) if origin != "client"]
        if ours:
            raise Refused(f"{name} is not {what}", why=f"the project made {name}@{ours[0]}, and the record keeps what was made")

    def _move_head(self, name: str) -> None:
        """The head of a model that only clients made is its newest version."""
        if self._database.value("client_head", name=name):
            numbers = [row[0] for row in self._database.rows("registered_numbers", name=name)]
            if self._database.run("artifact_head", artifact=name, number=max(numbers, default=None)):
                self._database.run("stamp_grow")

    def _rename(self, name: str, new_name: str, at_ms: int) -> None:
        self._database.run("registered_forget", name=new_name)
        for query in ("rename_artifact", "rename_versions", "rename_outputs", "rename_inputs", "rename_promotions"):
            self._database.run(query, name=name, new_name=new_name)
        for query in ("rename_registered_versions", "rename_registered_tags"):
            self._database.run(query, name=name, new_name=new_name)
        self._database.run("rename_registered", name=name, new_name=new_name, at_ms=at_ms)
        self._database.run("rename_grants", resource=resource_name("model", name), new_resource=resource_name("model", new_name))
        self._database.run("rename_drop_versions", name=name)
        self._database.run("rename_drop_artifact", name=name)


def verdict_tags(verdicts: Iterable[Verdict]) -> tuple[Named, ...]:
    """What checks said of a version, as tags: the newest of each check."""
    found: dict[str, str] = {}
    for verdict in verdicts:
        found.setdefault(f"bedplate.check.{verdict.check}", "passed" if verdict.passed else "did not pass")
    return tuple(Named(key, value) for key, value in sorted(found.items()))


def write_registered(database: Database, name: str, number: int, attempt: str, at: datetime) -> None:
    """A version that the project made stands in the registry; inside the transaction that makes it."""
    at_ms = int(at.timestamp() * 1000)
    database.run("registered_seen", name=name, at_ms=at_ms)
    database.run(
        "registered_version_add", name=name, number=number, description="", source=f"bedplate:{name}@{number}", run=attempt,
        logged_model="", made_by="", origin="project", at_ms=at_ms,
    )  # fmt: skip


def fill_registered(database: Database) -> None:
    """Put the versions of a state that is older than the registry into it; what is there stays."""

    def work() -> None:
        for name, number, created_at, attempt in database.rows("registered_missing"):
            write_registered(database, name, number, attempt, parse(created_at))

    database.transact(work)
