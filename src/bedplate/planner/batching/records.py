"""What a scheduler of batches is told and what it decides: frozen records, times in seconds of whatever clock its driver has."""

from __future__ import annotations

from typing import Literal

import msgspec

from bedplate.core.records import Record

Why = Literal["late", "full"]


class Rules(Record, frozen=True, kw_only=True):
    """How a model's requests are batched.

    `rows` is the most rows of a batch, `seconds` what one is expected to take at most (0: any), `turn` the rows that a request gets before
    the next has its turn (0: a quarter of a batch), `together` how many batches run at once, `queue` how many requests may wait, `step_s`
    by how much a class of priority is behind the one above: a request of class p stands where one of class 0 would that came p steps later.
    """

    rows: int = 64
    seconds: float = 0.0
    turn: int = 0
    together: int = 1
    queue: int = 1024
    step_s: float = 0.1

    @property
    def share(self) -> int:
        """The rows of a turn."""
        return self.turn or max(1, self.rows // 4)


class Arrived(msgspec.Struct, frozen=True, gc=False):
    """A request of `rows` rows came at `at`. `priority`: 0 is the first class. `deadline` is when its answer is of no use any more."""

    id: int
    rows: int
    at: float
    priority: int = 0
    deadline: float | None = None


class Ended(msgspec.Struct, frozen=True, gc=False):
    """A batch ended after `seconds`; `failed`: its requests have no answer, so that what waits of them is not worth doing."""

    batch: int
    seconds: float
    failed: bool = False


class Gone(msgspec.Struct, frozen=True, gc=False):
    """Whoever asked is not there any more."""

    id: int


Outcome = Arrived | Ended | Gone


class Part(msgspec.Struct, frozen=True, gc=False):
    """The rows of a request, from `begin` up to `end`, that are in a batch."""

    id: int
    begin: int
    end: int


class Batch(msgspec.Struct, frozen=True, gc=False):
    """What the model is to answer now, in this order."""

    id: int
    parts: tuple[Part, ...]
    rows: int


class Refusal(msgspec.Struct, frozen=True, gc=False):
    """A request that gets no answer: it is too `late` for it, or the queue is `full`; `retry_s` is when another try may do."""

    id: int
    why: Why
    retry_s: float = 0.0


class Decision(msgspec.Struct, frozen=True, gc=False):
    """What to start and whom to refuse now. `look_at` is when to ask again though nothing happens (None: there is no such time)."""

    start: tuple[Batch, ...] = ()
    refused: tuple[Refusal, ...] = ()
    look_at: float | None = None
