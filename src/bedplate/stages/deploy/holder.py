"""Holder: keeps the current Deployment equal to what the record says should serve.

A watcher thread asks the catalog for its stamp every quarter of a second. When it moved, versions are chosen anew; those not in
memory are loaded and warmed beside the ones that serve, and only then is the Deployment swapped, by one reference. Where a version
fails to load, the old one serves on until it succeeds, and health, metrics and an event say so.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol, runtime_checkable

import msgspec

from bedplate.catalog.promotion import ROLL_OUT
from bedplate.core.clock import Clock
from bedplate.core.records import Event, Promotion
from bedplate.pipeline.served import BEGUN, CONCLUDED, ENDED, LOAD_FAILED, PROCESS_DIED, RUNTIME, SWAPPED

from .choose import Record, choose
from .deployment import Active, Deployment, LoadedModel, Waiting
from .guard import Guard, GuardRecord, Outcomes
from .loader import Describe, Failure, Key, Load, Loader, reason
from .runtime import Equipped, told
from .service import ColumnType, Service, Wanted
from .trials import TrialRecord, Trials, Tried

POLL_S: Final = 0.25
CHECK_S: Final = 1.0


class WatchedRecord(Record, TrialRecord, GuardRecord, Protocol):
    """A record that says when it changed."""

    def stamp(self) -> Any:
        """A value that differs after any change of what serves."""
        ...

    def last_move(self, model: str) -> Promotion | None:
        """The last move of any of a model's aliases."""
        ...


@runtime_checkable
class Online(Protocol):
    """A view of features that reads its rows from elsewhere."""

    artifact: str
    problem: str

    def check(self) -> str:
        """Look whether it can read, and see to it that what it reads is there; what is wrong, empty where nothing is."""
        ...


class Holder:
    """Chooses, loads and swaps. `current` may be read from any thread; `refresh` runs in one."""

    def __init__(
        self,
        services: Sequence[Service],
        models: Sequence[Wanted],
        record: WatchedRecord,
        load: Load,
        *,
        describe: Describe,
        clock: Clock,
        emit: Callable[[Event], None],
        guard_s: float = 0.0,
    ) -> None:
        self.current = Deployment(number=0, services={}, models={})
        self.tried: dict[str, Tried] = {}
        self.swaps = 0
        self.deaths: dict[str, int] = {}
        """How many processes that predicted for a model died, by its name."""
        self.loader = Loader(load, describe, clock)
        self.outcomes = Outcomes(is_wanted=guard_s > 0)
        self._guard = Guard(record, self.outcomes, guard_s)
        self._trials = Trials(record, self.loader, clock)
        self._concluded: set[Promotion] = set()
        self._services = tuple(services)
        self._models = tuple(models)
        self._record = record
        self._clock = clock
        self._emit = emit
        self._stamp: Any = None
        self._check_at = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="bedplate-watcher", daemon=True)

    def open(self) -> None:
        """Load what should serve now, then keep watching."""
        self.refresh()
        self._thread.start()

    def close(self) -> None:
        """Stop watching."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def refresh(self) -> bool:
        """Look at the record once; whether another Deployment serves now."""
        stamp = self._record.stamp()
        if stamp == self._stamp and not self.loader.due():
            return False
        swapped = self._build()
        self._stamp = stamp
        return swapped

    def _watch(self) -> None:
        while not self._stop.wait(POLL_S):
            try:
                self.refresh()
                self._note("catalog", "")
                self.tell_deaths()
            except Exception as error:  # the watcher outlives whatever the record does; what serves goes on serving
                self._note("catalog", reason(error))
            if self._clock.monotonic() >= self._check_at:
                self.check_online()
                self.judge()
                self.guard()
                self._check_at = self._clock.monotonic() + CHECK_S

    def check_online(self) -> None:
        """Note which online features cannot be read now; a store that came back empty is filled again."""
        active = (one for one in self.current.services.values() if isinstance(one, Active))
        views = {id(view): view for one in active for view in one.arguments.values() if isinstance(view, Online)}
        for view in views.values():
            try:
                self._note(f"online {view.artifact}", view.check())
            except Exception as error:  # as above: what a store, or the lake behind it, raises ends no watch
                self._note(f"online {view.artifact}", reason(error))

    def tell_deaths(self) -> None:
        """Count and tell the deaths of processes since the last look."""
        for name, one in self.current.models.items():
            predictor = one.model.predictor if isinstance(one, LoadedModel) else None
            crew = predictor.crew if isinstance(predictor, Equipped) else None
            while crew is not None and crew.news:
                death = crew.news.popleft()
                self.deaths[name] = self.deaths.get(name, 0) + 1
                self._tell(PROCESS_DIED, crew.name, {**death._asdict(), "deaths": self.deaths[name]})

    def judge(self) -> None:
        """Judge the versions that are rolled out; what the record is told comes back by its stamp."""
        if not self.tried and not self._trials.broken:
            return
        try:
            for trial, move, why in self._trials.judge():
                told = {"trial": trial.alias, "alias": move.alias, "by": move.by, "version": move.version, "why": why}
                self._concluded.add(trial)
                self._tell(CONCLUDED, f"{trial.model}@{trial.version}", told)
            self._note("roll-out", "")
        except Exception as error:  # as above: the record may be away; it is asked again in a second
            self._note("roll-out", reason(error))

    def guard(self) -> None:
        """Look at the versions that were promoted outright of late; one that is worse than the one before is rolled back."""
        try:
            current = self.current
            for move, undone, why in self._guard.judge(current.services, current.models, self._clock.now()):
                told = {"trial": move.alias, "alias": undone.alias, "by": undone.by, "version": undone.version, "why": why}
                self._tell(CONCLUDED, f"{move.model}@{move.version}", told)
            self._note("guard", "")
        except Exception as error:  # as above: the record may be away; it is asked again in a second
            self._note("guard", reason(error))

    def _note(self, what: str, problem: str) -> None:
        if self.current.problems.get(what, "") == problem:
            return
        problems = {name: text for name, text in self.current.problems.items() if name != what}
        if problem:
            problems[what] = problem
        self.current = msgspec.structs.replace(self.current, problems=problems)

    def _build(self) -> bool:
        old, look = self.current, _Look()
        services = {one.name: self._service(one, old.services.get(one.name), look) for one in self._services}
        models = {one.artifact: self._model(one, old.models.get(one.artifact), look) for one in self._models}
        before = self._trials.moves
        tried = self._tried(services, models, look)
        swapped = services != old.services or models != old.models
        self.current = Deployment(number=old.number + swapped, services=services, models=models, problems=look.problems)
        self.tried = tried
        self.loader.keep(look.used)
        if old.number:
            self._tell_trials(before, self._trials.moves)
        for ref in sorted(look.problems.keys() - old.problems.keys()):
            self._tell(LOAD_FAILED, ref, {"reason": look.problems[ref]})
        if swapped and old.number:
            self.swaps += 1
            self._tell(SWAPPED, "services", {"serving": _summary(self.current), "changes": self._changes(old)})
        return swapped

    def _service(self, service: Service, before: Active | Waiting | None, look: _Look) -> Active | Waiting:
        arguments: dict[str, Any] = dict(service.fixed)
        versions: dict[str, str] = {}
        models: dict[str, int] = {}
        features: dict[str, dict[str, ColumnType]] = {}
        for wanted in service.wanted:
            version = choose(wanted, self._record)
            if isinstance(version, Waiting):
                if not wanted.optional:
                    return msgspec.structs.replace(version, name=service.name)
                arguments[wanted.parameter] = None
                continue
            look.used.add((version.ref, wanted.view))
            loaded = self.loader.get(version, wanted)
            if isinstance(loaded, Failure):
                return self._stay(service, before, loaded, look)
            arguments[wanted.parameter] = loaded.value
            versions[wanted.parameter] = version.ref
            if wanted.view == "model":
                models[wanted.artifact] = version.number
            elif wanted.view == "features":
                features[wanted.parameter] = loaded.columns
        if isinstance(before, Active) and before.versions == versions:
            return before
        return Active(
            service=service,
            arguments=arguments,
            versions=versions,
            models=models,
            features=features,
        )

    def _stay(self, service: Service, before: Active | Waiting | None, failure: Failure, look: _Look) -> Active | Waiting:
        """The service as it was, where a version that it should get does not load."""
        look.problems[failure.ref] = failure.reason
        if not isinstance(before, Active):
            return Waiting(name=service.name, reason=_not_loaded(failure))
        look.used.update((before.versions[w.parameter], w.view) for w in service.wanted if w.parameter in before.versions)
        return before

    def _model(self, wanted: Wanted, before: LoadedModel | Waiting | None, look: _Look) -> LoadedModel | Waiting:
        version = choose(wanted, self._record)
        if isinstance(version, Waiting):
            return version
        look.used.add((version.ref, wanted.view))
        loaded = self.loader.get(version, wanted)
        if isinstance(loaded, Failure):
            look.problems[loaded.ref] = loaded.reason
            if not isinstance(before, LoadedModel):
                return Waiting(name=wanted.artifact, reason=_not_loaded(loaded))
            look.used.add((before.version.ref, wanted.view))
            return before
        if isinstance(before, LoadedModel) and before.version.ref == version.ref:
            return before
        made = LoadedModel(version=version, model=loaded.value, wide=loaded.wide)
        if (choice := made.choice) is not None:
            self._tell(RUNTIME, version.ref, {**told(choice), "line": choice.line()})
        return made

    def _tried(self, services: dict[str, Active | Waiting], models: dict[str, LoadedModel | Waiting], look: _Look) -> dict[str, Tried]:
        """What is rolled out beside what serves: by service, and by `model/NAME`."""
        self._trials.renew({*models, *(name for one in services.values() if isinstance(one, Active) for name in one.models)})
        look.used |= self._trials.used
        find = self._record.find
        made = {name: self._trials.of_service(one, find) for name, one in services.items() if isinstance(one, Active)}
        for wanted in self._models:
            one = models[wanted.artifact]
            made[f"model/{wanted.artifact}"] = self._trials.of_model(one, wanted, find) if isinstance(one, LoadedModel) else None
        return {name: one for name, one in made.items() if one is not None}

    @property
    def rolled_out(self) -> tuple[Promotion, ...]:
        """The moves that began what is tried now."""
        return self._trials.moves

    def _tell_trials(self, before: Sequence[Promotion], now: Sequence[Promotion]) -> None:
        """Tell which roll-outs began, and which ended that others ended: one with another rule goes on."""
        for move in [move for move in now if move not in before]:
            told = {"trial": move.alias, "rule": move.check, "by": move.actor or move.reason.removeprefix("by ")}
            self._tell(BEGUN, f"{move.model}@{move.version}", told)
        going_on = {(move.model, move.alias) for move in now}
        for move in [move for move in before if move not in now and (move.model, move.alias) not in going_on]:
            last = self._record.last_move(move.model)
            if move not in self._concluded and last is not None:
                moved = "" if last.alias == move.alias else f"{last.model}@{last.version} is {last.alias} now, "
                ended = {"trial": move.alias, "why": f"{moved}{by_whom(last)}", "by_person": last.by == "person" or bool(last.actor)}
                self._tell(ENDED, f"{move.model}@{move.version}", ended)
        self._concluded.intersection_update(now)

    def _changes(self, old: Deployment) -> list[dict[str, Any]]:
        """The models that another version answers for now: `version`, `before` (None: nothing did), and `why`."""
        before, now = old.versions, self.current.versions
        return [
            {"model": name, "version": number, "before": before.get(name), "why": self._why(name, number)}
            for name, number in now.items()
            if before.get(name) != number
        ]

    def _why(self, model: str, number: int) -> str:
        move = self._record.last_move(model)
        return by_whom(move) if move is not None and move.version == number else "the newest version"

    def _tell(self, kind: str, subject: str, data: dict[str, Any]) -> None:
        self._emit(Event(kind=kind, subject=subject, at=self._clock.now(), data=data))


class _Look:
    """What one look at the record found: which versions are in use, and which would not load."""

    def __init__(self) -> None:
        self.used: set[Key] = set()
        self.problems: dict[str, str] = {}


def _not_loaded(failure: Failure) -> str:
    return f"{failure.ref} could not be loaded: {failure.reason}"


def by_whom(move: Promotion) -> str:
    """Who moved an alias, in words: `promoted by better`, `rolled back by root`."""
    did, reason = "rolled back" if move.by == "rollback" else "promoted", f" ({move.reason})" if move.reason else ""
    if move.by == "verdict":
        return f"{did} by its {move.check}{reason}" if move.check == ROLL_OUT else f"{did} by {move.check}"
    if move.reason.startswith("by "):
        return f"{did} {move.reason}"
    return f"{did} by {move.actor or ('a server' if move.by == 'rollback' else 'a person')}{reason}"


def _summary(deployment: Deployment) -> dict[str, Any]:
    return {name: one.models if isinstance(one, Active) else one.reason for name, one in deployment.services.items()}
