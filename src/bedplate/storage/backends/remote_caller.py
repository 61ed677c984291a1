"""Asking one remote model: its metadata, and predictions, with the tries that a server in trouble gets and no more.

A prediction changes nothing on the other side, so one that was lost, or for which the server had no room (429, 502, 503, 504), is asked
for again, twice at most, all within the model's timeout. After several failures in a row nobody asks for growing pauses. What a server
refuses is the caller's mistake, unless the server says something else of the model than when it was stored. May be called by several
threads.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np

from bedplate.core import extras
from bedplate.core.errors import BedplateError, StepError, UserError, WorldError
from bedplate.core.model import Remote
from bedplate.core.units import seconds
from bedplate.planner.batching.breaker import Breaker, Trust
from bedplate.storage import far
from bedplate.storage.far import GRPC, Ask, Kept, Shape

from . import remote_tensors as wire
from .remote_speech import Question, Rest, Speech

_PAUSES_S: Final = (0.05, 0.25)
_AGAIN: Final = frozenset({429, 502, 503, 504})
_REFUSED: Final = frozenset({400, 413, 415, 422})
_LATER: Final = "it is asked again with the next request"
_LONGEST_S: Final = 3600.0
_MESSAGES: Final = "bedplate.storage.backends.remote_messages"
_CHANGED_NEXT: Final = "make a version of what is there now: bedplate run, or bedplate import model URL --as NAME"


class _Trouble(NamedTuple):
    """Why there was no answer, and how long the server wants to be left alone."""

    error: WorldError
    wait_s: float = 0.0


class Caller:
    """One remote model."""

    def __init__(
        self, remote: Remote, ask: Ask, *, timer: Callable[[], float] = time.monotonic, pause: Callable[[float], None] = time.sleep,
        trust: Trust | None = None,
    ) -> None:  # fmt: skip
        self.remote = remote
        self.place = place = far.place(remote)
        of_messages = place.server.partition(":")[0] in GRPC
        self.speech: Speech = extras.load(_MESSAGES, "a remote model by gRPC", "grpc").Messages(place) if of_messages else Rest(place)
        self._ask = ask
        self._timer = timer
        self._pause = pause
        self._timeout_s = seconds(remote.timeout)
        self._breaker = Breaker(trust)
        self._lock = threading.Lock()
        self._version = ""

    def metadata(self) -> Kept:
        """What the server says of the model now. Raises WorldError where it says nothing, or knows no such model."""
        host = self.place.host
        status, body = self._asked(self.speech.about())
        if status != 200:
            raise self._unlike(status, body)
        try:
            told = self.speech.told(body)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise WorldError(f"{host} does not speak the Open Inference Protocol", why=f"{self.place.model}: {error}"[:300]) from None
        return Kept(
            remote=self.remote, platform=told.platform, versions=told.versions or (), inputs=told.inputs or (), outputs=told.outputs or ()
        )

    def meet(self) -> None:
        """Ask the server what it can do, where there is something to ask."""
        question = self.speech.meeting()
        if question is not None:
            self.speech.met(*self._asked(question))

    def wait_s(self) -> float:
        """How long nobody should ask; 0: now."""
        with self._lock:
            return self._breaker.wait_s(self._timer())

    def predict(self, kept: Kept, inputs: Sequence[tuple[Shape, wire.Array]], rows: int) -> dict[str, wire.Array]:
        """Each output by its name. Raises UserError for rows that the server refuses, StepError where its model fails, WorldError."""
        names = [one.name for one in kept.gives]
        status, said, answer = self._infer(self.speech.question(inputs, names))
        if status in _REFUSED:
            self.check(kept)
            raise UserError(f"{self.place.host} refused these rows", why=_text(answer))
        if status >= 500:
            raise StepError(f"{self.place.name} failed at {self.place.host}", why=f"{status}: {_text(answer)}")
        if status != 200:
            raise self._unlike(status, answer)
        found, version = self.speech.answered(said, answer, rows)
        if version and version != self._version:
            if self._version:
                self.check(kept)
            self._version = version
        return found

    def check(self, kept: Kept) -> None:
        """Raises WorldError where the server says something else of the model than when it was stored."""
        changed = far.differs(kept, self.metadata())
        if changed:
            raise self.changed(changed)

    def changed(self, why: str) -> WorldError:
        """The error for a model that is another than it was."""
        return WorldError(f"{self.place.name} at {self.place.host} is another model than when it was stored", why=why, next=_CHANGED_NEXT)

    def _infer(self, question: Question) -> tuple[int, dict[str, str], bytes]:
        """The answer after the tries that it takes. Raises WorldError."""
        wait = self.wait_s()
        if wait > 0.0:
            why = "it did not answer several times in a row"
            raise WorldError(f"{self.place.host} is not asked now", why=why, next=f"ask again in {max(1, round(wait))} s")
        end, trouble = self._timer() + self._timeout_s, WorldError(f"{self.place.host} did not answer", why=f"in {self.remote.timeout}")
        for pause_s in (*_PAUSES_S, None):
            left = end - self._timer()
            if left <= 0.0:
                break
            found = self._once(question, left)
            if not isinstance(found, _Trouble):
                with self._lock:
                    self._breaker.worked()
                return found
            trouble = found.error
            if pause_s is None or self._timer() + max(pause_s, found.wait_s) >= end:
                break
            self._pause(max(pause_s, found.wait_s))
        with self._lock:
            self._breaker.failed(self._timer())
        raise trouble

    def _once(self, question: Question, left_s: float) -> tuple[int, dict[str, str], bytes] | _Trouble:
        """The answer, or why there is none; that is for another try."""
        try:
            status, told, answer = self._ask(
                question.method, question.url, left_s, body=question.body, headers=question.headers, token=self.remote.token
            )
        except WorldError as error:
            return _Trouble(WorldError(error.what, why=error.why, next=_LATER))
        if status not in _AGAIN:
            return status, told, answer
        wait = told.get("retry-after", "")
        busy = WorldError(f"{self.place.host} answered {status}", why=_text(answer), next=_LATER)
        return _Trouble(busy, min(float(wait), _LONGEST_S) if wait.isdecimal() else 0.0)

    def _asked(self, question: Question) -> tuple[int, bytes]:
        """The status and the body that something is answered with which costs nothing. Raises WorldError."""
        try:
            status, _, body = self._ask(
                question.method, question.url, self._timeout_s, body=question.body, headers=question.headers, token=self.remote.token
            )
        except WorldError as error:
            raise WorldError(error.what, why=error.why, next=f"look whether {self.place.server} answers") from error
        return status, body

    def _unlike(self, status: int, body: bytes) -> BedplateError:
        if status in (401, 403):
            return WorldError(
                f"{self.place.host} does not let us ask {self.place.name}", why=str(status), next='token="VARIABLE" sends one'
            )
        if status in (400, 404):
            return WorldError(f"{self.place.host} has no model {self.place.name}", why=f"{self.place.model}: {_text(body)}")
        return WorldError(f"{self.place.host} answered {status}", why=_text(body), next=f"look whether {self.place.server} answers")


def _text(body: bytes) -> str:
    """What a server says of an error, shortened."""
    try:
        told = json.loads(body)
        text = told["error"] if isinstance(told, dict) and isinstance(told.get("error"), str) else ""
    except (ValueError, RecursionError):
        text = ""
    return (text or body[:300].decode("utf-8", "replace")).strip()[:300]


def stacked(kept: Kept, found: dict[str, wire.Array]) -> wire.Array:
    """The outputs that were wanted as one array: 1-d for one column. Raises KeyError for a missing one, ValueError for another width."""
    parts = [found[one.name] for one in kept.gives]
    for one, part in zip(kept.gives, parts, strict=True):
        if part.shape[1] != one.width:
            raise ValueError(f"{one.name} has {part.shape[1]} columns, and had {one.width}")
    whole = parts[0] if len(parts) == 1 else np.column_stack([part.astype(np.float64) for part in parts])
    return whole[:, 0] if whole.shape[1] == 1 else whole
