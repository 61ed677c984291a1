"""Guard: a version that was promoted outright is watched for a while, and rolled back where its answers are worse than those before.

What is held against it is what is held against a canary (`planner/rollout/verdict.py`): failures and answers that are no numbers, beside
what the version before did. The two did not answer at the same time, so that more load looks like a slower version: slow is one of which
more than half of the answers take longer than three times what 95 of 100 took before. All of it is known from the predictions that are
recorded: the last thousand of each set of versions, noted as their log is written, so that no request pays for it. A version without one
before it on this server that was asked enough is only rolled back where most of its answers are bad.

Limits: each process judges by what it saw itself; a service whose versions of several models changed at once is judged for the last one.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from bedplate.core.records import Promotion
from bedplate.core.units import show_seconds
from bedplate.planner.rollout.verdict import DOUBTS, LEAST, Outcome, Side, fault, lower

from .deployment import Active, LoadedModel, Waiting
from .trials import KEPT

if TYPE_CHECKING:
    import polars as pl

_MOST_BAD: Final = 0.5
_TIMES: Final = 3.0
_LEAST_LIMIT_S: Final = 0.02
_GIVEN_UP: Final = 504
_NOBODY: Final = "{}"


class GuardRecord(Protocol):
    """What is asked of the record."""

    def in_production(self, model: str) -> Promotion | None:
        """The move that made a model's production version what it is."""
        ...

    def retreat(self, move: Promotion, at: datetime, reason: str) -> Promotion | None:
        """Undo that move; None where production moved since, or there is nothing to go back to."""
        ...


class Outcomes:
    """What was answered lately, by log and by the versions that did. Written by the recorder's thread, read by the watcher's.

    Where nothing is watched (`is_wanted`), nothing is kept.
    """

    def __init__(self, *, is_wanted: bool = True) -> None:
        self._is_wanted = is_wanted
        self._lock = threading.Lock()
        self._seen: dict[tuple[str, str], deque[Outcome]] = {}

    def note(self, log: str, frame: pl.DataFrame, serving: str) -> None:
        """Take up rows of a log; one that was given up is `serving`'s, the versions that serve now."""
        if not self._is_wanted:
            return
        wanted = (frame.get_column("models") != _NOBODY) | (frame.get_column("status") == _GIVEN_UP)
        told = (frame.get_column(name).filter(wanted).tail(KEPT).to_list() for name in ("models", "latency_ms", "status", "result"))
        with self._lock:
            for models, latency_ms, status, result in zip(*told, strict=True):
                key = (log, serving if models == _NOBODY else models)
                failed = status >= 500
                self._seen.setdefault(key, deque(maxlen=KEPT)).append(Outcome(latency_ms / 1e3, failed, result is None and not failed))

    def of(self, log: str, models: str) -> tuple[Outcome, ...]:
        """The last outcomes of a set of versions."""
        with self._lock:
            return tuple(self._seen.get((log, models), ()))

    def keep(self, used: Iterable[tuple[str, str]]) -> None:
        """Forget all others."""
        kept = set(used)
        with self._lock:
            self._seen = {key: seen for key, seen in self._seen.items() if key in kept}


class Guard:
    """Watches the versions that were promoted within the last `time_s` seconds (0: none)."""

    def __init__(self, record: GuardRecord, outcomes: Outcomes, time_s: float) -> None:
        self._record = record
        self._outcomes = outcomes
        self._time_s = time_s
        self._doubts: dict[Promotion, int] = {}
        self._moves: dict[tuple[str, int], Promotion | None] = {}

    def judge(
        self, services: Mapping[str, Active | Waiting], models: Mapping[str, LoadedModel | Waiting], now: datetime
    ) -> list[tuple[Promotion, Promotion, str]]:
        """Look at each version that is watched; those that were rolled back: their moves, what followed, and why."""
        if not self._time_s:
            return []
        ended, doubts, used = [], dict[Promotion, int](), set[tuple[str, str]]()
        for log, numbers, limit_s in _answering(services, models):
            used.add((log, _text(numbers)))
            move = self._watched(numbers, now)
            if move is None:
                continue
            before = _text({**numbers, move.model: move.before})
            used.add((log, before))
            why = held(Side(new=self._outcomes.of(log, _text(numbers)), old=self._outcomes.of(log, before), limit_s=limit_s))
            if not why:
                continue
            doubts[move] = self._doubts.get(move, 0) + 1
            if doubts[move] >= DOUBTS:
                reason = f"{move.model}@{move.version} in production: {log.removeprefix('predictions/')}: {why}"
                undone = self._record.retreat(move, now, reason)
                ended += [] if undone is None else [(move, undone, why)]
        self._doubts = doubts
        self._outcomes.keep(used)
        return ended

    def _watched(self, numbers: Mapping[str, int], now: datetime) -> Promotion | None:
        """The last move that made one of these versions production, where it was a promotion of late."""
        moves = [move for name, number in numbers.items() if (move := self._move(name, number)) is not None]
        fresh = [
            move
            for move in moves
            if move.by != "rollback"
            and move.before is not None
            and numbers[move.model] == move.version
            and 0 <= (now - move.at).total_seconds() <= self._time_s
        ]
        return max(fresh, key=lambda move: move.at, default=None)

    def _move(self, model: str, number: int) -> Promotion | None:
        """The move that made a version production; the record is asked once for each version that answers."""
        if (model, number) not in self._moves:
            self._moves = {key: move for key, move in self._moves.items() if key[0] != model}
            self._moves[model, number] = self._record.in_production(model)
        return self._moves[model, number]


def held(side: Side) -> str:
    """What is held against the new version; empty where nothing."""
    if len(side.old) >= LEAST:
        return fault(msgspec.structs.replace(side, limit_s=math.inf)) or _slow(side)
    bad = sum(one.failed or one.empty for one in side.new)
    if lower(bad, len(side.new)) > _MOST_BAD:
        return f"{bad:,} of {len(side.new):,} answers failed or were no numbers"
    return ""


def _slow(side: Side) -> str:
    ordered = sorted(one.seconds for one in side.old)
    limit = max(_TIMES * ordered[math.ceil(0.95 * len(ordered)) - 1], _LEAST_LIMIT_S, side.limit_s)
    slow = sum(one.seconds > limit for one in side.new)
    if lower(slow, len(side.new)) <= _MOST_BAD:
        return ""
    return f"{slow:,} of {len(side.new):,} answers took longer than {show_seconds(limit)} (production: 95 of 100 took less than a third)"


def _answering(
    services: Mapping[str, Active | Waiting], models: Mapping[str, LoadedModel | Waiting]
) -> Iterable[tuple[str, dict[str, int], float]]:
    """Each log, the versions that answer for it, and the p95 that is declared (0: none)."""
    for name, service in services.items():
        if isinstance(service, Active) and service.models:
            yield f"predictions/{name}", service.models, service.service.p95_s or 0.0
    for name, model in models.items():
        if isinstance(model, LoadedModel):
            yield f"predictions/model/{name}", {name: model.version.number}, 0.0


def _text(numbers: Mapping[str, Any]) -> str:
    """The versions as the log has them."""
    return msgspec.json.encode(numbers).decode()
