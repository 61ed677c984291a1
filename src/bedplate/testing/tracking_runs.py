"""Drawn runs, filters and orders for tests of searches: few words and values, so that they meet."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any, cast

import msgspec

from bedplate.catalog.catalog import Catalog
from bedplate.catalog.tracking.clauses import Clause, Comparator, Order
from bedplate.catalog.tracking.runs import Batch, NewRun
from bedplate.catalog.tracking.tracked import CONTEXT, RUN_NAME, Dataset, DatasetInput, Named, Point, Stage, Status

from .tracking_model import KnownRun

NUMBERS = (math.nan, math.inf, -math.inf, 0.0, -0.0, 0.5, 1.0, -1.0, 1e300)
_KEYS = ("x", "key with 'quote", "日本")
_TEXT: tuple[Comparator, ...] = ("=", "!=", "LIKE", "ILIKE", "IN", "NOT IN")
_NUMBER: tuple[Comparator, ...] = ("=", "!=", "<", "<=", ">", ">=")
_ATTRIBUTES = ("run_id", "run_name", "user_id", "status", "artifact_uri")
_STATUSES: tuple[Status, ...] = ("RUNNING", "FINISHED", "FAILED")


class Drawn:
    """Draws what a search is made of."""

    def __init__(self, source: random.Random, words: Sequence[str]) -> None:
        self.random = source
        self.words = words

    def text(self) -> str:
        """A word, or a pattern of one."""
        word = self.random.choice(self.words)
        return self.random.choice((word, word, f"%{word}", f"{word[:1]}%", f"_{word[1:]}", f"%{word[:1]}%_"))

    def clause(self) -> Clause:
        """A comparison that the grammar takes."""
        entity = self.random.choice(("metric", "param", "param", "tag", "attribute", "attribute", "dataset"))
        if entity == "metric":
            value = self.random.choice([number for number in NUMBERS if math.isfinite(number)])
            return Clause("metric", self.random.choice(_KEYS), self.random.choice(_NUMBER), value)
        if entity == "attribute" and self.random.random() < 0.4:
            return Clause(
                "attribute", self.random.choice(("start_time", "end_time")), self.random.choice(_NUMBER), self.random.randint(0, 9)
            )
        if entity == "attribute":
            key = self.random.choice(_ATTRIBUTES)
            return self._compared(entity, key, (*self.words, "r1", "r2", "FINISHED"))
        if entity == "dataset":
            return self._compared(entity, self.random.choice(("name", "digest", "context")), ("a", "b", "train"))
        if self.random.random() < 0.2:
            return Clause(cast(Any, entity), self.random.choice(_KEYS), self.random.choice(("IS NULL", "IS NOT NULL")))
        return self._compared(entity, self.random.choice(_KEYS), self.words)

    def clauses(self) -> tuple[Clause, ...]:
        """Up to three."""
        return tuple(self.clause() for _ in range(self.random.randint(0, 3)))

    def orders(self) -> tuple[Order, ...]:
        """Up to three keys, each once."""
        known = [Order("metric", key) for key in _KEYS] + [Order("param", key) for key in _KEYS] + [Order("tag", "x")]
        known += [Order("attribute", key) for key in (*_ATTRIBUTES, "start_time", "end_time")]
        picked = self.random.sample(known, self.random.randint(0, 3))
        return tuple(msgspec.structs.replace(order, descending=self.random.random() < 0.5) for order in picked)

    def stages(self) -> tuple[Stage, ...]:
        """What is looked at."""
        return self.random.choice((("active",), ("deleted",), ("active", "deleted")))

    def _compared(self, entity: str, key: str, words: Sequence[str]) -> Clause:
        comparator = self.random.choice(_TEXT)
        listed = tuple(self.random.choice(words) for _ in range(self.random.randint(1, 3)))
        value = listed if comparator in ("IN", "NOT IN") else self.text() if "LIKE" in comparator else listed[0]
        return Clause(cast(Any, entity), key, comparator, value)


def draw(drawn: Drawn, count: int) -> list[KnownRun]:
    """Runs of three experiments, whose numbers are 0 to 2 until they are made."""
    some = drawn.random

    def few(values: Sequence[Any]) -> dict[str, Any]:
        return {key: some.choice(values) for key in _KEYS if some.random() < 0.6}

    made = []
    for number in range(count):
        datasets = tuple({(name, name * 2, some.choice(("train", "test", ""))) for name in ("a", "b") if some.random() < 0.3})
        status = some.choice(_STATUSES)
        made.append(
            KnownRun(
                id=f"r{number}", experiment=some.randint(0, 2), name=some.choice(drawn.words) or "no name", user=some.choice(("me", "you")),
                status=status, started_ms=some.randint(0, 9), ended_ms=None if status == "RUNNING" else some.randint(0, 9),
                stage=some.choice(("active", "active", "deleted")), metrics=few(NUMBERS), params=few(drawn.words), tags=few(drawn.words),
                datasets=datasets,
            )
        )  # fmt: skip
    return made


def put(catalog: Catalog, runs: Sequence[KnownRun]) -> list[KnownRun]:
    """Log these runs; returns them with the experiments that they are in now."""
    numbers = [0, *(catalog.tracking.experiments.create(name, [], 0) or 0 for name in ("first", "second"))]
    placed = [msgspec.structs.replace(run, experiment=numbers[run.experiment], tags={**run.tags, RUN_NAME: run.name}) for run in runs]

    def work() -> None:
        for run in placed:
            _put(catalog, run)

    catalog.together(work)
    return placed


def _put(catalog: Catalog, run: KnownRun) -> None:
    tracking = catalog.tracking
    tracking.runs.create(NewRun(id=run.id, experiment=run.experiment, name=run.name, made_by=run.user, started_ms=run.started_ms))
    batch = Batch(
        metrics=tuple(Point(key, value, 1) for key, value in run.metrics.items()),
        params=tuple(Named(key, value) for key, value in run.params.items()),
        tags=tuple(Named(key, value) for key, value in run.tags.items()),
    )
    tracking.runs.log(run.id, batch)
    for name, digest, context in run.datasets:
        tags = (Named(CONTEXT, context),) if context else ()
        tracking.datasets.log(run.id, [DatasetInput(Dataset(name, digest, "local", "{}"), tags)])
    if run.ended_ms is not None:
        tracking.runs.update(run.id, 9, status=cast(Status, run.status), ended_ms=run.ended_ms)
    if run.stage == "deleted":
        tracking.runs.delete(run.id, 9)
