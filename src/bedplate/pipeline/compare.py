"""Comparing: two versions or two runs beside each other, and an attempt with what it makes when it is run again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from bedplate.catalog.catalog import Catalog
from bedplate.catalog.tracking.tracked import RunDetail
from bedplate.core.digests import short
from bedplate.core.errors import UserError
from bedplate.core.records import Record, Step, Version
from bedplate.core.units import show_bytes

from .commit import check_of
from .why import explain

_MOST = 20
"""Versions of which it is told why they are not as others were."""


class Difference(Record, frozen=True, kw_only=True):
    """One thing that differs, with both values as text."""

    what: str
    before: str
    after: str

    def __repr__(self) -> str:
        return f"<{self.what}: {self.before} -> {self.after}>" if self.before else f"<{self.what}: {self.after}>"


class Cause(Record, frozen=True, kw_only=True):
    """Why a version is not as another was, in `why`'s words: `before` and `after` are their references."""

    before: str
    after: str
    texts: tuple[str, ...]


class Made(Record, frozen=True, kw_only=True):
    """An artifact's digest before and now."""

    artifact: str
    before: str
    after: str


class Rerun(Record, frozen=True, kw_only=True):
    """What came of running an attempt again; `notes` say what is not as it was (code, packages)."""

    attempt: str
    outputs: tuple[Made, ...]
    notes: tuple[str, ...] = ()

    @property
    def equal(self) -> bool:
        """Whether every output is bit-equal to what it was."""
        return bool(self.outputs) and all(one.before == one.after for one in self.outputs)


def diff(catalog: Catalog, before: str, after: str) -> tuple[Difference, ...]:
    """What differs between two versions of an artifact, or between two runs. Raises NotFound, UserError for unlike things."""
    if before.startswith("r-") and after.startswith("r-"):
        return diff_runs(catalog, before, after)
    theirs = catalog.tracking.details.of([before, after])
    if len(theirs) == len({before, after}) == 2:
        return _diff_theirs(*theirs)
    old, new = catalog.artifacts.get(before), catalog.artifacts.get(after)
    if old.artifact != new.artifact:
        raise UserError(f"{old.ref} and {new.ref} are versions of two artifacts", next=_pair(old))
    rows = [
        *_pairs(
            {"digest": short(old.digest), "rows": old.rows, "size": show_bytes(old.size_bytes), "value": old.value},
            {"digest": short(new.digest), "rows": new.rows, "size": show_bytes(new.size_bytes), "value": new.value},
        ),
        *_pairs(_columns(old), _columns(new), "column "),
        *_pairs(catalog.runs.metrics(old.attempt), catalog.runs.metrics(new.attempt), "metric "),
        *_pairs(_judged(catalog, old), _judged(catalog, new), "check "),
        *_pairs(catalog.runs.params(old.attempt), catalog.runs.params(new.attempt), "param "),
    ]
    return (*rows, *_causes(catalog, step_of(catalog, old.attempt), step_of(catalog, new.attempt)))


def diff_runs(catalog: Catalog, before: str, after: str) -> tuple[Difference, ...]:
    """Settings, commits, and per step: how it ended and what it stands for."""
    old, new = catalog.runs.get(before), catalog.runs.get(after)
    rows = _pairs(
        {"commit": old.git_commit, "target": old.target, **old.settings}, {"commit": new.git_commit, "target": new.target, **new.settings}
    )
    steps = [{_unit(s): f"{s.status} ({s.result or 'nothing'})" for s in catalog.runs.steps(run)} for run in (before, after)]
    return (*rows, *_pairs(steps[0], steps[1], "step "))


def _diff_theirs(old: RunDetail, new: RunDetail) -> tuple[Difference, ...]:
    """How two runs of clients ended, and what they said."""
    rows = _pairs({"name": old.run.name, "status": old.run.status}, {"name": new.run.name, "status": new.run.status})
    for label in ("metrics", "params"):
        before, after = ({one.key: one.value for one in getattr(run, label)} for run in (old, new))
        rows += _pairs(before, after, f"{label[:-1]} ")
    return tuple(rows)


def step_of(catalog: Catalog, attempt_id: str) -> Step | None:
    """The step that an attempt was a try at."""
    return catalog.runs.step_of(attempt_id)


def notes(catalog: Catalog, now: Step | None, before: Step | None) -> tuple[str, ...]:
    """What has changed between two steps' keys, in words, with the files of their sources."""
    if now is None or before is None or now.key_parts is None:
        return ()
    new, old = catalog.sources.read_by(now.result), catalog.sources.read_by(before.result)
    entries = {name: (new.get(name, ()), old.get(name, ())) for name in {*new, *old}}
    return tuple(reason.text for reason in explain(now.key_parts, before.key_parts, entries))


def causes(catalog: Catalog, before: str, after: str) -> tuple[Cause, ...]:
    """Why a version is not as another was, and so on for each of its inputs that is not the same, down to sources; the first `_MOST`."""
    found: list[Cause] = []
    waiting, seen = [(before, after)], {(before, after)}
    while waiting and len(found) < _MOST:
        old, new = waiting.pop(0)
        steps = [step_of(catalog, catalog.artifacts.get(ref).attempt) for ref in (old, new)]
        texts = notes(catalog, steps[1], steps[0])
        if texts:
            found.append(Cause(before=old, after=new, texts=texts))
        fresh = [pair for pair in _inputs_between(steps[0], steps[1]) if pair not in seen]
        seen.update(fresh)
        waiting += fresh
    return tuple(found)


def _inputs_between(old: Step | None, new: Step | None) -> list[tuple[str, str]]:
    """The versions of each input that both steps had, where they differ."""
    if old is None or new is None or old.key_parts is None or new.key_parts is None:
        return []
    then, now = old.key_parts.versions, new.key_parts.versions
    pairs = ((then[name], now[name]) for name in now if name in then and then[name] != now[name])
    return [(was, ref) for was, ref in pairs if was and ref and was.rpartition("@")[0] == ref.rpartition("@")[0]]


def _causes(catalog: Catalog, old: Step | None, new: Step | None) -> Sequence[Difference]:
    return [Difference(what="because", before="", after=text) for text in notes(catalog, new, old)]


def _pairs(old: Mapping[str, Any], new: Mapping[str, Any], label: str = "") -> list[Difference]:
    names = dict.fromkeys([*old, *new])
    return [
        Difference(what=f"{label}{name}", before=_text(old.get(name)), after=_text(new.get(name)))
        for name in names
        if old.get(name) != new.get(name)
    ]


def _judged(catalog: Catalog, version: Version) -> dict[str, Any]:
    """What checks found of a model version, the newest verdict of each: figure -> value."""
    figures: dict[str, Any] = {}
    for verdict in reversed(catalog.models.verdicts(version.artifact, version.number)):
        check = catalog.artifacts.find(f"{verdict.check}@{verdict.check_version}")
        found = check_of(check) if check is not None else None
        figures[verdict.check] = "pass" if verdict.passed else "FAIL"
        figures |= {f"{verdict.check}: {name}": value for name, value in found.figures().items()} if found is not None else {}
    return figures


def _columns(version: Version) -> dict[str, str]:
    """Column -> type, where the version's schema lists them."""
    try:
        schema = msgspec.json.decode(version.schema)
        return {column["name"]: column["shown"] for column in schema["columns"]}
    except (msgspec.DecodeError, KeyError, TypeError, ValueError):
        return {}


def _pair(version: Version) -> str:
    """The command that compares a version with the one before it."""
    name, number = version.artifact, version.number
    return f"bedplate diff {name}@{number - 1} {name}@{number}" if number > 1 else f"bedplate show {name} lists its versions"


def _unit(step: Step) -> str:
    return f"{step.name}[{step.part}]" if step.part else step.name


def _text(value: Any) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
