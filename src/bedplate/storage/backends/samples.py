"""Samples: files of a version read one by one, from shards or from blobs of their own, with `pread`.

Choices: every sample's digest is checked as it is read; descriptors of shards are kept open, and not across a fork (a DataLoader's
worker opens its own). Reading ahead is by threads, 32 samples at a time, which read and decode; whoever reads gets them in
order, and how long it waited is counted. Limits: a process that is killed mid-epoch goes on from the `Place` that it kept.
"""

from __future__ import annotations

import hashlib
import os
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from bedplate.core import digests
from bedplate.core.errors import NotFound, StoreError
from bedplate.core.records import Draft
from bedplate.core.samples import Place
from bedplate.storage import manifests
from bedplate.storage.blobs import Blobs, corrupt, gone

from . import packed
from .decode import FileSample, words
from .order import EpochOrder

_OPEN = 512
_TOGETHER = 32


def of(blobs: Blobs, version: Draft) -> FileSamples:
    """The samples of a files version, packed or not. Raises StoreError where the table or the manifest is gone."""
    if not blobs.has(manifests.digest_at(version.uri)):
        raise gone(blobs.root / version.uri)
    if manifests.SHARDS in version.meta:
        return FileSamples(packed.read(blobs.root / version.uri), [blobs.path(shard) for shard, _ in version.meta[manifests.SHARDS]])
    members = manifests.get(blobs, version.uri).members
    columns = {
        "name": [member.name for member in members],
        "sha256": [bytes.fromhex(member.digest.removeprefix(digests.PREFIX)) for member in members],
        "size": [member.size for member in members],
        "shard": range(len(members)),
        "offset": [0] * len(members),
    }
    return FileSamples(pl.DataFrame(columns, schema=packed.SCHEMA), [blobs.path(member.digest) for member in members])


class Counted:
    """What was read, by all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.samples = 0
        self.bytes = 0
        self.stalled_s = 0.0

    def add(self, samples: int = 0, size: int = 0, stalled_s: float = 0.0) -> None:
        """Count some more."""
        with self._lock:
            self.samples += samples
            self.bytes += size
            self.stalled_s += stalled_s

    def __reduce__(self) -> tuple[type[Counted], tuple[()]]:
        return Counted, ()  # another process counts for itself


class FileSamples:
    """See `core.samples.Samples`. `table` has the columns of `packed.SCHEMA`, `shards` the files that it points into."""

    def __init__(self, table: pl.DataFrame, shards: Sequence[Path], function: Callable[[Any], Any] | None = None) -> None:
        self._table = table
        self._shards = Shards(shards)
        self._function = function
        self._sizes = table["size"].to_numpy()
        self._numbers = table["shard"].to_numpy()
        self._offsets = table["offset"].to_numpy()
        self._counted = Counted()

    def __len__(self) -> int:
        return self._table.height

    def __repr__(self) -> str:
        return f"Samples({len(self):,}, {int(self._sizes.sum()):,} bytes)"

    def __iter__(self) -> Iterator[Any]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, which: int | str) -> Any:
        return self.one(self._index(which) if isinstance(which, str) else range(len(self))[which])

    @property
    def names(self) -> Sequence[str]:
        """See `Samples.names`."""
        return self._table["name"].to_list()

    def one(self, index: int) -> Any:
        """The sample at an index from 0."""
        name, sha256 = self._table["name"][index], self._table["sha256"][index]
        number, size = int(self._numbers[index]), int(self._sizes[index])
        data = self._shards.read(number, size, int(self._offsets[index]))
        if hashlib.sha256(data).digest() != sha256:
            raise corrupt(self._shards.paths[number], f"the bytes of {name} in it are not those that were kept")
        self._counted.add(1, size)
        sample = FileSample(name, data)
        return sample if self._function is None else self._function(sample)

    def map(self, function: Callable[[Any], Any]) -> FileSamples:
        """See `Samples.map`."""
        before = self._function
        made = FileSamples(self._table, self._shards.paths, function if before is None else _Both(before, function))
        made._counted = self._counted
        return made

    def pick(self, count: int, seed: int = 0) -> list[Any]:
        """See `Samples.pick`."""
        return [self.one(index) for index in random.Random(seed).sample(range(len(self)), min(count, len(self)))]

    def order(self, *, seed: int = 0, epoch: int = 0, rank: int = 0, world: int = 1, done: int = 0, even: bool = False) -> EpochOrder:
        """See `Samples.order`."""
        return EpochOrder(len(self), seed=seed, epoch=epoch, rank=rank, world=world, done=done, even=even)

    def read(
        self, *, seed: int = 0, epoch: int = 0, rank: int = 0, world: int = 1, done: int = 0, even: bool = False, ahead: int = 256,
        threads: int = 2,
    ) -> Ahead:  # fmt: skip
        """See `Samples.read`."""
        order = self.order(seed=seed, epoch=epoch, rank=rank, world=world, done=done, even=even)
        return Ahead(self.one, order, Place(epoch, done), len(self), world, ahead, threads, self._counted)

    def look(self, count: int) -> list[tuple[str, int, str]]:
        """The first few, for people: name, size in bytes, what it is in a few words."""
        plain = [FileSamples(self._table, self._shards.paths).one(index) for index in range(min(count, len(self)))]
        return [(sample.name, len(sample.data), words(sample)) for sample in plain]

    def told(self) -> dict[str, float]:
        """See `Samples.told`."""
        return {"samples": self._counted.samples, "bytes": self._counted.bytes, "stalled_s": self._counted.stalled_s}

    def _index(self, name: str) -> int:
        found = self._table["name"].search_sorted(name)
        if found >= len(self) or self._table["name"][found] != name:
            raise NotFound(f"there is no sample '{name}'", why=f"there are {len(self):,}, as {', '.join(self._table['name'].head(3))}")
        return found


class _Both:
    """One function after another; a class, so that a DataLoader's worker can be sent it."""

    def __init__(self, first: Callable[[Any], Any], then: Callable[[Any], Any]) -> None:
        self._first = first
        self._then = then

    def __call__(self, sample: Any) -> Any:
        return self._then(self._first(sample))


class Ahead:
    """See `core.samples.Reading`."""

    def __init__(
        self, one: Callable[[int], Any], order: EpochOrder, start: Place, count: int, world: int, ahead: int, threads: int, counted: Counted
    ) -> None:  # fmt: skip
        self._one = one
        self._order = order
        self._start = start
        self._count = count
        self._world = world
        self._waiting = max(1, ahead // _TOGETHER)
        self._threads = max(1, threads)
        self._counted = counted
        self._given = 0
        self.stalled_s = 0.0

    def __len__(self) -> int:
        return len(self._order)

    def __iter__(self) -> Iterator[Any]:
        self._given = 0
        indices = iter(self._order)
        coming: deque[Future[list[Any]]] = deque()
        with ThreadPoolExecutor(self._threads, thread_name_prefix="samples") as pool:
            try:
                for some in iter(lambda: list(islice(indices, _TOGETHER)), []):
                    coming.append(pool.submit(self._some, some))
                    if len(coming) > self._waiting:
                        yield from self._gave(coming.popleft())
                while coming:
                    yield from self._gave(coming.popleft())
            finally:
                for future in coming:
                    future.cancel()

    def place(self) -> Place:
        """See `Reading.place`."""
        done = self._start.done + self._given * self._world
        return Place(self._start.epoch, done) if done < self._count else Place(self._start.epoch + 1, 0)

    def _some(self, indices: list[int]) -> list[Any]:
        return [self._one(index) for index in indices]

    def _gave(self, future: Future[list[Any]]) -> Iterator[Any]:
        before = time.perf_counter()
        samples = future.result()
        waited = time.perf_counter() - before
        self.stalled_s += waited
        self._counted.add(stalled_s=waited)
        for sample in samples:
            self._given += 1
            yield sample


class Shards:
    """Files that are read at places, by any thread. Few are kept open, each once; of many, each is opened when it is read."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = paths
        self._lock = threading.Lock()
        self._open: dict[int, int] = {}
        self._process = os.getpid()

    def read(self, number: int, size: int, offset: int) -> bytes:
        """Bytes of a shard. Raises StoreError where it is gone or shorter."""
        path = self.paths[number]
        if len(self.paths) > _OPEN:
            descriptor = _opened(path)
            try:
                found = os.pread(descriptor, size, offset)
            finally:
                os.close(descriptor)
        else:
            found = os.pread(self._descriptor(number), size, offset)
        if len(found) != size:
            raise StoreError(
                f"{path} ends before its place {offset + size:,}", why="it is shorter than what was written", next="bedplate doctor"
            )
        return found

    def _descriptor(self, number: int) -> int:
        if number in self._open and self._process == os.getpid():
            return self._open[number]
        with self._lock:
            if self._process != os.getpid():
                self._open, self._process = {}, os.getpid()
            if number not in self._open:
                self._open[number] = _opened(self.paths[number])
            return self._open[number]

    def __reduce__(self) -> tuple[type[Shards], tuple[Sequence[Path]]]:
        return Shards, (self.paths,)

    def __del__(self) -> None:
        if self._process == os.getpid():
            for descriptor in self._open.values():
                os.close(descriptor)


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        raise gone(path) from None
