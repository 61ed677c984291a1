"""Deployment: what serves now, as one immutable value.

A service is *active* (its artifacts are loaded) or *waiting* (and says why). Swapping a Deployment by reference is the whole
roll-out: a request in flight keeps the arguments that it began with.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from bedplate.core.features import Features, FeatureSpec, entities
from bedplate.core.model import Model
from bedplate.core.records import Record, Version

from .runtime import Choice, choice_of
from .service import ColumnType, Service, Wanted


class Waiting(Record, frozen=True, kw_only=True):
    """Something that cannot serve yet, why, and the command that changes it (empty: waiting is all there is to do)."""

    name: str
    reason: str
    next: str = ""


class Active(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A service with its loaded arguments, and the version of each; equal only to itself.

    `versions` maps a parameter to `late@7` (`versions_text` is that as JSON), `models` a model to the number that answers (`models_text`
    is that as JSON, `label` is that for people), `features` are the parameters that look rows up, with the columns that they give;
    `is_remote`: another server has one of its models.
    """

    service: Service
    arguments: dict[str, Any]
    versions: dict[str, str] = msgspec.field(default_factory=dict)
    models: dict[str, int] = msgspec.field(default_factory=dict)
    features: dict[str, dict[str, ColumnType]] = msgspec.field(default_factory=dict)
    models_text: str = ""
    label: str = ""
    versions_text: bytes = b""
    is_remote: bool = False

    def __post_init__(self) -> None:
        force = msgspec.structs.force_setattr
        force(self, "is_remote", any(isinstance(value, Model) and value.is_remote for value in self.arguments.values()))
        force(self, "models_text", msgspec.json.encode(self.models).decode())
        force(self, "versions_text", msgspec.json.encode(self.versions, order="sorted"))
        force(self, "label", ", ".join(f"{name}@{number}" for name, number in self.models.items()))

    def with_model(self, wanted: Wanted, number: int, value: Any) -> Active:
        """The same with another version of a model."""
        name, ref = wanted.artifact, f"{wanted.artifact}@{number}"
        return msgspec.structs.replace(
            self,
            arguments={**self.arguments, wanted.parameter: value},
            versions={**self.versions, wanted.parameter: ref},
            models={**self.models, name: number},
        )

    @property
    def name(self) -> str:
        """The service's name."""
        return self.service.name

    def call(self, fields: Mapping[str, Any]) -> tuple[Any, dict[str, dict[str, Any]] | None]:
        """Call the function for one row: what it returned, and by parameter the feature rows that it looked at."""
        if not self.features:
            return self.service.function(**self.arguments, **fields), None
        seen = {name: Looked(self.arguments[name], columns, self.versions.get(name, "")) for name, columns in self.features.items()}
        result = self.service.function(**{**self.arguments, **seen, **fields})
        return result, {name: one.row for name, one in seen.items() if one.row is not None} or None


class LoadedModel(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A model in memory, by its committed version (`models_text`: as the prediction log has it); equal only to itself.

    `wide`: it gives several values per row.
    """

    version: Version
    model: Model
    wide: bool = False
    models_text: str = ""

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "models_text", f'{{"{self.version.artifact}":{self.version.number}}}')

    @property
    def name(self) -> str:
        """The model's name."""
        return self.version.artifact

    @property
    def choice(self) -> Choice | None:
        """The runtime that it is asked by, and the figures behind that; None where it does not compute on rows of numbers."""
        return choice_of(self.model)


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that serves now. `number` grows with each swap; `problems` says what kept an older version in place."""

    number: int
    services: dict[str, Active | Waiting]
    models: dict[str, LoadedModel | Waiting]
    problems: dict[str, str] = msgspec.field(default_factory=dict)

    @property
    def versions(self) -> dict[str, int]:
        """The version of each model that answers."""
        by_service = {name: n for one in self.services.values() if isinstance(one, Active) for name, n in one.models.items()}
        return by_service | {name: one.version.number for name, one in self.models.items() if isinstance(one, LoadedModel)}

    @property
    def waiting(self) -> dict[str, Waiting]:
        """What is not ready, by name."""
        return {name: one for part in (self.services, self.models) for name, one in part.items() if isinstance(one, Waiting)}


class Seen(dict[str, Any]):
    """A feature row that was looked up: `features` is the version that gave it, `entity` and `time` what it was asked for (None: now),
    `took_s` the seconds that the view was waited for so far.
    """

    __slots__ = ("entity", "features", "time", "took_s")

    def __init__(self, row: Mapping[str, Any], features: str, entity: tuple[Any, ...], time: Any, took_s: float = 0.0) -> None:
        super().__init__(row)
        self.features, self.entity, self.time, self.took_s = features, entity, time, took_s


class Looked:
    """A Features view for one call that remembers the last row it gave, for the prediction's record.

    Limits: rows that the function asks for as a frame (`at(frame)`) are not remembered.
    """

    __slots__ = ("_columns", "_features", "_took_s", "_version", "row")

    def __init__(self, features: Any, columns: Iterable[str], version: str = "") -> None:
        self._features = features
        self._columns = columns
        self._version = version
        self._took_s = 0.0
        self.row: Seen | None = None

    @property
    def spec(self) -> FeatureSpec:
        """How the features are keyed."""
        spec: FeatureSpec = self._features.spec
        return spec

    def at(self, labels: Any, *more: Features) -> Any:
        """The as-of join, as of the view itself."""
        began = time.perf_counter()
        found = self._features.at(labels)
        self._took_s += time.perf_counter() - began
        self._joined(labels, found)
        for view in more:
            found = view.at(found)
        return found

    def __getitem__(self, entity: Any) -> Any:
        began = time.perf_counter()
        found = self._features[entity]
        self._took_s += time.perf_counter() - began
        entity = entities(entity)
        self._read(*((entity, found) if isinstance(entity, list) else ([entity], [found])))
        return found

    def _joined(self, labels: Any, found: Any) -> None:
        """That was found as of these labels."""
        if isinstance(found, dict):
            row, spec = {name: found.get(name) for name in self._columns}, self.spec
            self.row = Seen(row, self._version, tuple(labels[name] for name in spec.entity), labels[spec.time], self._took_s)

    def _read(self, asked: Sequence[Any], rows: Sequence[Mapping[str, Any]]) -> None:
        """These are the rows of entities now."""
        if asked:
            self.row = Seen(rows[-1], self._version, entity_of(asked[-1]), None, self._took_s)


def entity_of(asked: Any) -> tuple[Any, ...]:
    """An entity by each of its columns, however it was asked for."""
    return asked if isinstance(asked, tuple) else (asked,)
