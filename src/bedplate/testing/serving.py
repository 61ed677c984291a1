"""Fakes to serve from without a catalog or a store: a record of versions and aliases, models that are plain functions, a manual clock."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from bedplate.catalog.promotion import PRODUCTION, rolled_out
from bedplate.catalog.services import Service as Listed
from bedplate.core.clock import Clock, SystemClock
from bedplate.core.features import Features, FeatureSpec, entities
from bedplate.core.kinds import Kind
from bedplate.core.model import Field, Model, Signature
from bedplate.core.records import Event, Promotion, Version
from bedplate.stages.deploy.loader import Describe
from bedplate.stages.deploy.service import Service, Wanted
from bedplate.stages.deploy.site import Site

START = datetime(2026, 1, 31, 12, tzinfo=UTC)


class ManualClock:
    """Time that moves when it is told to, or when somebody sleeps."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


class Formula:
    """A predictor that is a plain function of named columns, each a 1-d array."""

    def __init__(self, signature: Signature, function: Callable[[dict[str, Any]], Any]) -> None:
        self.signature = signature
        self._function = function

    def predict(self, columns: dict[str, Any]) -> Any:
        return np.asarray(self._function({name: np.asarray(values) for name, values in columns.items()}))


def formula(
    ref: str,
    inputs: Mapping[str, str],
    function: Callable[[dict[str, Any]], Any],
    *,
    example: Sequence[Mapping[str, Any]],
    output: str = "FP64",
) -> Model:
    """A stored model that is a function; `inputs` maps each column to its datatype."""
    fields = tuple(Field(name, datatype) for name, datatype in inputs.items())
    signature = Signature(fields, (Field("prediction", output),))
    return Model(predictor=Formula(signature, function), ref=ref, flavour="formula", example=[dict(row) for row in example])


class Rows:
    """A Features view over a mapping of entity to row."""

    def __init__(self, rows: Mapping[Any, Mapping[str, Any]], spec: FeatureSpec) -> None:
        self.spec = spec
        self._rows = rows

    def at(self, labels: Any, *more: Features) -> Any:
        found = {**labels, **self[labels[self.spec.entity[0]]]}
        for view in more:
            found = view.at(found)
        return found

    def __getitem__(self, entity: Any) -> Any:
        entity = entities(entity)
        if isinstance(entity, list):
            return [self[one] for one in entity]
        names = next(iter(self._rows.values()))
        return dict(self._rows.get(entity, dict.fromkeys(names)))


class Record:
    """Versions, heads and aliases in memory, with what each version loads as; counts every change in its stamp."""

    def __init__(self) -> None:
        self.aliases: dict[tuple[str, str], int] = {}
        self.moves: list[Promotion] = []
        self.loads: list[str] = []
        self._versions: dict[str, list[Version]] = {}
        self._values: dict[str, Any] = {}
        self._changes = 0

    def add(self, artifact: str, value: Any, kind: Kind = "model") -> Version:
        """A new head; `value` is what it loads as (an exception is raised)."""
        versions = self._versions.setdefault(artifact, [])
        number = len(versions) + 1
        version = Version(artifact=artifact, kind=kind, digest=f"sha256:{number:064x}", number=number, created_at=START, attempt="a-1")
        versions.append(version)
        self._values[version.ref] = value
        self._changes += 1
        return version

    def promote(self, artifact: str, number: int, alias: str = "production", **said: Any) -> None:
        """Move an alias; `said` is the rest of the Promotion (`by`, `check`, `reason`)."""
        before = self.aliases.get((artifact, alias))
        self.moves.append(Promotion(model=artifact, alias=alias, version=number, before=before, at=START, **said))
        self.aliases[artifact, alias] = number
        self._changes += 1

    def find(self, ref: str) -> Version | None:
        name, _, which = ref.partition("@")
        versions = self._versions.get(name, [])
        if not which:
            return versions[-1] if versions else None
        number = int(which) if which.isdigit() else self.aliases.get((name, which), 0)
        return versions[number - 1] if 0 < number <= len(versions) else None

    def alias(self, model: str, alias: str) -> int | None:
        return self.aliases.get((model, alias))

    def last_move(self, model: str) -> Promotion | None:
        return next((move for move in reversed(self.moves) if move.model == model), None)

    def rolled_out(self, model: str) -> list[Promotion]:
        return rolled_out([move for move in self.moves if move.model == model])

    def in_production(self, model: str) -> Promotion | None:
        return next((move for move in reversed(self.moves) if (move.model, move.alias) == (model, PRODUCTION)), None)

    def retreat(self, move: Promotion, at: datetime, reason: str) -> Promotion | None:
        if self.in_production(move.model) != move or move.before is None:
            return None
        self.promote(move.model, move.before, by="rollback", reason=reason)
        return self.moves[-1]

    def conclude(self, trial: Promotion, at: datetime, reason: str, *, promotes: bool) -> Promotion | None:
        if trial not in self.rolled_out(trial.model):
            return None
        alias, number = (PRODUCTION, trial.version) if promotes else (trial.alias, self.aliases[trial.model, PRODUCTION])
        self.promote(trial.model, number, alias, by="verdict" if promotes else "rollback", reason=reason)
        return self.moves[-1]

    def stamp(self) -> int:
        return self._changes

    def load(self, version: Version, view: str, spec: dict[str, Any] | None = None) -> Any:
        """What `store.load` would give."""
        self.loads.append(version.ref)
        value = self._values[version.ref]
        if isinstance(value, Exception):
            raise value
        return value

    def change(self, ref: str, value: Any) -> None:
        """Let a version load as something else from now on."""
        self._values[ref] = value


class Listing:
    """The list of services, in memory."""

    def __init__(self) -> None:
        self.listed: dict[str, Listed] = {}
        self.beats = 0

    def register(self, service: Listed) -> None:
        self.listed[service.name] = service

    def beat(self, name: str, url: str, at: datetime, models: Mapping[str, int]) -> bool:
        self.beats += 1
        return name in self.listed

    def unregister(self, name: str, url: str) -> None:
        self.listed.pop(name, None)


class Frames:
    """Logs in memory: the frames that were appended, by name; `broken` makes appends fail."""

    def __init__(self) -> None:
        self.frames: dict[str, list[pl.DataFrame]] = {}
        self.broken = False

    def append(self, name: str, frame: pl.DataFrame) -> None:
        if self.broken:
            raise OSError("the disk is full")
        self.frames.setdefault(name, []).append(frame)

    def table(self, name: str) -> pl.DataFrame:
        """Everything that was appended to a log."""
        return pl.concat(self.frames[name])


def site(
    record: Record,
    services: Sequence[Service] = (),
    models: Sequence[Wanted] = (),
    *,
    append: Callable[[str, pl.DataFrame], Any],
    listing: Listing | None = None,
    events: list[Event] | None = None,
    clock: Clock | None = None,
    describe: Describe = lambda view: {},
    queue: int = 20_000,
    body_limit: int = 1_000_000,
    answer_memory: int = 1_000_000,
    retry_window_s: float = 60.0,
    trace_share: float = 0.0,
    trace_over_s: float = 1.0,
    guard_s: float = 0.0,
) -> Site:
    """A site over fakes."""
    return Site(
        project="flights",
        services=tuple(services),
        models=tuple(models),
        record=record,
        load=record.load,
        describe=describe,
        append=append,
        directory=listing or Listing(),
        emit=(events if events is not None else []).append,
        clock=clock or SystemClock(),
        random_bits=random.Random(7).getrandbits,
        queue=queue,
        body_limit=body_limit,
        answer_memory=answer_memory,
        retry_window_s=retry_window_s,
        trace_share=trace_share,
        trace_over_s=trace_over_s,
        guard_s=guard_s,
    )
