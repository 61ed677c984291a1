"""Bring another tracker over: every thing once, verified, resumable.

Choices: one thing after the other, bytes first and then its rows in one transaction, so that a kill leaves things that are here whole and
things that are not here; the next start finds by a digest what it has brought. A thing that changed since adds what is new. After each
run is written it is read back and compared. Limits: one process at a time; traces are not brought.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec

from bedplate.catalog.tracking.brought import Mark
from bedplate.catalog.tracking.theirs import Owner, Point, TheirExperiment, TheirFile, TheirLogged, TheirRun
from bedplate.catalog.tracking.tracked import bits_of
from bedplate.core import digests
from bedplate.core.records import Record

from .models import ModelMove
from .moved import Moved

Tell = Callable[[str], None]
_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,63}\Z")


class Arrival(Record, frozen=True, kw_only=True):
    """What became of an import: for each kind how many the source has, and how many came now; what was left out or differs, and why."""

    source: str
    there: dict[str, int]
    new: dict[str, int]
    troubles: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether all that the source has is here."""
        return not self.troubles


class Move:
    """One import; `tell` hears how it goes on."""

    def __init__(self, moved: Moved, random_bits: Callable[[int], int], tell: Tell) -> None:
        self._moved = moved
        self._source = moved.source
        self._brought = moved.brought
        self._random_bits = random_bits
        self._tell = tell

    def all(self) -> Arrival:
        """Bring everything. Raises WorldError where the source or the store cannot be reached: what came before stays."""
        seen: set[str] = set()
        runs = self._brought.marks(self._source.place, "run")
        logged = self._brought.marks(self._source.place, "logged")
        for theirs in self._source.experiments():
            here = self._experiment(theirs, seen)
            found = [self._run(one, here, runs) for one in self._source.runs(theirs.id)]
            for model in self._source.logged(theirs.id):
                self._logged(model, here, logged)
            for run in found:
                if run is not None and (run.inputs or run.outputs):
                    self._brought.linked(run)
            self._tell(f"{theirs.name}: {len(found)} runs")
        ModelMove(self._moved, self._random_bits).all()
        self._moved.troubles += self._source.troubles
        return Arrival(source=self._source.place, there=self._moved.there, new=self._moved.new, troubles=tuple(self._moved.troubles))

    def _experiment(self, theirs: TheirExperiment, seen: set[str]) -> int:
        """Its id here; of two that have one name (the older was deleted), the second is told apart by its id."""
        if theirs.name in seen:
            theirs = msgspec.structs.replace(theirs, name=f"{theirs.name} ({theirs.id})")
        seen.add(theirs.name)
        is_new = theirs.id not in self._brought.marks(self._source.place, "experiment")
        self._moved.count("experiments", 1, new=is_new)
        return self._brought.experiment(self._source.place, theirs, digests.of_json(theirs))

    def _run(self, theirs: TheirRun, experiment: int, marks: dict[str, Mark]) -> TheirRun | None:
        if not self._may_come("run", theirs.id):
            return None
        points, files = list(self._source.points(theirs)), self._listed(theirs)
        digest = _digest(theirs, points, files)
        is_new = theirs.id not in marks or marks[theirs.id].digest != digest
        self._count_run(theirs, points, files, new=is_new)
        if is_new:
            kept = [found for one in files if (found := self._moved.keep(one)) is not None]
            whole = digest if len(kept) == len(files) else ""
            self._brought.run(self._source.place, theirs, experiment, points, kept, whole)
            self._moved.troubles += self._brought.differences(theirs, points, kept)
        return theirs

    def _logged(self, theirs: TheirLogged, experiment: int, marks: dict[str, Mark]) -> None:
        if not self._may_come("logged", theirs.id):
            return
        files = self._listed(theirs)
        digest = digests.of_json([theirs, files])
        is_new = theirs.id not in marks or marks[theirs.id].digest != digest
        self._moved.count("logged_models", 1, new=is_new)
        self._moved.count("files", len(files), new=is_new)
        self._moved.count("bytes", sum(one.size_bytes for one in files), new=is_new)
        if is_new:
            kept = [found for one in files if (found := self._moved.keep(one)) is not None]
            self._brought.logged(self._source.place, theirs, experiment, kept, digest if len(kept) == len(files) else "")

    def _may_come(self, what: Literal["run", "logged"], key: str) -> bool:
        """Whether an id is one that may stand, and none of this record's own."""
        if not _ID.match(key):
            self._moved.troubles.append(f"{what} {key[:80]!a} is left out: that is no id")
            return False
        if self._brought.is_ours(what, key):
            self._moved.troubles.append(f"{what} {key} is left out: one of this record's own has its id")
            return False
        return True

    def _listed(self, owner: Owner) -> list[TheirFile]:
        return sorted(self._source.files(owner), key=lambda one: one.path)

    def _count_run(self, theirs: TheirRun, points: Sequence[Point], files: Sequence[TheirFile], *, new: bool) -> None:
        self._moved.count("runs", 1, new=new)
        self._moved.count("params", len(theirs.params), new=new)
        self._moved.count("metrics", len({point.name for point in points}), new=new)
        self._moved.count("points", len({(*point[2:], point.name, bits_of(point.value)) for point in points}), new=new)
        self._moved.count("files", len(files), new=new)
        self._moved.count("bytes", sum(one.size_bytes for one in files), new=new)


def _digest(theirs: TheirRun, points: Sequence[Point], files: Sequence[TheirFile]) -> str:
    """Of all that a source says of a run: equal where nothing changed."""
    listed: list[Any] = sorted((point.name, point.at_step, point.at_ms, bits_of(point.value)) for point in points)
    return digests.of_json([theirs, listed, [(one.path, one.size_bytes) for one in files]])
