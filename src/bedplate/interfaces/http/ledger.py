"""Ledger: what every answer leaves behind, whichever protocol asked: identity, the prediction's record, metrics.

Prediction ids sort by time and are unique within a batch: one random start, then counting.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final

import msgspec

from bedplate.core.clock import Clock
from bedplate.core.errors import AnswerError, WorldError
from bedplate.core.ids import ended, endings, new_id, of_30_bits
from bedplate.stages.deploy.recorder import Block, Prediction, Recorder
from bedplate.stages.deploy.trace import Trace

from .metrics import Metrics
from .replies import Problem
from .tracing import Tracer

_LOG: Final = logging.getLogger("bedplate.serve")
_ID_BITS: Final = 30
_DRAWN: Final = 64
_LONGEST_ID: Final = 128
_LONGEST_ERROR: Final = 500
_QUIET_S: Final = 10.0

FeatureRows = Mapping[str, Mapping[str, Any]] | None


class Place:
    """Room in the prediction log for the rows of one request, while they are predicted; what is not used is given back."""

    __slots__ = ("_recorder", "rows")

    def __init__(self, recorder: Recorder, rows: int) -> None:
        self._recorder = recorder
        self.rows = rows

    def close(self) -> None:
        """Give back what was not used."""
        if self.rows:
            self._recorder.release(self.rows)


class Named(msgspec.Struct, frozen=True, gc=False):
    """The id of a request, and what those of its rows are made of: that of a lone row, and where the last digits of several begin."""

    request_id: str
    first: str
    rows: int
    start: int

    def ids(self) -> list[str]:
        """The ids of its rows, in order."""
        if self.rows == 1:
            return [self.first]
        stem, start, most = self.first[:-6], self.start, (1 << _ID_BITS) - 1
        return [stem + of_30_bits(start + row & most) for row in range(self.rows)]


class Ledger:
    """Names and records answers."""

    def __init__(
        self, recorder: Recorder, metrics: Metrics, clock: Clock, random_bits: Callable[[int], int], tracer: Tracer
    ) -> None:  # fmt: skip
        self.tracer = tracer
        self.metrics = metrics
        self.clock = clock
        self._recorder = recorder
        self._random_bits = random_bits
        self._endings: list[str] = []
        self._alone = Place(recorder, 0)
        self._told: dict[tuple[str, str, int], float] = {}

    def names(self, rows: int, given: bytes, at: datetime) -> tuple[str, list[str]]:
        """The id of a request, and of each of its rows."""
        named = self.named(rows, given, at)
        return named.request_id, named.ids()

    def named(self, rows: int, given: bytes, at: datetime) -> Named:
        """The names of a request and its rows.

        The request's is the caller's own X-Request-Id where that is short and plain, else that of the first row with another letter.
        """
        if not self._endings:
            self._endings = endings(_DRAWN, self._random_bits)
        first = ended("p", at, self._endings.pop())
        start = self._random_bits(_ID_BITS) if rows != 1 else 0
        if given:
            text = given.decode("latin-1")
            if len(text) <= _LONGEST_ID and text.isascii() and text.isprintable():
                return Named(text, first, rows, start)
        return Named(f"q{first[1:]}", first, rows, start)

    def admit(self, rows: int) -> Place:
        """Room for the rows of a request, before they are predicted: many are recorded whole or not answered.

        Raises Problem 413 for more than may ever wait, 429 for several where there is no room now. One row is answered all the same,
        and has no room kept.
        """
        if rows == 1:
            return self._alone
        limit = self._recorder.limit
        if rows > limit:
            raise Problem(
                413,
                f"the request has {rows:,} rows, and at most {limit:,} are taken at once",
                why="every prediction is recorded, and no more may wait to be written (setting `queue`)",
                next="send them in several requests, or raise queue in bedplate.toml",
            )
        if self._recorder.reserve(rows):
            return Place(self._recorder, rows)
        raise Problem(
            429,
            f"there is no room to record {rows:,} predictions now",
            why=self._recorder.problem or f"of {limit:,} that may wait (setting `queue`), {self._recorder.waiting:,} do",
            next="send them again in a second, or fewer at once",
            headers=((b"retry-after", b"1"),),
        )

    def record(self, log: str, predictions: Sequence[Prediction], place: Place | None = None, trace: Trace | None = None) -> None:
        """Queue the predictions for their log, in the place that was kept for them; never waits. With a `trace`, once that is whole."""
        reserved = 0
        if place is not None:
            reserved, place.rows = place.rows, 0
        if trace is None:
            self._recorder.offer(log, predictions, reserved)
            return
        traced = [msgspec.structs.replace(one, trace=trace) for one in predictions]
        if trace.is_over:
            self._recorder.offer(log, traced, reserved)
        else:
            trace.then.append(partial(self._keep, log, traced, reserved))

    def _keep(self, log: str, predictions: Sequence[Prediction], reserved: int) -> None:
        self._recorder.offer(log, predictions, reserved)

    def record_block(self, log: str, block: Block, place: Place) -> None:
        """Queue all rows of a request, in the place that was kept for them; never waits."""
        place.rows = 0
        self._recorder.offer_block(log, block)

    def failure(self, name: str, error: BaseException, at: datetime) -> tuple[Problem, str]:
        """What the caller is told when the project's own code raised, and what the record keeps; 503 where a store or server is away.

        The traceback goes to the server's log under the id that the caller is told, and nowhere else: in full at most every ten
        seconds for one place in the code, else as one line.
        """
        if isinstance(error, WorldError):
            return _unreachable(name, error), f"{error.what}: {error.why}"[:_LONGEST_ERROR]
        error_id = new_id("e", at, self._random_bits)
        is_answer = isinstance(error, AnswerError)  # its traceback is ours, and says nothing of the function
        is_full = not is_answer and self._is_news(name, error)
        lines = traceback.format_exception(error) if is_full else traceback.format_exception_only(error)
        _LOG.error("%s in %s: %s", error_id, name, "".join(lines).rstrip())
        problem = Problem(
            500,
            f"{name} failed on this request ({error_id})",
            why="it did not answer as its annotation says" if is_answer else "its own code raised an error",
            next=f"look for {error_id} in the server's log",
        )
        said = error.what if isinstance(error, AnswerError) else error
        return problem, f"{type(error).__name__}: {said} ({error_id})"[:_LONGEST_ERROR]

    def _is_news(self, name: str, error: BaseException) -> bool:
        frames = traceback.extract_tb(error.__traceback__)
        place = (name, type(error).__name__, (frames[-1].lineno or 0) if frames else 0)
        now = self.clock.monotonic()
        if now - self._told.get(place, -_QUIET_S) < _QUIET_S:
            return False
        self._told[place] = now
        return True


def _unreachable(name: str, error: WorldError) -> Problem:
    return Problem(503, f"{name} cannot answer now: {error.what}", why=error.why, next=error.next, headers=((b"retry-after", b"1"),))
