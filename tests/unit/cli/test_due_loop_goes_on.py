"""The loop goes on: trouble is said once, an edited project is opened anew, a broken one waits, a signal ends it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bedplate.core.errors import ProjectError, WorldError
from bedplate.interfaces.cli import due
from bedplate.interfaces.cli.verb import Asked
from bedplate.pipeline.due.rules import Ruling
from bedplate.pipeline.due.work import Turn

NOW = datetime(2026, 1, 31, 7, tzinfo=UTC)
WAITS = Turn(rulings=(Ruling(step="raw", kind="schedule", action="wait", reason="every 1 day", next=NOW + timedelta(milliseconds=1)),))


class Project:
    """A project that is opened, edited and looked at as a test says: each look takes the next of `looks`; after the last it is stopped."""

    def __init__(self, *looks: Callable[[], Turn]) -> None:
        self.looks = list(looks)
        self.opened = 0
        self.edited = False
        self.broken = False
        self.stopped = 0

    def open(self) -> Any:
        self.opened += 1
        if self.broken:
            raise ProjectError("shop.py:3: a circle", next="mend it")
        self.edited = False
        loaded = SimpleNamespace(changed=lambda: ["shop.py"] if self.edited else [])
        return SimpleNamespace(
            parts=SimpleNamespace(loaded=loaded), config={"look": "1 ms"}, clock=SimpleNamespace(now=lambda: NOW),
            graph=SimpleNamespace(nodes={"raw": None}), due=lambda: SimpleNamespace(turn=lambda _emit: self.look()), stop=self.stop,
            warm=SimpleNamespace(keep=lambda: None, cool=lambda: None),
        )  # fmt: skip

    def stop(self) -> None:
        self.stopped += 1

    def look(self) -> Turn:
        found = self.looks.pop(0)() if self.looks else WAITS
        if not self.looks:
            os.kill(os.getpid(), signal.SIGTERM)
        return found


def run(project: Project, monkeypatch: pytest.MonkeyPatch, *, as_json: bool = False) -> int:
    asked = Asked((), as_json=as_json)
    monkeypatch.setattr(due, "follower", lambda *_: _Silent())
    monkeypatch.setattr(Asked, "open", lambda _self, **_: project.open())
    return due.loop(cast(Asked, asked))


class _Silent:
    def __enter__(self) -> Callable[[Any], None]:
        return lambda _: None

    def __exit__(self, *_: object) -> None: ...


def trouble() -> Turn:
    raise WorldError("the database cannot be reached", next="see that it runs")


def test_the_same_trouble_is_said_once_and_the_loop_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    """Three looks in vain, then one that works: one word of trouble, exit code 0 at SIGTERM, which also stops a run."""
    project = Project(trouble, trouble, trouble, lambda: WAITS)
    assert run(project, monkeypatch) == 0
    out = capsys.readouterr().out
    assert out.count("the database cannot be reached") == 1
    assert out.count("the loop goes on") == 1
    assert out.count("nothing is due; next is raw") == 1
    assert project.stopped == 1


def test_a_project_that_was_edited_is_opened_anew_and_a_broken_one_waits_until_it_is_mended(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    """The code of before is not run meanwhile."""
    project = Project(lambda: edits(project), lambda: WAITS, lambda: WAITS)

    def edits(one: Project) -> Turn:
        one.edited = one.broken = True
        return WAITS

    opened = project.open

    def mended() -> Any:
        if project.opened == 3:
            project.broken = False
        return opened()

    monkeypatch.setattr(project, "open", mended)
    assert run(project, monkeypatch, as_json=True) == 0
    assert project.opened == 4
    assert capsys.readouterr().out.count("due.trouble") == 1
