"""Ancestry: what lies around a version, a few steps up and down, however large the whole lineage is.

Choices: it is walked level by level, each version with the newest `_ATTEMPTS` attempts that made it; of an artifact with many versions side
by side the newest `ALIKE` are kept, and no more than `MOST` versions in each direction. What is left out is told as a `Rest`.
`lineage_of` gives all of it, for commands.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Final, Literal

import msgspec

from bedplate.core.clock import parse
from bedplate.core.kinds import Kind
from bedplate.core.records import Record
from bedplate.core.sources import Entry

from .database import Database
from .rows import entries_of

Way = Literal["up", "down"]
MOST: Final = 120
ALIKE: Final = 3
_FAN: Final = 400
_ATTEMPTS: Final = 20
_LONGEST: Final = 400_000
"""Characters of a list of files that is still read whole."""


class Hop(Record, frozen=True, kw_only=True):
    """`downstream` was made from `upstream`, handed as `parameter` to a step of a run."""

    upstream: str
    downstream: str
    parameter: str
    step: str
    run: str


class Rest(Record, frozen=True, kw_only=True):
    """What is not walked to from `beside`: `count` versions of an artifact (empty: of any), for they are `many` or `far`."""

    beside: str
    way: Way
    artifact: str
    count: int
    why: Literal["many", "far"]


class Read(Record, frozen=True, kw_only=True):
    """What the newest attempt at a version read of a source: its first entries, and how many there are (None: too many to count)."""

    ref: str
    parameter: str
    count: int | None
    entries: tuple[Entry, ...]


class Fact(Record, frozen=True, kw_only=True):
    """A version in a drawing: how large it is, when it was made, by the project or a client."""

    kind: Kind
    rows: int | None
    size_bytes: int
    created_at: datetime
    step: str
    run: str
    origin: Literal["project", "client"]


class Around(Record, frozen=True, kw_only=True):
    """What lies around a version: `depth` of each version, below 0 upstream."""

    ref: str
    depth: dict[str, int]
    hops: tuple[Hop, ...]
    rests: tuple[Rest, ...]
    reads: tuple[Read, ...]


def around(database: Database, ref: str, up: int, down: int) -> Around:
    """So many steps up and down from a version that there is, read from one moment of the database; of a way with none nothing is told."""
    return database.snapshot(lambda: _around(database, ref, up, down))


def versions_with(database: Database, name: str) -> list[str]:
    """The versions, newest of each source, whose step has read an entry of that name: `departures@7`."""
    found = database.rows("sources_with", name=f"%{_escaped(msgspec.json.encode(name).decode())}%")
    return [f"{row[0]}@{row[1]}" for row in found if any(entry.name == name for entry in entries_of(row[2]))]


def made_in(database: Database, run: str, most: int = 50) -> list[str]:
    """What the attempts of a run made, or made again, by name."""
    return [f"{artifact}@{number}" for artifact, number in database.rows("versions_of_run", run=run, most=most)]


def fact_of(database: Database, ref: str) -> Fact | None:
    """What is said of a version in a drawing; None where there is none."""
    artifact, _, number = ref.rpartition("@")
    row = database.one("version_fact", artifact=artifact, number=int(number))
    if row is None:
        return None
    kind, rows, size, created_at, step, run, origin = row
    return Fact(kind=kind, rows=rows, size_bytes=size, created_at=parse(created_at), step=step, run=run, origin=origin)


def reads_of(database: Database, ref: str, most: int = 5) -> list[Read]:
    """What the newest attempt at a version read of its sources."""
    artifact, _, number = ref.rpartition("@")
    found = []
    for parameter, length, kept in database.rows("sources_read", artifact=artifact, number=int(number), most=_LONGEST):
        entries = entries_of(kept) if length <= _LONGEST else ()
        count = len(entries) if length <= _LONGEST else None
        found.append(Read(ref=ref, parameter=parameter, count=count, entries=entries[:most]))
    return found


def _around(database: Database, ref: str, up: int, down: int) -> Around:
    above, below = _Walk(database, ref, "up", up), _Walk(database, ref, "down", down)
    depth = {**{one: -at for one, at in above.depth.items()}, **below.depth}
    hops = list(dict.fromkeys((*above.hops, *below.hops)))
    reads = [read for one in above.depth for read in reads_of(database, one)]
    return Around(ref=ref, depth=depth, hops=tuple(hops), rests=(*above.rests, *below.rests), reads=tuple(reads))


class _Walk:
    """One way from a version."""

    def __init__(self, database: Database, ref: str, way: Way, steps: int) -> None:
        self._database = database
        self._way: Way = way
        self.depth = {ref: 0}
        self.hops: list[Hop] = []
        self.rests: list[Rest] = []
        level = [ref]
        for at in range(1, steps + 1):
            level = [found for one in level for found in self._beyond(one, at)]
        for one in level if steps else ():
            if count := len(self._hops(one)):
                self.rests.append(Rest(beside=one, way=way, artifact="", count=count, why="far"))

    def _beyond(self, ref: str, at: int) -> Iterator[str]:
        """What is one step further, of which only what is new is walked on from."""
        kept: Counter[str] = Counter()
        for hop in self._hops(ref):
            other = hop.upstream if self._way == "up" else hop.downstream
            artifact = other.rpartition("@")[0]
            known = other in self.depth
            kept[artifact] += 1
            if known or (kept[artifact] <= ALIKE and len(self.depth) <= MOST):
                self.hops.append(hop)
                if not known:
                    self.depth[other] = at
                    yield other
        shown = Counter(one.rpartition("@")[0] for one in self._shown(ref))
        for artifact, count in kept.items():
            if count > shown[artifact]:
                self.rests.append(Rest(beside=ref, way=self._way, artifact=artifact, count=count - shown[artifact], why="many"))

    def _shown(self, ref: str) -> set[str]:
        return {hop.upstream if self._way == "up" else hop.downstream for hop in self.hops if ref in (hop.upstream, hop.downstream)} - {ref}

    def _hops(self, ref: str) -> list[Hop]:
        artifact, _, number = ref.rpartition("@")
        if self._way == "up":
            found = self._database.rows("lineage_above", artifact=artifact, number=int(number), attempts=_ATTEMPTS, most=_FAN)
            return [Hop(upstream=f"{a}@{n}", downstream=ref, parameter=p, step=step, run=run) for a, n, p, step, run in found]
        found = self._database.rows("lineage_below", artifact=artifact, number=int(number), most=_FAN)
        return [Hop(upstream=ref, downstream=f"{a}@{n}", parameter=p, step=step, run=run) for a, n, p, step, run in found]


def _escaped(name: str) -> str:
    return name.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
