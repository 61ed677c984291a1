"""Why a step runs: what differs between the key now and the key of its last result, in words.

Pure: two KeyParts in, reasons out. Without a difference there is no reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal

from bedplate.core.digests import canonical, short
from bedplate.core.records import KeyParts, Part, Record
from bedplate.core.sources import Entry
from bedplate.core.units import show_seconds

What = Literal["code", "input", "source", "setting", "package", "python", "kind", "first", "bytes", "forced", "same"]
Entries = Mapping[str, tuple[Sequence[Entry], Sequence[Entry]]]
"""Source parameter -> its entries now and before."""

FEATURES: Final = "features "
"""What the name of a view of features begins with among the settings of a key."""

_MOST = 3


class Reason(Record, frozen=True, kw_only=True):
    """One reason to run: of what sort, and in words."""

    what: What
    text: str

    def __str__(self) -> str:
        return self.text


FIRST = Reason(what="first", text="it has never run")
FORCED = Reason(what="forced", text="asked for with --fresh")
AGAIN = Reason(what="forced", text="asked for with rerun")
DUE = Reason(what="forced", text="its time has come, and it reads nothing that could change")


def explain(now: KeyParts, before: KeyParts | None, entries: Entries | None = None) -> tuple[Reason, ...]:
    """Every reason why the key differs from the one before; `entries` of changed sources say which files are new."""
    if before is None:
        return (FIRST,)
    return tuple(_reasons(now, before, entries or {}))


def gone(*refs: str) -> Reason:
    """The bytes of a cached result are not there any more."""
    return Reason(what="bytes", text=f"the bytes of {', '.join(refs)} are gone")


def sentence(reasons: Sequence[Reason]) -> str:
    """The reasons on one line; the first three, and how many more."""
    if not reasons:
        return "nothing changed"
    text = "; ".join(reason.text for reason in reasons[:_MOST])
    left = len(reasons) - _MOST
    return text if left <= 0 else f"{text}; and {left} more"


def _reasons(now: KeyParts, before: KeyParts, entries: Entries) -> Iterator[Reason]:
    yield from _code(now.code, before.code)
    for name, new, old in _changed(now.inputs, before.inputs):
        yield Reason(what="input", text=_input(name, new, old, now.versions.get(name, ""), before.versions.get(name, "")))
    for name, new, old in _changed(now.sources, before.sources):
        yield Reason(what="source", text=_source(name, new, old, entries))
    for name, new, old in _changed(now.settings, before.settings):
        yield Reason(what="setting", text=_setting(name, new, old))
    for name, new, old in _changed(now.packages, before.packages):
        yield Reason(what="package", text=f"package {name}: {old or 'not used'} -> {new or 'not used'}")
    if now.python != before.python:
        yield Reason(what="python", text=f"Python {before.python} -> {now.python}")
    for name, new, old in _changed(now.kinds, before.kinds):
        yield Reason(what="kind", text=f"how a {name} is stored: form {_value(old)} -> {_value(new)}")
    if now.part != before.part:
        yield Reason(what="first", text=f"part '{now.part}' has never run")


def _code(now: Sequence[Part], before: Sequence[Part]) -> Iterator[Reason]:
    old = {part.name: part for part in before}
    new = {part.name: part for part in now}
    for part in now:
        if part.name not in old:
            yield Reason(what="code", text=f"{_called(part)} is used now ({_place(part)})")
        elif old[part.name].digest != part.digest:
            yield Reason(what="code", text=f"{_called(part)} changed ({_place(part)})")
    for part in before:
        if part.name not in new:
            yield Reason(what="code", text=f"{_called(part)} is used no more (was {_place(part)})")


def _changed(now: Mapping[str, Any], before: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for name in sorted({*now, *before}):
        if canonical(now.get(name)) != canonical(before.get(name)):  # as the key sees it: a tuple comes back from the record as a list
            yield name, now.get(name), before.get(name)


def _called(part: Part) -> str:
    file, _, name = part.name.partition(":")
    if not name:
        return f"module {file}"
    if name == "<import>":
        return f"what importing {file} does"
    if name.endswith("<decorator>"):
        return f"the decorator of {name.removesuffix('<decorator>')}"
    return name


def _place(part: Part) -> str:
    return f"{part.file}:{part.line}" if part.line else part.file


def _input(name: str, new: str | None, old: str | None, to: str, before: str) -> str:
    if old is None:
        return f"input {name} is new: {to or 'absent'}"
    if new is None:
        return f"input {name} is gone: it was {before or 'absent'}"
    if to == before:
        return f"input {name}: {to or 'absent'} has other content ({short(old) or 'none'} -> {short(new) or 'none'})"
    return f"input {name}: {before or 'absent'} -> {to or 'absent'}"


def _setting(name: str, new: Any, old: Any) -> str:
    if not name.startswith(FEATURES):
        return f"setting {name}: {_value(old)} -> {_value(new)}"
    told = (_looked_up(field, now, then) for field, now, then in _changed(new or {}, old or {}))
    return f"how {name.removeprefix(FEATURES)} is looked up: {', '.join(told)}"


def _looked_up(field: str, now: Any, then: Any) -> str:
    """A field of a view's declaration; a duration as people say it, where that tells the two apart."""
    if not field.endswith("_s"):
        return f"{field} {_value(then)} -> {_value(now)}"
    new, old = (show_seconds(value).replace(".0 ", " ") if value else "none" for value in (now, then))
    return f"{field.removesuffix('_s')} {old} -> {new}" if new != old else f"{field} {_value(then)} -> {_value(now)}"


def source(parameter: str) -> str:
    """What a step's source is called: by its parameter, where that says more than that it is one."""
    return "source" if parameter == "source" else f"source {parameter}"


def _source(name: str, new: str | None, old: str | None, entries: Entries) -> str:
    called = source(name)
    if name in entries:
        told = changes(*entries[name])
        if told:
            return f"{called}: {told}"
    return f"{called}: {short(old) if old else 'none'} -> {short(new) if new else 'none'}"


def changes(now: Sequence[Entry], before: Sequence[Entry]) -> str:
    """What is new, changed and gone of what a source holds, in words; empty where nothing is."""
    old = {entry.name: entry for entry in before}
    new = {entry.name: entry for entry in now}
    grown = [name for name in new if name in old and new[name].follows and new[name].follows == old[name].stamp]
    told = [f"{new[name].size - old[name].size:,} new {name}" for name in grown]
    for verb, names in (
        ("new", [name for name in new if name not in old]),
        ("changed", [name for name in new if name in old and new[name].mark != old[name].mark and name not in grown]),
        ("gone", [name for name in old if name not in new]),
    ):
        if names:
            shown = f" ({names[0]})" if len(names) == 1 else f" ({names[0]} to {names[-1]})"
            told.append(f"{len(names)} {verb} file{'s' if len(names) > 1 else ''}{shown}")
    return ", ".join(told)


def _value(value: Any) -> str:
    return "none" if value is None else repr(value)
