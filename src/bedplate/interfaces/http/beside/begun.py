"""Runs that were begun from a page: `bedplate run ...` as a child of the server, one at a time.

It is the command that a person types: its output goes to the run's logs, its record is the run. What it says as it goes is heard here for
pages: the run's id, how far a step says that it is. It stops with the server, as on SIGTERM: its steps checkpoint.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

import msgspec

from bedplate.core.clock import Clock
from bedplate.core.errors import BusyError
from bedplate.core.records import Record

from .home import Home, Problem, problem_of

_LINES: Final = 60
_PATIENCE_S: Final = 30.0
_NEWS_S: Final = 2.0


class Doing(Record, frozen=True, kw_only=True):
    """What a step that runs said of itself: how far it is (0 to 1, and how many are done), its words, and what it should take."""

    share: float | None = None
    done: int | None = None
    text: str = ""
    expect_s: float | None = None


class Begun(Record, frozen=True, kw_only=True):
    """A run that was begun here. `run` is its id once it has one; `code` its exit code at last; `problem` why it did not begin."""

    words: tuple[str, ...]
    by: str
    reason: str
    at: datetime
    run: str = ""
    code: int | None = None
    problem: Problem | None = None
    doing: dict[str, Doing] = msgspec.field(default_factory=dict)

    @property
    def is_going(self) -> bool:
        """Whether its process lives."""
        return self.code is None


class Runs:
    """Begins runs. `heard` is called, in a thread, when there is something new to show."""

    def __init__(self, home: Home, clock: Clock, heard: Callable[[], None]) -> None:
        self._home = home
        self._clock = clock
        self._heard = heard
        self._lock = threading.Lock()
        self._last: Begun | None = None
        self._process: subprocess.Popen[str] | None = None
        self._thread: threading.Thread | None = None
        self._told_at = float("-inf")

    @property
    def last(self) -> Begun | None:
        """The run that was begun here last."""
        return self._last

    def begin(self, words: tuple[str, ...], by: str, reason: str) -> Begun:
        """Begin `bedplate run` with these words. Raises BusyError while the last one goes on."""
        with self._lock:
            if self._last is not None and self._last.is_going:
                raise BusyError(f"a run that {self._last.by} began here goes on", why="one at a time is begun", next="wait, or cancel it")
            begun = self._last = Begun(words=words, by=by, reason=reason, at=self._clock.now())
            self._process = self._home.start("run", *words, f"--child-of={os.getpid()}", errors=subprocess.STDOUT)
            self._thread = threading.Thread(target=self._listen, args=(self._process,), name="bedplate-run", daemon=True)
            self._thread.start()
        return begun

    def close(self) -> None:
        """Have a run that goes on checkpoint and stop, and wait until it did."""
        process, thread = self._process, self._thread
        if process is None or thread is None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        thread.join(_PATIENCE_S)
        if process.poll() is None:
            process.kill()
            thread.join(_PATIENCE_S)

    def _listen(self, process: subprocess.Popen[str]) -> None:
        lines: deque[str] = deque(maxlen=_LINES)
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                lines.append(line)
                self._hear(line)
        code = process.wait()
        begun = self._last
        problem = problem_of("".join(lines)) if code and begun is not None and not begun.run else None
        self._becomes(code=code, problem=problem, doing={})
        self._heard()

    def _hear(self, line: str) -> None:
        said: Any = None
        with suppress(msgspec.DecodeError):
            said = msgspec.json.decode(line)
        if not isinstance(said, dict) or self._last is None:
            return
        kind, step, data = said.get("kind"), said.get("step"), said.get("data") or {}
        if kind == "run.started":
            self._becomes(run=str(data.get("run", "")))
        elif kind in ("step.started", "step.progress") and isinstance(step, str):
            before = self._last.doing.get(step, Doing())
            self._becomes(doing={**self._last.doing, step: _doing(before, kind, said.get("text"), data)})
        else:
            return
        if self._clock.monotonic() - self._told_at >= _NEWS_S:
            self._told_at = self._clock.monotonic()
            self._heard()

    def _becomes(self, **changes: Any) -> None:
        if self._last is not None:
            self._last = msgspec.structs.replace(self._last, **changes)


def _doing(before: Doing, kind: str, text: Any, data: dict[str, Any]) -> Doing:
    if kind == "step.started":
        expected = data.get("expect_s")
        return Doing(expect_s=expected if isinstance(expected, (int, float)) else None)
    value = data.get("value")
    done, total = value if isinstance(value, list) and len(value) == 2 else (None, None)
    share = done / total if isinstance(done, (int, float)) and isinstance(total, (int, float)) and total > 0 else None
    return msgspec.structs.replace(before, share=share, done=done if isinstance(done, int) else None, text=str(text or "")[:200])
