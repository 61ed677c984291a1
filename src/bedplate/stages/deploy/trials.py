"""Trials: the versions that are rolled out beside those that serve, and what becomes of them.

A trial is one roll-out: a model version as canary or shadow, by its rule. Each service that takes the model (and the model itself, asked
directly) gets a *candidate*: itself with that version. What its requests came to is kept here, the last thousand of each version, and
judged once a second; the verdict goes to the record, from where every server has it.

Limits: each process judges by what it saw itself; a service tries one canary and one shadow at a time, that of its first model; `use(...)`
of a version or an alias is left as it is written.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from datetime import datetime
from typing import Final, Protocol

import msgspec

from bedplate.core.clock import Clock
from bedplate.core.records import Promotion
from bedplate.planner.rollout.rule import CANARY, SHADOW, Rule, read
from bedplate.planner.rollout.verdict import Decision, Outcome, Side, Standing, decide

from .choose import Find
from .deployment import Active, LoadedModel
from .loader import Failure, Held, Key, Loader
from .service import Wanted

KEPT: Final = 1_000
"""Outcomes of each version that are looked at."""


class TrialRecord(Protocol):
    """What is asked of the record."""

    def rolled_out(self, model: str) -> Iterable[Promotion]:
        """The moves that try a version of a model now."""
        ...

    def conclude(self, trial: Promotion, at: datetime, reason: str, *, promotes: bool) -> Promotion | None:
        """End a roll-out; None where it ended before."""
        ...


class Seen:
    """The last outcomes of both versions, for one service or model. Threads may add to it."""

    __slots__ = ("limit_s", "new", "old")

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self.new: deque[Outcome] = deque(maxlen=KEPT)
        self.old: deque[Outcome] = deque(maxlen=KEPT)

    def side(self) -> Side:
        """As it is now."""
        return Side(new=tuple(self.new), old=tuple(self.old), limit_s=self.limit_s)


class Trial:
    """One roll-out under way: the move that began it, its rule, and what came of its requests."""

    def __init__(self, move: Promotion, rule: Rule) -> None:
        self.move = move
        self.rule = rule
        self.salt = f"{move.model}@{move.version}"
        self.broken = ""
        self._seen: dict[str, Seen] = {}
        self._standing = Standing()

    def seen(self, name: str, limit_s: float) -> Seen:
        """The outcomes of one service or model."""
        return self._seen.setdefault(name, Seen(limit_s))

    def decide(self, age_s: float) -> Decision:
        """What to do with the version now, `age_s` seconds after it began."""
        if self.broken:
            return Decision(do="roll back", why=self.broken, standing=self._standing)
        sides = {name: seen.side() for name, seen in list(self._seen.items())}
        made = decide(self.rule, sides, self._standing, age_s, promotes=self.move.alias == CANARY)
        self._standing = made.standing
        return made


class Candidate(msgspec.Struct, frozen=True, eq=False):
    """A service or a model with the version that is tried."""

    trial: Trial
    seen: Seen
    active: Active | None = None
    loaded: LoadedModel | None = None


class Tried(msgspec.Struct, frozen=True, eq=False):
    """What is tried beside a service or a model: asked instead of it, by its rule, or beside it."""

    canary: Candidate | None = None
    shadow: Candidate | None = None


class Trials:
    """Those of one process; used by the thread that watches the record."""

    def __init__(self, record: TrialRecord, loader: Loader, clock: Clock) -> None:
        self._record = record
        self._loader = loader
        self._clock = clock
        self._trials: dict[str, tuple[Trial, ...]] = {}

    def renew(self, models: Iterable[str]) -> None:
        """Look which roll-outs are under way; those that were go on with what they know."""
        known = {trial.move: trial for trials in self._trials.values() for trial in trials}
        self._trials = {}
        for model in models:
            found = ((move, read(move.check)) for move in self._record.rolled_out(model))
            if trials := tuple(known.get(move) or Trial(move, rule) for move, rule in found if rule is not None):
                self._trials[model] = trials

    @property
    def moves(self) -> tuple[Promotion, ...]:
        """The moves that began those that are under way."""
        return tuple(trial.move for trials in self._trials.values() for trial in trials)

    @property
    def used(self) -> set[Key]:
        """The versions that are tried."""
        return {(trial.salt, "model") for trials in self._trials.values() for trial in trials}

    @property
    def broken(self) -> bool:
        """Whether one did not load."""
        return any(trial.broken for trials in self._trials.values() for trial in trials)

    def of_service(self, active: Active, find: Find) -> Tried | None:
        """What is tried beside a service."""
        service = active.service
        wanted = [one for one in service.wanted if one.artifact in active.models and one.view == "model" and not one.selector]
        made: dict[str, Candidate] = {}
        for one in wanted:
            for trial, held in self._loaded(one, find):
                seen = trial.seen(active.name, service.p95_s or 0.0)
                made.setdefault(trial.move.alias, Candidate(trial, seen, active=active.with_model(one, trial.move.version, held.value)))
        return _tried(made)

    def of_model(self, loaded: LoadedModel, wanted: Wanted, find: Find) -> Tried | None:
        """What is tried beside a model that is asked directly."""
        made: dict[str, Candidate] = {}
        for trial, held in self._loaded(wanted, find):
            version = find(trial.salt)
            if version is not None:
                other = LoadedModel(version=version, model=held.value, wide=held.wide)
                made[trial.move.alias] = Candidate(trial, trial.seen(f"model/{loaded.name}", 0.0), loaded=other)
        return _tried(made)

    def judge(self) -> list[tuple[Promotion, Promotion, str]]:
        """Judge each roll-out, and tell the record what came of those that end: their moves, those that followed, and why."""
        moves = []
        for trial in [trial for trials in self._trials.values() for trial in trials]:
            now = self._clock.now()
            made = trial.decide((now - trial.move.at).total_seconds())
            if made.do != "go on":
                why = f"{trial.salt} as {trial.move.alias}: {made.why}"
                move = self._record.conclude(trial.move, now, why, promotes=made.do == "promote")
                moves += [] if move is None else [(trial.move, move, made.why)]
        return moves

    def _loaded(self, wanted: Wanted, find: Find) -> list[tuple[Trial, Held]]:
        """The trials of a model whose version is in memory; one that does not load is judged by that."""
        made = []
        for trial in self._trials.get(wanted.artifact, ()):
            version = find(trial.salt)
            held = None if version is None else self._loader.get(version, wanted)
            if isinstance(held, Failure):
                trial.broken = f"it could not be loaded: {held.reason}"
            elif held is not None:
                made.append((trial, held))
        return made


def _tried(made: dict[str, Candidate]) -> Tried | None:
    return Tried(canary=made.get(CANARY), shadow=made.get(SHADOW)) if made else None
