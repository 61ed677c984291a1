"""Records for tests: a History makes runs, attempts and commits with ids and digests that count up."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec

from bedplate.catalog.catalog import Catalog
from bedplate.catalog.commit import Commit
from bedplate.core.clock import Clock
from bedplate.core.digests import of_json
from bedplate.core.kinds import Kind
from bedplate.core.records import Attempt, Draft, Input, KeyParts, Part, Run, Step, Usage, Verdict, Version


def draft(artifact: str, content: object, kind: Kind = "table", **fields: Any) -> Draft:
    """A draft whose digest is that of `content`: equal content, equal digest."""
    return Draft(artifact=artifact, kind=kind, digest=of_json([kind, content]), uri=f"tables/{artifact}", **fields)


class History:
    """One run being recorded in a catalog."""

    def __init__(self, catalog: Catalog, clock: Clock, run: str = "r-1") -> None:
        self.catalog = catalog
        self.clock = clock
        self.run = Run(
            id=run, project="flights", target="local", command="run", started_at=clock.now(), settings={"n": [1, None]}, git_commit="abc",
            git_dirty=True, host="here", pid=7, process_started=1.5,
        )  # fmt: skip
        self._numbers = itertools.count(1)
        catalog.runs.begin(self.run)

    def attempt(self, step: str, part: str = "") -> Attempt:
        """A new attempt that runs."""
        number = next(self._numbers)
        return Attempt(id=f"a-{self.run.id}-{number}", run=self.run.id, step=step, part=part, started_at=self.clock.now())

    def step(self, name: str, **fields: Any) -> Step:
        """A step of the run, with key parts."""
        parts = KeyParts(code=(Part(name=name, digest="d", file="flights.py", line=3),), settings={"n": 1}, python="3.11")
        return Step(run=self.run.id, name=name, **{"stage": "prepare", "key_parts": parts, **fields})

    def done(self, step: str, *drafts: Draft, inputs: dict[str, Version] | None = None, cache_key: str = "", **fields: Any) -> Commit:
        """A finished attempt at a step, begun in the catalog and ready to commit."""
        attempt = self.attempt(step)
        self.catalog.runs.begin_attempts([attempt])
        now = self.clock.now()
        ended = msgspec.structs.replace(attempt, status="done", ended_at=now, usage=Usage(wall_s=2.0, cpu_s=1.0, peak_bytes=10))
        given = {name: Input(artifact=version.artifact, view="polars", version=version) for name, version in (inputs or {}).items()}
        finished = self.step(step, status="done", cache_key=cache_key or f"key {attempt.id}", result=attempt.id, ended_at=now)
        return Commit(step=finished, attempt=ended, drafts=drafts, inputs=given, **fields)

    def make(self, artifact: str, content: object, kind: Kind = "table", **fields: Any) -> Version:
        """Commit one draft, made by the step of the artifact's name."""
        return self.catalog.commit([self.done(artifact, draft(artifact, content, kind), **fields)])[0][0]

    def judge(self, model: Version, passed: bool = True, promotes: str = "production", content: object = None) -> Commit:
        """A check of a model version; `content` tells equal verdicts from different ones."""
        verdict = Verdict(
            check="better", check_version=0, model=model.artifact, model_version=model.number, passed=passed, promotes=promotes,
            at=self.clock.now(),
        )  # fmt: skip
        return self.done("better", draft("better", [passed, content], "check"), verdict=verdict)
