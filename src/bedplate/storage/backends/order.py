"""The order in which samples are read: a shuffle that is the same on every machine, shared among ranks, gone on with anywhere.

Choices: the shuffle sorts indices by a mixed number of (seed, epoch, index), with SplitMix64 (Steele, Lea and Flood, OOPSLA 2014,
section 5), rather than by a library's generator, whose streams may change with its version. What is left after `done` samples is dealt
out like cards, so that the ranks' shares are disjoint, complete and within one sample of the same length, however many ranks there were.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from bedplate.core.errors import UserError

Numbers = npt.NDArray[np.uint64]
_GAMMA = np.uint64(0x9E3779B97F4A7C15)


class EpochOrder:
    """See `core.samples.Order`; a sequence of `len` indices."""

    def __init__(self, count: int, *, seed: int, epoch: int, rank: int, world: int, done: int, even: bool) -> None:
        if not 0 <= rank < world:
            raise UserError(f"there is no rank {rank} of {world}", next="ranks are counted from 0")
        if not 0 <= done <= count:
            raise UserError(f"{done:,} of {count:,} samples cannot have been read", next="start the next epoch with done=0")
        left = shuffled(count, seed, epoch)[done:]
        if even and len(left) % world:
            left = np.concatenate([left, np.resize(left, -len(left) % world)])
        self.indices = left[rank::world]

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[int]:
        for start in range(0, len(self.indices), 4_096):
            yield from self.indices[start : start + 4_096].tolist()


def shuffled(count: int, seed: int, epoch: int) -> npt.NDArray[np.int64]:
    """All indices below `count`, in the order of an epoch."""
    first = mixed(mixed(np.array([seed & 0xFFFFFFFFFFFFFFFF], np.uint64)) ^ np.uint64(epoch))
    return np.argsort(mixed(first + np.arange(count, dtype=np.uint64) * _GAMMA), kind="stable")


def mixed(numbers: Numbers) -> Numbers:
    """SplitMix64's output function, on each of `numbers`."""
    with np.errstate(over="ignore"):
        numbers = numbers + _GAMMA
        numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return numbers ^ (numbers >> np.uint64(31))
