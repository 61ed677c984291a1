"""From which code, where and on what a run was made: as the record knows it, or as a client's tags say."""

from __future__ import annotations

from typing import Final

from bedplate.core.records import Step
from bedplate.interfaces.http.console.tables import Value
from bedplate.interfaces.http.door.endpoint import Desk

from .subject import Subject

_GIT: Final = (("mlflow.source.git.commit", "Commit"), ("mlflow.source.git.branch", "Branch"), ("mlflow.source.git.repoURL", "Repository"))
_SOURCES: Final = (("mlflow.source.name", "Source"), ("mlflow.source.type", "Kind of source"), ("mlflow.project.entryPoint", "Entry point"))


def git(found: Subject) -> list[tuple[str, Value, str]]:
    """From which code: the commit with whether it had changes, as the record or the client's tags say."""
    if found.kind == "client":
        said: list[tuple[str, Value, str]] = [(label, found.tag(key), "code") for key, label in _GIT if found.tag(key)]
        dirty = found.tag("mlflow.source.git.dirty")
        return [*said, ("Changed since", dirty, "text")] if dirty else said
    if not found.run.git_commit:
        return []
    return [
        ("Commit", found.run.git_commit, "code"),
        ("Changed since", "yes: not all of its code is in the commit" if found.run.git_dirty else "no", "text"),
    ]


def environment(found: Subject, step: Step | None) -> list[tuple[str, Value, str]]:
    """Where it ran, and on which Python its step was keyed."""
    if found.kind == "client":
        return [(label, found.tag(key), "text") for key, label in _SOURCES if found.tag(key)]
    run = found.run
    facts: list[tuple[str, Value, str]] = [("Target", run.target, "text"), ("Host", run.host or None, "text")]
    if found.kind == "run":
        return [*facts, ("Process", str(run.pid) if run.pid else None, "text"), ("Moves heads", run.moves_heads, "text")]
    return [*facts, ("Python", step.key_parts.python, "text")] if step is not None and step.key_parts is not None else facts


def packages(step: Step | None) -> list[tuple[str, str]]:
    """The packages that a step imports, by version."""
    return sorted(step.key_parts.packages.items()) if step is not None and step.key_parts is not None else []


def sources(desk: Desk, found: Subject) -> list[tuple[str, int, str]]:
    """What an attempt read of each of its sources: the parameter, how many things, the first of them."""
    if found.attempt is None or found.kind != "attempt":
        return []
    return [
        (parameter, len(entries), entries[0].name if entries else "")
        for parameter, entries in desk.catalog.sources.read_by(found.attempt.id).items()
    ]  # fmt: skip
