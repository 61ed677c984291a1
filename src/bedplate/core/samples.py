"""Samples: the view of a files artifact for training: a million small files, read by index, shuffled, shared among ranks, resumed.

Choices: the order of an epoch is a function of seed and epoch alone, so that every rank works out its own share, and a reader that goes
on after `done` samples (of all ranks together) loses and doubles none, also on another number of ranks. A `Samples` has `__len__` and
`__getitem__`, which is all that a PyTorch DataLoader asks of a data set, and `order()` is a sampler for it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import msgspec


class Sample(msgspec.Struct, frozen=True):
    """One file: its name in the artifact and its bytes.

    What a `Samples` gives has also `image()` (a `PIL.Image.Image`) and `audio()` (an array and its rate in Hz).
    """

    name: str
    data: bytes

    def text(self) -> str:
        """The bytes as UTF-8."""
        return self.data.decode()

    def json(self) -> Any:
        """The bytes as JSON."""
        return json.loads(self.data)


class Place(msgspec.Struct, frozen=True):
    """Where a reading stands: in which epoch, after how many samples of all ranks together. Keep it with a checkpoint."""

    epoch: int = 0
    done: int = 0


class Order(Protocol):
    """The indices of one epoch for one rank, in the order in which they are read."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[int]: ...


class Reading(Protocol):
    """Samples on their way: read ahead, given in order."""

    stalled_s: float
    """How long whoever reads has waited for samples so far."""

    def __iter__(self) -> Iterator[Any]: ...

    def place(self) -> Place:
        """Where to go on after what was given so far, if every rank was given as much."""
        ...


class Samples(Protocol):
    """What a function annotated `Samples` receives."""

    def __len__(self) -> int: ...

    def __getitem__(self, which: int | str) -> Any:
        """The sample at an index or of a name, checked against its digest. Raises IndexError, NotFound, CorruptError."""
        ...

    @property
    def names(self) -> Sequence[str]:
        """The names, sorted."""
        ...

    def map(self, function: Callable[[Any], Any]) -> Samples:
        """The same samples, each given as `function` of it: decoded, cropped, as a tensor. It is called where the sample is read."""
        ...

    def pick(self, count: int, seed: int = 0) -> list[Any]:
        """So many of them by chance, none twice."""
        ...

    def order(self, *, seed: int = 0, epoch: int = 0, rank: int = 0, world: int = 1, done: int = 0, even: bool = False) -> Order:
        """The indices of an epoch for rank `rank` of `world`, after the first `done` of all ranks.

        Ranks differ by one sample at most; `even` gives each the same number by giving some again, for collectives that need it.
        """
        ...

    def read(
        self, *, seed: int = 0, epoch: int = 0, rank: int = 0, world: int = 1, done: int = 0, even: bool = False, ahead: int = 256,
        threads: int = 2,
    ) -> Reading:  # fmt: skip
        """The samples of `order(...)`, `ahead` of them read by `threads` threads before they are asked for."""
        ...

    def look(self, count: int) -> list[tuple[str, int, str]]:
        """The first few, for people: name, size in bytes, what it is in a few words."""
        ...

    def told(self) -> dict[str, float]:
        """What was read of it so far: `samples`, `bytes`, and `stalled_s`, the seconds that were waited for them."""
        ...
